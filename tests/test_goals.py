"""The goal reader: tricky goals, promises that hold for every goal, and figures on the development set."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.domain import SMART_PARTS, GoalReading
from assistant.goals import MAX_CHARS, GoalReader, missing_as_questions, proposals
from assistant.goals.rules import load

ROOT = Path(__file__).resolve().parent.parent
READER = GoalReader()
ALL_OPEN = ("specific", "measurable", "time_bound")


def _lines(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (ROOT / path).read_text(encoding="utf-8").split("\n") if line]


DEV = _lines("benchmarks/evals/goals.dev.jsonl")
SEED = _lines("training/data/goals.seed.jsonl")
NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty "
    "fifty hundred thousand once twice half monday tuesday wednesday thursday friday saturday sunday "
    "january february march april june july august september october november december"
).split()


def _outside(text: str) -> str:
    """The text without its proposals and without the first word of each sentence."""
    bare = re.sub(r"\[[^\[\]]*\]", " ", text)
    return re.sub(r"(^|[.!?]\s+)\W*\w+", r"\1", bare)


def _assert_nothing_invented(reading: GoalReading, goal: str, context: str | None) -> None:
    given_words = set(re.findall(r"\w+", f"{goal} {context or ''}".lower()))
    for text in (reading.refined, reading.first_step):
        if text is None:
            continue
        for word in re.findall(r"\w+", _outside(text)):
            named = word[0].isupper() and word != "I"
            counted = any(char.isdigit() for char in word) or word.lower() in NUMBERS
            if named or counted:
                assert word.lower() in given_words, f"{word!r} was invented in {text!r}"


@pytest.mark.parametrize(
    ("goal", "beginning"),
    [
        ("stop being silent in meetings", "To speak up in meetings, I will "),
        ("I want speak better English in my work", "To speak better English in my work, I will "),
        ("to learn negotiation", "To learn negotiation, I will "),
        ("better time management", "For better time management, I will "),
        ("Better relationship with the parents", "For a better relationship with the parents, I will "),
        ("be more confident", "To be more confident, I will "),
        ("improving my presentation skills", "To improve my presentation skills, I will "),
        ("I would like to improving my English", "To improve my English, I will "),
        ("get promoted to team lead", "To do what I can to get promoted to team lead, I will "),
        ("I want my boss to listen to me", "For my boss to listen to me, I will "),
        ("I want that my colleagues respect me more", "So that my colleagues respect me more, I will "),
        ("My wife thinks I should change jobs", "To find out whether I want to change jobs, I will "),
        ("by my birthday in May i want my portfolio to be good", "For my portfolio to be good by my birthday"),
        ("make less mistakes", "To work with more care, I will "),
        ("don't let the team down", "To be there for the team, I will "),
        ("not fail my driving test", "To pass my driving test, I will "),
        ("I don't want to be afraid of my boss", "To be calmer about my boss, I will "),
        ("stop eating lunch at my desk", "To stop eating lunch at my desk, I will decide beforehand ["),
        ("cut down on emails", "To cut down on emails, I will keep to [two fixed times a day]"),
        ("this autumn I'll finally learn to say no", "To learn to say no this autumn, I will "),
        ("Feedback - get more of it", 'As a start on "Feedback - get more of it", I will '),
        ("avoid meetings that waste my time", "To avoid meetings that waste my time, I will go through "),
        ("reduce overtime to 2 hours a week", "Until [the end of next month], I will keep overtime to 2 hours"),
        ("stop procrastinating and start writing", "To start writing, I will "),
        ("Write a novel. I have an idea about two sisters and a lamp.", "I will write a novel. I have"),
        ("i am too shy", 'As a start on "I am too shy", I will '),
        ("my wife thinks I need a hobby", "To find out whether I want a hobby, I will "),
        ("I should stop procrastinate", "To get going earlier, I will work for [ten minutes]"),
        ("I should exercise more", "To exercise more, I will "),
        ("My mentor must answer sooner", "For my mentor to answer sooner, I will ask "),
        ("I want my work recognised by headquarters", "To do what I can to have my work recognised by"),
        ("By the end of next year publish a paper", "To publish a paper by the end of next year, I will "),
        ("By the summer a better relationship with Tom", "For a better relationship with Tom by the summer"),
        ("learn how to mentor, I have no idea yet", "To learn how to mentor, I will "),
        ("take money for my \"quick looks\"", "To take money for my quick looks, I will "),
        ("stop worrying what the board thinks", "To be calmer about what the board thinks, I will "),
        ("stop swearing in front of the kids", "To choose my words with care in front of the kids, "),
        ("not let customers push down my prices", "To stop letting customers push down my prices, I "),
        ("not mess up the driving", "To do well with the driving, I will practise "),
        ("Fewer surprises at month end", "For fewer surprises at month end, I will look closely"),
        ("no more all-nighters", "To do without all-nighters, I will "),
        ("honestly? just to know my rights", "To know my rights, I will ask "),
    ],
)  # fmt: skip
def test_refinement_fits_the_form_of_the_goal(goal: str, beginning: str) -> None:
    refined = READER.read(goal, None).refined
    assert refined is not None and refined.startswith(beginning), refined


@pytest.mark.parametrize(
    ("goal", "kept"),
    [
        ("ask my manager for a raise of 5 percent", "I will ask my manager for a raise of 5 percent"),
        ("say no to at least one request a week", "I will say no to at least one request a week"),
        ("Send out 10 applications", "I will send out 10 applications"),
        ("Interview eight users over 70", "I will interview eight users over 70"),
    ],
)
def test_a_doing_is_kept_word_for_word_and_gets_a_date(goal: str, kept: str) -> None:
    reading = READER.read(goal, None)
    assert reading.missing == ("time_bound",)
    assert reading.refined is not None and kept in reading.refined
    assert len(proposals(reading.refined)) == 1


@pytest.mark.parametrize(
    ("goal", "doing"),
    [
        ("Increase sales 20%", "ask [two people a week] whom it is meant for"),
        ("use AI to unlock productivity", "spend [two hours a week] on [one small task"),
        ("turn my notes into something other people can follow", "finish [one part of it a week]"),
        ("be braver with salary talks", "do [one small thing that takes courage]"),
        ("sleep before big presentations", "lie down at [a set time]"),
        ("get along with the new girl in the bakery", "talk with the new girl for [fifteen minutes]"),
        ("move from admin to data work", "talk with [two people] who have gone this way"),
        ("make my dad understand that gaming is a career", "ask for [half an hour] to talk"),
        ("get all 32 farmers to use the book", "ask [two of them] what would make this easier"),
        ("become debt free", "write down [every Sunday] what came in and went out"),
        ("be on time with my reports", "start [three days] before [each of them] is due"),
        ("not be the one who always makes the tea", "on [one turn that somebody else takes]"),
        ("explain my research to my grandmother", "say it in [three plain sentences]"),
        ("keep the plants alive", "find out what it takes"),
        ("help my mentee find her own answers", "name [one thing that went well]"),
    ],
)
def test_the_doing_is_about_what_the_goal_is_about(goal: str, doing: str) -> None:
    refined = READER.read(goal, None).refined
    assert refined is not None and doing in refined, refined


@pytest.mark.parametrize(
    "goal", ["publish a paper in Nature", "pass the theory", "Reach 10 million users", "sell all 400 candles"]
)
def test_a_result_is_worked_towards_and_not_promised_for_a_day(goal: str) -> None:
    refined = READER.read(goal, None).refined
    assert refined is not None and f"I will {goal[0].lower()}{goal[1:]}" not in refined
    assert goal[1:] in refined


def test_a_single_doing_is_done_by_a_day_and_what_comes_back_goes_on() -> None:
    once = READER.read("ask my lecturer for more time, and say why", None).refined
    again = READER.read("Meet my mentor every week instead of every month", None).refined
    assert once is not None and once.startswith(("By [", "Within ["))
    assert again is not None and again.startswith(("Until [", "For ["))


def test_no_doing_of_the_file_counts_or_names_outside_brackets() -> None:
    rules = load()
    entries = [*rules.entry("topics"), *rules.entry("kinds"), *rules.entry("stops")]
    for entry in [*entries, *rules.entry("generic").values()]:
        for part in ("do", "note", "step"):
            words = re.findall(r"\w+", re.sub(r"\[[^\[\]]*\]", " ", entry.get(part, "")).lower())
            assert not set(words) & set(NUMBERS), entry["id"]
        assert re.match(r"(?:If|When) .+, (?:then )?I will ", entry["step"]), entry["id"]


@pytest.mark.parametrize(
    ("goal", "open_"),
    [
        ("finish my August, September and October reports", ("time_bound",)),
        ("learn to drive the combine before harvest", ("specific", "measurable")),
        ("Solve the row in my team before I go on leave", ("specific", "measurable")),
        ("launch in five countries in Q1", ()),
    ],
)
def test_no_time_or_measure_is_asked_for_that_is_there(goal: str, open_: tuple[str, ...]) -> None:
    assert READER.read(goal, None).missing == open_


@pytest.mark.parametrize(
    ("goal", "frame", "kind"),
    [
        ("say no to one request a week", "approach", "performance"),
        ("not be the quiet one anymore", "avoidance", "performance"),
        ("lose the fear of presenting", "avoidance", "learning"),
        ("get over my fear of the phone", "avoidance", "learning"),
        ("Ask more questions instead of giving solutions", "approach", "performance"),
        ("I'd like to not be so invisible", "avoidance", "performance"),
        ("quit my job", "approach", "performance"),
        ("understand how budgets work", "approach", "learning"),
    ],
)
def test_frame_and_type(goal: str, frame: str, kind: str) -> None:
    reading = READER.read(goal, None)
    assert (reading.frame, reading.type) == (frame, kind)


def test_context_decides_what_is_out_of_reach_or_borrowed() -> None:
    goal = "Visit 140 schools by 30 June"
    assert READER.read(goal, None).missing == ()
    assert "achievable" in READER.read(goal, "Has one car and no time before July.").missing
    assert "relevant" in READER.read(goal, "Says she would rather teach; her boss wants the visits.").missing


def test_context_lends_a_setting_or_a_day_only_where_it_fits() -> None:
    quiet = READER.read("be more confident", "Quiet in client meetings.").refined
    assert quiet is not None and "[one client meeting a week]" in quiet
    dated = READER.read("get fitter for the job", "Guide; the assessment is in five months.").refined
    assert dated is not None and "until the assessment in five months" in dated


def test_an_unreachable_goal_gets_a_smaller_start_and_a_borrowed_one_a_reason() -> None:
    big = READER.read("Win 10,000 new paying customers by 31 May", "Has no money and 43 customers so far.")
    assert "achievable" in big.missing
    assert big.refined is not None and big.refined.startswith("As a smaller start on my aim to win 10,000")
    lent = READER.read("I want to network more because everyone says you have to", None)
    assert "relevant" in lent.missing
    assert lent.refined is not None and "[one reason of my own]" in lent.refined
    assert "everyone says" not in lent.refined


def test_a_complete_goal_is_left_alone() -> None:
    reading = READER.read(
        "Until 4 July I will ask one question in every Monday call and note the answer.", ""
    )
    assert reading.missing == ()
    assert (reading.refined, reading.first_step, reading.check, reading.origin) == (None, None, None, None)


@pytest.mark.parametrize(
    "goal",
    ["", "   ", "?!", "\ud800", "😀", "asdfgh", "How do I get promoted?", "x" * 100_000, "learn " * 500,
     "- learn excel\n- be confident", "1. learn excel 2. be confident", "not sure yet",
     "I want to stop"],
)  # fmt: skip
def test_what_cannot_be_refined_gets_a_sentence_that_helps(goal: str) -> None:
    reading = READER.read(goal, None)
    assert reading.refined is None and reading.first_step is None and reading.origin is None
    assert reading.abstained is not None and reading.abstained.endswith(".")


@pytest.mark.parametrize(
    "goal", ["do my physio exercises", "When the post opens in spring I'll apply for it"]
)
def test_a_goal_that_begins_like_a_question_is_none(goal: str) -> None:
    assert READER.read(goal, None).abstained is None


def test_brackets_of_the_person_are_no_proposals() -> None:
    refined = READER.read("Find a new job [remote]", None).refined
    assert refined is not None and "(remote)" in refined
    assert all("remote" not in span.of(refined) for span in proposals(refined))


def test_open_parts_are_asked_in_order() -> None:
    texts = missing_as_questions(list(SMART_PARTS))
    assert len(texts) == len(SMART_PARTS) and texts[-1] == "When would you look back?"
    assert all(text.endswith("?") for text in texts)
    assert missing_as_questions(["unknown"]) == []


@pytest.mark.parametrize("line", DEV + SEED, ids=lambda line: str(line["id"]))
def test_every_refinement_keeps_the_promises(line: dict[str, object]) -> None:
    goal, context = str(line["goal"]), str(line["context"])
    reading = READER.read(goal, context)
    _assert_nothing_invented(reading, goal, context)
    if reading.refined is None:
        assert reading.missing == ()
        return
    assert reading.origin == "template"
    assert reading.first_step is not None and re.match(
        r"(?:If|When) .+, (?:then )?I will ", reading.first_step
    )
    assert reading.check is not None and reading.check.endswith("?") and reading.check.count("?") == 1
    assert len(reading.check.split()) <= 25 and re.match(r"(?:What|Which|How|When|By what)\b", reading.check)
    assert reading.refined[0].isupper() and reading.refined.endswith(".")
    assert re.search(r"\bI will\b", reading.refined) and "  " not in reading.refined
    assert not re.search(r"\b(?:None|null)\b|[{}]| ,|,,|\.\.", reading.refined)


WORDS = st.sampled_from(
    ["stop", "not", "be", "I", "want", "to", "my", "boss", "learn", "by", "May", "no more", "less", "7",
     "Tom", "meetings", "[x]", "because", "says", "better", "\n", "-", "1.", "avoid", "being", "late", "get", "and"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=14).map(" ".join), st.one_of(st.none(), st.text(max_size=60)))
def test_no_mixture_of_words_raises_or_is_invented(goal: str, context: str | None) -> None:
    reading = READER.read(goal, context)
    assert reading == READER.read(goal, context)
    assert set(reading.missing) <= set(SMART_PARTS)
    _assert_nothing_invented(reading, goal, context)
    if reading.refined:
        assert [span.of(reading.refined)[0] for span in proposals(reading.refined)].count("[") >= 1


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=200))
def test_no_text_raises(goal: str) -> None:
    reading = READER.read(goal, goal)
    assert (reading.refined is None) or reading.missing


@pytest.mark.parametrize(
    "unit", ["a ", "my ", "by ", "no ", "1,", "I want ", "the end of ", "not be so ", "\n- "]
)
def test_long_input_is_read_in_a_moment(unit: str) -> None:
    begun = time.perf_counter()
    READER.read(unit * (100_000 // len(unit)), unit * (100_000 // len(unit)))
    READER.read((unit * MAX_CHARS)[:MAX_CHARS], (unit * MAX_CHARS)[:MAX_CHARS])
    assert time.perf_counter() - begun < 3


def test_figures_on_the_development_set() -> None:
    """Thresholds stand a margin below what was reached; see training/results-goals.md."""
    readings = [READER.read(str(line["goal"]), str(line["context"])) for line in DEV]
    right = wrong = 0
    scores = []
    for part in SMART_PARTS:
        pairs = [(part in r.missing, part in line["missing"]) for r, line in zip(readings, DEV, strict=True)]  # type: ignore[operator]
        hits, misses = sum(a and b for a, b in pairs), sum(a != b for a, b in pairs)
        scores.append(2 * hits / (2 * hits + misses))
        right, wrong = right + hits, wrong + misses
    assert sum(scores) / len(scores) >= 0.90
    assert 2 * right / (2 * right + wrong) >= 0.90
    assert sum(r.frame == line["frame"] for r, line in zip(readings, DEV, strict=True)) / len(DEV) >= 0.94
    assert sum(r.type == line["type"] for r, line in zip(readings, DEV, strict=True)) / len(DEV) >= 0.85


@pytest.mark.parametrize(
    ("goal", "context", "expected"),
    [
        ("Find my way back after the burn-out. Not too fast.", "", "one small step that feels easy"),
        (
            "more energy",
            "She is a nurse and has been off work with exhaustion.",
            "one small step that feels easy",
        ),
        (
            "My father wants that I take the shop. He is old now and nobody else is there.",
            "",
            "what I want here myself",
        ),
        ("not get thrown out of the course", "", "To avoid getting thrown out"),
    ],
)
def test_who_is_worn_or_pushed_is_given_no_task(goal: str, context: str, expected: str) -> None:
    assert expected in (READER.read(goal, context).refined or "")


@pytest.mark.parametrize(
    "goal",
    ["budget / cv / gym", "run AND quit smoking AND read more", "sleep more, eat well, read, call home"],
)
def test_several_aims_are_asked_to_be_one(goal: str) -> None:
    found = READER.read(goal, None)
    assert found.refined is None and "several aims" in (found.abstained or "")
