"""The shape of the code, by ast: imports run downward only, engines have one home, pieces stay small."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOTS = ("assistant", "ui", "training", "benchmarks")
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 60, 15

# A module may import lower levels only. Up to level 2 none imports another of its own level; from level 3
# on it may, without a circle. A folder counts as one module; inside it, imports are its own affair.
LEVELS = {
    0: ("domain", "errors", "checklist"),
    1: (
        "settings",
        "knowledge",
        "prompting",
        "embedding",
        "history",
        "preference",
        "model",
        "migrations",
        "sentences",
        "language",
        "names",
        "lexical",
    ),
    2: ("safety", "themes", "retrieval", "questions", "quoting", "goals", "verify", "store"),
    3: ("drafting", "goal_drafting", "pipeline", "recall", "accounts", "sharing", "reporting", "screen"),
    4: ("assemble", "doctor"),
    5: ("cli", "__main__", "ui"),
}
LEVEL = {name: level for level, names in LEVELS.items() for name in names}
FREE_FROM = 3

# Each engine, and the only modules that may import it.
OWNERS = {
    "sentence_transformers": {"embedding"},
    "transformers": {"model"},
    "faiss": {"retrieval"},
    "sqlite_utils": {"store", "migrations"},
    "gradio": {"ui"},
}
# The assistant works without a page: only this function may import it.
PAGE_IMPORT = ("cli", "_serve")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(*roots: str) -> list[Path]:
    return [path for root in roots for path in sorted((ROOT / root).rglob("*.py"))]


def module(path: Path) -> str:
    """Return the module of the table a file belongs to: its name or folder in assistant/, or ui."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "ui" if parts[0] == "ui" else parts[1]


def imported(node: ast.AST, path: Path) -> Iterator[str]:
    """Yield the dotted names an import statement reaches, relative ones resolved."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = path.relative_to(ROOT).parent.parts
        start = package[: len(package) - node.level + 1] if node.level else ()
        base = ".".join((*start, node.module) if node.module else start)
        yield from (f"{base}.{alias.name}" for alias in node.names)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        for name in imported(node, path):
            yield getattr(node, "lineno", 0), name


def target(name: str) -> str | None:
    """Return the module of the table that a dotted name lies in, or None for any other package."""
    first, _, rest = name.partition(".")
    if first == "ui":
        return "ui"
    return rest.split(".")[0] if first == "assistant" and rest else None


def edges() -> Iterator[tuple[str, str, str]]:
    """Yield importer, imported and the place, for imports between modules of the table."""
    for path in sources("assistant", "ui"):
        for line, name in imports(path):
            reached = target(name)
            if reached and reached != module(path) and module(path) != "__init__":
                yield module(path), reached, f"{path.relative_to(ROOT)}:{line} imports {name}"


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_module_has_a_level() -> None:
    found = {module(path) for path in sources("assistant", "ui")} - {"__init__"}
    assert found <= set(LEVEL), "give these a level in LEVELS"
    reached = {name for _, name, _ in edges()}
    assert reached <= set(LEVEL), "these are imported and do not exist"


def test_imports_run_downward_only() -> None:
    wrong = [
        place
        for importer, name, place in edges()
        if LEVEL[name] > LEVEL[importer] or (LEVEL[name] == LEVEL[importer] and LEVEL[name] < FREE_FROM)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_imports() -> None:
    below: dict[str, set[str]] = {}
    for importer, name, _ in edges():
        below.setdefault(importer, set()).add(name)
    while ends := {name for names in below.values() for name in names} - set(below) | {
        importer for importer, names in below.items() if not names
    }:
        below = {importer: names - ends for importer, names in below.items() if importer not in ends}
    assert not below, f"these import one another: {below}"


def test_only_serve_imports_the_page() -> None:
    name, function = PAGE_IMPORT
    for path in sources("assistant"):
        allowed = {
            node
            for outer in functions(path)
            if module(path) == name and outer.name == function
            for node in ast.walk(outer)
        }
        for node in ast.walk(tree(path)):
            if node not in allowed:
                for reached in imported(node, path):
                    assert target(reached) != "ui", f"{path.name} imports {reached}"


def test_the_application_needs_neither_training_nor_benchmarks() -> None:
    for path in sources("assistant", "ui"):
        for line, name in imports(path):
            assert name.split(".")[0] not in ("training", "benchmarks", "tests"), f"{path}:{line} {name}"


@pytest.mark.parametrize("engine", OWNERS)
def test_an_engine_has_one_home(engine: str) -> None:
    users = {
        module(path)
        for path in sources("assistant", "ui")
        for _, name in imports(path)
        if name.split(".")[0] == engine
    }
    assert users <= OWNERS[engine]


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*ROOTS)}
    long = [f"{path.relative_to(ROOT)}: {lines}" for path, lines in lengths.items() if lines > FILE_LINES]
    assert not long, f"over {FILE_LINES} lines: {long}"


def test_functions_stay_short() -> None:
    known = [(path, node) for path in sources(*ROOTS) for node in functions(path)]
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length(node)}"
        for path, node in known
        if length(node) > FUNCTION_LINES
    ]
    assert not long, f"over {FUNCTION_LINES} lines: {long}"
    assert statistics.median(length(node) for _, node in known) <= MEDIAN_LINES
