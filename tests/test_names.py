"""The rule of thumb that finds other people's names, and the initials put in their place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.names import other_names, with_initials

ORDINARY = {"then", "my", "she", "it", "the", "what", "on"}


def found(text: str) -> list[str]:
    return [span.of(text) for span in other_names(text, ORDINARY)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Then Priya left.", ["Priya"]),
        ("Priya left. Then Priya came back.", ["Priya", "Priya"]),
        ("My boss is Jean-Luc O'Brien.", ["Jean-Luc", "O'Brien"]),
        ("I took Priya's advice and James' notes.", ["Priya", "James"]),
        ("I think Dr. May and Prof Li disagree.", ["May", "Li"]),
        ("On Monday in May I met HR and the CEO.", []),
        ("She said it's fine. It's not. Don't ask.", []),
        ("I'll ask whether I've time, and I'd say so.", []),
        ("Zuzana asked. Łukasz and Éva answered.", ["Zuzana", "Łukasz", "Éva"]),
        ("• Then\n- My\n“What now?”", []),
        ("", []),
    ],
)
def test_names_are_found_and_ordinary_capitals_are_not(text, names):
    assert found(text) == names


def test_a_word_that_opens_a_sentence_is_a_name_when_it_is_no_ordinary_word():
    assert found("Grace helped me.") == ["Grace"]
    assert found("Then I went.") == []


@pytest.mark.parametrize(
    ("text", "names", "hidden"),
    [
        ("I met Priya.", ["Priya"], "I met P."),
        ("Priya, Priya's boss; Priya!", ["Priya"], "P., P.'s boss; P.!"),
        ("Ann met Annabel and Joann.", ["Ann", "Annabel"], "A. met A. and Joann."),
        ("Dr J. Smith", ["J", "Smith"], "Dr J. S."),
        ("(a+b) is A.B", ["A.B"], "(a+b) is A."),
        ("Nobody here.", [], "Nobody here."),
    ],
)
def test_initials_take_the_place_of_whole_names_alone(text, names, hidden):
    assert with_initials(text, names) == hidden
    assert with_initials(hidden, names) == hidden


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_spans_of_names_lie_in_order_within_the_text_and_no_found_name_survives(text):
    spans = other_names(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    names = [span.of(text) for span in spans if span.end - span.start > 1]
    hidden = with_initials(text, names)
    assert not {span.of(hidden) for span in other_names(hidden)} & set(names)
