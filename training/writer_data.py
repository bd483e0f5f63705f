"""What the question writer learns from: a text, a theme with the words that show it, and its two questions."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant import knowledge
from assistant.embedding import MiniLM
from assistant.questions import KINDS, first_sentence
from training import reader_data

Floats = npt.NDArray[np.float32]
DATA = Path(__file__).resolve().parent / "data" / "questions.jsonl"
GOALS = ("goals.seed.jsonl", "goals1.jsonl")
TESTS = 10  # every so-manieth goal tests
HELD_OUT = ("batch3", "batch7", "batch10")  # hands with questions that the reader never saw either
SEED = 20261128
FREE, LIKE_TARGET = (
    0.3,
    0.75,
)  # shares of questions written freely; free or after one like the question wanted
NEAR = 4  # how many of the nearest questions one is drawn from


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
    likes: dict[str, str] = field(
        default_factory=dict
    )  # a question asked of another text, to be fitted to this one


@dataclass(frozen=True)
class Goal:
    """A goal with something open, and how it may be said."""

    goal: str
    context: str
    open: tuple[str, ...]
    answer: str


def goals() -> tuple[list[Goal], list[Goal]]:
    """Return the goals to learn from, and those that test."""
    learned: list[Goal] = []
    held: list[Goal] = []
    for name in GOALS:
        found = [
            Goal(
                row["goal"],
                row["context"] or "",
                tuple(row["missing"]),
                f"Goal: {row['refined']}\nFirst step: {row['first_step']}\nCheck: {row['check']}",
            )
            for row in map(json.loads, (DATA.parent / name).read_text("utf-8").splitlines())
            if row["refined"]
        ]
        learned += [goal for at, goal in enumerate(found) if at % TESTS]
        held += found[::TESTS]
    return learned, held


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]


def data_hash() -> str:
    files = (DATA, *(DATA.parent / name for name in GOALS))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


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


def with_likes(found: Sequence[Example], pool: Sequence[Example]) -> list[Example]:
    """Return the examples, most with a question of another text of ``pool`` beside each of theirs.

    Some stand near the question wanted, so that fitting one is learnt; some near the words quoted, as the
    application finds them; the rest have none and are written freely.
    """
    embedder = MiniLM()
    draw = random.Random(SEED)
    likes: list[dict[str, str]] = [{} for _ in found]
    for kind in KINDS:
        asked = [example for example in pool if kind in example.questions]
        wanted = [example for example in found if kind in example.questions]
        by_target = _near(embedder, *([e.questions[kind] for e in part] for part in (wanted, asked)))
        by_quote = _near(embedder, *([e.quote for e in part] for part in (wanted, asked)))
        places = {id(example): at for at, example in enumerate(found)}
        for row, example in enumerate(wanted):
            lot = draw.random()
            if lot >= FREE:
                near = by_target if lot < LIKE_TARGET else by_quote
                like = _like(example, asked, near[row], lot < LIKE_TARGET, draw)
                likes[places[id(example)]][kind] = like.questions[kind]
    return [replace(example, likes=own) for example, own in zip(found, likes, strict=True)]


def _near(embedder: MiniLM, wanted: Sequence[str], asked: Sequence[str]) -> Floats:
    return embedder.encode(wanted) @ embedder.encode(asked).T


def _like(
    example: Example, asked: Sequence[Example], near: Floats, any_theme: bool, draw: random.Random
) -> Example:
    """Return one of the nearest of ``asked``, of another text."""
    order = [
        int(at)
        for at in np.argsort(-near)
        if asked[at].id != example.id and (any_theme or asked[at].theme == example.theme)
    ]
    return asked[draw.choice(order[:NEAR])]


def _ideas() -> dict[str, list[str]]:
    """Return the first sentences of each theme's passages for mentees."""
    ideas: dict[str, list[str]] = {}
    for passage in knowledge.load().passages.values():
        for theme in passage.themes:
            if passage.audience != "mentor" and passage.level == "none":
                ideas.setdefault(theme, []).append(first_sentence(passage.text))
    return ideas
