"""What a writer did with questions weighs on the next ones: gently, countably, for this writer alone."""

from __future__ import annotations

import pytest

from assistant.domain import BankQuestion, SafetyFinding, Theme
from assistant.preference import DEEDS, DONE, WORTH, Preference, Said
from assistant.questions import QuestionBank

FOCUSES = ("resource", "obstacle", "next_step", "meaning")
BANK = [
    BankQuestion(f"{kind}-{focus}-{n}", "trust", kind, focus, f"What about {kind} {focus} {n}?")  # type: ignore[arg-type]
    for kind in ("reflect", "ask")
    for focus in FOCUSES
    for n in range(3)
]
THEMES = [Theme("trust", 0.9, ())]
NONE = SafetyFinding()


def said(focus: str, deed: str, times: int, kind: str = "reflect") -> list[Said]:
    return [Said(f"What about {kind} {focus} {n}?", "bank", deed) for n in range(times)]  # type: ignore[arg-type]


def test_without_a_history_nothing_is_weighed() -> None:
    nothing = Preference()
    assert nothing.of("reflect", "resource") == nothing.of("model") == 0.0
    assert nothing.avoid == frozenset()


def test_each_deed_is_worth_something_and_one_alone_little() -> None:
    assert set(WORTH) == set(DEEDS)
    for deed in DEEDS:
        weight = Preference(said("resource", deed, 1), BANK).of("resource")
        assert weight == pytest.approx(WORTH[deed] / 5)
    many = Preference(said("resource", "helped", 3), BANK)
    assert many.of("resource") > Preference(said("resource", "helped", 1), BANK).of("resource") > 0
    assert many.of("meaning") == 0.0
    assert Preference(said("resource", "dropped", 3), BANK).of("resource") < 0


def test_what_was_asked_or_dropped_is_not_put_again_what_was_kept_may_be() -> None:
    for deed in DEEDS:
        avoid = Preference(said("resource", deed, 1), BANK).avoid
        assert bool(avoid) is (deed in DONE)


def test_a_question_of_the_model_counts_for_its_origin_alone() -> None:
    heard = Preference([Said("What did the fox say?", "model", "dropped")] * 1, BANK)
    assert heard.of("model") < 0 == heard.of("reflect") == heard.of("bank")


def test_the_bank_puts_first_what_helped_and_the_same_history_gives_the_same_order() -> None:
    bank = QuestionBank(BANK)

    def first(preference: Preference, seed: int) -> list[str]:
        found = bank.more(
            THEMES, NONE, seed, (), lambda question: preference.of(question.kind, question.focus)
        )
        return [item.focus for item in found if item.kind == "reflect"]  # type: ignore[misc]

    liked = Preference([*said("meaning", "helped", 3), *said("obstacle", "dropped", 3)], BANK)
    plain = Preference()
    places = {
        name: sum(first(preference, seed).index("meaning") for seed in range(30))
        for name, preference in (("liked", liked), ("plain", plain))
    }
    assert places["liked"] < places["plain"]
    assert first(liked, 4) == first(liked, 4)
    assert any(first(liked, seed)[0] != "meaning" for seed in range(30))  # a weight, no rule


def test_the_bank_leaves_out_what_is_to_be_avoided() -> None:
    bank = QuestionBank(BANK)
    for question in bank.choose(THEMES, NONE, 1):
        again = bank.choose(THEMES, NONE, 1, avoid={question.text})
        assert question.text not in {item.text for item in again}
