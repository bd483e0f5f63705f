"""What the question writer learns from: a text, a theme with the words that show it, and its two questions."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import knowledge
from assistant.domain import Span
from assistant.questions import first_sentence
from assistant.sentences import split
from training import reader_data

DATA = Path(__file__).resolve().parent / "data" / "questions.jsonl"
HELD_OUT = ("batch3", "batch7", "batch10")  # hands with questions that the reader never saw either
SEED = 20261128
AROUND = 90  # words of the text given around the words that show the theme


@dataclass(frozen=True)
class Example:
    """One theme of one text: what the model is given, and what it should write, by kind."""

    id: str
    hand: str
    theme: str
    text: str
    quote: str
    idea: str
    questions: dict[str, str]


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]


def data_hash() -> str:
    return hashlib.sha256(DATA.read_bytes()).hexdigest()[:16]


def examples(hands: Sequence[str]) -> list[Example]:
    """Return the themes of some hands' texts that have a question, each with an idea of the library drawn for it."""
    wanted: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows():
        wanted.setdefault((row["id"], row["theme"]), {})[row["kind"]] = row["question"]
    ideas = _ideas()
    found = []
    for hand in hands:
        for row in reader_data.rows(hand):
            themes = [*row["themes"], *row.get("dropped", ())]
            for theme in themes:
                questions = wanted.get((row["id"], theme["id"]))
                if questions:
                    draw = random.Random(f"{SEED}:{row['id']}:{theme['id']}")
                    idea = draw.choice(ideas[theme["id"]])
                    found.append(
                        Example(row["id"], hand, theme["id"], row["text"], theme["evidence"], idea, questions)
                    )
    return found


def _ideas() -> dict[str, list[str]]:
    """Return the first sentences of each theme's passages for mentees."""
    ideas: dict[str, list[str]] = {}
    for passage in knowledge.load().passages.values():
        for theme in passage.themes:
            if passage.audience != "mentor" and passage.level == "none":
                ideas.setdefault(theme, []).append(first_sentence(passage.text))
    return ideas


def around(text: str, quote: Span, words: int = AROUND) -> str:
    """Return whole sentences of ``text`` around ``quote``, about ``words`` long, the quote's own first of all."""
    sentences = split(text)
    inside = [at for at, span in enumerate(sentences) if span.start < quote.end and quote.start < span.end]
    if not inside:
        return quote.of(text)
    first, last = inside[0], inside[-1]

    def size(a: int, b: int) -> int:
        return len(text[sentences[a].start : sentences[b].end].split())

    while True:
        grown = [
            (a, b)
            for a, b in ((first - 1, last), (first, last + 1))
            if a >= 0 and b < len(sentences) and size(a, b) <= words
        ]
        if not grown:
            return text[sentences[first].start : sentences[last].end]
        first, last = grown[0]
