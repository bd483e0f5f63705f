"""The theme reader: its limits and span rules on tiny weights, a few texts on the real ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from conftest import reading_of
from safetensors.numpy import save_file

from assistant.domain import ThemeReading
from assistant.embedding import tuned
from assistant.embedding.tuned import WordReading
from assistant.errors import ModelError
from assistant.sentences import split
from assistant.themes import DOUBT, GUARDED, MAX_NAMED, ThemeReader, word_ids

IDS = ("self_confidence", "belonging_inclusion", "feedback", "leadership")
SIZE, WORDS = 4, 64
WEIGHTS = Path(__file__).resolve().parent.parent / "assistant" / "weights" / "themes.safetensors"
Make = Callable[..., ThemeReader]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a maker of readers that believe the encoder and no words."""

    def build(**changes: object) -> ThemeReader:
        tensors = {
            "words.weight": np.zeros((WORDS, SIZE)),
            "words.bias": np.zeros(SIZE),
            "words.idf": np.ones(WORDS),
            "mix.weight": np.array([1.0, 0.0]),
            "mix.bias": np.zeros(SIZE),
            "thresholds": np.full(SIZE, 0.5),
            "guard": np.array([0.9]),
            "second": np.array([0.5]),
            "evidence": np.array([0.3]),
        }
        path = tmp_path / "tiny.safetensors"
        kept = {n: np.ascontiguousarray(v, np.float32) for n, v in {**tensors, **changes}.items()}  # type: ignore[call-overload]
        save_file(kept, path, {"themes": json.dumps(IDS), "data_hash": "0"})
        return ThemeReader(path)

    return build


def read(reader: ThemeReader, text: str, *axes: int | None) -> ThemeReading:
    """Read a text whose sentences each carry the theme of that number, or none."""
    sentences = split(text)
    assert len(sentences) == len(axes)
    made = reading_of(text, [5.0 - k if k in axes else -5.0 for k in range(SIZE)])
    for sentence, theme in zip(sentences, axes, strict=True):
        if theme is not None:
            on = [at for at, piece in enumerate(made.pieces) if sentence.start <= piece.start < sentence.end]
            made.looks[on, theme] = 1 / len(on) / axes.count(theme)
    cut = replace(made, themes=made.themes[:SIZE])
    return reader.read(text, sentences, cut)


def test_no_sentence_gives_an_empty_reading(make: Make) -> None:
    assert make().read("…", [], reading_of("…")) == ThemeReading()


def test_names_the_theme_and_the_sentence_that_carries_it(make: Make) -> None:
    text = "It rained. My lead said the report was thin. The bus came."
    reading = read(make(), text, None, 2, None)
    assert [t.id for t in reading.themes] == ["feedback"]
    assert [s.of(text) for s in reading.themes[0].evidence] == ["My lead said the report was thin."]
    assert sorted(r.id for r in reading.ranked) == sorted(IDS)
    scores = [r.score for r in reading.ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= s <= 1 for s in scores)


def test_names_at_most_two(make: Make) -> None:
    reading = read(make(guard=np.array([2.0])), "One. Two. Three. Four.", 0, 1, 2, 3)
    assert len(reading.themes) == MAX_NAMED == 2


def test_thresholds_hold_a_theme_back(make: Make) -> None:
    assert read(make(thresholds=np.full(SIZE, 2.0)), "A text.", 2).themes == ()


def test_likely_exclusion_holds_confidence_back(make: Make) -> None:
    reader = make()
    reading = read(reader, "They left me out. I kept silent.", 1, 0)
    assert [t.id for t in reading.themes] == ["belonging_inclusion"]
    assert "self_confidence" in GUARDED
    assert [t.id for t in read(reader, "I kept silent.", 0).themes] == ["self_confidence"]


def test_a_second_theme_must_be_likely_enough(make: Make) -> None:
    text = "My lead said it was thin. I led the talk."
    assert [t.id for t in read(make(), text, 2, 3).themes] == ["feedback", "leadership"]
    assert [t.id for t in read(make(second=np.array([0.95])), text, 2, 3).themes] == ["feedback"]


def test_words_count_where_the_mixture_says_so(make: Make) -> None:
    told = np.zeros((WORDS, SIZE))
    told[word_ids("applause", WORDS), 3] = 50.0
    reader = make(
        **{"words.weight": told, "mix.weight": np.array([0.0, 1.0]), "mix.bias": np.full(SIZE, -1.0)}
    )
    assert [t.id for t in read(reader, "Applause.", 2).themes] == ["leadership"]


def test_spans_are_few_short_and_ordered(make: Make) -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(40))
    reading = read(make(), text, *([2] * 40))
    spans = reading.themes[0].evidence
    assert 1 <= len(spans) <= 3
    assert list(spans) == sorted(spans, key=lambda s: s.start)
    for span in spans:
        assert len(split(span.of(text))) <= 2
    assert sum(len(s.of(text).split()) for s in spans) * 3 <= len(text.split())


def test_a_sentence_over_a_third_gives_a_clause(make: Make) -> None:
    text = "i went in early, " + "and then the printer jammed again, " * 12 + "but nobody had told me"
    reading = read(make(), text, 2)
    (span,) = reading.themes[0].evidence
    assert len(span.of(text).split()) * 3 <= len(text.split())
    assert span.start == 0 or text[span.start - 1] == " "
    assert span.end == len(text) or text[span.end] == " " or text[span.end - 1] == ","


def test_words_without_any_boundary_give_no_evidence(make: Make) -> None:
    text = "word " * 80
    assert read(make(), text, 2).themes == ()


def test_same_text_same_reading(make: Make) -> None:
    reader = make()
    text = "One thing. Another thing. A third."
    assert read(reader, text, 2, 3, 2) == read(reader, text, 2, 3, 2)


def test_ten_thousand_sentences_are_fast(make: Make) -> None:
    text = "A short line. " * 10_000
    sentences = split(text)
    made = replace(reading_of(text), themes=np.array([-9.0, -9, 9, -9], np.float32))
    made.looks[:, 2] = 1 / len(made.looks)
    started = time.perf_counter()
    reading = make().read(text, sentences, made)
    assert time.perf_counter() - started < 5
    assert len(reading.themes[0].evidence) <= 3


def test_missing_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be used"):
        ThemeReader(tmp_path / "none.safetensors")
    save_file({"x": np.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="cannot be used"):
        ThemeReader(tmp_path / "other.safetensors")


def test_word_ids_are_stable() -> None:
    assert word_ids("Don't wait", 1000).tolist() == word_ids("don’t WAIT", 1000).tolist()
    assert len(word_ids("", 1000)) == 0


@pytest.mark.models
@pytest.mark.parametrize(
    ("text", "theme"),
    [
        (
            "I have rewritten the first page of the report nine times. My colleague handed hers in with "
            "typing errors and got it signed. I still see that the figure is not quite even, so I start again.",
            "perfectionism",
        ),
        (
            "My mentor has cancelled three meetings in a row. When we did meet I had not done what we "
            "agreed. We both said we would do better next time.",
            "mentoring_commitment",
        ),
    ],
)
def test_real_weights_read_plain_texts(text: str, theme: str) -> None:
    sentences = split(text)
    reading = ThemeReader(WEIGHTS).read(text, sentences, tuned.shipped().read(text))
    assert theme in [r.id for r in reading.ranked[:3]]
    assert len(reading.ranked) == 25
    for named in reading.themes:
        assert named.evidence
        assert all(span.of(text) for span in named.evidence)


def few(made: WordReading) -> WordReading:
    """Return a reading of the few themes that the tiny weights know."""
    return replace(made, themes=made.themes[:SIZE])


def test_each_not_me_makes_a_theme_less_likely_and_endless_ones_rule_it_out(make: Make) -> None:
    text = "I let it go by again."
    reader, sentences = make(), split(text)
    made = few(reading_of(text, [1.2, -5.0, 0.4, -5.0]))
    plain = reader.read(text, sentences, made)
    once = reader.read(text, sentences, made, {"self_confidence": 1})
    twice = reader.read(text, sentences, made, {"self_confidence": 2})
    never = reader.read(text, sentences, made, {"self_confidence": inf})
    assert [theme.id for theme in plain.themes] == ["self_confidence", "feedback"]
    assert [theme.id for theme in once.themes] == ["feedback", "self_confidence"]
    assert [theme.id for theme in twice.themes] == ["feedback"]
    assert [theme.id for theme in never.themes] == ["feedback"]
    odds = [found.themes[at].score / (1 - found.themes[at].score) for found, at in ((plain, 0), (once, 1))]
    assert odds == pytest.approx([np.exp(1.2), np.exp(1.2 - DOUBT)], rel=1e-4)
    assert never.ranked[-1].id == "self_confidence" and never.ranked[-1].score < 1e-9
    assert reader.read(text, sentences, made, {"leadership": 5}).themes == plain.themes


def test_ruling_out_belonging_does_not_open_the_door_to_what_it_guards(make: Make) -> None:
    text = "They let me wait outside again."
    reader, sentences = make(), split(text)
    made = few(reading_of(text, [2.0, 4.0, -5.0, -5.0]))
    assert [theme.id for theme in reader.read(text, sentences, made).themes] == ["belonging_inclusion"]
    assert reader.read(text, sentences, made, {"belonging_inclusion": inf}).themes == ()
