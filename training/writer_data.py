"""What the question writer learns from: a text, a theme, words of it to quote, and questions that may follow them."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import knowledge
from assistant.domain import KINDS, QuestionKind
from assistant.questions import first_sentence
from assistant.verify import telling
from training import reader_data

DATA = Path(__file__).resolve().parent / "data"
QUOTED, WIDE, JUDGED = DATA / "quoted.jsonl", DATA / "wide.jsonl", DATA / "judged.jsonl"
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
    """Return what the application asks with: quotations by theme, and the questions that may follow others like them.

    A question stands behind the quotation it was written for and behind those where people found it usable.
    """
    valued = worth()
    known = {(row["theme"], row["kind"], row["question"]) for row in _rows(WIDE)}
    found: dict[tuple[str, str, str, str], None] = {}
    for row in _rows(QUOTED):
        for kind in KINDS:
            if reusable(row, kind):
                known.add((row["theme"], kind, row[kind]))
                found[row["theme"], row["quote"], kind, row[kind]] = None
    for row in _rows(JUDGED):
        if row["usable"] and (row["theme"], row["kind"], row["question"]) in known:
            found[row["theme"], row["quote"], row["kind"], row["question"]] = None
    return [
        {
            "theme": theme,
            "quote": quote,
            "kind": kind,
            "question": question,
            "worth": round(valued(theme, kind, question), 2),
        }
        for theme, quote, kind, question in found
    ]


def worth(left_out: Collection[str] = ()) -> Callable[[str, QuestionKind, str], float]:
    """Return what gives the log odds that a question of a theme and kind is usable, by how often it was judged so.

    What was judged of the texts ``left_out`` does not count. CALM judgements of a question like those of its theme,
    kind and source stand beside its own.
    """
    wide = {(row["theme"], row["kind"], row["question"]) for row in _rows(WIDE)}
    judged: dict[tuple[str, str, str], list[bool]] = {}
    alike: dict[tuple[str, str, bool], list[bool]] = {}
    for row in _rows(JUDGED):
        key = (row["theme"], row["kind"], row["question"])
        if row["id"] not in left_out:
            judged.setdefault(key, []).append(row["usable"])
            alike.setdefault((row["theme"], row["kind"], key in wide), []).append(row["usable"])

    def valued(theme: str, kind: QuestionKind, question: str) -> float:
        key = (theme, kind, question)
        given, others = judged.get(key, []), alike.get((theme, kind, key in wide), [])
        base = (sum(others) + 1) / (len(others) + 3)
        share = (sum(given) + CALM * base) / (len(given) + CALM)
        return math.log(share / (1 - share))

    return valued


def reusable(row: Mapping[str, Any], kind: QuestionKind) -> bool:
    """Return whether a question tells of nothing that its own quotation alone tells of."""
    return not telling(row[kind]) & telling(row["quote"])


def data_hash() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in (QUOTED, WIDE, JUDGED))).hexdigest()[:16]


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
