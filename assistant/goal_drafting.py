"""Has a text model say a goal anew, and holds what it says to rules; what fails them leaves the templates' words.

What the person did not say must stand in square brackets. The rules see words: numbers, times and names outside
brackets that the person did not use, feelings and illnesses they did not name, an aim of which nothing is left,
parts that are still open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from assistant import checklist, prompting, verify
from assistant.checklist import straight
from assistant.domain import GoalReading
from assistant.model import TextModel
from assistant.prompting import Prompt

ANSWERS = 2
# The bundled model, tuned to it or not, words goals worse than the templates do, at worst turning them round
# (training/results.md), so only one that follows instructions is asked.
ABLE = "strong"
LONGEST, LONGEST_STEP, LONGEST_PROPOSAL = 45, 30, 8  # words
KEPT = 3  # telling words of goal and context that must come again, or as many as the goal has
PARTS = ("refined", "first_step", "check")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {part: {"type": "string"} for part in PARTS},
    "required": list(PARTS),
    "additionalProperties": False,
}
Missing = Callable[[str], Sequence[str]]  # what is still open in a goal
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_FIRST = re.compile(r"\b(?:I|my|me|we|our)\b")
_MARKS = re.compile(r"https?:|www\.|[<>{}|`*_#@]")
# When and how often something is done is the person's to say.
_TIMES = frozenset(
    """once twice thrice daily weekly monthly two monday tuesday wednesday thursday friday saturday sunday january
    february april june july august september october november december tomorrow tonight""".split()
)


@dataclass(frozen=True, slots=True)
class Refinement:
    """A goal said anew, a first step, and a question to check it."""

    refined: str
    first_step: str
    check: str


def refine(
    model: TextModel,
    goal: str,
    context: str,
    reading: GoalReading,
    seed: int,
    *,
    missing: Missing,
    ordinary: Collection[str] = (),
    on_prompt: Callable[[Prompt], None] | None = None,
) -> GoalReading | None:
    """Return ``reading`` with the words of ``model``, or None where none of its answers stands the rules.

    ``missing`` tells what is open in a goal; ``reading`` is of ``goal``; ``ordinary`` are words that may open
    a sentence without being a name. Raises ModelError, PromptError.
    """
    if model.style != ABLE or not reading.missing or reading.abstained or not _words(goal):
        return None
    prompt = _prompt(goal, context, reading.missing)
    if on_prompt:
        on_prompt(prompt)
    answers = model.generate(prompt, ANSWERS, prompt.max_tokens, seed)
    rules = _Rules(goal, context, reading.missing, missing, ordinary)
    found = [item for answer in answers if (item := parsed(answer)) and not rules.faults(item)]
    if not found:
        return None
    best = max(found, key=lambda item: len(_words(goal) & _words(_BRACKETS.sub(" ", item.refined))))
    return replace(
        reading, refined=best.refined, first_step=best.first_step, check=best.check, origin="model"
    )


def parsed(answer: str) -> Refinement | None:
    """Return the three parts of an answer in JSON; None when it is not of the structure asked for."""
    try:
        row = json.loads(answer[answer.find("{") : answer.rfind("}") + 1])
    except (ValueError, RecursionError):
        return None
    parts: list[Any] = [row.get(part) for part in PARTS] if isinstance(row, dict) else []
    if not parts or not all(isinstance(part, str) for part in parts):
        return None
    texts = [" ".join(part.split()) for part in parts]
    return Refinement(*texts) if all(map(prompting.plain, texts)) else None


def faults(
    goal: str,
    context: str,
    item: Refinement,
    open_: Sequence[str],
    missing: Missing,
    ordinary: Collection[str] = (),
) -> list[str]:
    """Return what speaks against a refinement; nothing: it may be offered."""
    return _Rules(goal, context, open_, missing, ordinary).faults(item)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a refinement of one goal is held to."""

    goal: str
    context: str
    open: Sequence[str]
    missing: Missing
    ordinary: Collection[str]

    @property
    def said(self) -> str:
        return straight(f"{self.goal} {self.context}")

    def faults(self, item: Refinement) -> list[str]:
        own = straight(_BRACKETS.sub(" ", item.refined))
        found = [
            *self._sentence(item.refined, LONGEST),
            *(f"first step: {fault}" for fault in self._sentence(item.first_step, LONGEST_STEP)),
            *(f"check: {fault}" for fault in checklist.faults(item.check, "reflect")),
        ]
        if verify.invented(straight(item.check), f"{self.said} {own}", self.ordinary):
            found.append("check: invented")
        everything = straight(" ".join(astuple(item)))
        if verify.unnamed(everything, self.said) or _MARKS.search(everything):
            found.append("a feeling, an illness or a mark that is not the person's")
        again = verify.telling(self.said) & verify.telling(f"{own} {item.first_step}")
        if not _words(self.goal) & _words(own) or len(again) < min(KEPT, len(verify.telling(self.goal))):
            found.append("another aim")
        still = set(self.missing(item.refined.replace("[", "").replace("]", ""))) & set(self.open)
        return found + [f"{part} still open" for part in sorted(still - {"achievable", "relevant"})]

    def _sentence(self, text: str, longest: int) -> Iterator[str]:
        outside = _BRACKETS.sub(" ", text)
        if "[" in outside or "]" in outside:
            yield "brackets that do not fit"
        if any(len(proposal.split()) > LONGEST_PROPOSAL for proposal in _BRACKETS.findall(text)):
            yield "a proposal that is too long"
        if not 4 <= len(text.split()) <= longest:
            yield "too long or too short"
        if not text.rstrip('"”').endswith(".") or not _FIRST.search(outside):
            yield "no sentence of the writer"
        times = _TIMES & {word.lower() for word in checklist.WORD.findall(outside)}
        if verify.invented(straight(outside), self.said, self.ordinary) or any(
            time not in self.said.lower() for time in times
        ):
            yield "invented"


def _words(text: str) -> set[str]:
    """Return the roots of the telling words of a text, or of all its longer ones where none is telling."""
    return verify.telling(text) or {root for root in verify.roots(text) if len(root) > 2}


def _prompt(goal: str, context: str, open_: Sequence[str]) -> Prompt:
    filled = prompting.load("goal-strong").fill(
        goal=goal, context=context or "-", open=", ".join(open_).replace("_", " ")
    )
    return replace(filled, schema=SCHEMA)
