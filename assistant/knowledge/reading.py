"""Reads files of the library, and says what is wrong with one by its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import KnowledgeError

Path = Sequence[str | int]  # from the root of a YAML file to what is meant
_FRONT = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Strict(BaseModel):
    """A record in which an unknown field is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Misfit(KnowledgeError):
    """Something in a file that cannot stay; ``path`` leads to it, ``line`` counts from 1 where it is known."""

    def __init__(self, message: str, *path: str | int, line: int | None = None) -> None:
        super().__init__(message)
        self.path, self.line = path, line


def tree(folder: Traversable) -> Iterator[Traversable]:
    """Yield the library's files under ``folder``, by name, each folder in its place."""
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir() and not entry.name.startswith((".", "_")):
            yield from tree(entry)
        elif entry.name.endswith((".md", ".yaml", ".json")):
            yield entry


def parse(text: str) -> Any:
    """Return what a YAML text holds."""
    return yaml.load(text, Loader=_LOADER)


def front_matter(text: str) -> tuple[str, str, int]:
    """Return the YAML between two lines of ---, the body after it, and the body's first line.

    Raises Misfit where there is none.
    """
    found = _FRONT.match(text.replace("\r\n", "\n"))
    if not found:
        raise Misfit("no front matter between two lines of ---", line=1)
    space = found[2][: len(found[2]) - len(found[2].lstrip())]
    return found[1], found[2].strip(), found[1].count("\n") + 4 + space.count("\n")


def line_of(source: str, path: Path) -> int:
    """Return the line, from 1, on which the last known step of ``path`` stands in a YAML text.

    >>> line_of("a: 1\\nb:\\n  - c: 2\\n", ["b", 0, "c"])
    3
    """
    node, line = yaml.compose(source, Loader=_LOADER), 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == str(step)), None)
            if not pair:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return line + 1


def fault(name: str, error: Exception, source: str = "", above: int = 0, within: Path = ()) -> str:
    """Return one line about what is wrong with the file ``name``: its line, where known, and why.

    ``source`` is the YAML the error is about, ``above`` the lines before it in the file, ``within``
    the path from its root to what was being read.
    """
    line: int | None = None
    says = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        says = f"{where}: {first['msg']}"
        line = line_of(source, (*within, *first["loc"])) + above if source else None
    elif isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        says, line = "not valid YAML", mark.line + 1 + above if mark else None
    elif isinstance(error, Misfit):
        path = (*within, *error.path)
        line = error.line or (line_of(source, path) + above if source and path else None)
    elif isinstance(error, KeyError):
        says = f"{error} is missing"
        line = line_of(source, within) + above if source and within else None
    return f"{name}{f':{line}' if line else ''}: {says}"
