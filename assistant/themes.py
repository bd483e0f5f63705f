"""Reads which themes a text is about and which of its words show it.

Two readers of one text are mixed: the tuned encoder and a regression over hashed words. The mixture is a
calibrated probability (made by ``training/train_themes.py``, figures in ``training/results.md``). The
encoder's attention chooses the evidence.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from assistant.domain import RankedTheme, Span, Theme, ThemeReading
from assistant.embedding.tuned import WordReading
from assistant.errors import ModelError

Array = npt.NDArray[np.floating]
MAX_NAMED = 2  # the contract allows four; the first two are the ones that can be trusted so far
MAX_SPANS = 3
DOUBT = 1.0  # natural logarithm of the odds that one "that is not it" takes from a theme
ALONE_WORDS = 5  # a shorter quote says too little by itself
FEW_WORDS = 25  # fewer may be too few to show a theme
LONG_TEXT_WORDS = 60  # a longer text gives at most a third of itself as evidence
# Texts about unequal treatment must not be told that they lack confidence: where belonging is
# likely (the weights say how likely), these are left unnamed.
GUARD = "belonging_inclusion"
GUARDED = ("self_confidence", "impostor_feelings", "perfectionism")
_WORD = re.compile(r"[a-z']+")
_CLAUSE = re.compile(r"(?<=[,;:–—])\s+|\s+(?=(?:and|but|because|so|while|though|although)\b)")


def too_short(text: str) -> bool:
    """Say whether a text without a theme may be without one for want of words."""
    return len(text.split()) < FEW_WORDS


def word_ids(text: str, size: int) -> npt.NDArray[np.int64]:
    """Return the distinct hashed words, word pairs and stems of ``text``, each below ``size``."""
    words = _WORD.findall(text.lower().replace("’", "'"))
    pairs = {f"{a} {b}" for a, b in pairwise(words)}
    stems = {f"#{w[:5]}" for w in words if len(w) > 5}
    return np.array(sorted({zlib.crc32(t.encode()) % size for t in {*words, *pairs, *stems}}), np.int64)


def probabilities(logits: Array, mix: Array, bias: Array) -> Array:
    """Return calibrated probabilities (…, themes) of the readers' ``logits`` (…, themes, readers)."""
    return 1 / (1 + np.exp(-np.clip(logits @ mix + bias, -30, 30)))


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
            self._words, self._words_bias = tensors["words.weight"], tensors["words.bias"]
            self._idf = tensors["words.idf"]
            self._mix, self._mix_bias = tensors["mix.weight"], tensors["mix.bias"]
            self._thresholds = tensors["thresholds"]
            self._guard, self._second = float(tensors["guard"][0]), float(tensors["second"][0])
            self._share = float(tensors["evidence"][0])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(
                f"The theme weights {weights} cannot be used ({error}). Fetch them again or run "
                "`python -m training.train_themes`."
            ) from error

    def read(
        self,
        text: str,
        sentences: Sequence[Span],
        reading: WordReading,
        doubts: Mapping[str, float] | None = None,
    ) -> ThemeReading:
        """Return the themes of ``text``, of which the tuned encoder said ``reading``.

        ``doubts``: how often its writer said of a theme that it is not theirs; each makes the theme less
        likely, and infinitely many rule it out. No sentence gives an empty reading.
        """
        if not sentences:
            return ThemeReading()
        doubted = np.array([(doubts or {}).get(theme, 0.0) for theme in self.ids])
        logits = self.logits(text, reading)
        scores = probabilities(logits, self._mix, self._mix_bias - DOUBT * doubted)
        order = np.argsort(-scores, kind="stable")
        undoubted = probabilities(logits, self._mix, self._mix_bias)
        guarded = GUARD in self.ids and undoubted[self.ids.index(GUARD)] >= self._guard
        named = self._name(text, sentences, scores, order, reading, guarded)
        return ThemeReading(named, tuple(RankedTheme(self.ids[k], float(scores[k])) for k in order))

    def logits(self, text: str, reading: WordReading) -> Array:
        """Return what encoder and words say about each theme, (themes, 2)."""
        return np.stack([reading.themes, self.word_logits(text)], 1)

    def word_logits(self, text: str) -> Array:
        """Return what the words alone say for each theme, (themes,)."""
        found = word_ids(text, len(self._idf))
        weight = self._idf[found]
        length = max(float(np.sqrt((weight**2).sum())), 1e-6)
        return (weight / length) @ self._words[found] + self._words_bias

    def _name(
        self,
        text: str,
        sentences: Sequence[Span],
        scores: Array,
        order: npt.NDArray[np.intp],
        reading: WordReading,
        guarded: bool,
    ) -> tuple[Theme, ...]:
        named: list[Theme] = []
        for k in order:
            if scores[k] < self._thresholds[k] or (guarded and self.ids[k] in GUARDED):
                continue
            if named and scores[k] < self._second:
                break
            shown = evidence(text, sentences, reading, int(k), self._share)
            if shown:
                named.append(Theme(self.ids[k], float(scores[k]), shown))
            if len(named) == MAX_NAMED:
                break
        return tuple(named)


def evidence(
    text: str, sentences: Sequence[Span], reading: WordReading, theme: int, share: float
) -> tuple[Span, ...]:
    """Return one to three spans that carry ``theme``, in the text's order; none when none has room.

    The sentence that drew most of the attention for its length, and others that drew at least ``share`` of that.
    """
    lengths = np.array([len(span.of(text).split()) for span in sentences])
    # Attention is spread over words, so a long sentence draws more of it for its length alone.
    marks = reading.drawn(sentences, theme) / np.sqrt(np.maximum(lengths, ALONE_WORDS))
    order = sorted(range(len(sentences)), key=lambda i: (-marks[i], i))
    room = Room(text)
    spans: list[Span] = []
    for i in order:
        if marks[i] < share * marks[order[0]]:
            break
        spans = _add(text, sentences, i, spans, room, reading, theme)
    spans = _widened(text, sentences, spans, marks, room)
    return tuple(sorted(spans, key=lambda s: s.start))


def _add(
    text: str,
    sentences: Sequence[Span],
    i: int,
    spans: list[Span],
    room: Room,
    reading: WordReading,
    theme: int,
) -> list[Span]:
    """Return ``spans`` with sentence ``i``, joined to a single neighbour, as far as there is room."""
    grown = _joined(sentences, i, spans)
    if len(grown) <= MAX_SPANS and room.fits(grown):
        return grown
    clause = None if spans else _clause(text, sentences[i], room, reading, theme)
    return [clause] if clause else spans


def _clause(text: str, sentence: Span, room: Room, reading: WordReading, theme: int) -> Span | None:
    """Return the run of clauses that carries ``theme`` best and has room; None when none has."""
    bounds = [(0, 0), *(m.span() for m in _CLAUSE.finditer(sentence.of(text)))]
    starts = [sentence.start + after for _, after in bounds]
    ends = [sentence.start + before for before, _ in bounds[1:]] + [sentence.end]
    runs: list[Span] = []
    for first, start in enumerate(starts):
        fitting = [Span(start, end) for end in ends[first:] if room.fits([Span(start, end)])]
        runs += fitting[-1:]
    return runs[int(reading.drawn(runs, theme).argmax())] if runs else None


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
