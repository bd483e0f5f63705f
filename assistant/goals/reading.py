"""Reads off a goal what is still open in it, how it is framed and what type it is."""

from __future__ import annotations

import json
import math
import re
from importlib import resources
from typing import Literal

from assistant.errors import KnowledgeError
from assistant.goals.rules import Rules

Frame = Literal["approach", "avoidance"]
Type = Literal["learning", "performance", "mixed"]
WEIGHTS = "goals.json"
FEATURES = (
    "constant", "vague_start", "state_start", "vague_words", "concrete", "log_words", "short",
    "measured", "dated", "outcome", "attached",
)  # fmt: skip
NOT_BY_HALF = 3.0  # a count this many times the present one is a stretch
FAR_ABOVE = 10.0  # and this many times, out of reach even with a date to it
_ATTACHED = re.compile(r"\b(?:my|our|the|with|about|from|to) \w+")
# A digit glued to a letter, a colon or a unit counts nothing that could be set beside another count.
_COUNT = re.compile(r"(?<![\w:.,])(\d[\d,]*)(?![\w:%])(?! ?(?:%|per ?cent|km|steps|hours|minutes|words))")
_WORD = re.compile(r"[a-z]+")


class Reader:
    """Finds the open parts, the frame and the type. Raises KnowledgeError when a file is unusable."""

    def __init__(self, rules: Rules, weights: tuple[float, ...] | None = None) -> None:
        names = ("dated", "measured", "outcome", "vague_word", "concrete")
        self._patterns = {name: rules.patterns(name) for name in names}
        self._vague_start = [rules.compile(r"^\W*(?:i )?(?:\w+ly )?" + p) for p in rules.entry("vague_start")]
        self._lead = rules.compile(rules.entry("lead_in"))
        self._frames = rules.patterns("avoidance")
        self._approach = rules.compile(rules.entry("approach_after_all"))
        self._mixed = rules.patterns("mixed")
        self._weighted = {
            (part, side): rules.weighted(part, side)
            for part in ("achievable", "relevant") for side in ("goal", "context")
        }  # fmt: skip
        self._support = rules.compile(rules.entry("achievable", "support"))
        self._rate = rules.compile(rules.entry("achievable", "rate"))
        self._short = rules.compile(rules.entry("achievable", "short"))
        self._types = {name: rules.weighted(name) for name in ("learning", "performance")}
        self._situation = rules.compile(rules.entry("learning_context"))
        self._numbers: dict[str, int] = rules.entry("number_words")
        self._weights = _weights() if weights is None else weights

    def missing(self, goal: str, context: str) -> tuple[str, ...]:
        """Return the open parts in the order of SMART_PARTS."""
        core = self.core(goal)
        dated, measured = self.dated(goal), self._measured(core)
        found = {
            "specific": self._vague(core),
            "measurable": not measured,
            "achievable": self._out_of_reach(goal, context, dated),
            "relevant": self._sum("relevant", goal, context) >= 2,
            "time_bound": not dated,
        }
        return tuple(part for part, open_ in found.items() if open_)

    def frame(self, goal: str) -> Frame:
        """Return ``avoidance`` where the goal names what should stop or be absent."""
        core = self.core(goal)
        if self._approach.search(core):
            return "approach"
        return "avoidance" if any(p.search(core) for p in self._frames) else "approach"

    def type(self, goal: str, context: str) -> Type:
        """Return what kind of goal it is: becoming able, reaching a result, or both."""
        core = self.core(goal)
        if any(p.search(core) for p in self._mixed):
            return "mixed"
        learning = _weigh(self._types["learning"], core)
        performance = _weigh(self._types["performance"], core)
        if not learning and not performance:  # only then may the person's situation decide
            learning = int(bool(self._situation.search(context)))
        return "learning" if learning > performance else "performance"

    def core(self, goal: str) -> str:
        """Return the goal on one line without "I want to" and its like."""
        line = " ".join(goal.split())
        lead = self._lead.match(line)
        return line[lead.end() :] if lead else line

    def dated(self, goal: str) -> bool:
        """Return whether the goal names an end, a date or a day to look back."""
        return self._any("dated", " ".join(goal.split()))

    def features(self, goal: str) -> list[float]:
        """Return the values behind the judgement of specific, in the order of FEATURES."""
        core = self.core(goal)
        words = max(1, len(core.split()))
        return [
            1.0,
            float(any(p.search(core) for p in self._vague_start)),
            float(bool(self._vague_start[0].search(core))),
            float(min(2, self._count("vague_word", core))),
            float(min(3, self._count("concrete", core))),
            math.log(words),
            float(words <= 4),
            float(self._any("measured", core)),
            float(self.dated(core)),
            float(self._any("outcome", core)),
            float(bool(_ATTACHED.search(core))),
        ]

    def _vague(self, core: str) -> bool:
        if self._any("outcome", core):
            return False
        return sum(w * x for w, x in zip(self._weights, self.features(core), strict=True)) > 0

    def _measured(self, core: str) -> bool:
        return self._any("measured", core) or self._any("outcome", core)

    def _out_of_reach(self, goal: str, context: str, dated: bool) -> bool:
        against = _weigh(self._weighted["achievable", "goal"], goal)
        if against >= 2:
            return True
        around = _weigh(self._weighted["achievable", "context"], context)
        if not dated:  # with time open, a goal can still be shaped to fit the circumstances
            around = min(around, 1)
        ratio = self._ratio(goal, context)
        if ratio >= NOT_BY_HALF:
            around += 2 if not dated or ratio >= FAR_ABOVE else 1
        return against + around - bool(self._support.search(context)) >= 2

    def _ratio(self, goal: str, context: str) -> float:
        """How far the largest count of the goal lies above the largest smaller count around it."""
        if self._rate.search(context) and not self._short.search(goal):
            return 0.0  # so many a day may well add up
        wanted, present = self._counts(goal), self._counts(context)
        if not wanted or max(wanted) < 10:
            return 0.0
        smaller = [count for count in present if 0 < count < max(wanted)]
        return max(wanted) / max(smaller) if smaller else 0.0

    def _counts(self, text: str) -> list[int]:
        digits = [int(found.replace(",", "")[:9] or 0) for found in _COUNT.findall(text)]
        words = [self._numbers[word] for word in _WORD.findall(text.lower()) if word in self._numbers]
        return [count for count in digits + words if not 1990 < count < 2100]

    def _sum(self, part: str, goal: str, context: str) -> int:
        return _weigh(self._weighted[part, "goal"], goal) + _weigh(self._weighted[part, "context"], context)

    def _any(self, name: str, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._patterns[name])

    def _count(self, name: str, text: str) -> int:
        return sum(len(pattern.findall(text)) for pattern in self._patterns[name])


def _weigh(weighted: tuple[tuple[int, re.Pattern[str]], ...], text: str) -> int:
    line = " ".join(text.split())
    return sum(weight for weight, pattern in weighted if pattern.search(line))


def _weights() -> tuple[float, ...]:
    try:
        text = resources.files("assistant").joinpath("weights", WEIGHTS).read_text(encoding="utf-8")
        found = json.loads(text)["specific"]
        return tuple(float(found[name]) for name in FEATURES)
    except (OSError, KeyError, TypeError, ValueError) as fault:
        raise KnowledgeError(
            f"assistant/weights/{WEIGHTS} cannot be used ({fault}). Run `python -m training.train_goals`."
        ) from fault
