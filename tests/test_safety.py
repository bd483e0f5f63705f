"""The safety check: what the rules catch, what they leave alone, and both readers on the dev sets."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.domain import SafetyFinding
from assistant.errors import KnowledgeError
from assistant.safety import KINDS, Lexicon, SafetyReader, Weights, columns, load_lexicon, load_weights
from assistant.sentences import split

EVALS = Path(__file__).parent.parent / "benchmarks" / "evals"


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


@pytest.fixture(scope="module")
def rules(lexicon: Lexicon) -> SafetyReader:
    return SafetyReader(lexicon)


def read(reader: SafetyReader, text: str) -> SafetyFinding:
    return reader.read(text, split(text), None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I want to die.", "self_harm"),
        ("Lately I dont want to live anymore, I only tell you.", "self_harm"),
        ("I’ve been thinking about suicide since March.", "self_harm"),
        ("I started hurting myself again.", "self_harm"),
        ("My kids would all be better off without me.", "self_harm"),
        ("He said he will kill me if I leave.", "danger_from_others"),
        ("My husband hits me when I study.", "danger_from_others"),
        ("The owner keeps my passport and will not let me go out.", "danger_from_others"),
        ("I'm going to hurt him, I have decided.", "harm_to_others"),
        ("I am scared that I will hurt the baby.", "harm_to_others"),
    ],
)
def test_direct_danger_is_urgent(rules: SafetyReader, text: str, kind: str) -> None:
    finding = read(rules, text)
    assert (finding.level, finding.kind, finding.rules_only) == ("urgent", kind, True)
    assert finding.spans


@pytest.mark.parametrize(
    "text",
    [
        "I want to die of embarrassment, my mic was on.",
        "The deadline is killing me and my boss will murder me for the typo.",
        "I killed the parent process and the zombie child is gone.",
        "In a novel I read, the hero wants to end his life.",
        "Twelve years ago I wanted to die. I got help and have been well for a decade.",
        "I won't be around in July, my new job starts in Ghent. Thank you for everything.",
        "The course was about suicide prevention and self-harm.",
        "I could have strangled the printer.",
        "Good week. I asked for feedback and got it.",
    ],
)
def test_figures_of_speech_work_and_the_past_are_left_alone(rules: SafetyReader, text: str) -> None:
    assert read(rules, text).level == "none"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I have panic attacks on the train every week.", "acute_distress"),
        ("My manager put his hand on my leg again.", "harassment_discrimination"),
        ("I drink a bottle of wine every night.", "substance"),
        ("My mother died in May and I can't read a page.", "grief"),
    ],
)
def test_strain_is_support(rules: SafetyReader, text: str, kind: str) -> None:
    finding = read(rules, text)
    assert (finding.level, finding.kind) == ("support", kind)


def test_two_hints_together_are_urgent_and_one_is_not(rules: SafetyReader) -> None:
    letters, plants = "I have written the letters.", "I'd like you to have my plants."
    assert read(rules, letters).level == "none"
    assert read(rules, plants).level == "none"
    assert read(rules, f"{letters} {plants}").level == "urgent"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ya no quiero vivir, estoy muy cansada de todo esto", "es"),
        ("Ich möchte nicht mehr leben und weiss nicht wohin", "de"),
        ("Je veux mourir, je ne dors plus depuis des mois", "fr"),
        ("我不想活了，每天都很累", "zh"),
        ("Я больше не хочу жить, я устал", "ru"),
        ("لا أريد أن أعيش بعد الآن", "ar"),
    ],
)
def test_direct_expressions_in_other_languages(rules: SafetyReader, text: str, language: str) -> None:
    finding = read(rules, text)
    assert (finding.level, finding.kind) == ("urgent", "self_harm")
    assert (finding.language, finding.understood) == (language, False)


def test_an_everyday_text_in_another_language_is_not_understood_and_none(rules: SafetyReader) -> None:
    finding = read(rules, "Heute war ein guter Tag im Büro und ich habe viel gelernt")
    assert (finding.level, finding.understood, finding.spans) == ("none", False, ())


def test_the_span_is_the_clause_and_exact(rules: SafetyReader) -> None:
    text = "The essay went fine, and by the way, I want to die, but the bus is coming."
    (span,) = read(rules, text).spans
    assert span.of(text) == "I want to die"


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\x00\x07\x1b", "\ud800 I want to die \udfff", "İİİ’’", "a" * 100_000]
)
def test_any_string_can_be_read(rules: SafetyReader, text: str) -> None:
    finding = read(rules, text)
    assert all(0 <= span.start < span.end <= len(text) for span in finding.spans)
    assert (finding.level == "urgent") == ("die" in text)


def test_one_sentence_in_a_hundred_thousand_words_is_found_soon(rules: SafetyReader) -> None:
    filler = "I had a long week and I would like to talk about my plans with you. " * 3100
    text = filler + "I want to end my life. " + filler
    sentences = split(text)
    start = time.perf_counter()
    finding = rules.read(text, sentences, None)
    assert time.perf_counter() - start < 6  # about one second alone; room for a busy machine
    assert finding.level == "urgent"
    assert finding.spans[0].of(text) == "I want to end my life."


def weights_for(lexicon: Lexicon) -> Weights:
    """A classifier that notices the first dimension as urgent and the second as support."""
    width = 384 + 384 + len(lexicon.groups) + len(lexicon.guards)
    urgent, raised = np.zeros(width + 1), np.zeros(width + 1)
    urgent[0] = raised[1] = 20.0
    urgent[-1] = raised[-1] = -10.0
    kinds = np.zeros((len(KINDS), width + 1))
    kinds[KINDS.index("grief"), -1] = 1.0
    kinds[KINDS.index("self_harm"), :384] = np.where(np.arange(384) == 0, 9.0, 0.0)
    return Weights(urgent, raised, kinds, 0.5, 0.5, columns(lexicon))


@pytest.mark.parametrize(("dimension", "level"), [(0, "urgent"), (1, "support"), (2, "none")])
def test_the_classifier_adds_what_no_rule_sees(lexicon: Lexicon, dimension: int, level: str) -> None:
    text = "First a plain sentence. Then one that matters. And a plain one."
    vectors = np.zeros((3, 384), np.float32)
    vectors[:, 5] = 1.0
    vectors[1] = np.eye(384)[dimension]
    finding = SafetyReader(lexicon, weights_for(lexicon)).read(text, split(text), vectors)
    assert (finding.level, finding.rules_only) == (level, False)
    assert [span.of(text) for span in finding.spans] == (
        ["Then one that matters."] if level != "none" else []
    )


def test_danger_of_a_kind_that_is_none_is_support(lexicon: Lexicon) -> None:
    text = "First a plain sentence. Then one that matters. And a plain one."
    vectors = np.zeros((3, 384), np.float32)
    vectors[1, 0] = 1.0
    weights = weights_for(lexicon)
    weights.kinds[KINDS.index("self_harm")] = 0.0
    finding = SafetyReader(lexicon, weights).read(text, split(text), vectors)
    assert (finding.level, finding.kind) == ("support", "grief")


def test_weights_for_other_rules_are_refused(lexicon: Lexicon) -> None:
    weights = weights_for(lexicon)
    other = Weights(weights.urgent, weights.raised, weights.kinds, 0.5, 0.5, "other")
    with pytest.raises(KnowledgeError, match="train_safety"):
        SafetyReader(lexicon, other)


@pytest.mark.parametrize(
    "content", ["", "[]", "groups: 3", "fragments: {}\nguards: {}\ngroups: [{}]\nabroad: {}", "a: b: c"]
)
def test_a_broken_rules_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(KnowledgeError, match="safety_rules"):
        load_lexicon(path)


def test_the_shipped_weights_fit_the_shipped_rules(lexicon: Lexicon) -> None:
    weights = load_weights()
    assert weights is not None
    SafetyReader(lexicon, weights)


def test_missing_weights_leave_the_rules_alone(tmp_path: Path) -> None:
    assert load_weights(tmp_path / "none.safetensors") is None


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EVALS / name).read_text(encoding="utf-8").split("\n") if line]


def levels(embedder: Any, lexicon: Lexicon, found: list[dict[str, Any]]) -> list[str]:
    reader = SafetyReader(lexicon, load_weights())
    answers = []
    for row in found:
        sentences = split(row["text"])
        vectors = embedder.encode([span.of(row["text"]) for span in sentences])
        answers.append(reader.read(row["text"], sentences, vectors).level)
    return answers


@pytest.mark.models
def test_the_safety_dev_set(lexicon: Lexicon) -> None:
    from assistant.embedding import MiniLM

    found = rows("safety.dev.jsonl")
    pairs = list(zip([row["level"] for row in found], levels(MiniLM(), lexicon, found), strict=True))
    assert sum(pair == ("urgent", "urgent") for pair in pairs) == 16
    assert sum(want == "support" and got != "none" for want, got in pairs) >= 17
    assert sum(want == "none" and got != "none" for want, got in pairs) <= 2
    assert ("none", "urgent") not in pairs


@pytest.mark.models
def test_the_reflections_dev_set(lexicon: Lexicon) -> None:
    from assistant.embedding import MiniLM

    found = rows("reflections.dev.jsonl")
    pairs = list(zip([row["safety"] for row in found], levels(MiniLM(), lexicon, found), strict=True))
    assert sum(pair == ("urgent", "urgent") for pair in pairs) == 4
    assert sum(want == "support" and got != "none" for want, got in pairs) >= 8
    assert sum(want == "none" and got != "none" for want, got in pairs) <= 7  # 6% of 106
