"""Scores of the assistant's answers against annotated texts: pure functions, no files, no models.

Every rate is the plain share of what it names; a share of nothing is None, never zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from assistant.sentences import split

PERSONAL = (
    "self_confidence",
    "impostor_feelings",
    "perfectionism",
    "setbacks_resilience",
    "motivation_meaning",
    "wellbeing_stress",
    "work_life_balance",
    "belonging_inclusion",
)
LEVELS = ("none", "support", "urgent")
PARTS = ("specific", "measurable", "achievable", "relevant", "time_bound")
LONG_TEXT_WORDS = 60  # above this, the evidence of one theme may take a third of the text
Case = TypeVar("Case")


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits, false finds and misses, and the rates read off them."""

    hits: int = 0
    false: int = 0
    missed: int = 0

    @property
    def precision(self) -> float | None:
        return _share(self.hits, self.hits + self.false)

    @property
    def recall(self) -> float | None:
        return _share(self.hits, self.hits + self.missed)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.hits, 2 * self.hits + self.false + self.missed)


@dataclass(frozen=True, slots=True)
class ThemeCase:
    """One text: what was annotated (``gold``, ``quotes``) and what was answered.

    ``spans`` maps a named theme to its evidence as (start, end) pairs.
    """

    text: str
    gold: tuple[str, ...]
    named: tuple[str, ...]
    ranked: tuple[str, ...] = ()
    quotes: Mapping[str, str] = field(default_factory=dict)
    spans: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LevelCase:
    gold: str
    answered: str


@dataclass(frozen=True, slots=True)
class GoalCase:
    """One goal: each field as the pair (annotated, answered)."""

    missing: tuple[frozenset[str], frozenset[str]]
    frame: tuple[str, str]
    type: tuple[str, str]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those values that exist, None when none does."""
    known = [v for v in values if v is not None]
    return _share(sum(known), len(known))


def count_sets(pairs: Iterable[tuple[Iterable[str], Iterable[str]]]) -> Counts:
    """Count over (annotated, answered) sets.

    >>> count_sets([({"a"}, {"a", "b"})])
    Counts(hits=1, false=1, missed=0)
    """
    hits = false = missed = 0
    for gold, answered in ((set(g), set(a)) for g, a in pairs):
        hits += len(gold & answered)
        false += len(answered - gold)
        missed += len(gold - answered)
    return Counts(hits, false, missed)


def bootstrap(
    cases: Sequence[Case],
    statistic: Callable[[Sequence[Case]], float | None],
    rounds: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the 95% percentile interval of ``statistic`` over resampled cases.

    Resamples on which the statistic does not exist are left out; None when it never does.
    """
    if not cases:
        return None
    draws = np.random.default_rng(seed).integers(0, len(cases), (rounds, len(cases)))
    values = [v for row in draws if (v := statistic([cases[i] for i in row])) is not None]
    if not values:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


# --- themes


def theme_counts(cases: Sequence[ThemeCase]) -> Counts:
    """Count all themes of all texts together."""
    return count_sets((c.gold, c.named) for c in cases)


def per_theme(cases: Sequence[ThemeCase], ids: Iterable[str]) -> dict[str, Counts]:
    """Count each theme on its own."""
    return {k: count_sets(({k} & set(c.gold), {k} & set(c.named)) for c in cases) for k in ids}


def micro_f1(cases: Sequence[ThemeCase]) -> float | None:
    return theme_counts(cases).f1


def macro_f1(cases: Sequence[ThemeCase]) -> float | None:
    """Return the mean F1 of the themes that were annotated at least once."""
    seen = {t for c in cases for t in c.gold}
    return mean(counts.f1 for counts in per_theme(cases, sorted(seen)).values())


def recall_at(cases: Sequence[ThemeCase], depth: int = 3) -> float | None:
    """Return the share of annotated themes that stand among the first ``depth`` ranked."""
    found = sum(t in c.ranked[:depth] for c in cases for t in c.gold)
    return _share(found, sum(len(c.gold) for c in cases))


def first_right(cases: Sequence[ThemeCase]) -> float | None:
    """Return, of the texts where a theme is named, the share whose first is annotated."""
    named = [c for c in cases if c.named]
    return _share(sum(c.named[0] in c.gold for c in named), len(named))


def no_theme_accuracy(cases: Sequence[ThemeCase]) -> float | None:
    """Return, of the texts annotated with no theme, the share where none is named."""
    empty = [c for c in cases if not c.gold]
    return _share(sum(not c.named for c in empty), len(empty))


def coverage(cases: Sequence[ThemeCase]) -> float | None:
    """Return, of the texts annotated with a theme, the share where any is named."""
    themed = [c for c in cases if c.gold]
    return _share(sum(bool(c.named) for c in themed), len(themed))


def personal_precision(cases: Sequence[ThemeCase]) -> float | None:
    """Return the precision over the eight personal themes, where a wrong one hurts most."""
    kept = set(PERSONAL)
    return count_sets((kept & set(c.gold), kept & set(c.named)) for c in cases).precision


def evidence_share(cases: Sequence[ThemeCase]) -> float | None:
    """Return, of the rightly named themes, the share whose spans cover half of the quote."""
    covered = [
        _covers_half(c.text, c.quotes[t], c.spans.get(t, ()))
        for c in cases
        for t in c.named
        if t in c.gold and t in c.quotes
    ]
    return _share(sum(covered), len(covered))


def _covers_half(text: str, quote: str, spans: Sequence[tuple[int, int]]) -> bool:
    start = text.find(quote)
    wanted = set(range(start, start + len(quote)))
    found = {i for low, high in spans for i in range(low, high)}
    return start >= 0 and len(wanted & found) * 2 >= len(wanted)


# --- safety


def level_recall(cases: Sequence[LevelCase], level: str) -> float | None:
    """Return, of the texts of this level, the share answered with it."""
    own = [c for c in cases if c.gold == level]
    return _share(sum(c.answered == level for c in own), len(own))


def level_false_alarms(cases: Sequence[LevelCase], level: str) -> float | None:
    """Return, of the texts annotated with a lower level, the share answered with this one."""
    lower = [c for c in cases if LEVELS.index(c.gold) < LEVELS.index(level)]
    return _share(sum(c.answered == level for c in lower), len(lower))


def confusion(cases: Sequence[LevelCase]) -> dict[tuple[str, str], int]:
    """Return how often each (annotated, answered) pair of levels occurs."""
    return dict(Counter((c.gold, c.answered) for c in cases))


# --- goals


def part_counts(cases: Sequence[GoalCase]) -> dict[str, Counts]:
    """Count each of the five parts over all goals."""
    return {p: count_sets(({p} & c.missing[0], {p} & c.missing[1]) for c in cases) for p in PARTS}


def goal_micro_f1(cases: Sequence[GoalCase]) -> float | None:
    return count_sets(c.missing for c in cases).f1


def goal_mean_f1(cases: Sequence[GoalCase]) -> float | None:
    return mean(counts.f1 for counts in part_counts(cases).values())


def frame_accuracy(cases: Sequence[GoalCase]) -> float | None:
    return _share(sum(c.frame[0] == c.frame[1] for c in cases), len(cases))


def type_accuracy(cases: Sequence[GoalCase]) -> float | None:
    return _share(sum(c.type[0] == c.type[1] for c in cases), len(cases))


# --- validity of an answer


def analysis_faults(line: Mapping[str, Any], text: str, ids: Iterable[str]) -> list[str]:
    """Return what in an ``analyse`` line breaks the contract of docs/cli.md; empty when nothing."""
    if "error" in line:
        return [f"error: {line['error']}"]
    try:
        return _shape_faults(line, set(ids)) + _evidence_faults(line, text)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return [f"malformed: {type(error).__name__} {error}"]


def _shape_faults(line: Mapping[str, Any], ids: set[str]) -> list[str]:
    safety, ranked = line["safety"], [r["id"] for r in line["ranked"]]
    urgent = safety["level"] == "urgent"
    scores = [item["score"] for item in (*line["themes"], *line["ranked"])]
    checks = {
        "unknown safety level": safety["level"] in LEVELS,
        "a kind without a level": (safety["kind"] is None) == (safety["level"] == "none"),
        "urgent with themes, ranked or questions": not urgent
        or not (line["themes"] or ranked or line["questions"]),
        "ranked is not every id once": urgent or not line["understood"] or sorted(ranked) == sorted(ids),
        "ranked is not best first": scores[len(line["themes"]) :]
        == sorted(scores[len(line["themes"]) :], reverse=True),
        "a score outside 0..1": all(0 <= s <= 1 for s in scores),
        "more than four themes": len(line["themes"]) <= 4,
        "an unknown or repeated theme": len({t["id"] for t in line["themes"]} & ids) == len(line["themes"]),
        "no theme and no reason": bool(line["themes"]) or urgent or bool(line["abstained"]),
        "missing field": {"id", "language", "passages", "provenance", "seconds"} <= set(line),
    }
    return [fault for fault, held in checks.items() if not held]


def _evidence_faults(line: Mapping[str, Any], text: str) -> list[str]:
    faults = [] if _inside(text, line["safety"]["spans"]) else ["a safety span outside the text"]
    sentences = split(text)
    for theme in line["themes"]:
        spans = [(e["start"], e["end"]) for e in theme["evidence"]]
        if not 1 <= len(spans) <= 3:
            faults.append(f"{theme['id']}: {len(spans)} spans")
        if not _inside(text, spans) or any(
            text[e["start"] : e["end"]] != e["text"] for e in theme["evidence"]
        ):
            faults.append(f"{theme['id']}: a span is not the text it quotes")
        if any(sum(s.start < high and s.end > low for s in sentences) > 2 for low, high in spans):
            faults.append(f"{theme['id']}: a span over more than two sentences")
        words = sum(len(text[low:high].split()) for low, high in spans)
        if len(text.split()) > LONG_TEXT_WORDS and words * 3 > len(text.split()):
            faults.append(f"{theme['id']}: evidence over a third of the text")
    return faults


def _inside(text: str, spans: Iterable[Sequence[int]]) -> bool:
    return all(0 <= low < high <= len(text) for low, high in spans)


def goal_faults(line: Mapping[str, Any]) -> list[str]:
    """Return what in a ``refine-goal`` line breaks the contract; empty when nothing."""
    if "error" in line:
        return [f"error: {line['error']}"]
    try:
        checks = {
            "unknown part": set(line["missing"]) <= set(PARTS),
            "unknown frame": line["frame"] in ("approach", "avoidance"),
            "unknown type": line["type"] in ("learning", "performance", "mixed"),
            "nothing missing, yet refined": bool(line["missing"]) or line["refined"] is None,
            "refined under a safety level": line["safety"]["level"] == "none" or line["refined"] is None,
            "missing field": {"id", "first_step", "check", "origin", "abstained"} <= set(line),
        }
    except (KeyError, TypeError) as error:
        return [f"malformed: {type(error).__name__} {error}"]
    return [fault for fault, held in checks.items() if not held]
