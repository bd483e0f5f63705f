"""What of a writer's own past is brought back: earlier sentences, what keeps coming back, what was put aside.

Only the writer's own; and unasked never what was once read as urgent or support, or is to be left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from assistant import history
from assistant.domain import BankQuestion, EarlierMatch
from assistant.embedding import Embedder, Vectors
from assistant.errors import EmbeddingError
from assistant.history import Recurrence
from assistant.preference import Preference, Said
from assistant.retrieval import find_earlier
from assistant.sentences import split
from assistant.store import Store, text_hash

MOST_DOUBTS = 2  # one press can put a theme aside in many texts; it is to be named more rarely, not never
EARLIER = 3  # own earlier sentences brought back
FOUND = 10  # reflections found by meaning, at most


class Recall:
    """Looks into one writer's stored reflections; safe to share between threads."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store, self._embedder = store, embedder

    def earlier(self, owner: str, reflection: str, vectors: Vectors) -> tuple[EarlierMatch, ...]:
        """Find the writer's own earlier sentences; what carried a notice or is left alone stays away."""
        rows = [
            row
            for row in self._store.reflections.list(owner)
            if row["id"] != reflection
            and row["reported"]
            and row["level"] == "none"
            and not row["left_alone"]
        ]
        return self._near(owner, vectors, rows, EARLIER)

    def recurring(self, owner: str) -> list[Recurrence]:
        """Return what keeps coming back, is new or faded across the owner's reflections that were read."""
        dismissed = self._store.reflections.dismissed(owner)
        return history.recurring(
            [history.past(row, report, dismissed.get(row["id"], ())) for row, report in self._read(owner)]
        )

    def before(self, owner: str, reflection: str) -> set[str]:
        """Return the themes found in texts that the owner wrote before this one."""
        since = self._store.reflections.load(owner, reflection)["created"]
        dismissed = self._store.reflections.dismissed(owner)
        return {
            theme["id"]
            for row, report in self._read(owner)
            for theme in report["themes"]
            if row["created"] < since and theme["id"] not in dismissed.get(row["id"], ())
        }

    def _read(self, owner: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return what may be brought back and was read whole: in a known language, and not by rules alone."""
        return [
            (row, report)
            for row, report in self._store.reflections.read_ones(owner)
            if report.get("understood", True) and not report["safety"].get("rules_only")
        ]

    def doubts(self, owner: str, reflection: str) -> dict[str, float]:
        """Return how much the writer doubts each theme: once a "that is not it", twice at most, and endlessly
        where it was said of this very text.

        A theme that the writer put back or reworded here is not doubted here, whatever was said elsewhere.
        """
        counted = Counter(
            theme for themes in self._store.reflections.dismissed(owner).values() for theme in themes
        )
        doubts = {theme: float(min(count, MOST_DOUBTS)) for theme, count in counted.items()}
        here = self._store.reflections.verdicts(owner, reflection)
        return doubts | {theme: inf if said["verdict"] == "not_me" else 0.0 for theme, said in here.items()}

    def preference(self, owner: str, bank: Sequence[BankQuestion]) -> Preference:
        """Return what the owner's deeds with earlier questions say of the next ones."""
        return Preference(
            (Said(row["question"], row["origin"], row["deed"]) for row in self._store.feedback.of(owner)),
            bank,
        )

    def find(self, owner: str, words: str) -> list[dict[str, Any]]:
        """Return the owner's reflections, newest first; with words, those that hold or mean them."""
        rows = [row for row in self._store.reflections.list(owner) if row["text"].strip()]
        if not words:
            return rows
        holding = [row for row in rows if words.lower() in row["text"].lower()]
        try:
            near = {
                match.reflection_id
                for match in self._near(owner, self._embedder.encode([words]), rows, FOUND)
            }
        except EmbeddingError:
            near = set()
        return holding + [row for row in rows if row["id"] in near and row not in holding]

    def _near(
        self, owner: str, vectors: Vectors, rows: Sequence[dict[str, Any]], limit: int
    ) -> tuple[EarlierMatch, ...]:
        """Return the sentences of ``rows`` nearest to ``vectors``, one a reflection."""
        quotes = [(row["id"], span.of(row["text"])) for row in rows for span in split(row["text"])]
        keys = [text_hash(quote) for _, quote in quotes]
        stored = self._store.reflections.vectors(owner, self._embedder.hash, sorted(set(keys)))
        held = [(item, stored[key]) for item, key in zip(quotes, keys, strict=True) if key in stored]
        if not held:
            return ()
        return find_earlier(
            vectors, np.stack([vector for _, vector in held]), [item for item, _ in held], limit
        )
