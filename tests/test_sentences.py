"""Sentences keep exact offsets and lose no word."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.sentences import MAX_CHARS, split

_LIST_NUMBER = re.compile(r"(?:^|\n)\s*(?:[-*•–]\s+)?(\d{1,2})[.)](?=\s)")
PIECES = st.sampled_from(
    [
        "I wait. ",
        "Then ",
        "Dr. Lee",
        "...",
        "?! ",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "2) ",
        "“So”",
        " ",
        "é",
        "a" * 90,
    ]
)


def said(text: str) -> list[str]:
    return [span.of(text) for span in split(text)]


@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map("".join)))
def test_spans_are_ordered_apart_exact_and_cover_every_letter_and_digit(text):
    spans = split(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(span.of(text) == span.of(text).strip() for span in spans)
    assert all(len(span.of(text)) <= MAX_CHARS for span in spans)
    assert all(any(ch.isalnum() for ch in span.of(text)) for span in spans)
    covered = {at for span in spans for at in range(span.start, span.end)}
    numbers = {at for found in _LIST_NUMBER.finditer(text) for at in range(*found.span(1))}
    assert not [ch for at, ch in enumerate(text) if ch.isalnum() and at not in covered | numbers]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\t ", []),
        ("...", []),
        ("I wait. Then I go!", ["I wait.", "Then I go!"]),
        ("“I wait.” Then I go.", ["“I wait.”", "Then I go."]),
        ("I asked Dr. Lee vs. J. Smith. Then?", ["I asked Dr. Lee vs. J. Smith.", "Then?"]),
        ("first line\nsecond line\r\nthird", ["first line", "second line", "third"]),
        ("- one\n* two\n• three", ["one", "two", "three"]),
        ("1. Go home. Sleep\n 2) Rest", ["Go home.", "Sleep", "Rest"]),
        ("I am\n40. It is late.\n12", ["I am", "It is late.", "12"]),
        ("My age?\n18.", ["My age?", "18."]),
        ("I failed... again", ["I failed...", "again"]),
    ],
)
def test_sentences_and_short_lines(text, sentences):
    assert said(text) == sentences


def test_a_run_on_is_cut_after_a_clause_before_a_word():
    text = "word " * 80 + "word, " + "word " * 100
    first, second = said(text)
    assert first == ("word " * 80 + "word,")
    assert second == ("word " * 100).strip()
    assert [len(part) for part in said("x" * 1500)] == [600, 600, 300]
    assert said("-" * 700 + " so") == ["-" * 100 + " so"]


@pytest.mark.parametrize("unit", [" ", "\n", "A. ", "1. ", "! ", '"', ". ' ", "- "])
def test_strange_texts_take_no_strange_time(unit):
    began = time.perf_counter()
    split(unit * 20_000 + "end")
    assert time.perf_counter() - began < 1
