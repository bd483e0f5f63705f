"""The order of the steps, with scripted engines: what is stored, stopped, kept and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

import numpy as np
import pytest
from conftest import CalmReader, HashingEmbedder

from assistant import knowledge
from assistant.domain import RankedTheme, Span, Theme, ThemeReading
from assistant.embedding import Vectors
from assistant.embedding.tuned import WordReading
from assistant.errors import AccessError, EmbeddingError, InputError, ModelError
from assistant.goals import GoalReader
from assistant.knowledge import Knowledge
from assistant.model.scripted import ScriptedModel
from assistant.pipeline import NO_THEME, TOO_FEW, Pipeline, seed_for
from assistant.questions import QuestionBank
from assistant.retrieval import KnowledgeIndex
from assistant.retrieval.cases import CaseIndex
from assistant.safety import SafetyReader
from assistant.store import Store

TEXT = "I opened the form on Monday. I closed it again. Next year, I told myself."
DANGER = "The week was long. I do not want to live any more and I think about ending my life."
HARASSED = "My boss touches me and makes remarks about my body every day. I cannot go on working there."
FOREIGN = "Ich habe heute lange gearbeitet und weiß nicht, wie ich mit meinem Chef darüber reden soll."


TOO_MANY = 3  # times "that is not it", after which the scripted reader gives a theme up


class ScriptedThemes:
    """Names one theme, shown by the second sentence; counts how often it was asked."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids or ("self_confidence",)
        self.asked = 0

    def read(
        self,
        text: str,
        sentences: Sequence[Span],
        reading: WordReading,
        doubts: Mapping[str, float] | None = None,
    ) -> ThemeReading:
        self.asked += 1
        self.doubts = dict(doubts or {})
        certain = [name for name in self.ids if self.doubts.get(name, 0.0) < TOO_MANY]
        themes = tuple(Theme(name, 0.8, (sentences[1],)) for name in certain if len(sentences) > 1)
        return ThemeReading(themes, tuple(RankedTheme(name, 0.5) for name in self.ids))


class BrokenEmbedder(HashingEmbedder):
    def encode(self, texts: Sequence[str]) -> Vectors:
        raise EmbeddingError("The embedding model failed.")


class BrokenReader(CalmReader):
    def read(self, text: str) -> WordReading:
        raise EmbeddingError("The tuned encoder failed.")


@pytest.fixture(scope="module")
def known() -> Knowledge:
    return knowledge.load()


@pytest.fixture(scope="module")
def index(known: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> KnowledgeIndex:
    embedder = HashingEmbedder()
    folder = tmp_path_factory.mktemp("index")
    return KnowledgeIndex(list(known.passages.values()), embedder.encode, embedder.hash, folder)


@pytest.fixture(scope="module")
def safety() -> SafetyReader:
    return SafetyReader()


@pytest.fixture
def lines(
    known: Knowledge,
    index: KnowledgeIndex,
    safety: SafetyReader,
    store: Store,
    embedder: HashingEmbedder,
    tmp_path: Path,
) -> Pipeline:
    return Pipeline(
        knowledge=known,
        embedder=embedder,
        encoder=CalmReader(),
        safety_reader=safety,
        theme_reader=ScriptedThemes(),  # type: ignore[arg-type]
        index=index,
        cases=CaseIndex([], embedder.encode, embedder.hash, tmp_path / "index"),
        bank=QuestionBank(known.questions),
        goal_reader=GoalReader(),
        prompts_hash="p",
        store=store,
    )


def test_a_plain_text_gets_themes_passages_and_at_most_five_questions(lines: Pipeline) -> None:
    report = lines.analyse(TEXT)
    assert [theme.id for theme in report.reading.themes] == ["self_confidence"]
    assert report.reading.themes[0].evidence[0].of(TEXT) == "I closed it again."
    assert 1 <= len(report.questions) <= 5
    assert report.passages and report.abstained is None
    assert all(match.passage.audience != "mentor" for match in report.passages)


def test_an_urgent_text_reaches_no_step_after_safety(lines: Pipeline) -> None:
    lines.embedder.encoded.clear()  # type: ignore[attr-defined]
    report = lines.analyse(DANGER)
    assert report.safety.level == "urgent"
    assert not report.reading.themes and not report.reading.ranked
    assert not report.passages and not report.questions and report.abstained is None
    assert lines.theme_reader.asked == 0  # type: ignore[attr-defined]


def test_under_support_only_fit_passages_and_questions_come_two_at_most(lines: Pipeline) -> None:
    lines.model = ScriptedModel([["What now?"]], repeat=True)
    report = lines.analyse(HARASSED)
    assert report.safety.level == "support" and report.safety.kind == "harassment_discrimination"
    assert 0 < len(report.questions) <= 2 and len(report.passages) <= 2
    assert all(question.origin == "bank" for question in report.questions)
    assert all(report.safety.kind in match.passage.fit for match in report.passages)
    fit = {question.text for question in lines.knowledge.questions if report.safety.kind in question.fit}
    assert {question.text for question in report.questions} <= fit
    assert not lines.model.prompts


def test_a_language_that_is_not_known_is_said_so(lines: Pipeline) -> None:
    report = lines.analyse(FOREIGN)
    assert not report.safety.understood and report.safety.language == "de"
    assert not report.reading.themes and not report.passages and not report.questions
    assert "English" in (report.abstained or "")


def test_without_a_theme_three_questions_for_any_meeting_come(lines: Pipeline) -> None:
    lines.theme_reader = ScriptedThemes()  # type: ignore[assignment]
    report = lines.analyse("Lunch was fine.")
    assert not report.reading.themes and report.abstained
    assert len(report.questions) == 3 and {question.theme for question in report.questions} == {None}


def test_a_broken_encoder_leaves_the_rules_and_says_so(lines: Pipeline) -> None:
    lines.encoder = BrokenReader()
    report = lines.analyse(TEXT)
    assert report.safety.rules_only and not report.reading.themes and report.abstained
    assert lines.analyse(DANGER).safety.level == "urgent"


def test_a_broken_embedder_costs_the_passages_alone(lines: Pipeline) -> None:
    lines.embedder = BrokenEmbedder()
    report = lines.analyse(TEXT)
    assert report.reading.themes and report.questions
    assert not report.passages and not report.safety.rules_only


def test_the_same_sentence_is_embedded_once_for_one_writer(lines: Pipeline, ana: str) -> None:
    store = lines.store
    assert store
    first = store.reflections.save(ana, TEXT)
    lines.read_reflection(ana, first)
    lines.embedder.encoded.clear()  # type: ignore[attr-defined]
    second = store.reflections.save(ana, TEXT + " One more line.")
    lines.read_reflection(ana, second)
    assert lines.embedder.encoded == ["One more line."]  # type: ignore[attr-defined]


def test_only_the_writers_own_earlier_words_come_back(lines: Pipeline, ana: str, eve: str) -> None:
    store = lines.store
    assert store
    hers = store.reflections.save(eve, TEXT)
    lines.read_reflection(eve, hers)
    now = store.reflections.save(ana, TEXT)
    assert lines.read_reflection(ana, now)["earlier"] == []
    again = store.reflections.save(ana, TEXT)
    assert {match["reflection_id"] for match in lines.read_reflection(ana, again)["earlier"]} == {now}
    store.reflections.leave_alone(ana, now, True)
    assert lines.read_reflection(ana, again)["earlier"] == []


def test_what_carried_a_notice_is_not_brought_back(lines: Pipeline, ana: str) -> None:
    store = lines.store
    assert store
    hard = store.reflections.save(ana, HARASSED)
    assert lines.read_reflection(ana, hard)["safety"]["level"] == "support"
    again = store.reflections.save(ana, HARASSED.split(".")[1] + ". I cannot go on working there.")
    assert hard not in {match["reflection_id"] for match in lines.read_reflection(ana, again)["earlier"]}


def test_somebody_elses_reflection_is_not_read(lines: Pipeline, ana: str, eve: str) -> None:
    assert lines.store
    hers = lines.store.reflections.save(ana, TEXT)
    with pytest.raises(AccessError):
        lines.read_reflection(eve, hers)


def test_a_theme_put_aside_stays_aside_when_read_again(lines: Pipeline, ana: str) -> None:
    assert lines.store
    reflection = lines.store.reflections.save(ana, TEXT)
    lines.read_reflection(ana, reflection)
    lines.store.reflections.save_verdict(ana, reflection, "self_confidence", "not_me")
    assert lines.read_reflection(ana, reflection)["themes"] == []


def test_not_me_weighs_on_later_texts_of_this_writer_alone(lines: Pipeline, ana: str, eve: str) -> None:
    store, themes = lines.store, lines.theme_reader
    assert store and isinstance(themes, ScriptedThemes)
    for _ in range(2):
        earlier = store.reflections.save(ana, TEXT)
        lines.read_reflection(ana, earlier)
        store.reflections.save_verdict(ana, earlier, "self_confidence", "not_me")
    now = store.reflections.save(ana, TEXT)
    assert lines.read_reflection(ana, now)["themes"]
    assert themes.doubts == {"self_confidence": 2.0}
    lines.read_reflection(eve, store.reflections.save(eve, TEXT))
    assert themes.doubts == {}
    store.reflections.save_verdict(ana, now, "self_confidence", "not_me")
    lines.read_reflection(ana, now)
    assert themes.doubts == {"self_confidence": inf}
    store.reflections.save_verdict(ana, now, "self_confidence", "lifted")
    lines.read_reflection(ana, now)
    assert themes.doubts == {"self_confidence": 0.0}  # here the writer has said what it is
    store.reflections.lift(ana, "self_confidence")
    lines.read_reflection(ana, store.reflections.save(ana, TEXT))
    assert themes.doubts == {}


def test_what_keeps_coming_back_is_the_writers_own_and_left_alone_on_request(
    lines: Pipeline, ana: str, eve: str
) -> None:
    store = lines.store
    assert store
    lines.read_reflection(eve, store.reflections.save(eve, TEXT))
    first = store.reflections.save(ana, TEXT)
    lines.read_reflection(ana, first)
    assert lines.recall.recurring(ana) == []  # once is no pattern, and Eve's text is Eve's
    second = store.reflections.save(ana, TEXT)
    lines.read_reflection(ana, second)
    [found] = lines.recall.recurring(ana)
    assert (found.theme, found.found, found.among) == ("self_confidence", 2, 2)
    assert {words.reflection for words in found.speaks_for} == {first, second}
    assert found.speaks_for[0].quotes == ("I closed it again.",)
    store.reflections.leave_alone(ana, first, True)
    assert lines.recall.recurring(ana) == []
    store.reflections.leave_alone(ana, first, False)
    assert lines.recall.recurring(ana)
    store.reflections.save(ana, TEXT + " More.", second)  # changed since it was read
    assert lines.recall.recurring(ana) == []


@pytest.mark.parametrize("text", [HARASSED, DANGER])
def test_what_once_carried_a_notice_never_comes_back_unasked(lines: Pipeline, ana: str, text: str) -> None:
    store = lines.store
    assert store
    once = store.reflections.save(ana, text)
    lines.read_reflection(ana, once)
    store.reflections.save(ana, TEXT, once)
    assert lines.read_reflection(ana, once)["safety"]["level"] == "none"
    now = store.reflections.save(ana, TEXT)
    assert lines.read_reflection(ana, now)["earlier"] == []
    assert lines.recall.recurring(ana) == []
    assert [item["id"] for item in lines.recall.find(ana, "")] == [now, once]  # asked for, it is there


def test_a_text_of_few_words_hears_what_would_help(lines: Pipeline) -> None:
    assert lines.analyse("Busy week.").abstained == TOO_FEW
    assert lines.analyse("We moved the desks and " * 8 + "went home.").abstained == NO_THEME
    assert lines.analyse("We moved the desks. Then we went home.").abstained is None


def test_the_models_questions_pass_the_checks_and_are_marked(lines: Pipeline, ana: str) -> None:
    good = "What went through your mind before you closed it again?"
    bad = "Have you tried to be more confident?"
    lines.model = ScriptedModel([[bad, good]], repeat=True)
    report = lines.analyse(TEXT)
    written = [question for question in report.questions if question.origin == "model"]
    assert [question.text for question in written] == [good]
    assert all(question.evidence for question in written)


def test_a_model_that_fails_midway_leaves_the_report_whole(lines: Pipeline, ana: str) -> None:
    lines.model = ScriptedModel([ModelError("The local server stopped answering.")])
    assert lines.store
    reflection = lines.store.reflections.save(ana, TEXT)
    stored = lines.read_reflection(ana, reflection)
    with pytest.raises(ModelError):
        list(lines.draft_reflection(ana, reflection))
    assert lines.store.reflections.report(ana, reflection) == (stored, True)


def test_a_failing_model_leaves_the_bank_on_the_command_line(lines: Pipeline) -> None:
    lines.model = ScriptedModel([ModelError("The local server stopped answering.")])
    report = lines.analyse(TEXT)
    assert report.questions and all(question.origin == "bank" for question in report.questions)


def test_drafts_need_a_reading_first(lines: Pipeline, ana: str) -> None:
    assert lines.store
    reflection = lines.store.reflections.save(ana, TEXT)
    with pytest.raises(InputError):
        list(lines.draft_reflection(ana, reflection))


def test_no_draft_is_asked_for_a_theme_put_aside(lines: Pipeline, ana: str) -> None:
    lines.model = ScriptedModel([["What went through your mind before you closed it again?"]], repeat=True)
    assert lines.store
    reflection = lines.store.reflections.save(ana, TEXT)
    lines.read_reflection(ana, reflection)
    lines.store.reflections.save_verdict(ana, reflection, "self_confidence", "not_me")
    assert list(lines.draft_reflection(ana, reflection)) == [[]]
    assert not lines.model.prompts


def test_drafts_about_an_earlier_text_are_not_stored_beside_a_later_reading(
    lines: Pipeline, ana: str
) -> None:
    lines.model = ScriptedModel([["What went through your mind before you closed it again?"]], repeat=True)
    assert lines.store
    reflection = lines.store.reflections.save(ana, TEXT)
    lines.read_reflection(ana, reflection)
    drafts = lines.draft_reflection(ana, reflection)
    next(drafts)
    lines.store.reflections.save(ana, DANGER, reflection)
    stored = lines.read_reflection(ana, reflection)
    list(drafts)
    assert lines.store.reflections.report(ana, reflection) == (stored, True)


def test_any_id_of_a_line_has_a_seed() -> None:
    assert seed_for(0, "\ud800") == seed_for(0, "\ud800") != seed_for(1, "\ud800")


def test_a_goal_under_a_notice_is_not_refined(lines: Pipeline) -> None:
    finding, reading = lines.refine_goal("be calmer with him", HARASSED)
    assert finding.level == "support"
    assert reading.refined is None and reading.first_step is None and reading.missing == ()


def test_a_short_goal_is_refined_although_its_language_cannot_be_told(lines: Pipeline) -> None:
    _, reading = lines.refine_goal("learn Python", None)
    assert reading.refined and "Python" in reading.refined


@pytest.mark.parametrize(
    "text", ["", " ", "ok", "\x00\x07\x1b[0m", "\ud800 alone", "🙂" * 500, "?!…", "x" * 50_000]
)
def test_odd_texts_get_an_answer(lines: Pipeline, text: str, ana: str) -> None:
    report = lines.analyse(text)
    assert report.safety.level in ("none", "support", "urgent")
    assert lines.store
    reflection = lines.store.reflections.save(ana, text)
    stored = lines.read_reflection(ana, reflection)
    assert len(stored["text"]) == len(text)


def test_the_same_text_gives_the_same_answer(lines: Pipeline) -> None:
    one, two = lines.analyse(TEXT, seed=3), lines.analyse(TEXT, seed=3)
    assert one.questions == two.questions and one.passages == two.passages
    assert np.isclose(
        sum(value for step, value in one.seconds.items() if step != "total"), one.seconds["total"]
    )
