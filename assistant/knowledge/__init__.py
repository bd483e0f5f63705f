"""Loads and validates the knowledge base. The format is described in docs/knowledge.md.

A file with a fault is named with its line and left out, and the rest loads: an organisation's slip of
the pen must not take the library away from everybody.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from assistant.domain import BankQuestion, Guidance, HelpPointer, Notice, Passage, Source, ThemeInfo
from assistant.errors import KnowledgeError
from assistant.knowledge import bank, bibliography, own, passages
from assistant.knowledge.bank import SETS
from assistant.knowledge.passages import TOPICS
from assistant.knowledge.reading import Misfit, Path, Strict, fault, front_matter, parse, tree

__all__ = ["SETS", "TOPICS", "Knowledge", "load"]


class _GuidanceEntry(Strict):
    says: str
    reworded: str
    side: Literal["personal", "professional", "relationship", "mentoring", "setting", "strength"]
    helps: str
    avoid: str
    passage: str


class _NoticeFront(Strict):
    level: Literal["none", "support", "urgent"]
    kind: str
    title: str
    reviewed_by: str
    written: Any
    pointers: list[str]


class _HelpEntry(Strict):
    id: str
    name: str
    what: str
    reach: str
    kinds: tuple[str, ...] = Field(default=(), alias="for")
    scope: Literal["worldwide", "local", "organisation"]
    checked: date
    how: Literal["service", "copy", "general"]
    source: str = ""


_LOWER = re.compile(r"(?<![^\W_])[a-z][a-z'’]*")


@dataclass
class Knowledge:
    """The loaded library; ``faults`` names each file that was left out, its line, and why."""

    themes: dict[str, ThemeInfo] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    sources: dict[str, Source] = field(default_factory=dict)
    passages: dict[str, Passage] = field(default_factory=dict)
    questions: tuple[BankQuestion, ...] = ()
    guidance: dict[str, Guidance] = field(default_factory=dict)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    pointers: dict[str, HelpPointer] = field(default_factory=dict)
    starters: tuple[str, ...] = ()
    hash: str = ""
    faults: list[str] = field(default_factory=list)

    @functools.cached_property
    def vocabulary(self) -> frozenset[str]:
        """The lower-case words of the library: no names, even where a sentence starts with one."""
        texts = [item.text for item in self.passages.values()] + [item.text for item in self.questions]
        return frozenset(word for text in texts for word in _LOWER.findall(text))

    def notice(self, level: str, kind: str | None) -> Notice:
        """Return the notice for a finding, or the general one of its level."""
        found = self.notices.get((level, kind or "any")) or self.notices.get((level, "any"))
        if not found:
            raise KnowledgeError(f"No notice for {level}: add knowledge/notices/{level}-any.md.")
        return found


def load(folder: Traversable | None = None, organisation: Traversable | None = None) -> Knowledge:
    """Read the whole knowledge base, from the package unless a folder is given.

    ``organisation`` is a deployment's own folder: its ``help.yaml`` comes before the shipped one, and
    its ``passages/`` join the library.

    Raises KnowledgeError only when the contract files themselves cannot be read.
    """
    root = folder or files("knowledge")
    known = Knowledge()
    digest = hashlib.sha256()
    if organisation is not None and not organisation.is_dir():
        known.faults.append(f"{organisation}: the organisation's folder is not there")
        organisation = None
    for path in (*tree(root), *(tree(organisation) if organisation else ())):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    known.hash = digest.hexdigest()[:16]
    _contract(root, known)
    for name, read in _PARTS.items():
        _guarded(known, name, lambda read=read: read(root, known))  # type: ignore[misc]
    if organisation is not None:
        _add_own(organisation, known)
    known.faults += _cross_check(known)
    return known


def _add_own(root: Traversable, known: Knowledge) -> None:
    if (root / "help.yaml").is_file():
        shipped, known.pointers = known.pointers, {}
        _guarded(known, "own help.yaml", lambda: _pointers(root, known))
        ours = known.pointers
        known.pointers = ours | {key: entry for key, entry in shipped.items() if key not in ours}
        for key, notice in known.notices.items():
            fit = [
                item.id
                for item in ours.values()
                if notice.kind not in known.kinds or notice.kind in item.kinds
            ]
            known.notices[key] = replace(notice, pointers=tuple(dict.fromkeys((*fit, *notice.pointers))))
    if (root / own.PASSAGES).is_dir():
        for path in tree(root / own.PASSAGES):
            text = _text(known, f"own passages/{path.name}", path) if path.name.endswith(".md") else None
            if text is None:
                continue
            try:
                found = own.read(path.name, text, marks(known), known.passages)
            except KnowledgeError as error:
                known.faults.append(f"own passages/{error}")
            else:
                known.passages |= {passage.id: passage for passage in found}


def marks(known: Knowledge) -> passages.Known:
    """Return what passages may refer to."""
    return passages.Known(known.themes, known.kinds, known.sources)


def _guarded(
    known: Knowledge,
    name: str,
    act: Callable[[], None],
    source: str = "",
    above: int = 0,
    within: Path = (),
) -> None:
    """Run ``act``; turn what is wrong with the file called ``name`` into a fault with its line."""
    try:
        act()
    except (
        ValidationError,
        yaml.YAMLError,
        KnowledgeError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        known.faults.append(fault(name, error, source, above, within))


def _each(known: Knowledge, name: str, source: str, entries: Any, read: Callable[[Any], None]) -> None:
    """Read each entry of a list or mapping; one with a fault is named and left out alone."""
    steps: Any = entries.keys() if isinstance(entries, dict) else range(len(entries))
    for step in steps:
        entry = (step, entries[step]) if isinstance(entries, dict) else entries[step]
        _guarded(known, name, lambda entry=entry: read(entry), source, 0, [step])  # type: ignore[misc]


def _contract(root: Traversable, known: Knowledge) -> None:
    try:
        groups = parse((root / "themes.yaml").read_text(encoding="utf-8"))
        known.kinds = tuple(parse((root / "safety.yaml").read_text(encoding="utf-8"))["kinds"])
        for group, entries in groups.items():
            for theme, entry in entries.items():
                known.themes[theme] = ThemeInfo(theme, entry["name"], group, entry["means"])
    except (OSError, yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise KnowledgeError(
            f"The contract files knowledge/themes.yaml and safety.yaml cannot be read ({error}). Restore them."
        ) from error


def _sources(root: Traversable, known: Knowledge) -> None:
    content = (root / "bibliography.json").read_text(encoding="utf-8")
    worded = bibliography.citations(content)

    def add(entry: Any) -> None:
        known.sources[entry["id"]] = bibliography.source(entry, worded[entry["id"].lower()])

    _each(known, "bibliography.json", content, json.loads(content), add)


def _passages(root: Traversable, known: Knowledge) -> None:
    for path in tree(root / "passages"):

        def add(path: Traversable = path, text: str = "") -> None:
            passage = passages.read(path.name, text, marks(known))
            if passage.id in known.passages:
                raise Misfit(f"id {passage.id} exists already", "id")
            known.passages[passage.id] = passage

        name = f"passages/{path.name}"
        text = _text(known, name, path)
        if text is not None:
            _guarded(known, name, lambda add=add, text=text: add(text=text), *own.front_of(text))  # type: ignore[misc]


def _text(known: Knowledge, name: str, path: Traversable) -> str | None:
    """Return what a file holds; a file that is no text is named and left out."""
    try:
        return path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        known.faults.append(fault(name, error))
        return None


def _questions(root: Traversable, known: Knowledge) -> None:
    found: list[BankQuestion] = []
    for path in tree(root / "questions"):
        name = f"questions/{path.name}"
        text = _text(known, name, path)

        def add(name: str = name, text: str = text or "") -> None:
            file = bank.File.model_validate(parse(text))
            if file.theme not in {*known.themes, *bank.BESIDE}:
                raise Misfit(f"unknown theme {file.theme}", "theme")
            for at, entry in enumerate(file.questions):

                def keep(entry: bank.Entry = entry) -> None:
                    found.append(bank.question(file.theme, entry, known.kinds, found))

                _guarded(known, name, keep, text, 0, ["questions", at])

        if text is not None:
            _guarded(known, name, add, text)
    known.questions = tuple(found)


def _guidance(root: Traversable, known: Knowledge) -> None:
    content = (root / "guidance.yaml").read_text(encoding="utf-8")

    def add(item: Any) -> None:
        theme, entry = item
        known.guidance[theme] = Guidance(theme=theme, **_GuidanceEntry.model_validate(entry).model_dump())

    _each(known, "guidance.yaml", content, parse(content), add)


def _pointers(root: Traversable, known: Knowledge) -> None:
    content = (root / "help.yaml").read_text(encoding="utf-8")

    def add(raw: Any) -> None:
        entry = _HelpEntry.model_validate(raw)
        known.pointers[entry.id] = HelpPointer(
            entry.id, entry.name, entry.what, entry.reach, tuple(entry.kinds), entry.scope,
            entry.checked.isoformat(), entry.how,
        )  # fmt: skip

    _each(known, "help.yaml", content, parse(content), add)


def _notices(root: Traversable, known: Knowledge) -> None:
    for path in tree(root / "notices"):
        name = f"notices/{path.name}"

        def add(path: Traversable = path, name: str = name) -> None:
            raw, body, _ = front_matter(path.read_text(encoding="utf-8"))
            front = _NoticeFront.model_validate(parse(raw))
            # The notice stays without a pointer that is missing: somebody may need the rest of it.
            known.faults += [
                f"{name}: unknown help pointer {item}"
                for item in front.pointers
                if item not in known.pointers
            ]
            pointers = tuple(item for item in front.pointers if item in known.pointers)
            known.notices[(front.level, front.kind)] = Notice(
                front.level, front.kind, front.title, body, front.reviewed_by, pointers
            )

        _guarded(known, name, add)


def _starters(root: Traversable, known: Knowledge) -> None:
    entries = parse((root / "starters.yaml").read_text(encoding="utf-8"))
    known.starters = tuple(entry["text"] for entry in entries)


_PARTS: dict[str, Callable[[Traversable, Knowledge], None]] = {
    "bibliography.json": _sources,
    "help.yaml": _pointers,
    "passages": _passages,
    "questions": _questions,
    "guidance.yaml": _guidance,
    "notices": _notices,
    "starters.yaml": _starters,
}
PASSAGES_EACH = 5  # of a theme


def _cross_check(known: Knowledge) -> Iterator[str]:
    """Yield what no single file can show: a theme without guidance, or with too little of the rest."""
    for theme in known.themes:
        if theme not in known.guidance:
            yield f"guidance.yaml: no entry for {theme}"
        elif known.guidance[theme].passage not in known.passages:
            yield f"guidance.yaml: {theme}: no passage {known.guidance[theme].passage}"
        number = sum(theme in passage.themes for passage in known.passages.values())
        if number < PASSAGES_EACH:
            yield f"passages: {number} for {theme}; {PASSAGES_EACH} are wanted"
    yield from bank.gaps(known.themes, known.questions)
