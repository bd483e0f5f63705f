"""Finds passages of the knowledge base, and sentences of the same writer's earlier reflections.

Three things speak for a passage: closeness in meaning (to the passage, and to what the people it is for
would say), shared words, and the themes the text is likely to be about. How they are weighed, and against
what they were compared: benchmarks/retrieval.md. Indexes are derived: a missing or broken one is made again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import faiss
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from assistant.domain import EarlierMatch, Passage, PassageMatch, SafetyFinding, Span, ThemeReading
from assistant.embedding import Encode, Vectors
from assistant.errors import ModelError
from assistant.lexical import WordIndex
from assistant.retrieval.vectors import VectorIndex

Scores = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Method = Literal["dense", "lexical", "fusion", "steered"]
LEXICAL = 0.3  # what a standard deviation of shared words counts beside one of closeness in meaning
STEER = 4.0  # what a theme that is certain counts, in the same units
FOR_MENTORS = 1.0  # what being written for mentors counts where a mentor writes
TOO_ALIKE = 0.72  # cosine above which two passages say the same
EARLIER_AT_LEAST = 0.45  # cosine below which an earlier sentence is not brought back
UNDER_SUPPORT = 2  # passages
# Whoever writes of a mentee is a mentor, and gets what was written for mentors too.
_MENTORS_TEXT = re.compile(
    r"\b(?:my|our|a|the|this|new) mentee|\bmentees\b|\bI(?:'ve| have)?(?: been)? mentor(?:ed|ing)?\b(?! me)"
    r"|\bas a mentor\b|\bthe (?:person|young \w+|student) I mentor\b",
    re.IGNORECASE,
)


class Change:
    """A trained map of sentence vectors, made by ``training/train_retrieval.py``; without a file it changes nothing."""

    def __init__(self, weights: Path | None) -> None:
        """Load the map. Raises ModelError when the file is missing or not the expected one."""
        self._map: Vectors | None = None
        self.hash = "as they are"
        if weights is None:
            return
        try:
            content = weights.read_bytes()
            self._map = load(content)["map"].astype(np.float32)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(
                f"The retrieval weights {weights} cannot be used ({error}). Fetch them again or run "
                "`python -m training.train_retrieval`."
            ) from error
        self.hash = hashlib.sha256(content).hexdigest()[:16]

    def __call__(self, vectors: Vectors) -> Vectors:
        """Return the changed vectors, of length one, in the same order."""
        if self._map is None or not len(vectors):
            return vectors
        changed = vectors @ self._map
        return changed / np.linalg.norm(changed, axis=1, keepdims=True).clip(1e-9)


class KnowledgeIndex:
    """The library's passages by meaning and by words; safe to share between threads."""

    def __init__(
        self,
        passages: Sequence[Passage],
        encode: Encode,
        model: str,
        folder: Path,
        change: Change | None = None,
    ) -> None:
        """``encode`` and ``model`` (its hash) make the vectors, kept under ``folder`` for the next start.

        ``change`` moves them, and those of every text searched for, towards what this library needs.
        """
        self.passages = list(passages)
        self._change = change or Change(None)
        entries = [[f"{item.title}. {item.text}", *item.situations] for item in self.passages]
        sizes = list(map(len, entries))
        self._starts = np.cumsum([0, *sizes])[:-1]
        self._told = np.array([size > 1 for size in sizes], bool)
        self._index = VectorIndex(
            [text for own in entries for text in own],
            lambda texts: self._change(encode(texts)),
            f"{model} {self._change.hash}",
            folder,
        )
        self._words = WordIndex([(p.title, p.text, "\n".join(p.situations)) for p in self.passages])
        self.path = self._index.path

    @property
    def vectors(self) -> Vectors:
        """The passages' unit vectors, shape (n, dimensions), in the order of ``passages``."""
        return self._index.vectors[self._starts]

    def refresh(self) -> int:
        """Bring the kept vectors up to date; return how many texts had to be embedded for it."""
        _ = self._index.vectors
        return self._index.embedded

    def search(self, words: str, vector: Vectors, limit: int) -> list[PassageMatch]:
        """Return the passages that fit some words, which have the unit ``vector``, best first."""
        if not self.passages:
            return []
        scores = self.scores(words, vector.reshape(1, -1), {})
        order = np.argsort(-scores, kind="stable")[:limit]
        return [PassageMatch(self.passages[at], _bounded(scores[at])) for at in order]

    def scores(
        self,
        text: str,
        vectors: Vectors,
        likely: Mapping[str, float],
        method: Method = "steered",
        among: Mask | None = None,
        mentor: bool = False,
    ) -> Scores:
        """Return how well each passage fits ``text``, whose sentences have the unit ``vectors``; (passages,).

        ``likely``: how probable each theme is. ``among``: the passages that may be shown; the others get -inf.
        ``mentor``: a mentor writes. The methods other than the default are its parts, for comparison.
        """
        among = np.ones(len(self.passages), bool) if among is None else among
        dense = _standard(self._closeness(vectors, among), among)
        lexical = _standard(self._words.scores(text), among)
        steer = [
            max((likely.get(theme, 0.0) for theme in item.themes), default=0.0) for item in self.passages
        ]
        found = {
            "dense": dense,
            "lexical": lexical,
            "fusion": dense + LEXICAL * lexical,
            "steered": dense + LEXICAL * lexical + STEER * np.array(steer),
        }[method]
        if mentor and method in ("fusion", "steered"):
            found = found + FOR_MENTORS * np.array([item.audience == "mentor" for item in self.passages])
        return np.where(among, found, -np.inf)

    def _closeness(self, vectors: Vectors, among: Mask) -> Scores:
        """Return the closeness in meaning of each passage: its text, the best and the mean of its situations.

        Of each of these, half the best sentence of the text searched for and half its mean.
        """
        vectors = self._change(vectors)
        whole = vectors.mean(axis=0, keepdims=True)
        whole = whole / max(float(np.linalg.norm(whole)), 1e-6)
        cosines = self._index.cosines(np.vstack([vectors, whole]))
        each = (0.5 * cosines[:, :-1].max(axis=1) + 0.5 * cosines[:, -1]).astype(float)
        body = each[self._starts]
        sizes = np.diff([*self._starts, len(each)]) - 1
        sums = np.add.reduceat(each, self._starts) - body
        mean = np.where(
            self._told, sums / np.maximum(sizes, 1), body
        )  # without situations the text speaks alone
        each[self._starts] = np.where(self._told, -1.0, body)
        best = np.maximum.reduceat(each, self._starts)
        return _standard(body, among) + _standard(best, among) + _standard(mean, among)

    def find(
        self,
        finding: SafetyFinding,
        reading: ThemeReading,
        text: str,
        sentences: Sequence[Span],
        vectors: Vectors,
        limit: int,
    ) -> tuple[PassageMatch, ...]:
        """Return up to ``limit`` passages for a text, steered by its themes, none saying the same twice.

        Each named theme has one where there is room. Under ``support`` only passages marked fit for that
        kind, two at most; under ``urgent`` none.
        """
        if finding.level == "urgent" or not finding.understood or not len(vectors) or not self.passages:
            return ()
        mentor = finding.level == "none" and bool(_MENTORS_TEXT.search(text))
        fit = [
            (mentor or item.audience != "mentor")
            and (item.level == "none" if finding.level == "none" else finding.kind in item.fit)
            for item in self.passages
        ]
        likely = {item.id: item.score for item in reading.ranked}
        if finding.level == "support":
            reading, likely, limit = ThemeReading(), {}, min(limit, UNDER_SUPPORT)
        scores = self.scores(text, vectors, likely, among=np.array(fit), mentor=mentor)
        places = self._distinct(scores, [theme.id for theme in reading.themes], limit)
        return tuple(self._match(at, scores, reading, sentences, vectors) for at in places)

    def _distinct(self, scores: Scores, themes: Sequence[str], limit: int) -> list[int]:
        """Return the best places, best first, one at least for each theme, without any that nearly repeats another."""
        order = [int(at) for at in np.argsort(-scores, kind="stable") if scores[at] > -np.inf]
        of_theme = [next((at for at in order if theme in self.passages[at].themes), None) for theme in themes]
        taken: list[int] = []
        for at in (*(at for at in of_theme if at is not None), *order):
            if len(taken) < limit and not any(self._alike(at, other) for other in taken):
                taken.append(at)
        return sorted(taken, key=order.index)

    def _alike(self, one: int, other: int) -> bool:
        return float(self.vectors[one] @ self.vectors[other]) > TOO_ALIKE

    def _match(
        self, at: int, scores: Scores, reading: ThemeReading, sentences: Sequence[Span], vectors: Vectors
    ) -> PassageMatch:
        """Return the passage at a place with the named theme it belongs to and the sentence nearest to it."""
        passage = self.passages[at]
        theme = next((theme.id for theme in reading.themes if theme.id in passage.themes), None)
        own = self._index.vectors[self._starts[at] : self._starts[at] + 1 + len(passage.situations)]
        nearest = int((own @ self._change(vectors).T).max(axis=0).argmax())
        return PassageMatch(passage, _bounded(scores[at]), theme, sentences[nearest])


def _standard(scores: Scores, among: Mask) -> Scores:
    """Return scores in standard deviations from the mean of those that count."""
    if not among.any():
        return np.zeros(len(scores))
    spread = float(scores[among].std())
    return (scores - float(scores[among].mean())) / (spread or 1.0)


def _bounded(score: float) -> float:
    """Return a score between 0 and 1 in the same order; it is good for nothing but that order."""
    return float(1 / (1 + np.exp(-np.clip(score, -30, 30) / 2)))


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
