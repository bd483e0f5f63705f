"""Finds passages of the knowledge base, and sentences of the same writer's earlier reflections.

The only faiss import. Indexes are derived: a missing, stale or broken one is built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np

from assistant.domain import EarlierMatch, Passage, PassageMatch, SafetyFinding, Span, Theme
from assistant.embedding import Vectors

THEME_BONUS = 0.15  # a passage about a theme found in the text outweighs a slightly nearer one that is not
TOO_ALIKE = 0.85  # cosine above which two passages say the same
EARLIER_AT_LEAST = 0.45  # cosine below which an earlier sentence is not brought back
PER_THEME = 2


class KnowledgeIndex:
    """A flat inner-product index over the passages; exact, since there are only hundreds."""

    def __init__(
        self,
        passages: Sequence[Passage],
        encode: Callable[[Sequence[str]], Vectors],
        model: str,
        folder: Path,
    ) -> None:
        """``encode`` and ``model`` (its hash) make the vectors, kept under ``folder`` for the next start."""
        self.passages = list(passages)
        self._encode = encode
        self._lock = threading.Lock()
        self._index: faiss.Index | None = None
        self._vectors: Vectors | None = None
        texts = "\0".join(f"{item.id}\0{item.title}\0{item.text}" for item in self.passages)
        key = hashlib.sha256(f"{model}\0{texts}".encode()).hexdigest()[:24]
        self.path = folder / f"knowledge-{key}.faiss"

    @property
    def vectors(self) -> Vectors:
        """The passages' unit vectors, shape (n, dimensions), in the order of ``passages``."""
        with self._lock:
            if self._vectors is None:
                self._index = self._load() or self._build()
                n = self._index.ntotal
                self._vectors = self._index.reconstruct_n(0, n) if n else np.zeros((0, 1), np.float32)
            return self._vectors

    def nearest(self, queries: Vectors, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Return cosines and passage positions, each of shape (len(queries), ≤ limit), best first."""
        if not len(self.vectors) or not len(queries):
            return np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
        assert self._index is not None
        return self._index.search(  # type: ignore[no-any-return]
            np.ascontiguousarray(queries, np.float32), min(limit, len(self.passages))
        )

    def search(self, query: Vectors, limit: int) -> list[PassageMatch]:
        """Return the passages nearest to one query vector, best first."""
        scores, positions = self.nearest(query.reshape(1, -1), limit)
        return [
            PassageMatch(self.passages[int(at)], float(score))
            for score, at in zip(scores[0], positions[0], strict=True)
        ]

    def find(
        self,
        finding: SafetyFinding,
        themes: Sequence[Theme],
        sentences: Sequence[Span],
        vectors: Vectors,
        limit: int,
    ) -> tuple[PassageMatch, ...]:
        """Return up to ``limit`` passages for a text, steered by its themes, none saying the same twice.

        Under ``support`` only passages marked fit for that kind, two at most; under ``urgent`` none.
        """
        if finding.level == "urgent" or not finding.understood or not len(vectors):
            return ()
        if finding.level == "support":
            return self._fit(finding, sentences, vectors, 2)
        found: list[PassageMatch] = []
        for theme in themes:
            own = [
                at
                for at, item in enumerate(self.passages)
                if theme.id in item.themes and item.audience != "mentor"
            ]
            shows = [
                i for i, span in enumerate(sentences) if any(_touch(span, part) for part in theme.evidence)
            ]
            found += self._best(
                own, sentences, vectors, shows or range(len(sentences)), PER_THEME, theme.id, found
            )
        named = frozenset(theme.id for theme in themes)
        rest = [
            at for at, item in enumerate(self.passages) if item.audience != "mentor" and item.level == "none"
        ]
        found += self._best(
            rest, sentences, vectors, range(len(sentences)), limit - len(found), None, found, named
        )
        return tuple(found[:limit])

    def _fit(
        self, finding: SafetyFinding, sentences: Sequence[Span], vectors: Vectors, limit: int
    ) -> tuple[PassageMatch, ...]:
        own = [
            at
            for at, item in enumerate(self.passages)
            if item.level == "support" and finding.kind in item.fit and item.audience != "mentor"
        ]
        return tuple(self._best(own, sentences, vectors, range(len(sentences)), limit, None, []))

    def _best(
        self,
        candidates: Sequence[int],
        sentences: Sequence[Span],
        vectors: Vectors,
        among: Sequence[int],
        limit: int,
        theme: str | None,
        chosen: Sequence[PassageMatch],
        named: frozenset[str] = frozenset(),
    ) -> list[PassageMatch]:
        if not candidates or limit <= 0:
            return []
        queries = vectors[list(among)]
        whole = vectors.mean(axis=0)
        whole = whole / (np.linalg.norm(whole) or 1.0)
        cosines = self.vectors[list(candidates)] @ queries.T  # (candidates, sentences)
        score = 0.5 * cosines.max(axis=1) + 0.5 * self.vectors[list(candidates)] @ whole
        bonus = np.array([THEME_BONUS * bool(named & set(self.passages[at].themes)) for at in candidates])
        taken = [self._position(match) for match in chosen]
        found: list[PassageMatch] = []
        for place in np.argsort(-(score + bonus), kind="stable"):
            at = candidates[int(place)]
            if at in taken or any(self.vectors[at] @ self.vectors[other] > TOO_ALIKE for other in taken):
                continue
            taken.append(at)
            sentence = sentences[among[int(cosines[place].argmax())]]
            found.append(PassageMatch(self.passages[at], float(score[place]), theme, sentence))
            if len(found) == limit:
                break
        return found

    def _position(self, match: PassageMatch) -> int:
        return next(at for at, item in enumerate(self.passages) if item.id == match.passage.id)

    def _load(self) -> faiss.Index | None:
        try:
            index = faiss.read_index(str(self.path))
        except (RuntimeError, MemoryError):  # missing, cut short or not an index
            return None
        if index.ntotal != len(self.passages) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            return None
        lengths = (
            np.linalg.norm(index.reconstruct_n(0, index.ntotal), axis=1) if self.passages else np.ones(1)
        )
        return index if np.allclose(lengths, 1, atol=1e-3) else None

    def _build(self) -> faiss.Index:
        vectors = self._encode([f"{item.title}. {item.text}" for item in self.passages])
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors))
        with contextlib.suppress(OSError, RuntimeError):  # what cannot be kept is built again next time
            self._keep(index)
        return index

    def _keep(self, index: faiss.Index) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for old in self.path.parent.glob("knowledge-*.faiss*"):
            old.unlink(missing_ok=True)
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        faiss.write_index(index, str(part))
        part.replace(self.path)


def find_earlier(
    vectors: Vectors, earlier: Vectors, quotes: Sequence[tuple[str, str]], limit: int = 3
) -> tuple[EarlierMatch, ...]:
    """Return the earlier sentences nearest to any of ``vectors``, one a reflection, best first.

    ``earlier`` has one row per entry of ``quotes``, each (reflection id, sentence).
    """
    if not len(vectors) or not len(earlier):
        return ()
    index = faiss.IndexFlatIP(earlier.shape[1])
    index.add(np.ascontiguousarray(earlier, np.float32))
    scores, positions = index.search(np.ascontiguousarray(vectors, np.float32), min(20, len(quotes)))
    best: dict[str, EarlierMatch] = {}
    for score, at in sorted(zip(scores.ravel(), positions.ravel(), strict=True), reverse=True):
        reflection, quote = quotes[int(at)]
        if score >= EARLIER_AT_LEAST and reflection not in best:
            best[reflection] = EarlierMatch(reflection, quote, float(score))
    return tuple(list(best.values())[:limit])


def _touch(a: Span, b: Span) -> bool:
    return a.start < b.end and b.start < a.end
