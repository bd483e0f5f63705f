"""The safety check: what the rules catch, what they leave alone, and both readers on the dev sets."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import reading_of

from assistant.domain import SafetyFinding
from assistant.embedding import tuned
from assistant.errors import KnowledgeError, ModelError
from assistant.safety import KINDS, Judge, Lexicon, SafetyReader, load_judge, load_lexicon
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


JUDGE = Judge(
    np.array([1.0, 0, 4, 1, 0, 0]), np.array([0, 1.0, 2, 1, 4, 0]), urgent_from=0.5, raised_from=0.5
)
TOLD = "First a plain sentence. Then one that matters. And a plain one."


@pytest.mark.parametrize(
    ("urgent", "raised", "level"), [(3.0, 3.0, "urgent"), (-3.0, 3.0, "support"), (-3.0, -3.0, "none")]
)
def test_the_encoder_sees_what_no_rule_sees(
    lexicon: Lexicon, urgent: float, raised: float, level: str
) -> None:
    reading = reading_of(
        TOLD, urgent=urgent, raised=raised, at={-2: "one that matters.", -1: "one that matters."}
    )
    finding = SafetyReader(lexicon, JUDGE).read(TOLD, split(TOLD), reading)
    assert (finding.level, finding.rules_only) == (level, False)
    assert [span.of(TOLD) for span in finding.spans] == (
        ["Then one that matters."] if level != "none" else []
    )


def test_a_direct_expression_is_urgent_whatever_the_encoder_says(lexicon: Lexicon) -> None:
    text = "I want to end my life. That is all."
    finding = SafetyReader(lexicon, JUDGE).read(text, split(text), reading_of(text, at={-1: "That is all."}))
    assert finding.level == "urgent"
    assert finding.spans[0].of(text) == "I want to end my life."


def test_words_that_make_it_harmless_ask_for_more(lexicon: Lexicon) -> None:
    text = "We talked about the rota. The printer drives me mad and the deadline too."
    reader = SafetyReader(lexicon, JUDGE)
    for raised, level in ((1.0, "none"), (3.0, "support")):
        reading = reading_of(text, raised=raised, at={-1: "printer drives me mad"})
        assert reader.read(text, split(text), reading).level == level
        plain = reading_of(text, raised=raised, at={-1: "We talked"})
        assert reader.read(text, split(text), plain).level == "support"


def test_what_is_urgent_is_of_a_kind_that_can_be(lexicon: Lexicon) -> None:
    reading = reading_of(TOLD, urgent=9.0, raised=9.0)
    reading.kinds[KINDS.index("grief")] = 9.0
    reading.kinds[KINDS.index("harm_to_others")] = 1.0
    assert SafetyReader(lexicon, JUDGE).read(TOLD, split(TOLD), reading).kind == "harm_to_others"
    calm = reading_of(TOLD, raised=9.0)
    calm.kinds[KINDS.index("grief")] = 9.0
    assert SafetyReader(lexicon, JUDGE).read(TOLD, split(TOLD), calm).kind == "grief"


def test_a_judge_of_other_evidence_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "judge.json"
    with pytest.raises(ModelError, match="train_judge"):
        load_judge(path)
    for content in ("", "[]", '{"evidence": ["moon"], "urgent": [], "raised": []}'):
        path.write_text(content)
        with pytest.raises(ModelError, match="train_judge"):
            load_judge(path)
    assert load_judge().urgent.shape == load_judge().raised.shape == (6,)


@pytest.mark.parametrize(
    "content", ["", "[]", "groups: 3", "fragments: {}\nguards: {}\ngroups: [{}]\nabroad: {}", "a: b: c"]
)
def test_a_broken_rules_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(KnowledgeError, match="safety_rules"):
        load_lexicon(path)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EVALS / name).read_text(encoding="utf-8").split("\n") if line]


def pairs(name: str, level: str, lexicon: Lexicon) -> Counter[tuple[str, str]]:
    """Return how often each level was read where each was annotated, with the shipped weights."""
    reader, encoder = SafetyReader(lexicon, load_judge()), tuned.shipped()
    found = rows(name)
    read = [reader.read(row["text"], split(row["text"]), encoder.read(row["text"])).level for row in found]
    return Counter(zip([row[level] for row in found], read, strict=True))


@pytest.mark.models
def test_the_safety_dev_set(lexicon: Lexicon) -> None:
    count = pairs("safety.dev.jsonl", "level", lexicon)
    assert count["urgent", "urgent"] == 16
    assert count["support", "none"] <= 3
    assert count["none", "support"] + count["none", "urgent"] <= 2
    assert count["none", "urgent"] == 0


@pytest.mark.models
def test_the_reflections_dev_set(lexicon: Lexicon) -> None:
    count = pairs("reflections.dev.jsonl", "safety", lexicon)
    assert count["urgent", "urgent"] == 4
    assert count["support", "none"] <= 2
    assert count["none", "support"] + count["none", "urgent"] <= 7  # 6% of 106


@pytest.mark.models
def test_a_sentence_buried_in_a_long_text_counts_as_much_as_one_alone(lexicon: Lexicon) -> None:
    told = "Some nights I think they would all sleep better if I simply was not there any more."
    filler = (
        "We planned the spring fair and I wrote the list of stalls. The hall is booked and the band said yes. "
        * 30
    )
    reader, encoder = SafetyReader(lexicon, load_judge()), tuned.shipped()
    for text in (told, f"{filler}{told} {filler}"):
        finding = reader.read(text, split(text), encoder.read(text))
        assert finding.level == "urgent" and finding.kind == "self_harm"
        assert told in [span.of(text) for span in finding.spans]
