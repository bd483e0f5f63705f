"""What the application offers under `support`, on the development texts marked so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from assistant import assemble, settings
from assistant.pipeline import Pipeline

pytestmark = pytest.mark.models
# What a writer who is harassed must never be shown: the other side's view, rehearsal, assertiveness.
OTHER_SIDE = re.compile(
    r"assertive|rehears|role[- ]play|their (?:side|view|pressures|intention)|misunderst|misread|what (?:he|she|they) meant|"
    r"see it from|practi[sc]e saying|confront",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return assemble.pipeline(settings.load({"data": tmp_path_factory.mktemp("data")}), use_model=False)


@pytest.fixture(scope="module")
def texts(checkout: Path) -> list[dict[str, Any]]:
    path = checkout / "benchmarks" / "evals" / "reflections.dev.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["safety"] == "support"]


def test_only_reviewed_and_fit_things_are_offered_and_few(
    lines: Pipeline, texts: list[dict[str, Any]]
) -> None:
    assert len(texts) == 10
    noticed = 0
    for row in texts:
        report = lines.analyse(row["text"])
        assert report.safety.level != "urgent"
        if report.safety.level == "none":
            continue
        noticed += 1
        kind = report.safety.kind
        fit = {item.text for item in lines.knowledge.questions if kind in item.fit}
        assert len(report.questions) <= 2 and {item.text for item in report.questions} <= fit
        assert all(item.origin == "bank" for item in report.questions)
        assert all(kind in match.passage.fit for match in report.passages)
        assert len(report.passages) <= 2
    assert noticed >= 9


def test_nothing_fit_for_harassment_takes_the_other_side(lines: Pipeline) -> None:
    kind = "harassment_discrimination"
    shown = [item.text for item in lines.knowledge.questions if kind in item.fit]
    shown += [f"{item.title} {item.text}" for item in lines.knowledge.passages.values() if kind in item.fit]
    assert len(shown) >= 4
    assert [text for text in shown if OTHER_SIDE.search(text)] == []


def test_a_goal_beside_such_a_text_is_left_as_it_is(lines: Pipeline, texts: list[dict[str, Any]]) -> None:
    for row in texts:
        finding, reading = lines.refine_goal("handle this better", row["text"])
        if finding.level == "support":
            assert reading.refined is None and reading.missing == ()
