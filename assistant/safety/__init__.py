"""Notices a text that points to danger or serious strain, before anything is suggested.

Written rules and the tuned encoder look at every text; a small judge, fitted by ``training/train_judge.py``,
weighs what both say. Where the encoder fails the rules decide alone and the finding says so. It misses some,
and assesses no person: figures in training/results.md.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assistant import language
from assistant.domain import Level, SafetyFinding, Span
from assistant.embedding.tuned import WordReading
from assistant.errors import ModelError
from assistant.safety.rules import KINDS, URGENT_KINDS, Hit, Lexicon, load_lexicon, sure

__all__ = [
    "KINDS",
    "URGENT_KINDS",
    "Judge",
    "Lexicon",
    "SafetyReader",
    "evidence",
    "load_judge",
    "load_lexicon",
]
MAX_SPANS = 3  # more quotes make no notice clearer
SHARE = 0.25  # of the attention that a second sentence must draw to be quoted too
CAUTIOUS = 0.85  # probability needed where a guard of the rules holds for what was looked at
HARMLESS = ("figure", "past", "recovered", "subject", "technical", "portrayed")  # such guards
EVIDENCE = ("encoder urgent", "encoder raised", "rule urgent", "hint", "rule support")


@dataclass(frozen=True, slots=True)
class Judge:
    """Two logistic regressions over ``evidence``, (evidence + 1,) each with the intercept last, and their bounds."""

    urgent: npt.NDArray[np.float64]
    raised: npt.NDArray[np.float64]
    urgent_from: float
    raised_from: float

    def weigh(
        self, row: npt.NDArray[np.float64], direct: bool = False, harmless: bool = False
    ) -> tuple[bool, bool]:
        """Say whether a text is urgent, and whether it calls for a notice at all.

        ``direct``: a written rule saw a direct expression, which is always urgent; one for strain always calls
        for a notice. ``harmless``: what was looked at stands in words that make such things harmless, so more
        is needed to raise it.
        """
        urgent, raised = (
            float(1 / (1 + np.exp(-(row @ head[:-1] + head[-1])))) for head in (self.urgent, self.raised)
        )
        least = CAUTIOUS if harmless else 0.0
        danger = direct or urgent >= max(self.urgent_from, least)
        by_rule = bool(row[EVIDENCE.index("rule support")])
        return danger, danger or by_rule or raised >= max(self.raised_from, least)


def load_judge(path: Path | None = None) -> Judge:
    """Return the judge in ``path``, else the one that comes with the application. Raises ModelError."""
    file = path or importlib.resources.files("assistant").joinpath("weights/judge.json")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if tuple(found["evidence"]) != EVIDENCE:
            raise ValueError("it weighs other evidence")
        return Judge(
            np.array(found["urgent"], float), np.array(found["raised"], float),
            float(found["urgent_from"]), float(found["raised_from"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The judge {file} cannot be used ({error}). Fetch it again or run `python -m training.train_judge`."
        ) from error


def evidence(hits: Sequence[Hit], reading: WordReading) -> npt.NDArray[np.float64]:
    """Return what speaks for danger or strain in one text, in the order of ``EVIDENCE``."""
    direct = sure([hit for hit in hits if hit.level == "urgent"])
    return np.array(
        [
            reading.urgent,
            reading.raised,
            float(bool(direct)),
            float(any(hit.hint for hit in hits) and not direct),
            float(any(hit.level == "support" for hit in hits)),
        ]
    )


class SafetyReader:
    """Reads one text at a time; holds no state between texts, safe to call from several threads."""

    def __init__(self, lexicon: Lexicon | None = None, judge: Judge | None = None) -> None:
        self.lexicon = lexicon or load_lexicon()
        self.judge = judge

    def read(self, text: str, sentences: Sequence[Span], reading: WordReading | None) -> SafetyFinding:
        """Return the level, its kind and the clauses or sentences that decided, worst first.

        ``reading`` is None where the encoder failed; then the written rules decide alone. Never raises on
        any string.
        """
        code = language.detect(text)
        known = code in (*language.KNOWN, language.UNKNOWN)
        hits = self.lexicon.hits(text, sentences)
        urgent = sure([hit for hit in hits if hit.level == "urgent"])
        if not known:
            return _by_rule(urgent, code, False, False)
        if reading is None or self.judge is None or not sentences:
            return _by_rule(
                urgent or [h for h in hits if h.level == "support"],
                code,
                True,
                reading is None and bool(sentences),
            )
        seen = _looked_at(sentences, reading, False)[0].of(text)
        harmless = self.lexicon.holds(HARMLESS, seen)
        danger, raised = self.judge.weigh(evidence(hits, reading), bool(urgent), harmless)
        if not raised:
            return SafetyFinding("none", None, (), code)
        level: Level = "urgent" if danger else "support"
        by_rule = urgent if danger else [hit for hit in hits if hit.level == level]
        kinds = URGENT_KINDS if danger else KINDS
        # A written expression knows its kind better than the encoder does.
        kind = by_rule[0].kind if by_rule else max(kinds, key=lambda name: reading.kinds[KINDS.index(name)])
        quoted = [hit.span for hit in hits if hit.level == level] + _looked_at(sentences, reading, danger)
        return SafetyFinding(level, kind, tuple(_apart(quoted)[:MAX_SPANS]), code)


def _looked_at(sentences: Sequence[Span], reading: WordReading, danger: bool) -> list[Span]:
    """Return the sentences on which the encoder's attention rests, most first."""
    drawn = reading.drawn(sentences, -2 if danger else -1)
    order = sorted(range(len(sentences)), key=lambda at: -drawn[at])
    return [sentences[at] for at in order[:2] if at == order[0] or drawn[at] >= SHARE]


def _by_rule(deciding: Sequence[Hit], code: str, understood: bool, alone: bool) -> SafetyFinding:
    if not deciding:
        return SafetyFinding("none", None, (), code, understood, alone)
    spans = _apart([hit.span for hit in deciding])
    return SafetyFinding(
        deciding[0].level, deciding[0].kind, tuple(spans[:MAX_SPANS]), code, understood, alone
    )


def _apart(spans: Sequence[Span]) -> list[Span]:
    """Return the spans in order without those that overlap an earlier one."""
    found: list[Span] = []
    for span in spans:
        if not any(other.start < span.end and span.start < other.end for other in found):
            found.append(span)
    return found
