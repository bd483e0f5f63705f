"""The texts the two tuned encoders learn from, as word pieces with their labels."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml

from assistant.sentences import split

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "training" / "data"
HANDS = ("questions.seed", *(f"batch{i}" for i in range(1, 23)))
HELD_OUT = ("batch3", "batch7", "batch10", "batch16")  # hands never learned from: half calibrates, half tests
SAFETY = tuple(f"safety{i}" for i in range(1, 21))
EARLIER_SAFETY = SAFETY[:12]  # what the reader of themes learns besides; the reader of danger learns from all
STANCES = "counter"  # sentences that speak for or against a theme, or say nothing of it
# Files that the two encoders, and what is fitted on top of them, learn from.
THEME_FILES, SAFETY_FILES = (*HANDS, *EARLIER_SAFETY, STANCES), (*HANDS, *SAFETY)
CALIBRATES = 0.12  # the last part of each safety file; twins stand side by side, so they stay together
LONGEST = 400  # word pieces
Floats = npt.NDArray[np.float32]


def _names(path: str, key: str | None = None) -> list[str]:
    loaded = yaml.safe_load((ROOT / "knowledge" / path).read_text("utf-8"))
    return list(loaded[key]) if key else [name for group in loaded.values() for name in group]


THEMES = _names("themes.yaml")
KINDS = _names("safety.yaml", "kinds")


@dataclass(frozen=True)
class Text:
    """One labelled text; a column is the place of a theme in THEMES."""

    id: str
    text: str
    columns: tuple[tuple[int, tuple[str, ...]], ...] = ()  # each with the quotes that show it
    known: tuple[int, ...] = ()  # columns that were looked for
    level: str | None = None  # None where nobody looked for one, or two readers disagreed
    kind: str | None = None
    span: str | None = None
    pieces: tuple[int, ...] = ()
    places: tuple[tuple[int, int], ...] = ()


def rows(name: str) -> list[dict[str, Any]]:
    """Return the records of a data file."""
    return [
        json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").split("\n") if line.strip()
    ]


def reflections(names: Sequence[str]) -> list[Text]:
    """Return the reflections of some hands, with the themes on which two readers agreed."""
    found = []
    for row in (row for hand in names for row in rows(hand)):
        shown = tuple(
            (THEMES.index(theme["id"]), tuple(filter(None, (theme["evidence"], theme.get("second")))))
            for theme in row["themes"]
        )
        known = tuple(at for at, theme in enumerate(THEMES) if theme not in row.get("disputed", ()))
        level = None if row.get("safety_disputed") else row.get("safety", "none")
        found.append(Text(row["id"], row["text"], shown, known, level))
    return found


def stances() -> tuple[list[Text], list[Text]]:
    """Return the sentences for and against themes to learn from, and those that calibrate."""
    parts: tuple[list[Text], list[Text]] = ([], [])
    for row in rows(STANCES):
        theme, text = THEMES.index(row["theme"]), row["text"]
        # Which part a sentence is in hangs on its words alone, so it stays there when others are added.
        kept = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 1000 < 1000 * CALIBRATES
        shown = ((theme, (text,)),) if row["stance"] == "for" else ()
        parts[kept].append(Text(f"{row['hand']}:{row['theme']}", text, shown, (theme,)))
    return parts


def safety_texts(names: Sequence[str] = SAFETY) -> tuple[list[Text], list[Text]]:
    """Return the safety texts to learn from, and those that calibrate."""
    learned: list[Text] = []
    kept: list[Text] = []
    for name in names:
        found = [
            Text(row["id"], row["text"], (), (), row["level"], row["kind"], row["span"])
            for row in rows(name)
            if not row.get("disputed")
        ]
        cut = int(len(found) * (1 - CALIBRATES))
        learned += found[:cut]
        kept += found[cut:]
    return learned, kept


def data_hash(names: Sequence[str]) -> str:
    """Return a hash of some data files."""
    digest = hashlib.sha256()
    for name in names:
        digest.update((DATA / f"{name}.jsonl").read_bytes())
    return digest.hexdigest()[:16]


def coded(texts: Sequence[Text], tokenizer: Any) -> list[Text]:
    """Return the texts with their word pieces; what lies beyond LONGEST is cut."""
    found = tokenizer(
        [text.text for text in texts], truncation=True, max_length=LONGEST, return_offsets_mapping=True
    )
    return [
        replace(text, pieces=tuple(ids), places=tuple(map(tuple, places)))
        for text, ids, places in zip(texts, found["input_ids"], found["offset_mapping"], strict=True)
    ]


def told_in_passing(text: Text, others: Sequence[Text], draw: random.Random) -> Text:
    """Return a text in the middle of somebody's ordinary reflection: what it says stays what it was."""
    other = others[draw.randrange(len(others))].text
    around = split(other)
    if len(around) < 3:
        return text
    at = draw.randrange(1, len(around))
    before = other[around[max(0, at - 4)].start : around[at - 1].end]
    after = other[around[at].start : around[min(len(around) - 1, at + 3)].end]
    # What surrounds it may have themes of its own, so only what the text shows itself is known.
    known = tuple(column for column, _ in text.columns)
    return replace(text, text=f"{before} {text.text} {after}", known=known)


def marked(text: Text, quotes: Sequence[str]) -> Floats:
    """Return 1 for each word piece that lies in one of the quotes, (pieces,)."""
    spans = [(text.text.find(quote), text.text.find(quote) + len(quote)) for quote in quotes]
    return np.array(
        [float(any(a < end and b > start for start, end in spans) and b > a) for a, b in text.places],
        np.float32,
    )


@dataclass
class Batch:
    """Several texts side by side: b texts, n word pieces, t columns."""

    ids: torch.Tensor  # (b, n)
    real: torch.Tensor  # (b, n)
    columns: torch.Tensor  # (b, t)
    known: torch.Tensor  # (b, t) 1 where the label is to be learned
    quotes: torch.Tensor  # (b, n, t)
    levels: torch.Tensor  # (b, 2): urgent; urgent or support
    sure: torch.Tensor  # (b,) 1 where the level is to be learned
    kinds: torch.Tensor  # (b,) -1 where there is none
    spans: torch.Tensor  # (b, n)


def batch(texts: Sequence[Text], columns: int) -> Batch:
    """Return the texts padded to the longest; none has a theme whose place is ``columns`` or beyond."""
    longest, count = max(len(text.pieces) for text in texts), len(texts)
    out = Batch(
        torch.zeros(count, longest, dtype=torch.long), torch.zeros(count, longest),
        torch.zeros(count, columns), torch.zeros(count, columns),
        torch.zeros(count, longest, columns), torch.zeros(count, 2), torch.zeros(count),
        torch.full((count,), -1), torch.zeros(count, longest),
    )  # fmt: skip
    for at, text in enumerate(texts):
        size = len(text.pieces)
        out.ids[at, :size] = torch.tensor(text.pieces)
        out.real[at, :size] = 1
        for column, quotes in text.columns:
            out.columns[at, column] = 1
            out.quotes[at, :size, column] = torch.from_numpy(marked(text, quotes))
        out.known[at, list(text.known)] = 1
        out.levels[at] = torch.tensor([text.level == "urgent", text.level in ("urgent", "support")]).float()
        out.sure[at] = float(text.level is not None)
        if text.kind:
            out.kinds[at] = KINDS.index(text.kind)
        if text.span:
            out.spans[at, :size] = torch.from_numpy(marked(text, [text.span]))
    return out


def batches(texts: Sequence[Text], most: int, draw: random.Random | None) -> list[list[int]]:
    """Return the places of texts of like length, ``most`` word pieces a batch with padding; shuffled by ``draw``."""
    order = sorted(
        range(len(texts)), key=lambda at: len(texts[at].pieces) + (draw.random() * 20 if draw else 0)
    )
    found: list[list[int]] = [[]]
    for at in order:
        if found[-1] and len(texts[at].pieces) * (len(found[-1]) + 1) > most:
            found.append([])
        found[-1].append(at)
    if draw:
        draw.shuffle(found)
    return found
