"""Quotations: whole clauses of the text, short, and never cut where nobody would stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.checklist import WORD
from assistant.domain import Span
from assistant.quoting import FEWEST, MOST, quotable


def quotes(text: str) -> list[str]:
    return [span.of(text) for span in quotable(text, [Span(0, len(text))])]


def test_clauses_and_their_runs_are_offered() -> None:
    found = quotes("I let the other two present my part again. Then I clapped, because it was good.")
    assert "I let the other two present my part again" in found
    assert "I clapped, because it was good" in found
    assert not any(quote.endswith(".") or quote.startswith("because") for quote in found)


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("I gave them the version in which nothing went wrong.", "I gave them the version in"),
        ("They had all been there since before I was born.", "They had all been there since"),
        ('She wrote "own it more" under each of them.', '"own it more'),
        ("The one who\nleft us alone here", "who\nleft"),
    ],
)
def test_no_quotation_stops_in_the_middle(text: str, never: str) -> None:
    assert not any(never == quote or never in quote for quote in quotes(text) if quote.endswith(never))


def test_nothing_is_quoted_from_outside_the_evidence() -> None:
    text = "I said nothing to her. She went on to the next point."
    assert [span.of(text) for span in quotable(text, [Span(23, len(text))])] == [
        "She went on to the next point"
    ]


@given(st.text(alphabet="abc I,.;:!?-–'\"\n and but so which", max_size=200))
def test_every_quotation_is_exact_short_and_on_one_line(text: str) -> None:
    for span in quotable(text, [Span(0, len(text))]):
        words = span.of(text)
        assert words == words.strip() and "\n" not in words and '"' not in words
        assert FEWEST <= len(WORD.findall(words)) <= MOST
