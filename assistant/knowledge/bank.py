"""The question bank: each question is held to the checklist, each theme to a full set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from assistant import checklist
from assistant.domain import BankQuestion
from assistant.knowledge.reading import Misfit, Strict

SETS = ("first_meeting", "midpoint", "closure", "for_mentors")  # for a moment rather than a theme
BESIDE = ("any", "support", *SETS)
EACH = 6  # of either kind a theme
SET = 6  # questions in a set, of either kind together


class Entry(Strict):
    id: str
    kind: Literal["reflect", "ask"]
    focus: Literal["resource", "obstacle", "next_step", "meaning"]
    text: str
    fit: tuple[str, ...] = ()


class File(Strict):
    theme: str
    questions: list[Entry]


def question(
    theme: str, entry: Entry, kinds: Collection[str], others: Sequence[BankQuestion]
) -> BankQuestion:
    """Return a question of the bank. Raises Misfit, with a path into the entry, saying what is wrong."""
    found = checklist.faults(entry.text, entry.kind)
    if found:
        raise Misfit(f"{entry.id} {checklist.REASONS[found[0]]}", "text")
    for at, kind in enumerate(entry.fit):
        if kind not in kinds:
            raise Misfit(f"{entry.id} unknown safety kind {kind}", "fit", at)
    if any(entry.id == other.id or entry.text == other.text for other in others):
        raise Misfit(f"{entry.id} stands twice", "id")
    return BankQuestion(entry.id, theme, entry.kind, entry.focus, entry.text, tuple(entry.fit))


def gaps(themes: Collection[str], questions: Sequence[BankQuestion]) -> Iterator[str]:
    """Yield one line for each theme, or set for a moment, that has too few questions."""
    count = Counter((item.theme, item.kind) for item in questions)
    for theme in themes:
        for kind in ("reflect", "ask"):
            if count[theme, kind] < EACH:
                yield f"questions/{theme}.yaml: {count[theme, kind]} {kind} questions; {EACH} are wanted"
    for name in SETS:
        total = sum(item.theme == name for item in questions)
        if total < SET:
            yield f"questions/{name}.yaml: {total} questions; {SET} are wanted"
