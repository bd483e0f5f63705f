"""What the question writer learns from: a text, a theme, words of it to quote, and questions that may follow them."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import knowledge
from assistant.domain import KINDS, QuestionKind
from assistant.questions import first_sentence
from assistant.verify import telling
from training import reader_data

DATA = Path(__file__).resolve().parent / "data"
QUOTED, JUDGED = DATA / "quoted.jsonl", DATA / "judged.jsonl"
SEED = 20261128
OTHERS = 2  # questions of other texts set beside the one written for a text
CALM = 2.0  # judgements
TESTS = 5  # every so-manieth judged text tests


@dataclass(frozen=True)
class Option:
    """A question behind a quotation, and whether it fits there: by its being written for it, or as judged."""

    text: str
    fits: bool


@dataclass(frozen=True)
class Example:
    """What the model is given of a text, and what it is to quote and to ask.

    ``written``: the quotation, too, was chosen by whoever wrote the question, and both are to be learned word by
    word; else people judged the options, and only the judging is learned.
    """

    id: str
    theme: str
    idea: str
    text: str
    evidence: str
    quote: str
    options: Mapping[QuestionKind, tuple[Option, ...]]
    written: bool


def written() -> list[Example]:
    """Return the quotations with the questions written for them, each beside some of other texts."""
    texts, ideas = _texts(), _ideas()
    rows = _rows(QUOTED)
    draw = random.Random(SEED)
    others = {
        (theme, kind): [row[kind] for row in rows if row["theme"] == theme and reusable(row, kind)]
        for theme in {row["theme"] for row in rows}
        for kind in KINDS
    }
    found = []
    for row in rows:
        options = {}
        for kind in KINDS:
            own = Option(row[kind], True)
            beside = draw.sample(others[row["theme"], kind], OTHERS + 1)
            wrong = [Option(text, False) for text in beside if text != own.text][:OTHERS]
            options[kind] = (own, *wrong)
        text, evidence = texts[row["id"], row["theme"]]
        idea = draw.choice(ideas[row["theme"]])
        found.append(
            Example(row["id"], row["theme"], idea, text, evidence, row["quote"], options, written=True)
        )
    return found


def judged() -> tuple[list[Example], list[Example]]:
    """Return the quotations with questions that people found fitting or not: to learn from, and to test."""
    texts, ideas = _texts(), _ideas()
    groups: dict[tuple[str, str, str], dict[QuestionKind, list[Option]]] = {}
    for row in _rows(JUDGED):
        group = groups.setdefault((row["id"], row["theme"], row["quote"]), {})
        group.setdefault(row["kind"], []).append(Option(row["question"], row["usable"]))
    parts: tuple[list[Example], list[Example]] = ([], [])
    for (name, theme, quote), options in groups.items():
        draw = random.Random(f"{SEED}:{name}:{theme}")
        text, evidence = texts[name, theme]
        known = {kind: tuple(listed) for kind, listed in options.items()}
        example = Example(name, theme, draw.choice(ideas[theme]), text, evidence, quote, known, written=False)
        # Which part a text is in hangs on its name alone.
        parts[int(hashlib.sha256(name.encode()).hexdigest(), 16) % TESTS == 0].append(example)
    return parts


def cases() -> list[dict[str, Any]]:
    """Return what the application asks with: quotations by theme, and the questions that may follow others like them."""
    worth, found = _worth(), []
    for row in _rows(QUOTED):
        kinds = [kind for kind in KINDS if reusable(row, kind)]
        known = {kind: round(worth(row["theme"], kind, row[kind]), 2) for kind in kinds}
        if kinds:
            questions = {kind: row[kind] for kind in kinds}
            found.append({"theme": row["theme"], "quote": row["quote"], **questions, "worth": known})
    return found


def _worth() -> Callable[[str, QuestionKind, str], float]:
    """Return what gives the log odds that a question of a theme and kind is usable, by how often it was judged so.

    CALM judgements as people judge questions of its theme and kind stand beside its own.
    """
    judged: dict[tuple[str, str, str], list[bool]] = {}
    for row in _rows(JUDGED):
        judged.setdefault((row["theme"], row["kind"], row["question"]), []).append(row["usable"])

    def usable(theme: str, kind: QuestionKind) -> float:
        alike = [
            one for (of, named, _), given in judged.items() if (of, named) == (theme, kind) for one in given
        ]
        return (sum(alike) + 1) / (len(alike) + 3)

    bases = {(theme, kind): usable(theme, kind) for theme in reader_data.THEMES for kind in KINDS}

    def worth(theme: str, kind: QuestionKind, question: str) -> float:
        given = judged.get((theme, kind, question), [])
        share = (sum(given) + CALM * bases[theme, kind]) / (len(given) + CALM)
        return math.log(share / (1 - share))

    return worth


def reusable(row: Mapping[str, Any], kind: QuestionKind) -> bool:
    """Return whether a question tells of nothing that its own quotation alone tells of."""
    return not telling(row[kind]) & telling(row["quote"])


def data_hash() -> str:
    return hashlib.sha256(QUOTED.read_bytes() + JUDGED.read_bytes()).hexdigest()[:16]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _texts() -> dict[tuple[str, str], tuple[str, str]]:
    """Return text and evidence by text and theme."""
    return {
        (row["id"], theme["id"]): (row["text"], theme["evidence"])
        for hand in reader_data.HANDS
        for row in reader_data.rows(hand)
        for theme in row["themes"]
    }


def _ideas() -> dict[str, Sequence[str]]:
    """Return the first sentences of each theme's passages for mentees."""
    ideas: dict[str, list[str]] = {}
    for passage in knowledge.load().passages.values():
        for theme in passage.themes:
            if passage.audience != "mentor" and passage.level == "none":
                ideas.setdefault(theme, []).append(first_sentence(passage.text))
    return dict(ideas)
