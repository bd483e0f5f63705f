"""Retrieval: the kept index, what fits a notice, no passage twice, and nobody else's history."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from conftest import HashingEmbedder, at_once

from assistant import retrieval
from assistant.domain import Passage, RankedTheme, SafetyFinding, Span, Theme, ThemeReading
from assistant.errors import ModelError
from assistant.retrieval import KnowledgeIndex, find_earlier
from assistant.store import text_hash

TEXT = "I go quiet in meetings. My manager gives no feedback."
SENTENCES = [Span(0, 23), Span(24, 53)]
CALM = SafetyFinding()


def passage(name, text, themes=(), audience="mentee", level="none", fit=()):
    return Passage(name, name, text, audience, themes, (), ("x",), "C", level, fit, "2026-11-21")


LIBRARY = [
    passage("quiet", "I go quiet in meetings often", ("voice",)),
    passage("quiet-again", "I go quiet in meetings very often", ("voice",)),
    passage("feedback", "manager gives feedback seldom", ("feedback",)),
    passage("for-mentors", "I go quiet in meetings and my manager gives no feedback", ("voice",), "mentor"),
    passage("grief-a", "I go quiet when grieving", (), "both", "support", ("grief",)),
    passage("grief-b", "the loss comes back in waves", (), "mentee", "support", ("grief",)),
    passage("grief-c", "days of mourning", (), "mentee", "support", ("grief",)),
    passage("grief-mentor", "I go quiet in meetings", (), "mentor", "support", ("grief",)),
    passage("harm", "I go quiet in meetings no", (), "mentee", "support", ("self_harm",)),
    passage("other", "something about money and pay", ("pay",)),
]


@pytest.fixture
def make(tmp_path, embedder):
    def make(passages=LIBRARY, model="m", folder=tmp_path / "index"):
        return KnowledgeIndex(passages, embedder.encode, model, folder)

    return make


@pytest.fixture
def vectors():
    return HashingEmbedder().encode([span.of(TEXT) for span in SENTENCES])


def reading(*themes):
    return ThemeReading(themes, tuple(RankedTheme(theme.id, theme.score) for theme in themes))


def ids(matches):
    return [match.passage.id for match in matches]


def test_the_index_is_made_once_and_read_afterwards(make, embedder):
    first = make().vectors
    assert len(embedder.encoded) == len(LIBRARY)
    assert np.array_equal(make().vectors, first)
    assert len(embedder.encoded) == len(LIBRARY)


def damaged(path, how):
    good = path.read_bytes()
    zeroed = good[:-6000] + bytes(6000)
    fewer = KnowledgeIndex(LIBRARY[:3], HashingEmbedder().encode, "m", path.parent / "other")
    assert fewer.vectors.shape[0] == 3
    other_metric = good[:33] + bytes([good[33] ^ 1]) + good[34:]
    contents = {
        "cut short": good[:200],
        "empty": b"",
        "no index": b"nothing of the kind",
        "zeroed at the end": zeroed,
        "another library's": fewer.path.read_bytes(),
        "another metric": other_metric,
        "a length beyond all memory": good[:41] + b"\xff" + good[42:],
    }
    path.write_bytes(contents[how])


@pytest.mark.parametrize(
    "how",
    [
        "cut short",
        "empty",
        "no index",
        "zeroed at the end",
        "another library's",
        "another metric",
        "a length beyond all memory",
    ],
)
def test_a_broken_file_is_built_again(make, embedder, how):
    first = make()
    vectors = first.vectors
    damaged(first.path, how)
    embedder.encoded.clear()
    assert np.array_equal(make().vectors, vectors)
    assert len(embedder.encoded) == len(LIBRARY) - (3 if how == "another library's" else 0)
    embedder.encoded.clear()
    assert np.array_equal(make().vectors, vectors)
    assert embedder.encoded == []


def test_a_missing_file_is_built_again(make, embedder):
    first = make()
    vectors = first.vectors
    first.path.unlink()
    assert np.array_equal(make().vectors, vectors)


def test_another_model_makes_another_index_and_drops_the_old_file(make, embedder):
    old = make()
    assert len(old.vectors)
    new = make(model="another")
    assert len(new.vectors) == len(LIBRARY)
    assert len(embedder.encoded) == 2 * len(LIBRARY)
    assert list(new.path.parent.iterdir()) == [new.path]


@pytest.mark.parametrize(
    ("passages", "fresh"),
    [
        (LIBRARY[::-1], []),
        (LIBRARY[1:], []),
        ([*LIBRARY, passage("new", "words of their own")], ["new. words of their own"]),
        (
            [passage("quiet", "I go loud in meetings now", ("voice",)), *LIBRARY[1:]],
            ["quiet. I go loud in meetings now"],
        ),
    ],
    ids=["another order", "one less", "one more", "one changed"],
)
def test_only_what_changed_is_embedded_again(make, embedder, passages, fresh):
    assert len(make().vectors)
    embedder.encoded.clear()
    index = make(passages=passages)
    assert index.refresh() == len(fresh)
    assert embedder.encoded == fresh
    assert np.allclose(index.vectors, HashingEmbedder().encode([f"{p.title}. {p.text}" for p in passages]))
    embedder.encoded.clear()
    assert make(passages=passages).refresh() == 0


def test_an_index_that_cannot_be_kept_still_answers(make, tmp_path, embedder):
    (tmp_path / "file").write_text("")
    found = make(folder=tmp_path / "file" / "below").search("money pay", embedder.encode(["money pay"])[0], 1)
    assert ids(found) == ["other"]


def test_an_empty_library_answers_with_nothing(make, vectors):
    empty = make(passages=[])
    assert empty.search("money", vectors[0], 5) == []
    assert empty.find(CALM, reading(), TEXT, SENTENCES, vectors, 5) == ()


def test_several_threads_make_the_index_once(make, embedder):
    index, lock, seen = make(), threading.Lock(), []

    def read():
        vectors = index.vectors
        with lock:
            seen.append(vectors)

    assert at_once(*[read] * 4) == []
    assert len(embedder.encoded) == len(LIBRARY)
    assert all(np.array_equal(vectors, seen[0]) for vectors in seen)


def test_a_search_gives_the_nearest_first_and_no_more_than_there_are(make, vectors):
    found = make().search("I go quiet in meetings.", vectors[0], 100)
    assert len(found) == len(LIBRARY)
    scores = [match.score for match in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_passage_is_found_by_what_its_people_would_say(make, embedder):
    told = replace(LIBRARY[-1], situations=("they never answer my calls",))
    index = make(passages=[*LIBRARY[:-1], told])
    for words in ("never answer calls", "calls"):
        assert ids(index.search(words, embedder.encode([words])[0], 1)) == ["other"]


def test_each_method_ranks_by_what_it_looks_at(make, vectors):
    index = make()
    found = {
        m: index.scores(TEXT, vectors, {"pay": 1.0}, m) for m in ("dense", "lexical", "fusion", "steered")
    }
    assert LIBRARY[found["lexical"].argmax()].id == "feedback"  # a word of a title counts most
    assert found["steered"][-1] > found["fusion"][-1]  # the theme it is about is likely
    assert np.array_equal(found["steered"][:-1], found["fusion"][:-1])
    only = np.arange(len(LIBRARY)) < 2
    assert np.isneginf(index.scores(TEXT, vectors, {}, among=only)[2:]).all()


def test_the_trained_map_is_loaded_and_keeps_lengths(checkout, tmp_path, vectors):
    change = retrieval.Change(checkout / "assistant" / "weights" / "retrieval.safetensors")
    changed = change(vectors)
    assert changed.shape == vectors.shape and not np.allclose(changed, vectors)
    assert np.allclose(np.linalg.norm(changed, axis=1), 1, atol=1e-5)
    assert change(vectors[:0]).shape == (0, 384)
    (tmp_path / "broken").write_bytes(b"none")
    for wrong in (tmp_path / "missing", tmp_path / "broken"):
        with pytest.raises(ModelError, match=r"training\.train_retrieval"):
            retrieval.Change(wrong)


def test_another_map_makes_another_index(make, tmp_path, embedder):
    plain = make()
    mapped = KnowledgeIndex(LIBRARY, embedder.encode, "m", tmp_path / "index", retrieval.Change(None))
    assert plain.path == mapped.path
    mapped._change.hash = "another"
    assert (
        KnowledgeIndex(LIBRARY, embedder.encode, "m", tmp_path / "index", mapped._change).path != plain.path
    )


def test_a_theme_the_writer_ruled_out_does_not_steer(make, vectors):
    pay = Theme("pay", 0.9, (SENTENCES[0],))
    assert ids(make().find(CALM, reading(pay), TEXT, SENTENCES, vectors, 1)) == ["other"]
    ruled_out = replace(reading(pay), themes=(), ranked=(RankedTheme("pay", 0.0),))
    assert ids(make().find(CALM, ruled_out, TEXT, SENTENCES, vectors, 1)) != ["other"]


def test_each_named_theme_has_a_passage(make, vectors):
    named = reading(Theme("voice", 0.9, (SENTENCES[0],)), Theme("pay", 0.05, (SENTENCES[1],)))
    found = make().find(CALM, named, TEXT, SENTENCES, vectors, 2)
    assert {match.theme for match in found} == {"voice", "pay"}


def test_whoever_writes_of_a_mentee_gets_what_is_for_mentors(make, vectors):
    for text in ("My mentee says nothing.", "I have been mentoring since May.", "I mentor two of them."):
        assert "for-mentors" in ids(make().find(CALM, reading(), text, SENTENCES, vectors, 10)), text
    for text in ("My mentor says nothing.", "She has been mentoring me.", "A tormented mentality."):
        assert "for-mentors" not in ids(make().find(CALM, reading(), text, SENTENCES, vectors, 10)), text


def test_what_is_found_names_its_theme_and_the_sentence_that_made_it_match(make, vectors):
    theme = Theme("feedback", 0.9, (SENTENCES[1],))
    first = make().find(CALM, reading(theme), TEXT, SENTENCES, vectors, 5)[0]
    assert (first.passage.id, first.theme, first.sentence) == ("feedback", "feedback", SENTENCES[1])


def test_no_two_passages_say_the_same(make, vectors):
    index = make()
    voice = Theme("voice", 0.9, (SENTENCES[0],))
    found = index.find(CALM, reading(voice), TEXT, SENTENCES, vectors, 10)
    assert len(set(ids(found))) == len(found)
    assert len({"quiet", "quiet-again"} & set(ids(found))) == 1
    rows = index.vectors[[LIBRARY.index(match.passage) for match in found]]
    assert (rows @ rows.T - 2 * np.eye(len(found))).max() <= retrieval.TOO_ALIKE


def test_a_mentors_passages_are_not_for_a_mentees_text(make, vectors):
    voice = Theme("voice", 0.9, (SENTENCES[0],))
    for finding in (CALM, SafetyFinding("support", "grief")):
        found = ids(make().find(finding, reading(voice), TEXT, SENTENCES, vectors, 10))
        assert found
        assert not {"for-mentors", "grief-mentor"} & set(found)


def test_under_support_only_two_passages_fit_for_that_kind_are_shown(make, vectors):
    voice = Theme("voice", 0.9, (SENTENCES[0],))
    found = make().find(SafetyFinding("support", "grief"), reading(voice), TEXT, SENTENCES, vectors, 10)
    assert ids(found)[0] == "grief-a"
    assert set(ids(found)) < {"grief-a", "grief-b", "grief-c"}
    assert len(found) == 2
    assert (
        make().find(SafetyFinding("support", "substance"), reading(voice), TEXT, SENTENCES, vectors, 10) == ()
    )
    assert make().find(SafetyFinding("support", None), reading(voice), TEXT, SENTENCES, vectors, 10) == ()


@pytest.mark.parametrize("finding", [SafetyFinding("urgent", "self_harm"), SafetyFinding(understood=False)])
def test_under_urgent_or_in_an_unknown_language_nothing_is_shown(make, vectors, finding):
    voice = Theme("voice", 0.9, (SENTENCES[0],))
    assert make().find(finding, reading(voice), TEXT, SENTENCES, vectors, 10) == ()


def test_without_vectors_or_room_nothing_is_shown(make, vectors):
    assert make().find(CALM, reading(), TEXT, SENTENCES, vectors[:0], 5) == ()
    assert make().find(CALM, reading(), TEXT, SENTENCES, vectors, 0) == ()
    assert len(make().find(CALM, reading(), TEXT, SENTENCES, vectors, 2)) == 2


def test_an_earlier_sentence_comes_back_once_a_reflection_and_only_when_near(embedder):
    quotes = [
        ("a", "I go quiet in meetings."),
        ("a", "I go quiet in big meetings."),
        ("b", "My manager gives feedback."),
        ("c", "Bread and butter."),
    ]
    now = embedder.encode([span.of(TEXT) for span in SENTENCES])
    found = find_earlier(now, embedder.encode([quote for _, quote in quotes]), quotes)
    assert [(match.reflection_id, match.quote) for match in found] == [
        ("a", "I go quiet in meetings."),
        ("b", "My manager gives feedback."),
    ]
    assert len(find_earlier(now, embedder.encode([quote for _, quote in quotes]), quotes, 1)) == 1
    assert find_earlier(now, now[:0], []) == find_earlier(now[:0], now, quotes[:2]) == ()


def test_nobody_elses_history_is_ever_at_hand(store, people, embedder):
    """The same sentence, the same model: the vectors of one writer are nothing to another."""
    sentence = "I go quiet in meetings."
    key, vector = text_hash(sentence), embedder.encode([sentence])[0]
    mine = store.reflections.save(people.ana, sentence)
    store.reflections.save_vectors(people.ana, mine, embedder.hash, {key: vector})
    assert store.reflections.vectors(people.ben, embedder.hash, [key]) == {}
    theirs = store.reflections.save(people.ben, sentence)
    store.reflections.save_vectors(people.ben, theirs, embedder.hash, {key: -vector})
    assert np.array_equal(store.reflections.vectors(people.ana, embedder.hash, [key])[key], vector)
    store.reflections.delete(people.ana, mine)
    assert store.reflections.vectors(people.ana, embedder.hash, [key]) == {}
    assert key in store.reflections.vectors(people.ben, embedder.hash, [key])


def test_an_index_of_passages_holds_no_writers_words(make, vectors):
    index = make()
    before = index.path.exists()
    index.find(CALM, reading(), TEXT, SENTENCES, vectors, 5)
    assert not before
    assert vectors[0].tobytes() not in index.path.read_bytes()
