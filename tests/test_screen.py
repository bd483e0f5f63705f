"""What the first screen names, in which order, and what it never says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from assistant import knowledge
from assistant.history import Recurrence, Words
from assistant.knowledge import Knowledge
from assistant.screen import first_screen, in_order, notice_row, over_time, segments
from ui.words import strings

UNSAID = ("urgent", "abstained", "thin", "lacks", "detected", "risk", "barrier", "scores")


@pytest.fixture(scope="module")
def known() -> Knowledge:
    return knowledge.load()


def theme(name: str, start: int = 0, end: int = 4) -> dict[str, Any]:
    return {"id": name, "score": 0.7, "evidence": [{"start": start, "end": end, "text": "x"}]}


def report(*themes: dict[str, Any], level: str = "none", kind: str | None = None) -> dict[str, Any]:
    questions = [
        {"kind": "ask", "text": f"{item['id']} {n}?", "theme": item["id"], "origin": "bank"}
        for item in themes
        for n in (1, 2)
    ]
    return {
        "understood": True,
        "safety": {"level": level, "kind": kind, "spans": []},
        "themes": list(themes),
        "questions": questions,
        "passages": [],
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["career_direction", "self_confidence"], ["self_confidence", "career_direction"]),
        (["self_confidence", "belonging_inclusion"], ["belonging_inclusion", "self_confidence"]),
        (["feedback", "career_direction"], ["feedback", "career_direction"]),
        (["visibility_networking", "perfectionism"], ["perfectionism", "visibility_networking"]),
    ],
)
def test_the_setting_comes_first_then_the_person_then_the_step(
    known: Knowledge, given: list[str], shown: list[str]
) -> None:
    assert [item["id"] for item in in_order([theme(name) for name in given], known)] == shown


def test_a_personal_matter_is_said_to_stand_before_a_step(known: Knowledge) -> None:
    both = report(theme("career_direction"), theme("self_confidence"))
    assert first_screen(both, "text", known)["steps_after"]
    assert not first_screen(report(theme("feedback"), theme("career_direction")), "text", known)[
        "steps_after"
    ]


def test_two_themes_and_five_questions_at_most(known: Knowledge) -> None:
    many = report(theme("feedback"), theme("leadership"), theme("skill_building"))
    screen = first_screen(many, "text", known)
    assert len(screen["themes"]) == 2
    assert sum(len(item["questions"]) for item in screen["themes"]) <= 5


def test_a_theme_put_aside_is_gone_with_its_questions(known: Knowledge) -> None:
    row = report(theme("feedback"), theme("leadership"))
    row["drafts"] = [{"text": f"What of {name}?", "theme": name} for name in ("feedback", "leadership")]
    screen = first_screen(row, "text", known, {"feedback": {"verdict": "not_me"}})
    assert [item["id"] for item in screen["themes"]] == ["leadership"]
    assert "feedback" not in str(screen["questions"])
    assert [item["theme"] for item in screen["drafts"]] == ["leadership"]


def test_under_a_notice_nothing_is_said_about_the_person(known: Knowledge) -> None:
    row = report(theme("self_confidence"), level="support", kind="harassment_discrimination")
    row["questions"] = [
        {"kind": "reflect", "text": "Who could stand with you?", "theme": None, "origin": "bank"}
    ]
    screen = first_screen(row, "text", known)
    assert screen["themes"] == [] and [piece["number"] for piece in screen["segments"]] == [0]
    assert screen["notice"]["level"] == "support" and len(screen["questions"]) == 1


def test_the_segments_are_the_whole_text_and_mark_the_evidence() -> None:
    text = "One. Two. Three."
    pieces = segments(text, [theme("a", 5, 9), theme("b", 0, 4)])
    assert "".join(piece["text"] for piece in pieces) == text
    assert {piece["number"]: piece["text"] for piece in pieces if piece["number"]} == {1: "Two.", 2: "One."}


def test_overlapping_evidence_keeps_every_letter_once() -> None:
    text = "abcdefghij"
    pieces = segments(text, [theme("a", 0, 6), theme("b", 3, 8)])
    assert "".join(piece["text"] for piece in pieces) == text


def test_every_level_and_kind_has_a_notice_with_people_to_turn_to(known: Knowledge) -> None:
    for level in ("support", "urgent"):
        for kind in known.kinds:
            notice = notice_row(level, kind, known)
            assert notice["paragraphs"] and notice["pointers"]
            assert "not yet reviewed by a clinician" in notice["reviewed_by"]


def words_on_screen(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in words_on_screen(item)]
    if isinstance(value, list):
        return [text for item in value for text in words_on_screen(item)]
    return [str(value)]


def test_the_words_that_label_people_are_nowhere_on_screen(known: Knowledge) -> None:
    texts = words_on_screen(strings())
    texts += [line for item in known.guidance.values() for line in (item.says, item.reworded)]
    texts += [line for notice in known.notices.values() for line in (notice.title, notice.body)]
    texts += [question.text for question in known.questions]
    texts += [line for passage in known.passages.values() for line in (passage.title, passage.text)]
    pattern = re.compile(rf"\b(?:{'|'.join(UNSAID)})\b", re.IGNORECASE)
    assert [text for text in texts if pattern.search(text)] == []


def test_what_went_well_stands_beside_personal_themes_alone(known):

    well = (Words("r2", "2026-05-02T08:00:00", ("It went well.",)),)
    shown = (Words("r1", "2026-05-01T08:00:00", ("I let it go by.",)),)
    rows = over_time(
        [
            Recurrence(theme, "back", shown, well, well, 2, 3)
            for theme in ("career_direction", "self_confidence")
        ],
        known,
        {"career_direction": "I do not know where to go."},
    )
    assert [row["id"] for row in rows] == ["self_confidence", "career_direction"]  # the person first
    assert [bool(row["went_well"]) for row in rows] == [True, False]
    assert rows[0]["speaks_for"][0] == {
        "reflection": "r1",
        "day": "2026-05-01",
        "quotes": ("I let it go by.",),
    }
    assert rows[1]["says"] == "I do not know where to go."
    assert rows[0]["says"] == known.guidance["self_confidence"].says
