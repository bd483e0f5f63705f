"""What a writer did with earlier questions, as a gentle weight on which come next; this writer's alone.

Counted, not fitted: the same history gives the same weights, and a writer without one gets none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from assistant.domain import BankQuestion

Deed = Literal["kept", "edited", "dropped", "asked", "helped"]
DEEDS: tuple[Deed, ...] = get_args(Deed)
WORTH: dict[Deed, float] = {"kept": 0.5, "edited": 0.5, "asked": 1.0, "helped": 2.0, "dropped": -1.0}
DONE: frozenset[Deed] = frozenset({"asked", "helped", "dropped"})  # such a question is not put again
CALM = 4.0  # deeds' worth of "nothing known", so that one deed alone changes little


@dataclass(frozen=True, slots=True)
class Said:
    """What the writer last did with a question, in the words in which it was suggested."""

    question: str
    origin: str
    deed: Deed


class Preference:
    """Weights over kinds, focuses and origins; all zero without a history."""

    def __init__(self, said: Iterable[Said] = (), bank: Iterable[BankQuestion] = ()) -> None:
        said = list(said)
        known = {item.text: item for item in bank}
        self.avoid = frozenset(item.question for item in said if item.deed in DONE)
        self._worth: dict[str, list[float]] = {}
        for item in said:
            question = known.get(item.question)
            traits = (question.kind, question.focus) if question else ()
            for trait in (item.origin, *traits):
                self._worth.setdefault(trait, []).append(WORTH[item.deed])

    def of(self, *traits: str) -> float:
        """Return the mean worth of some traits (kind, focus, origin), each between -1 and 2 and drawn to 0."""
        worths = [self._worth.get(trait, []) for trait in traits]
        return sum(sum(worth) / (len(worth) + CALM) for worth in worths) / len(traits)
