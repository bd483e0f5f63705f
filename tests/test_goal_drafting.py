"""Goals said anew by a model: what stands the rules is offered, the rest leaves the template's words."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from assistant import goal_drafting
from assistant.domain import GoalReading
from assistant.errors import ModelError
from assistant.goal_drafting import Refinement
from assistant.goals import GoalReader
from assistant.model.scripted import ScriptedModel

GOAL, CONTEXT = "speak up in the budget meeting", "Nurse on a small ward; the meeting is on Tuesdays."
READER = GoalReader()
READING = READER.read(GOAL, CONTEXT)
ORDINARY = frozenset("until before which what to".split())
GOOD = Refinement(
    "Until [the end of next month] I will speak up in [every second] budget meeting with [one figure], and note what came of it.",
    "Before Tuesday I write down [one question] for the meeting.",
    "Which of the people in the meeting would you like to hear you?",
)


def missing(text: str) -> tuple[str, ...]:
    return READER.missing(text, CONTEXT)


def faults(item: Refinement) -> list[str]:
    return goal_drafting.faults(GOAL, CONTEXT, item, READING.missing, missing, ORDINARY)


def answer_of(item: Refinement) -> str:
    return json.dumps(asdict(item))


def refined(model: ScriptedModel, reading: GoalReading = READING) -> GoalReading | None:
    return goal_drafting.refine(model, GOAL, CONTEXT, reading, 1, missing=missing, ordinary=ORDINARY)


def test_a_good_one_is_offered_as_the_models() -> None:
    model = ScriptedModel([["nonsense", answer_of(GOOD)]], style="strong")
    found = refined(model)
    assert found == replace(
        READING, refined=GOOD.refined, first_step=GOOD.first_step, check=GOOD.check, origin="model"
    )
    assert GOAL in model.prompts[0].messages[-1][1] and CONTEXT in model.prompts[0].messages[-1][1]


def test_a_strong_model_answers_in_a_structure() -> None:
    model = ScriptedModel([[f"```json\n{answer_of(GOOD)}\n```"]], style="strong")
    found = refined(model)
    assert found and found.refined == GOOD.refined
    assert model.prompts[0].schema == goal_drafting.SCHEMA


def test_a_plain_model_a_whole_goal_and_an_unfit_one_ask_for_nothing() -> None:
    for style in ("plain", "tuned"):
        assert refined(ScriptedModel([], style=style)) is None
    model = ScriptedModel([], style="strong")
    assert refined(model, GoalReading()) is None
    assert refined(model, replace(READING, abstained="A few more words would help.")) is None
    with pytest.raises(ModelError):
        refined(ScriptedModel([ModelError("gone")], style="strong"))


def test_nothing_is_offered_where_no_answer_stands() -> None:
    assert refined(ScriptedModel([["", "Goal: x", "{}"]], style="strong")) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"refined": GOOD.refined.replace("]", "", 1)}, "brackets that do not fit"),
        ({"refined": GOOD.refined.replace("[one figure]", "three figures")}, "invented"),
        ({"refined": GOOD.refined.replace("[one figure]", "Maria")}, "invented"),
        ({"refined": "I will speak."}, "too long or too short"),
        ({"refined": GOOD.refined.replace(".", " and then " + "more " * 40 + ".")}, "too long or too short"),
        ({"refined": GOOD.refined.replace("I will", "you will")}, "no sentence of the writer"),
        ({"refined": "I will plant [ten] trees until [Friday] and count them.", "first_step": "I buy [a spade]."},
         "another aim"),
        ({"refined": "I will speak up in the budget meeting on Tuesdays."}, "time_bound still open"),
        ({"refined": GOOD.refined.replace("Until [the end of next month] I", "Maria and I")}, "invented"),
        ({"refined": GOOD.refined.replace("[every second]", "the next two")}, "invented"),
        ({"refined": GOOD.refined.replace("[one figure]", "[one of the figures that the head nurse and I had "
          "put together on Monday]")}, "a proposal that is too long"),
        ({"refined": GOOD.refined.replace("[one figure]", "[all my anxiety]")},
         "a feeling, an illness or a mark that is not the person's"),
        ({"first_step": "Before Tuesday I look at [https://x.example]."},
         "a feeling, an illness or a mark that is not the person's"),
        ({"refined": "Until [May] I will be a nurse on a ward, and note [what came] of it [every week]."}, "another aim"),
        ({"refined": GOOD.refined.replace("[one figure]", "[Maria]"), "check": "What would Maria say to you?"},
         "check: invented"),
        ({"first_step": "Call Maria."}, "first step: too long or too short"),
        ({"first_step": "I call Maria before the meeting."}, "first step: invented"),
        ({"check": "Have you tried it?"}, "check: yes_no"),
        ({"check": "What would Maria say to you?"}, "check: invented"),
    ],
)  # fmt: skip
def test_what_the_rules_refuse(change: dict[str, str], fault: str) -> None:
    assert faults(GOOD) == []
    assert fault in faults(replace(GOOD, **change))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Goal: a",
        "I will.\nFirst step: x",
        '{"refined": "a"}',
        '{"refined": 1, "first_step": "", "check": ""}',
        "[]",
    ],
)
def test_what_has_not_its_three_parts_is_nothing(answer: str) -> None:
    assert goal_drafting.parsed(answer) is None


def test_a_goal_of_ordinary_words_is_not_exchanged() -> None:
    goal = "be better at work"
    reading = READER.read(goal, None)
    trees = Refinement(
        "I will plant [ten] trees until [Friday] and count them.", "I buy [a spade].", GOOD.check
    )
    assert "another aim" in goal_drafting.faults(goal, "", trees, reading.missing, missing)
