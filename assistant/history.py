"""What keeps coming back across a writer's own reflections, told from their stored reports alone.

A theme counts only where it was found in two texts or more, always with the writer's words and days, and
with what speaks against it: the texts that show nothing of it, and what went well in the writer's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["back", "new", "faded"]
Row = dict[str, Any]
LEAST = 2  # texts that a theme must have been found in
NEWEST = 2  # texts in which a theme that is still there was found at least once
FRESH = 3  # newest texts, all a new theme is found in; as many again must stand before them
SHOWN = 5
STRENGTH = "progress_strengths"  # the theme of what went well and is owned
QUOTED = 3  # texts quoted for a theme, and against it
_ORDER: tuple[State, ...] = ("back", "new", "faded")


@dataclass(frozen=True, slots=True)
class Past:
    """A reflection that was read: which themes it was found to show, in which words."""

    reflection: str
    day: str  # ISO 8601; past readings are put in order by it
    themes: dict[str, tuple[str, ...]]
    dismissed: frozenset[str]  # themes of which the writer said that they are not it


@dataclass(frozen=True, slots=True)
class Words:
    """What a writer wrote one day."""

    reflection: str
    day: str
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A theme found in several texts, ``found`` of ``among``; quotes and texts are newest first.

    Against it speak ``went_well``, words that show progress or a strength, and ``without``, texts that show
    nothing of it.
    """

    theme: str
    state: State
    speaks_for: tuple[Words, ...]
    went_well: tuple[Words, ...]
    without: tuple[Words, ...]
    found: int
    among: int


def past(row: Row, report: Row, dismissed: Iterable[str]) -> Past:
    """Return what a stored report says of the reflection ``row``, whose text it must be about."""
    themes = {theme["id"]: tuple(part["text"] for part in theme["evidence"]) for theme in report["themes"]}
    return Past(row["id"], row["created"], themes, frozenset(dismissed))


def recurring(readings: Sequence[Past]) -> list[Recurrence]:
    """Return the themes that come back, that are new and that faded, those of most texts first.

    Each "that is not it" of the writer takes away a text of those that count for its theme.
    """
    readings = sorted(readings, key=lambda reading: reading.day)
    found = [_recurrence(theme, readings) for theme in sorted({t for r in readings for t in r.themes})]
    return sorted(
        (item for item in found if item), key=lambda item: (_ORDER.index(item.state), -item.found, item.theme)
    )[:SHOWN]


def _recurrence(theme: str, readings: Sequence[Past]) -> Recurrence | None:
    """Return what a theme did over ``readings``, oldest first; None where it is not found often enough."""
    places = [
        at
        for at, reading in enumerate(readings)
        if theme in reading.themes and theme not in reading.dismissed
    ]
    if len(places) - sum(theme in reading.dismissed for reading in readings) < LEAST:
        return None
    state: State = "back"
    if places[-1] < len(readings) - NEWEST:
        state = "faded"
    elif places[0] >= max(FRESH, len(readings) - FRESH):
        state = "new"
    newest = [readings[at] for at in reversed(places)]
    others = [reading for at, reading in reversed(list(enumerate(readings))) if at not in places]
    well = [one for one in reversed(readings) if STRENGTH in one.themes and STRENGTH not in one.dismissed]
    return Recurrence(
        theme,
        state,
        _words(newest, theme),
        _words(well, STRENGTH) if theme != STRENGTH else (),
        tuple(Words(one.reflection, one.day, ()) for one in others[:QUOTED]),
        len(places),
        len(readings),
    )


def _words(readings: Sequence[Past], theme: str) -> tuple[Words, ...]:
    return tuple(Words(one.reflection, one.day, one.themes[theme]) for one in readings[:QUOTED])
