"""The scores of benchmarks/scoring.py, by hand-counted examples, and the report over stub answers."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import evaluate
from benchmarks import scoring as sc

IDS = ("feedback", "leadership", "perfectionism")
TEXT = "I rewrote it nine times. Nobody asked me to. The rest is still bullet points."
QUOTE = "I rewrote it nine times."


def case(gold: tuple[str, ...], named: tuple[str, ...], **more: Any) -> sc.ThemeCase:
    return sc.ThemeCase(TEXT, gold, named, **more)


def line(**more: Any) -> dict[str, Any]:
    """A valid ``analyse`` line that names perfectionism."""
    evidence = [{"start": 0, "end": len(QUOTE), "text": QUOTE}]
    return {
        "id": "x",
        "understood": True,
        "language": "en",
        "safety": {"level": "none", "kind": None, "spans": []},
        "themes": [{"id": "perfectionism", "score": 0.9, "evidence": evidence}],
        "ranked": [{"id": k, "score": s} for k, s in zip(reversed(IDS), (0.9, 0.2, 0.1), strict=True)],
        "passages": [],
        "questions": [],
        "abstained": None,
        "provenance": {},
        "seconds": {},
        **more,
    }


def test_counts_and_rates() -> None:
    counts = sc.count_sets([({"a", "b"}, {"a"}), (set(), {"b"})])
    assert counts == sc.Counts(hits=1, false=1, missed=1)
    assert (counts.precision, counts.recall, counts.f1) == (0.5, 0.5, 0.5)


def test_a_share_of_nothing_is_none() -> None:
    assert sc.Counts().precision is None
    assert sc.mean([None]) is None
    assert sc.recall_at([]) is None
    assert sc.bootstrap([], sc.micro_f1) is None


def test_theme_scores() -> None:
    cases = [
        case(("feedback",), ("feedback", "leadership"), ranked=IDS),
        case(("perfectionism", "leadership"), (), ranked=IDS),
        case((), ()),
        case((), ("perfectionism",)),
    ]
    assert sc.theme_counts(cases) == sc.Counts(1, 2, 2)
    assert sc.micro_f1(cases) == pytest.approx(1 / 3)
    assert sc.macro_f1(cases) == pytest.approx(1 / 3)
    assert sc.recall_at(cases, 2) == pytest.approx(2 / 3)
    assert sc.no_theme_accuracy(cases) == 0.5
    assert sc.coverage(cases) == 0.5
    assert sc.first_right(cases) == 0.5
    assert sc.personal_precision(cases) == 0.0


@pytest.mark.parametrize(("span", "share"), [((0, 12), 1.0), ((0, 11), 0.0), ((30, 40), 0.0)])
def test_evidence_must_cover_half_of_the_quote(span: tuple[int, int], share: float) -> None:
    right = case(
        ("perfectionism",),
        ("perfectionism", "feedback"),
        quotes={"perfectionism": QUOTE},
        spans={"perfectionism": [span]},
    )
    assert sc.evidence_share([right]) == share


def test_overlapping_spans_count_once() -> None:
    spans = {"perfectionism": [(0, 6), (0, 6), (3, 9)]}
    twice = case(("perfectionism",), ("perfectionism",), quotes={"perfectionism": QUOTE}, spans=spans)
    assert sc.evidence_share([twice]) == 0.0


def test_safety_scores() -> None:
    pairs = [("none", "none"), ("none", "urgent"), ("support", "none"), ("urgent", "urgent")]
    cases = [sc.LevelCase(*pair) for pair in pairs]
    assert sc.level_recall(cases, "urgent") == 1.0
    assert sc.level_recall(cases, "support") == 0.0
    assert sc.level_false_alarms(cases, "urgent") == pytest.approx(1 / 3)
    assert sc.level_false_alarms(cases, "support") == 0.0
    assert sc.confusion(cases)["none", "urgent"] == 1


def test_goal_scores() -> None:
    cases = [
        sc.GoalCase(
            (frozenset({"specific", "time_bound"}), frozenset({"specific"})),
            ("approach", "approach"),
            ("learning", "mixed"),
        ),
        sc.GoalCase((frozenset(), frozenset({"specific"})), ("avoidance", "approach"), ("mixed", "mixed")),
    ]
    assert sc.part_counts(cases)["specific"] == sc.Counts(1, 1, 0)
    assert sc.goal_micro_f1(cases) == 0.5
    assert sc.goal_mean_f1(cases) == pytest.approx((2 / 3 + 0) / 2)
    assert (sc.frame_accuracy(cases), sc.type_accuracy(cases)) == (0.5, 0.5)


def recall(cases: Sequence[sc.ThemeCase]) -> float | None:
    return sc.theme_counts(cases).recall


def test_bootstrap_is_seeded_and_holds_the_value() -> None:
    cases = [case(("feedback",), ("feedback",) if i % 2 else ()) for i in range(40)]
    low, high = sc.bootstrap(cases, recall, 200, 3) or (1, 0)
    assert low < 0.5 < high
    assert sc.bootstrap(cases, recall, 200, 3) == (low, high)


def test_a_valid_line_has_no_faults() -> None:
    assert sc.analysis_faults(line(), TEXT, IDS) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"error": "no text"}, "error"),
        ({"themes": None}, "malformed"),
        ({"ranked": []}, "ranked is not every id"),
        ({"safety": {"level": "urgent", "kind": "self_harm", "spans": []}}, "urgent with themes"),
        ({"safety": {"level": "none", "kind": None, "spans": [[5, 900]]}}, "safety span"),
        ({"themes": [{"id": "joy", "score": 0.5, "evidence": []}]}, "unknown or repeated"),
        ({"themes": []}, "no theme and no reason"),
    ],
)
def test_faults_are_found(change: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in sc.analysis_faults(line(**change), TEXT, IDS))


def test_evidence_faults_are_found() -> None:
    long = " ".join([TEXT] * 6)
    spans = [{"start": 0, "end": len(long), "text": long}, {"start": 3, "end": 9, "text": "else"}]
    themes = [{"id": "perfectionism", "score": 0.9, "evidence": spans}]
    found = " ".join(sc.analysis_faults(line(themes=themes), long, IDS))
    assert "not the text it quotes" in found
    assert "more than two sentences" in found
    assert "a third" in found


def test_goal_faults_are_found() -> None:
    good = {
        "id": "g",
        "safety": {"level": "none"},
        "missing": ["specific"],
        "frame": "approach",
        "type": "mixed",
        "refined": "…",
        "first_step": None,
        "check": None,
        "origin": "template",
        "abstained": None,
    }
    assert sc.goal_faults(good) == []
    assert sc.goal_faults({**good, "missing": []}) == ["nothing missing, yet refined"]
    assert sc.goal_faults({**good, "missing": ["speed"]}) == ["unknown part"]


def stub(options: list[str], inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stand in for the command: names nothing, finds nothing missing."""
    assert not any({"labels", "evidence", "level", "missing"} & set(given) for given in inputs)
    if options[0] == "refine-goal":
        return [{"missing": [], "frame": "approach", "type": "mixed"} for _ in inputs]
    ranked = [{"id": k, "score": 0.0} for k in evaluate.theme_ids()]
    return [line(id=given["id"], themes=[], ranked=ranked, abstained="Too little.") for given in inputs]


def test_the_report_covers_all_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "ROUNDS", 20)
    answers = evaluate.collect(stub)
    cases = evaluate.theme_cases(answers.reflections)
    assert sc.no_theme_accuracy(cases) == 1.0
    assert all(
        g["safety"] != "urgent" for g, _ in answers.reflections if g["text"] in {c.text for c in cases}
    )
    text = evaluate.report(answers, datetime.date(2026, 11, 21))
    assert text.startswith("## Development sets, 2026-11-21")
    for heading in ("### Themes", "### Safety: reflections", "### Goals", "### Validity"):
        assert heading in text
