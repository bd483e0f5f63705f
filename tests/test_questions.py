"""The question bank's choices, and answers that are only ever trimmed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from assistant import questions
from assistant.domain import KINDS, BankQuestion, Question, SafetyFinding, Span, Theme
from assistant.questions import QuestionBank

THEMES = ("feedback", "leadership", "goal_clarity", "perfectionism")
FOCUSES = ("meaning", "resource", "obstacle", "next_step")
NONE = SafetyFinding()
SUPPORT = SafetyFinding("support", "bullying")
TEXT = "In the review I go quiet. Afterwards I think of everything."


def bank_questions() -> list[BankQuestion]:
    made = [
        BankQuestion(
            f"{theme}-{kind}-{number}", theme, kind, FOCUSES[number % 4], f"{theme} {kind} {number}?"
        )
        for theme in (*THEMES, "any")
        for kind in KINDS
        for number in range(6)
    ]
    made += [
        BankQuestion(f"support-{n}", "support", KINDS[n % 2], "resource", f"support {n}?", ("bullying",))
        for n in range(3)
    ]
    return made


BANK = QuestionBank(bank_questions())


def themes(count: int) -> list[Theme]:
    return [Theme(name, 0.9, (Span(0, 25),)) for name in THEMES[:count]]


def balanced(chosen: Sequence[Question]) -> bool:
    focuses = {question.focus for question in chosen}
    return "resource" in focuses and bool(focuses & {"obstacle", "next_step"})


@pytest.mark.parametrize(("count", "size"), [(1, 2), (2, 4), (3, 5), (4, 5)])
def test_a_set_is_small_balanced_and_of_both_kinds(count: int, size: int) -> None:
    for seed in range(40):
        chosen = BANK.choose(themes(count), NONE, seed)
        assert len(chosen) == size == len({question.text for question in chosen})
        assert balanced(chosen)
        assert {question.kind for question in chosen} == {"reflect", "ask"}
        assert {question.theme for question in chosen} == set(THEMES[:count])
        for _, group in itertools.groupby(chosen, key=lambda q: (q.theme, q.kind)):
            assert len(list(group)) == 1
        assert all(q.origin == "bank" and q.evidence == Span(0, 25) for q in chosen)


def test_the_same_arguments_choose_the_same_questions() -> None:
    assert BANK.choose(themes(2), NONE, 7) == BANK.choose(themes(2), NONE, 7)
    shuffled = QuestionBank(bank_questions()[::-1])
    assert shuffled.choose(themes(2), NONE, 7) == BANK.choose(themes(2), NONE, 7)
    assert len({BANK.choose(themes(2), NONE, seed) for seed in range(20)}) > 5


def test_without_a_theme_three_that_fit_any_meeting() -> None:
    for seed in range(40):
        chosen = BANK.choose([], NONE, seed)
        assert len(chosen) == 3 == len({question.text for question in chosen})
        assert all(question.theme is None and question.text.startswith("any") for question in chosen)
        assert {question.kind for question in chosen} == {"reflect", "ask"}
        assert balanced(chosen)


@pytest.mark.parametrize(
    "finding", [SafetyFinding("urgent", "suicide"), SafetyFinding(understood=False, language="de")]
)
def test_nothing_is_asked_when_urgent_or_not_understood(finding: SafetyFinding) -> None:
    assert BANK.choose(themes(2), finding, 1) == () == BANK.more(themes(2), finding, 1, ())


def test_under_support_two_that_fit_or_none() -> None:
    chosen = BANK.choose(themes(2), SUPPORT, 1)
    assert len(chosen) == 2
    assert all(q.text.startswith("support") and q.theme is None and q.evidence is None for q in chosen)
    assert BANK.choose(themes(2), SafetyFinding("support", "grief"), 1) == ()
    assert BANK.choose(themes(2), SafetyFinding("support", None), 1) == ()
    assert BANK.more(themes(2), SUPPORT, 1, ()) == ()


def test_questions_of_last_time_are_avoided_by_text_or_id() -> None:
    first = BANK.choose(themes(2), NONE, 3)
    again = BANK.choose(themes(2), NONE, 3, avoid={question.text for question in first})
    assert not {question.text for question in first} & {question.text for question in again}
    everything = {question.id for question in bank_questions()}
    assert BANK.choose(themes(2), NONE, 3, avoid=everything) == ()


def test_more_gives_all_the_rest_once() -> None:
    first = BANK.choose(themes(2), NONE, 3)
    rest = BANK.more(themes(2), NONE, 3, {question.text for question in first})
    assert len(first) + len(rest) == 24 == len({q.text for q in (*first, *rest)})
    assert len(BANK.more([], NONE, 3, ())) == 12


def test_a_bank_without_the_theme_asks_nothing() -> None:
    assert QuestionBank([]).choose(themes(2), NONE, 1) == ()
    assert QuestionBank([]).choose([], NONE, 1) == ()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("What happens before?", "What happens before?"),
        ('"What happens before?"', "What happens before?"),
        ("“What happens before?”", "What happens before?"),
        ('Question: "What happens before?" Because it helps.', "What happens before?"),
        ("1. What happens before? 2. And then?", "What happens before?"),
        ("- Q: What happens before?", "What happens before?"),
        ("I see. What happens before?", "What happens before?"),
        ("You go quiet: what happens before?", "You go quiet: what happens before?"),
        (
            '"Abrasive" is a word: what does it mean to you?',
            '"Abrasive" is a word: what does it mean to you?',
        ),
        ("Dr.No asks", None),
        ("Rest more.", None),
        ("?", None),
        ("", None),
    ],
)
def test_an_answer_is_trimmed_to_its_question(answer: str, expected: str | None) -> None:
    assert questions.trim(answer) == expected
    if expected:
        assert expected in answer  # trimmed, never reworded
