"""Reads which themes a text is about and which of its words show it.

Three linear readers of one text are mixed: the mean of its sentence vectors, an attention over its
sentences, and its hashed words. The mixture is a calibrated probability (made by
``training/train_themes.py``, figures in ``training/results-themes.md``). The attention's scores of
single sentences choose the evidence.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from assistant.domain import RankedTheme, Span, Theme, ThemeReading
from assistant.errors import EmbeddingError, ModelError

Array = npt.NDArray[np.floating]
MAX_NAMED = 2  # the contract allows four; the first two are the ones that can be trusted so far
SECOND_AT_LEAST = 0.5  # a second theme is named only where the calibrated score says more likely than not
MAX_SPANS = 3
ALONE_WORDS = 5  # a shorter quote says too little by itself
LONG_TEXT_WORDS = 60  # a longer text gives at most a third of itself as evidence
# Texts about unequal treatment must not be told that they lack confidence: where belonging is
# likely (the weights say how likely), these are left unnamed.
GUARD = "belonging_inclusion"
GUARDED = ("self_confidence", "impostor_feelings", "perfectionism")
_WORD = re.compile(r"[a-z']+")
_CLAUSE = re.compile(r"(?<=[,;:–—])\s+|\s+(?=(?:and|but|because|so|while|though|although)\b)")


def word_ids(text: str, size: int) -> npt.NDArray[np.int64]:
    """Return the distinct hashed words, word pairs and stems of ``text``, each below ``size``."""
    words = _WORD.findall(text.lower().replace("’", "'"))
    pairs = {f"{a} {b}" for a, b in pairwise(words)}
    stems = {f"#{w[:5]}" for w in words if len(w) > 5}
    return np.array(sorted({zlib.crc32(t.encode()) % size for t in {*words, *pairs, *stems}}), np.int64)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


@dataclass(frozen=True, slots=True)
class Attention:
    """One member: a hidden layer a sentence, a softmax over sentences for each theme.

    ``own``, ``context``: (384, h); ``score``, ``look``: (h, 25).
    """

    own: Array
    context: Array
    hidden_bias: Array
    score: Array
    score_bias: Array
    look: Array
    bias: Array

    def read(self, vectors: Array) -> tuple[Array, Array]:
        """Return the text's logits (25,) and every sentence's (n, 25)."""
        hidden = np.maximum(vectors @ self.own + vectors.mean(0) @ self.context + self.hidden_bias, 0)
        scores = hidden @ self.score + self.score_bias
        look = hidden @ self.look
        weight = np.exp(look - look.max(0))
        return (weight * scores).sum(0) / weight.sum(0) + self.bias, scores


class Room:
    """How much of a text its evidence may take, in words and in characters."""

    def __init__(self, text: str) -> None:
        words = len(text.split())
        part = 3 if words > LONG_TEXT_WORDS else 1
        self.text, self.words, self.chars = text, words / part, len(text) / part

    def fits(self, spans: Sequence[Span]) -> bool:
        """Say whether these spans stay within the part."""
        chars = sum(s.end - s.start for s in spans)
        return chars <= self.chars and sum(len(s.of(self.text).split()) for s in spans) <= self.words


class ThemeReader:
    """Names the themes of a text; safe to share between threads."""

    def __init__(self, weights: Path) -> None:
        """Load the weights. Raises ModelError when they are missing or not the expected ones."""
        try:
            with safe_open(weights, "np") as file:
                meta = file.metadata() or {}
                tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
            self.ids: tuple[str, ...] = tuple(json.loads(meta["themes"]))
            self.hash = meta["data_hash"]
            self._load(tensors, int(meta["members"]))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(
                f"The theme weights {weights} cannot be used ({error}). Fetch them again or run "
                "`python -m training.train_themes`."
            ) from error

    def _load(self, tensors: dict[str, Array], members: int) -> None:
        names = Attention.__dataclass_fields__
        self._members = [
            Attention(**{n: tensors[f"attention{i}.{n}"] for n in names}) for i in range(members)
        ]
        self._mean, self._mean_bias = tensors["mean.weight"], tensors["mean.bias"]
        self._words, self._words_bias = tensors["words.weight"], tensors["words.bias"]
        self._idf = tensors["words.idf"]
        self._mix, self._mix_bias = tensors["mix.weight"], tensors["mix.bias"]
        self._thresholds = tensors["thresholds"]
        self._guard = float(tensors["guard"][0])
        self._words_share, self._floor, self._margin = map(float, tensors["evidence"])

    def read(self, text: str, sentences: Sequence[Span], vectors: npt.NDArray[np.floating]) -> ThemeReading:
        """Return the themes of ``text``, whose sentences have the unit ``vectors`` (n, 384), in order.

        No sentence gives an empty reading. Raises EmbeddingError when the vectors do not fit.
        """
        if len(vectors) != len(sentences):
            raise EmbeddingError(f"{len(sentences)} sentences came with {len(vectors)} vectors.")
        if not sentences:
            return ThemeReading()
        logits, sentence_logits = self.logits(text, np.asarray(vectors, np.float32))
        scores = _sigmoid(logits @ self._mix + self._mix_bias)
        order = np.argsort(-scores, kind="stable")
        named = self._name(text, sentences, scores, order, sentence_logits)
        return ThemeReading(named, tuple(RankedTheme(self.ids[k], float(scores[k])) for k in order))

    def logits(self, text: str, vectors: Array) -> tuple[Array, Array]:
        """Return the three readers' logits (25, 3) and the sentences' (n, 25)."""
        if vectors.ndim != 2 or vectors.shape[1] != len(self._mean):
            raise EmbeddingError(f"Sentence vectors of shape {vectors.shape} do not fit the theme weights.")
        readings = [member.read(vectors) for member in self._members]
        mean = vectors.mean(0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-6)
        attention = np.mean([logits for logits, _ in readings], axis=0)
        parts = [attention, mean @ self._mean + self._mean_bias, self.word_logits(text)]
        return np.stack(parts, 1), np.mean([scores for _, scores in readings], axis=0)

    def word_logits(self, text: str) -> Array:
        """Return what the words alone say for each theme, (25,)."""
        found = word_ids(text, len(self._idf))
        weight = self._idf[found]
        length = max(float(np.sqrt((weight**2).sum())), 1e-6)
        return (weight / length) @ self._words[found] + self._words_bias

    def _name(
        self, text: str, sentences: Sequence[Span], scores: Array, order: npt.NDArray[np.intp], marks: Array
    ) -> tuple[Theme, ...]:
        guarded = GUARD in self.ids and scores[self.ids.index(GUARD)] >= self._guard
        named: list[Theme] = []
        for k in order:
            if scores[k] < self._thresholds[k] or (guarded and self.ids[k] in GUARDED):
                continue
            if named and scores[k] < SECOND_AT_LEAST:
                break
            evidence = self._evidence(text, sentences, marks[:, k], int(k))
            if evidence:
                named.append(Theme(self.ids[k], float(scores[k]), evidence))
            if len(named) == MAX_NAMED:
                break
        return tuple(named)

    def _evidence(self, text: str, sentences: Sequence[Span], marks: Array, theme: int) -> tuple[Span, ...]:
        """Return one to three spans that carry ``theme``, in the text's order; none when none does."""
        # Words are read only in the sentences that can still win: a long text stays fast.
        best = np.argsort(-marks, kind="stable")[:12]
        own = {
            int(i): float(marks[i] + self._words_share * self.word_logits(sentences[i].of(text))[theme])
            for i in best
        }
        ranked = sorted(own, key=lambda i: (-own[i], i))
        kept = [i for i in ranked if own[i] >= max(self._floor, own[ranked[0]] - self._margin)]
        room = Room(text)
        spans: list[Span] = []
        for i in kept:
            spans = self._add(text, sentences, i, spans, room, theme)
        spans = _widened(text, sentences, spans, marks, room)
        return tuple(sorted(spans, key=lambda s: s.start))

    def _add(
        self, text: str, sentences: Sequence[Span], i: int, spans: list[Span], room: Room, theme: int
    ) -> list[Span]:
        """Return ``spans`` with sentence ``i``, joined to a single neighbour, as far as there is room."""
        grown = _joined(sentences, i, spans)
        if len(grown) <= MAX_SPANS and room.fits(grown):
            return grown
        clause = None if spans else self._clause(text, sentences[i], room, theme)
        return [clause] if clause else spans

    def _clause(self, text: str, sentence: Span, room: Room, theme: int) -> Span | None:
        """Return the run of clauses that says most for ``theme`` and has room; None when none has."""
        bounds = [(0, 0), *(m.span() for m in _CLAUSE.finditer(sentence.of(text)))]
        starts = [sentence.start + after for _, after in bounds]
        ends = [sentence.start + before for before, _ in bounds[1:]] + [sentence.end]
        runs: list[Span] = []
        for first, start in enumerate(starts):
            fitting = [Span(start, end) for end in ends[first:] if room.fits([Span(start, end)])]
            runs += fitting[-1:]
        return max(runs, key=lambda s: self.word_logits(s.of(text))[theme], default=None)


def _joined(sentences: Sequence[Span], i: int, spans: list[Span]) -> list[Span]:
    """Return ``spans`` with sentence ``i`` added: to a neighbour that stands alone, else by itself."""
    for j in (i - 1, i + 1):
        if 0 <= j < len(sentences) and sentences[j] in spans:
            low, high = min(i, j), max(i, j)
            both = Span(sentences[low].start, sentences[high].end)
            return [both if s == sentences[j] else s for s in spans]
    return [*spans, sentences[i]]


def _widened(text: str, sentences: Sequence[Span], spans: list[Span], marks: Array, room: Room) -> list[Span]:
    """Return ``spans`` with each that is only a few words long joined to its better neighbour, if there is room."""
    places = {span: i for i, span in enumerate(sentences)}
    for span in list(spans):
        if span not in places or len(span.of(text).split()) >= ALONE_WORDS:
            continue
        i = places[span]
        beside = [j for j in (i - 1, i + 1) if 0 <= j < len(sentences)]
        for j in sorted(beside, key=lambda j: -marks[j]):
            both = Span(min(span.start, sentences[j].start), max(span.end, sentences[j].end))
            others = [other for other in spans if other != span]
            free = all(other.end <= both.start or other.start >= both.end for other in others)
            if free and room.fits([*others, both]):
                spans = [*others, both]
                break
    return spans
