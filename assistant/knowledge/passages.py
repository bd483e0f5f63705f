"""Passages: the library's own, each in a file with front matter, and an organisation's documents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from assistant.domain import Passage, Source
from assistant.knowledge.reading import Misfit, Strict, front_matter, parse

WORDS = (60, 120)  # of a passage of the library
OWN_WORDS = (8, 250)  # of an organisation's passage
PIECE_WORDS = 150  # an organisation's longer section is cut between paragraphs
SITUATIONS = 4  # at least, of a passage of the library
TOPICS = (
    "modality", "privacy", "rhythm", "mentor_craft", "choosing", "challenges", "support", "two_way",
    "industries", "faq", "programmes", "organisation",
)  # fmt: skip
OWN_TOPIC = "organisation"
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


class Front(Strict):
    """What stands above a passage."""

    id: str = Field(pattern=r"^[a-z0-9_]+-[a-z0-9-]+$")
    title: str = Field(min_length=3)
    audience: Literal["mentee", "mentor", "both"]
    themes: list[str]
    topics: tuple[str, ...] = ()
    sources: list[str] = Field(min_length=1)
    strength: Literal["A", "B", "C"]
    level: Literal["none", "support"]
    fit: tuple[str, ...] = ()
    reviewed: Any
    situations: list[str] = Field(min_length=SITUATIONS)


class OwnFront(Strict):
    """What may stand above an organisation's document; all of it is optional."""

    title: str | None = None
    audience: Literal["mentee", "mentor", "both"] = "both"
    themes: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    level: Literal["none", "support"] = "none"
    fit: tuple[str, ...] = ()
    reviewed: Any = None
    situations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What a passage may refer to."""

    themes: Collection[str]
    kinds: Collection[str]
    sources: Mapping[str, Source]


def read(name: str, text: str, known: Known) -> Passage:
    """Return the passage of the library in a Markdown file called ``name``.

    Raises Misfit or ValidationError, both with a path into the front matter.
    """
    yaml, body, line = front_matter(text)
    front = Front.model_validate(parse(yaml))
    if front.id != name.removesuffix(".md"):
        raise Misfit(f"id {front.id} is not the file name", "id")
    if not front.themes and not front.topics:
        raise Misfit("neither themes nor topics", "themes")
    for at, key in enumerate(front.sources):
        if key not in known.sources:
            raise Misfit(f"unknown source {key}", "sources", at)
    if front.strength < max(known.sources[key].strength for key in front.sources):
        raise Misfit(f"strength {front.strength} is above its weakest source", "strength")
    _check_marks(front, known)
    _check_length(body, WORDS, line)
    return Passage(
        front.id, front.title, body, front.audience, tuple(front.themes), tuple(front.topics),
        tuple(front.sources), front.strength, front.level, tuple(front.fit), str(front.reviewed),
        tuple(front.situations),
    )  # fmt: skip


def _check_marks(front: Front | OwnFront, known: Known) -> None:
    for field, allowed, what in (
        ("themes", known.themes, "theme"),
        ("topics", TOPICS, "topic"),
        ("fit", known.kinds, "safety kind"),
    ):
        for at, item in enumerate(getattr(front, field)):
            if item not in allowed:
                raise Misfit(f"unknown {what} {item}", field, at)
    if front.level == "support" and not front.fit:
        raise Misfit("level support needs the kinds it is fit for", "level")
    if front.level == "none" and front.fit:
        raise Misfit("fit without level support", "fit")


def _check_length(body: str, limits: tuple[int, int], line: int) -> None:
    words = len(body.split())
    if not limits[0] <= words <= limits[1]:
        raise Misfit(f"{words} words; {limits[0]} to {limits[1]} are wanted", line=line)


def documents(name: str, text: str, known: Known) -> Iterator[Passage]:
    """Yield the passages of an organisation's document called ``name``, one a section.

    Plain Markdown will do: each heading opens a passage, long sections are cut between paragraphs.
    Front matter may add whom it is for, themes, topics. Where it stands is kept as its provenance.
    Raises Misfit or ValidationError.
    """
    above, front = 0, OwnFront()
    text = text.replace("\r\n", "\n")
    if text.startswith("---\n"):
        yaml, text, first = front_matter(text)
        front, above = OwnFront.model_validate(parse(yaml) or {}), first - 1
    _check_marks(front, known)
    stem = _slug(name.removesuffix(".md"))
    found = list(_sections(text, front.title or name.removesuffix(".md").replace("-", " ").capitalize()))
    if not found:
        raise Misfit("no text under its headings", line=above + 1)
    taken: set[str] = set()
    for title, line, body in found:
        _check_length(body, OWN_WORDS, above + line)
        ident = _free(f"{stem}-{_slug(title)}", taken)
        yield Passage(
            ident, title, body, front.audience, tuple(front.themes), (*front.topics, OWN_TOPIC), (), "C",
            front.level, tuple(front.fit), str(front.reviewed or ""),
            tuple(front.situations), f"{name}:{above + line}",
        )  # fmt: skip


def _free(wanted: str, taken: set[str]) -> str:
    ident, number = wanted, 1
    while ident in taken:
        number += 1
        ident = f"{wanted}-{number}"
    taken.add(ident)
    return ident


def _sections(text: str, title: str) -> Iterator[tuple[str, int, str]]:
    """Yield title, first line and plain text of each piece under a heading."""
    paragraph: list[str] = []
    pieces: list[tuple[int, str]] = []  # the paragraphs of the section, each with its line
    for number, line in enumerate([*text.split("\n"), "", "# "], 1):
        heading = _HEADING.match(line) if line != "# " else None
        if not line.strip() or heading or line == "# ":
            if paragraph:
                pieces.append((number - len(paragraph), " ".join(_plain(item) for item in paragraph)))
                paragraph = []
            if heading or line == "# ":
                yield from _cut(title, pieces)
                pieces, title = [], heading[1] if heading else title
        else:
            paragraph.append(line)


def _cut(title: str, paragraphs: list[tuple[int, str]]) -> Iterator[tuple[str, int, str]]:
    """Yield a section in pieces of about PIECE_WORDS, whole paragraphs each."""
    while paragraphs:
        size, count = len(paragraphs[0][1].split()), 1
        while count < len(paragraphs) and size + len(paragraphs[count][1].split()) <= PIECE_WORDS:
            size += len(paragraphs[count][1].split())
            count += 1
        yield title, paragraphs[0][0], "\n\n".join(words for _, words in paragraphs[:count])
        paragraphs = paragraphs[count:]


def _plain(line: str) -> str:
    """Return a line without the marks of Markdown that a page would show as they stand."""
    return re.sub(r"[*_`]{1,3}(\S(?:.*?\S)?)[*_`]{1,3}", r"\1", _LINK.sub(r"\1", line)).strip()


def _slug(words: str) -> str:
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "part"
