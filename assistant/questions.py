"""Chooses questions from the bank, which answers at once and always; trims a model's answer to its question."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Sequence

from assistant.domain import (
    KINDS,
    BankQuestion,
    Question,
    QuestionKind,
    SafetyFinding,
    Span,
    Theme,
)

MOST = 5  # questions in a set: the first screen shows no more
MOST_UNDER_SUPPORT = 2
WITHOUT_THEME = 3
# A set holds something that works already and something to do about what does not.
NEEDED = (frozenset({"resource"}), frozenset({"obstacle", "next_step"}))

Prefer = Callable[[BankQuestion], float]
LOTS = 1 << 64
Slot = list[BankQuestion]  # the candidates for one place in a set, most wanted first


def _alike(question: BankQuestion) -> float:
    return 0.0


class QuestionBank:
    """The written questions. Choices depend on arguments alone: the same ones, the same answer."""

    def __init__(self, questions: Sequence[BankQuestion]) -> None:
        self._by_theme: dict[str, list[BankQuestion]] = {}
        for question in questions:
            self._by_theme.setdefault(question.theme, []).append(question)
        self.texts = tuple(question.text for question in questions)

    def choose(
        self,
        themes: Sequence[Theme],
        finding: SafetyFinding,
        seed: int,
        avoid: Collection[str] = (),
        prefer: Prefer = _alike,
    ) -> tuple[Question, ...]:
        """Return the questions to show first; none when urgent or not understood.

        With themes: up to one of each kind a theme, five in all, with a resource and with an
        obstacle or next step where the bank has them. Without: three that fit any meeting. Under
        support: at most two fit for its kind. ``avoid`` holds ids or texts asked before; ``prefer`` says
        how much rather a question is shown than others, in the unit of the lot that is drawn, 0 to 1.
        """
        if not _may_ask(finding):
            return ()
        if finding.level == "support":
            return tuple(self._supportive(finding, seed, avoid)[:MOST_UNDER_SUPPORT])
        if not themes:
            picked = _pick(self._open_slots(seed, avoid, prefer))
            return tuple(_asked(question, None) for question in picked)
        slots = self._slots(themes, seed, avoid, prefer)
        by_id = {theme.id: theme for theme in themes}
        order = {theme.id: place for place, theme in enumerate(themes)}
        picked = sorted(_pick(slots), key=lambda q: (order[q.theme], KINDS.index(q.kind)))
        return tuple(_asked(question, by_id[question.theme]) for question in picked)

    def more(
        self,
        themes: Sequence[Theme],
        finding: SafetyFinding,
        seed: int,
        shown: Collection[str],
        prefer: Prefer = _alike,
    ) -> tuple[Question, ...]:
        """Return the rest of the bank for these themes, ``shown`` left out, kinds and themes mixed."""
        if not _may_ask(finding) or finding.level == "support":
            return ()
        if not themes:
            return tuple(_asked(q, None) for q in self._ordered("any", None, seed, shown, prefer))
        rows = [
            [_asked(q, theme) for q in self._ordered(theme.id, kind, seed, shown, prefer)]
            for theme in themes
            for kind in KINDS
        ]
        return tuple(q for column in itertools.zip_longest(*rows) for q in column if q)

    def _ordered(
        self,
        theme: str,
        kind: QuestionKind | None,
        seed: int,
        avoid: Collection[str],
        prefer: Prefer = _alike,
    ) -> list[BankQuestion]:
        found = [
            question
            for question in self._by_theme.get(theme, ())
            if kind in (None, question.kind) and question.id not in avoid and question.text not in avoid
        ]
        return sorted(found, key=lambda question: _lot(seed, question.id) / LOTS - prefer(question))

    def _slots(
        self, themes: Sequence[Theme], seed: int, avoid: Collection[str], prefer: Prefer
    ) -> list[Slot]:
        """One place for every theme, kinds alternating, then the other kind of each, five at most."""
        places = [
            (theme.id, KINDS[(number + turn) % 2]) for turn in (0, 1) for number, theme in enumerate(themes)
        ]
        slots = [self._ordered(theme, kind, seed, avoid, prefer) for theme, kind in places]
        return [slot for slot in slots if slot][:MOST]

    def _open_slots(self, seed: int, avoid: Collection[str], prefer: Prefer) -> list[Slot]:
        reflect, ask = (self._ordered("any", kind, seed, avoid, prefer) for kind in KINDS)
        third = reflect if _lot(seed, "third") % 2 else ask
        return [slot for slot in (reflect, ask, third[1:]) if slot][:WITHOUT_THEME]

    def _supportive(self, finding: SafetyFinding, seed: int, avoid: Collection[str]) -> list[Question]:
        others = sorted(set(self._by_theme) - {"support"})
        return [
            _asked(question, None)
            for theme in ("support", *others)
            for question in self._ordered(theme, None, seed, avoid)
            if finding.kind is not None and finding.kind in question.fit
        ]


_LABEL = re.compile(
    r"^\s*(?:[-*•]\s*|\d{1,2}[.)]\s+|(?:Question[^:]{0,20}|Q|A|Answer|Mentor|Mentee)\s*:\s*)+", re.I
)
_QUESTION_END = re.compile(r"\?(?=[\s\"'”’)]|$)")
_SENTENCE_END = re.compile(r"(?<=[.!…])[\"'”’)]?\s+(?=[\"'“‘A-Z])")
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "(": ")"}


def trim(answer: str) -> str | None:
    """Return the first sentence of ``answer`` that ends in "?", without labels and outer quotes.

    Nothing is added or reworded; None when no sentence asks.

    >>> trim('Question: "What now?" I think you should rest.')
    'What now?'
    """
    answer = _LABEL.sub("", answer.strip().strip("*_ "))
    if answer[:1] in _QUOTES and answer.count(answer[0]) <= 2 and _opens_whole(answer):
        answer = _LABEL.sub("", answer[1:])
    end = _QUESTION_END.search(answer)
    if not end:
        return None
    question = _SENTENCE_END.split(answer[: end.end()])[-1].strip()
    return question if len(question) > 1 else None


def whole(answer: str) -> str | None:
    """Return ``answer`` up to its question mark, with any sentence before the question; labels are left out.

    A question mark inside quotation marks ends nothing, and what cuts through a quotation is no question.

    >>> whole("I cut the cake. How would you begin? Like this")
    'I cut the cake. How would you begin?'
    >>> whole('"What did you say when she asked "Ready?" at the end?"')
    """
    answer = _LABEL.sub("", answer.strip().strip("*_ "))
    if answer[:1] in _QUOTES and answer.endswith(_QUOTES[answer[0]]) and _opens_whole(answer):
        answer = answer[1:-1].strip()
    for end in _QUESTION_END.finditer(answer):
        question = answer[: end.end()].strip()
        if _closed(question):
            return question if len(question) > 1 else None
    return None


def _closed(text: str) -> bool:
    """Return whether every quotation that opens in ``text`` also ends there."""
    return text.count('"') % 2 == 0 and text.count("“") == text.count("”")


def first_sentence(text: str) -> str:
    """Return the first sentence of a passage."""
    return re.split(r"(?<=[.!?])\s+", text.strip(), maxsplit=1)[0]


def _opens_whole(answer: str) -> bool:
    """Return whether the first character quotes the whole question rather than some words of it."""
    closing = answer.find(_QUOTES[answer[0]], 1)
    asks = answer.find("?")
    return closing < 0 or 0 <= asks < closing


def _asked(question: BankQuestion, theme: Theme | None) -> Question:
    span: Span | None = theme.evidence[0] if theme and theme.evidence else None
    name = theme.id if theme else None
    return Question(question.kind, question.text, name, "bank", question.focus, span)


def _may_ask(finding: SafetyFinding) -> bool:
    return finding.understood and finding.level != "urgent"


def _lot(seed: int, key: str) -> int:
    """Return a number that looks drawn by chance but is fixed by seed and key, on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big")


def _pick(slots: Sequence[Slot]) -> list[BankQuestion]:
    """Take the first of every slot, then exchange as few as needed for the set to be balanced."""
    picked = [slot[0] for slot in slots]
    for focus in NEEDED:
        if any(question.focus in focus for question in picked):
            continue
        place = _place_for(focus, slots, picked)
        if place:
            picked[place[0]] = place[1]
    return picked


def _place_for(
    focus: frozenset[str], slots: Sequence[Slot], picked: Sequence[BankQuestion]
) -> tuple[int, BankQuestion] | None:
    """Return the last slot that has such a question and whose own is not needed for the balance."""
    for number in reversed(range(len(slots))):
        rest = [question for place, question in enumerate(picked) if place != number]
        lost = [need for need in NEEDED if picked[number].focus in need]
        if any(not any(question.focus in need for question in rest) for need in lost):
            continue
        for question in slots[number]:
            if question.focus in focus and question not in rest:
                return number, question
    return None
