"""Reads a goal, says what is still open in it, and offers a refinement that its owner can change.

No model takes part: patterns, a small fitted judgement and templates, so the same goal always gives
the same answer. Whether a goal may be refined at all (safety, language) is decided before.
"""

from __future__ import annotations

import re

from assistant.domain import GoalReading, Span
from assistant.goals.reading import Reader
from assistant.goals.refining import Refiner
from assistant.goals.rules import Rules, load

__all__ = ["MAX_CHARS", "GoalReader", "missing_as_questions", "proposals"]

MAX_WORDS = 60  # a longer one that leaves something open tells a story, which no template takes in
MAX_CHARS = 2_000
_READ_AT_MOST = 4_000  # of a text that is too long anyway, and of any context
_PROPOSAL = re.compile(r"\[[^\[\]]+\]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_LINE = re.compile(r"(?:^|\n)\s*(?:[-*•–]|\d{1,2}[.)])\s+\S")
_NUMBERED = re.compile(r"(?:^|\s)1[.)] .*\s2[.)] ")
_SIDE_BY_SIDE = re.compile(r"^(?:[^,;/]{2,60}[,;] ){3,}[^,;/]+$|^(?:[^/]{2,40} / ){2,}[^/]+$|^.* AND .* AND ")
_QUESTION = re.compile(
    r"^(?:(?:how|what|why|where|who|which|should|can|could|does|is|am|are|will|would) "
    r"(?:i|we|you|my|to|the|it|is|do|does|can|should|could|are)|do (?:i|we|you|they)"
    r"|when (?:is|do|does|can|should|could|are|will))\b",
    re.IGNORECASE,
)


class GoalReader:
    """Reads goals by ``knowledge/goals.yaml``. Raises KnowledgeError when that file cannot be used."""

    def __init__(self, rules: Rules | None = None) -> None:
        rules = rules or load()
        self._reader = Reader(rules)
        self._refiner = Refiner(rules)
        self._unsure = rules.compile(rules.entry("unsure"))
        self._abstain: dict[str, str] = rules.entry("abstain")

    def read(self, goal: str, context: str | None) -> GoalReading:
        """Return what is open in ``goal`` and, where something is, a refinement of it.

        Never raises on a text. Nothing is refined, and ``abstained`` says what would help, where the
        text is empty, a question, several goals, a word that says nothing, or over MAX_CHARS.
        """
        goal, around = goal[:_READ_AT_MOST], (context or "")[:_READ_AT_MOST]
        reason = self._unfit(goal)
        if not _WORD.search(goal):
            return GoalReading(abstained=self._abstain["empty"])
        missing = self._reader.missing(goal, around)
        frame = self._reader.frame(goal)
        kind = self._reader.type(goal, around)
        if reason:
            return GoalReading(missing, frame, kind, abstained=self._abstain[reason])
        if not missing:
            return GoalReading((), frame, kind)
        if len(goal.split()) > MAX_WORDS:
            return GoalReading(missing, frame, kind, abstained=self._abstain["long"])
        draft = self._refiner.draft(goal, around, missing, frame == "avoidance")
        return GoalReading(missing, frame, kind, draft.refined, draft.first_step, draft.check, "template")

    def missing(self, goal: str, context: str | None) -> tuple[str, ...]:
        """Return what is open in a goal, whatever else may be said of it."""
        return self._reader.missing(goal[:_READ_AT_MOST], (context or "")[:_READ_AT_MOST])

    def _unfit(self, goal: str) -> str | None:
        line = " ".join(goal.split())
        if len(goal) > MAX_CHARS:
            return "long"
        if line.endswith("?") or _QUESTION.match(line):
            return "question"
        if len(_LINE.findall(goal)) > 1 or _NUMBERED.search(line) or _SIDE_BY_SIDE.match(line):
            return "several"
        if self._unsure.match(line):
            return "unsure"
        words = _WORD.findall(self._reader.core(goal))
        if not words or (len(words) == 1 and not self._refiner.knows(words[0])):
            return "short"
        return None


def proposals(refined: str) -> list[Span]:
    """Return the bracketed parts of a refinement, brackets included, in order.

    >>> [span.of("I ask [one person] [each week].") for span in proposals("I ask [one person] [each week].")]
    ['[one person]', '[each week]']
    """
    return [Span(*found.span()) for found in _PROPOSAL.finditer(refined)]


def missing_as_questions(missing: tuple[str, ...] | list[str]) -> list[str]:
    """Return what is open in a goal as questions, in the order given."""
    texts = load().entry("questions")
    return [str(texts[part]) for part in missing if part in texts]
