"""Loads and validates the knowledge base. The format is described in docs/knowledge.md.

A file with a fault is named and left out, and the rest loads: an organisation's slip of the pen
must not take the library away from everybody.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.domain import BankQuestion, Guidance, HelpPointer, Notice, Passage, Source, ThemeInfo
from assistant.errors import KnowledgeError

WORDS = (60, 120)  # of a passage
QUESTION_WORDS = 25
TOPICS = ("modality", "privacy", "rhythm", "mentor_craft", "choosing", "challenges", "support", "two_way")
_FRONT = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_YES_NO = re.compile(
    r"^(?:and |so |but )?(?:do|does|did|is|are|was|were|am|have|has|had|can|could|will|would|should|shall|may|might|"
    r"must)\b",
    re.IGNORECASE,
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _PassageFront(_Strict):
    id: str = Field(pattern=r"^[a-z0-9_]+-[a-z0-9-]+$")
    title: str = Field(min_length=3)
    audience: Literal["mentee", "mentor", "both"]
    themes: list[str]
    topics: list[str] = []
    sources: list[str] = Field(min_length=1)
    strength: Literal["A", "B", "C"]
    level: Literal["none", "support"]
    fit: list[str] = []
    reviewed: Any


class _QuestionEntry(_Strict):
    id: str
    kind: Literal["reflect", "ask"]
    focus: Literal["resource", "obstacle", "next_step", "meaning"]
    text: str
    fit: list[str] = []


class _QuestionFile(_Strict):
    theme: str
    questions: list[_QuestionEntry]


class _GuidanceEntry(_Strict):
    says: str
    reworded: str
    side: Literal["personal", "professional", "relationship", "mentoring", "setting", "strength"]
    helps: str
    avoid: str
    passage: str


class _NoticeFront(_Strict):
    level: Literal["none", "support", "urgent"]
    kind: str
    title: str
    reviewed_by: str
    written: Any
    pointers: list[str]


class _HelpEntry(_Strict):
    id: str
    name: str
    what: str
    reach: str
    kinds: list[str] = Field(default=[], alias="for")
    scope: Literal["worldwide", "local", "organisation"]
    checked: Any
    source: str = ""


@dataclass(slots=True)
class Knowledge:
    """The loaded library; ``faults`` names each file that was left out and why."""

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
    for path in (*_tree(root), *(_tree(organisation) if organisation else ())):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    known.hash = digest.hexdigest()[:16]
    _contract(root, known)
    for name, read in _PARTS.items():
        _guarded(known, name, lambda read=read: read(root, known))  # type: ignore[misc]
    if organisation is not None:
        _add_own(organisation, known)
    _cross_check(known)
    return known


def _add_own(root: Traversable, known: Knowledge) -> None:
    if (root / "help.yaml").is_file():
        shipped, known.pointers = known.pointers, {}
        _guarded(known, "own help.yaml", lambda: _pointers(root, known))
        own = known.pointers
        known.pointers = own | {key: entry for key, entry in shipped.items() if key not in own}
        for key, notice in known.notices.items():
            fit = [
                item.id
                for item in own.values()
                if notice.kind not in known.kinds or notice.kind in item.kinds
            ]
            known.notices[key] = replace(notice, pointers=tuple(dict.fromkeys((*fit, *notice.pointers))))
    if (root / "passages").is_dir():
        _passages(root, known)


def _tree(folder: Traversable) -> Iterator[Traversable]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir() and not entry.name.startswith((".", "_")):
            yield from _tree(entry)
        elif entry.name.endswith((".md", ".yaml", ".json")):
            yield entry


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _guarded(known: Knowledge, name: str, act: Callable[[], None]) -> None:
    """Run ``act``; turn what is wrong with the file called ``name`` into a fault."""
    try:
        act()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known.faults.append(f"{name}: {where}: {first['msg']}")
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        known.faults.append(f"{name}{f':{line + 1}' if line is not None else ''}: not valid YAML")
    except (KnowledgeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        known.faults.append(f"{name}: {error}")


def _each(known: Knowledge, name: str, entries: Any, read: Callable[[Any], None]) -> None:
    """Read each entry of the list in a file; one with a fault is named and left out alone."""
    for place, entry in enumerate(entries, start=1):
        label = entry[0] if isinstance(entry, tuple) else place
        if isinstance(entry, dict):
            label = entry.get("id", place)
        _guarded(known, f"{name}: {label}", lambda entry=entry: read(entry))  # type: ignore[misc]


def _contract(root: Traversable, known: Knowledge) -> None:
    try:
        groups = _yaml((root / "themes.yaml").read_text(encoding="utf-8"))
        known.kinds = tuple(_yaml((root / "safety.yaml").read_text(encoding="utf-8"))["kinds"])
        for group, entries in groups.items():
            for theme, entry in entries.items():
                known.themes[theme] = ThemeInfo(theme, entry["name"], group, entry["means"])
    except (OSError, yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise KnowledgeError(
            f"The contract files knowledge/themes.yaml and safety.yaml cannot be read ({error}). Restore them."
        ) from error


def _sources(root: Traversable, known: Knowledge) -> None:
    def add(entry: Any) -> None:
        custom = entry["custom"]
        known.sources[entry["id"]] = Source(
            entry["id"], _citation(entry), entry.get("DOI"), custom["checked"], custom["strength"]
        )

    _each(
        known, "bibliography.json", json.loads((root / "bibliography.json").read_text(encoding="utf-8")), add
    )


def _citation(entry: dict[str, Any]) -> str:
    names = [name.get("family") or name.get("literal", "") for name in entry.get("author", [])]
    who = ", ".join(names[:3]) + (" et al." if len(names) > 3 else "")
    parts = entry.get("issued", {}).get("date-parts", [[None]])
    year = f" ({parts[0][0]})" if parts[0] and parts[0][0] else ""
    where = f" {entry['container-title']}." if entry.get("container-title") else ""
    return f"{who}{year}. {entry['title']}.{where}".lstrip(" .")


def _front(text: str) -> tuple[Any, str]:
    found = _FRONT.match(text.replace("\r\n", "\n"))
    if not found:
        raise KnowledgeError("no front matter between two lines of ---")
    return _yaml(found[1]), found[2].strip()


def read_passage(name: str, text: str, known: Knowledge) -> Passage:
    """Return the passage in a Markdown file called ``name``; raises KnowledgeError or ValidationError."""
    raw, body = _front(text)
    front = _PassageFront.model_validate(raw)
    words = len(body.split())
    wrong = [
        (front.id != name.removesuffix(".md"), f"id {front.id} is not the file name"),
        (front.id in known.passages, f"id {front.id} exists already"),
        (not WORDS[0] <= words <= WORDS[1], f"{words} words; {WORDS[0]} to {WORDS[1]} are wanted"),
        (not front.themes and not front.topics, "neither themes nor topics"),
        (front.level == "support" and not front.fit, "level support needs the kinds it is fit for"),
        (front.level == "none" and bool(front.fit), "fit without level support"),
    ]
    for value, allowed, what in (
        (front.themes, known.themes, "theme"),
        (front.topics, TOPICS, "topic"),
        (front.sources, known.sources, "source"),
        (front.fit, known.kinds, "safety kind"),
    ):
        wrong += [(item not in allowed, f"unknown {what} {item}") for item in value]
    for fault, message in wrong:
        if fault:
            raise KnowledgeError(message)
    return Passage(
        front.id, front.title, body, front.audience, tuple(front.themes), tuple(front.topics),
        tuple(front.sources), front.strength, front.level, tuple(front.fit), str(front.reviewed),
    )  # fmt: skip


def _passages(root: Traversable, known: Knowledge) -> None:
    for path in _tree(root / "passages"):

        def add(path: Traversable = path) -> None:
            passage = read_passage(path.name, path.read_text(encoding="utf-8"), known)
            known.passages[passage.id] = passage

        _guarded(known, f"passages/{path.name}", add)


def question_fault(text: str) -> str | None:
    """Say what is wrong with a bank question by rule, or None.

    >>> question_fault("Have you told her?")
    'can be answered with yes or no'
    """
    if not text.endswith("?") or text.count("?") != 1:
        return "needs one question mark, at its end"
    if len(text.split()) > QUESTION_WORDS:
        return f"is longer than {QUESTION_WORDS} words"
    if _YES_NO.match(text):
        return "can be answered with yes or no"
    if re.search(r"\bwhy (?:didn't|did not|don't|do not) you\b|\bdon't you think\b", text, re.IGNORECASE):
        return "blames or holds its own answer"
    return None


def _questions(root: Traversable, known: Knowledge) -> None:
    bank: list[BankQuestion] = []
    for path in _tree(root / "questions"):

        def add(path: Traversable = path) -> None:
            entries = _QuestionFile.model_validate(_yaml(path.read_text(encoding="utf-8")))
            if entries.theme not in {*known.themes, "any", "support"}:
                raise KnowledgeError(f"unknown theme {entries.theme}")
            for entry in entries.questions:
                fault = question_fault(entry.text) or next(
                    (f"unknown safety kind {kind}" for kind in entry.fit if kind not in known.kinds), None
                )
                if fault or any(entry.id == other.id or entry.text == other.text for other in bank):
                    known.faults.append(f"questions/{path.name}: {entry.id} {fault or 'stands twice'}")
                    continue
                bank.append(
                    BankQuestion(
                        entry.id, entries.theme, entry.kind, entry.focus, entry.text, tuple(entry.fit)
                    )
                )

        _guarded(known, f"questions/{path.name}", add)
    known.questions = tuple(bank)


def _guidance(root: Traversable, known: Knowledge) -> None:
    def add(item: Any) -> None:
        theme, entry = item
        known.guidance[theme] = Guidance(theme=theme, **_GuidanceEntry.model_validate(entry).model_dump())

    _each(known, "guidance.yaml", _yaml((root / "guidance.yaml").read_text(encoding="utf-8")).items(), add)


def _pointers(root: Traversable, known: Knowledge) -> None:
    def add(raw: Any) -> None:
        entry = _HelpEntry.model_validate(raw)
        known.pointers[entry.id] = HelpPointer(
            entry.id, entry.name, entry.what, entry.reach, tuple(entry.kinds), entry.scope,
            str(entry.checked) if entry.checked else None,
        )  # fmt: skip

    _each(known, "help.yaml", _yaml((root / "help.yaml").read_text(encoding="utf-8")), add)


def _notices(root: Traversable, known: Knowledge) -> None:
    for path in _tree(root / "notices"):

        def add(path: Traversable = path) -> None:
            raw, body = _front(path.read_text(encoding="utf-8"))
            front = _NoticeFront.model_validate(raw)
            # The notice stays without a pointer that is missing: somebody may need the rest of it.
            known.faults += [
                f"notices/{path.name}: unknown help pointer {item}"
                for item in front.pointers
                if item not in known.pointers
            ]
            pointers = tuple(item for item in front.pointers if item in known.pointers)
            known.notices[(front.level, front.kind)] = Notice(
                front.level, front.kind, front.title, body, front.reviewed_by, pointers
            )

        _guarded(known, f"notices/{path.name}", add)


def _starters(root: Traversable, known: Knowledge) -> None:
    entries = _yaml((root / "starters.yaml").read_text(encoding="utf-8"))
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


def _cross_check(known: Knowledge) -> None:
    """Add what no single file can show: a theme without guidance, passages or questions."""
    for theme in known.themes:
        if theme not in known.guidance:
            known.faults.append(f"guidance.yaml: no entry for {theme}")
        elif known.guidance[theme].passage not in known.passages:
            known.faults.append(f"guidance.yaml: {theme}: no passage {known.guidance[theme].passage}")
        if not any(theme in passage.themes for passage in known.passages.values()):
            known.faults.append(f"passages: none for {theme}")
        for kind in ("reflect", "ask"):
            if sum(item.theme == theme and item.kind == kind for item in known.questions) < 3:
                known.faults.append(f"questions/{theme}.yaml: fewer than three {kind} questions")
    known.faults += [
        f"passages/{passage.id}.md: strength {passage.strength} is above its weakest source"
        for passage in known.passages.values()
        if passage.strength < max((known.sources[key].strength for key in passage.sources), default="C")
    ]
