"""Acts of the pages, called as a page calls them: what is kept, what is drawn, what stands under a notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import at_once
from web import Human, application, keeper, plant

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import AccessError, InputError, ModelError
from assistant.model.scripted import ScriptedModel
from ui.goals import Goals
from ui.meeting import Meeting
from ui.mine import Mine
from ui.page import Given
from ui.words import strings
from ui.write import Write

pytestmark = pytest.mark.web

TEXT = "I opened the form on Monday. I closed it again, as I did last year."
HARASSED = "My boss touches me and makes remarks about my body every day. I cannot go on working there."
THEME = "self_confidence"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Application]:
    made = application(tmp_path)
    plant(made)
    yield made
    made.store.close()


@pytest.fixture
def kim(site: Application) -> Person:
    """Somebody who has written nothing yet."""
    human: Human = keeper(site)
    return site.accounts.person(human.id)


def read(site: Application, person: Person, text: str) -> str:
    reflection = site.store.reflections.save(person.id, text)
    site.pipeline.read_reflection(person.id, reflection)
    return reflection


def test_both_fields_of_a_goal_saved_at_once_are_both_kept(site, kim):
    page, goal = Goals(site), site.store.goals.save(kim.id, "", "")
    for number in range(10):
        given = {"goal": goal, "text": f"words {number}"}
        faults = at_once(
            lambda given=given: page.save(kim, Given(given | {"field": "words"})),
            lambda given=given: page.save(kim, Given(given | {"field": "context"})),
        )
        row = site.store.goals.load(kim.id, goal)
        assert (faults, row["goal"], row["context"]) == ([], f"words {number}", f"words {number}")


def test_a_goal_on_the_sheet_stays_there_while_another_is_taken_along(site, kim):
    page, goals = Goals(site), site.store.goals
    settled = goals.save(kim.id, "Ask for feedback each week", "")
    goals.save_wording(kim.id, settled, "Ask for feedback each week")
    here = goals.save(kim.id, "", "")
    view = page.look(kim, Given(goal=here, words="speak up more ", context="")).view
    assert 'class="fill"' in view
    assert goals.load(kim.id, here)["goal"] == "speak up more "
    assert 'class="fill"' in page.take(kim, Given(goal=settled)).view


def test_a_day_without_a_step_is_not_dropped_with_the_page(site, kim):
    page, meeting = Meeting(site), site.store.meetings.open(kim.id)["id"]
    with pytest.raises(InputError):
        page.met(kim, Given(meeting=meeting, take="A thought.", due="Friday"))
    assert site.store.meetings.open(kim.id)["id"] == meeting


def test_nothing_is_suggested_for_the_meeting_from_what_carried_a_notice(site, kim):
    read(site, kim, TEXT)
    assert Meeting(site).suggested(kim, [])
    read(site, kim, HARASSED)
    assert Meeting(site).suggested(kim, []) == []


def test_a_topic_put_back_returns_though_the_text_was_read_again(site, kim):
    page, reflection = Write(site), read(site, kim, TEXT)
    given = Given(reflection=reflection, theme=THEME)
    page.not_me(kim, given)
    site.pipeline.read_reflection(kim.id, reflection)
    assert f'data-act="not_me" data-reflection="{reflection}" data-theme="{THEME}"' in (
        page.put_back(kim, given).view
    )


def test_an_answer_that_carries_a_notice_takes_the_models_offer_away(site, kim):
    page, reflection = Write(site), read(site, kim, TEXT)
    assert 'data-act="stream_model"' in page.draw(kim, reflection)
    given = Given(reflection=reflection, question="What now?", text=HARASSED)
    view = page.answer(kim, given).view
    assert 'class="notice"' in view and 'data-act="stream_model"' not in view


def test_under_a_notice_no_topic_is_said_to_be_put_aside(site, kim):
    page, reflection = Write(site), read(site, kim, TEXT)
    page.not_me(kim, Given(reflection=reflection, theme=THEME))
    view = page.read(kim, Given(reflection=reflection, text=HARASSED)).view
    assert 'class="notice"' in view and 'data-act="put_back"' not in view


def test_what_comes_back_stands_with_words_on_both_sides_until_it_is_said_not_to_be_it(site, kim):
    page = Mine(site)
    first = read(site, kim, TEXT)
    assert page.words["over_time"] not in page.open(kim, Given()).view
    second = read(site, kim, "I left the form in the drawer. Two colleagues helped me. Nobody asked for it.")
    view = page.open(kim, Given()).view
    assert view.count('class="card recurring"') == 2
    assert "I opened the form on Monday." in view and "I left the form in the drawer." in view
    assert view.count(page.words["nothing_against"]) == 2 and page.words["put_aside"] not in view
    here = Write(site).draw(kim, second)
    assert strings()["write"]["came_before"] in here

    view = page.not_me(kim, Given(theme=THEME)).view
    assert view.count('class="card recurring"') == 1 and page.words["put_aside"] in view
    assert site.store.reflections.dismissed(kim.id) == {first: {THEME}, second: {THEME}}
    third = read(site, kim, TEXT)
    assert THEME in {item["id"] for item in site.store.reflections.report(kim.id, third)[0]["themes"]}
    view = page.put_back(kim, Given(theme=THEME)).view
    assert view.count('class="card recurring"') == 2 and page.words["put_aside"] not in view


def test_a_topic_that_comes_back_is_taken_along_with_its_newest_words(site, kim):
    page = Mine(site)
    read(site, kim, TEXT)
    newest = read(site, kim, "I left the form in the drawer. Nobody asked for it.")
    view = page.take(kim, Given(theme=THEME, reflection=newest)).view
    [point] = site.store.meetings.items(kim.id, site.store.meetings.open(kim.id)["id"])
    assert (point["kind"], point["quote"]) == ("theme", "I left the form in the drawer.")
    assert page.words["taken"] in view
    with pytest.raises(AccessError):
        page.take(kim, Given(theme=THEME, reflection="of-somebody-else"))


def test_a_question_put_aside_is_replaced_and_not_suggested_again(site, kim):
    page = Write(site)
    reflection = read(site, kim, TEXT)
    stored = site.store.reflections.report(kim.id, reflection)[0]
    gone = next(item for item in stored["questions"] if item["theme"] == THEME)
    before = page.draw(kim, reflection)
    assert before.count('data-act="drop_question"') == before.count('data-act="take" data-reflection')
    view = page.drop_question(kim, Given(reflection=reflection, suggested=gone["text"])).view
    assert f'class="asks">{gone["text"]}<' not in view
    assert view.count('<li class="question') >= before.count('<li class="question') - 1
    again = read(site, kim, TEXT)
    stored = site.store.reflections.report(kim.id, again)[0]
    assert gone["text"] not in {item["text"] for item in [*stored["questions"], *stored["more"]]}


def test_after_a_meeting_a_question_was_asked_or_helped(site, kim):
    page, meetings = Meeting(site), site.store.meetings
    at = meetings.open(kim.id)["id"]
    item = meetings.add_item(kim.id, at, {"kind": "question", "text": "What helped?", "origin": "bank"})
    assert 'data-act="deed"' not in page.draw(kim)
    page.met(kim, Given(meeting=at, take="A thought.", do="", due=""))
    assert page.draw(kim).count('data-act="deed"') == 2
    view = page.deed(kim, Given(item=item, deed="helped")).view
    assert view.count('aria-pressed="true" aria-label="') == 2  # what helped was asked
    assert [row["deed"] for row in site.store.feedback.of(kim.id)] == ["helped"]
    with pytest.raises(InputError):
        page.deed(kim, Given(item=item, deed="dropped"))


def test_what_the_model_was_given_can_be_read(site, kim):
    page, reflection = Write(site), read(site, kim, TEXT)
    for outcome in page.stream_model(kim, Given(reflection=reflection)):
        view = outcome.view
    assert strings()["common"]["given"] in view
    model = site.pipeline.model
    assert model.name in view and model.hash in view
    assert "I opened the form on Monday." in view.split('class="given"')[1]


def test_an_answer_stays_though_its_question_is_put_aside_or_changes(site, kim):
    page, reflection = Write(site), read(site, kim, TEXT)
    stored = site.store.reflections.report(kim.id, reflection)[0]
    asked = next(item for item in stored["questions"] if item["kind"] == "reflect")
    page.answer(kim, Given(reflection=reflection, question=asked["text"], text="Because of the cold."))
    view = page.drop_question(kim, Given(reflection=reflection, suggested=asked["text"])).view
    assert f'class="asks">{asked["text"]}<' in view and "Because of the cold." in view
    site.pipeline.read_reflection(kim.id, reflection)  # the bank gives another question now
    stored = site.store.reflections.report(kim.id, reflection)[0]
    assert asked["text"] not in {item["text"] for item in stored["questions"]}
    view = page.draw(kim, reflection)
    assert page.words["answered"] in view and "Because of the cold." in view


def test_a_question_put_aside_can_be_put_back_and_none_is_made_up(site, kim):
    page, reflection = Write(site), read(site, kim, TEXT)
    gone = site.store.reflections.report(kim.id, reflection)[0]["questions"][0]["text"]
    view = page.drop_question(kim, Given(reflection=reflection, suggested=gone)).view
    assert page.words["dropped_questions"] in view and 'data-act="keep_question"' in view
    assert gone not in {item["text"] for item in Meeting(site).suggested(kim, [])}
    view = page.keep_question(kim, Given(reflection=reflection, suggested=gone)).view
    assert f'class="asks">{gone}<' in view and page.words["dropped_questions"] not in view
    with pytest.raises(InputError):
        page.drop_question(kim, Given(reflection=reflection, suggested="What did nobody ask?"))


def test_what_came_before_is_said_of_later_texts_alone(site, kim):
    words = strings()["write"]["came_before"]
    first, second = read(site, kim, TEXT), read(site, kim, TEXT)
    assert words not in Write(site).draw(kim, first)
    assert words in Write(site).draw(kim, second)


def test_a_sentence_of_a_text_that_became_grave_is_no_longer_shown(site, kim):
    old, new = read(site, kim, TEXT), read(site, kim, TEXT)
    stored = site.store.reflections.report(kim.id, new)[0]["earlier"]
    assert [match["reflection_id"] for match in stored] == [old]
    site.store.database.run(
        "UPDATE reflections SET level = 'support' WHERE id = ?", old
    )  # by an older version
    assert f'href="/?r={old}"' not in Write(site).draw(kim, new)


def test_a_topic_put_aside_in_a_text_left_alone_is_not_listed(site, kim):
    page, reflection = Mine(site), read(site, kim, TEXT)
    site.store.reflections.save_verdict(kim.id, reflection, THEME, "not_me")
    assert page.words["put_aside"] in page.draw(kim)
    site.store.reflections.leave_alone(kim.id, reflection, True)
    assert page.words["put_aside"] not in page.draw(kim)


def test_without_a_model_a_page_drawn_before_gets_a_sentence(site, kim):
    reflection = read(site, kim, TEXT)
    site.pipeline.model = None
    [outcome] = Write(site).stream_model(kim, Given(reflection=reflection))
    assert strings()["write"]["model_failed"] in outcome.says


def test_a_model_that_cannot_be_had_is_said_beside_the_banks_questions(site, kim):
    reflection = read(site, kim, TEXT)
    site.pipeline.model, site.pipeline.model_fault = (
        None,
        "The text model is not installed. Run `make setup`.",
    )
    view = Write(site).draw(kim, reflection)
    assert "The text model is not installed." in view and 'data-act="stream_model"' not in view
    assert view.count('class="asks"') >= 2
    site.pipeline.model_fault = None
    assert strings()["write"]["model_none"] in Write(site).draw(kim, reflection)


def test_a_model_that_breaks_off_keeps_what_it_gave(site, kim):
    reflection = read(site, kim, TEXT)
    good = "What would a good first step look like for you?"
    site.pipeline.model = ScriptedModel([[good], ModelError("The server broke off.")])
    *_, last = Write(site).stream_model(kim, Given(reflection=reflection))
    assert strings()["write"]["model_failed"] in last.says and "The server broke off." in last.says
    assert last.view and last.view.count('class="asks"') >= 2


WORDED = json.dumps(
    {
        "refined": "Until [the end of next month] I will speak up in [every second] meeting with [one figure], and note "
        "what came of it.",
        "first_step": "This week I write down [one question] for the meeting.",
        "check": "Who in the meeting would you like to hear you?",
    }
)


def test_the_model_words_a_goal_that_was_looked_at(site, kim):
    page = Goals(site)
    goal = site.store.goals.save(kim.id, "", "")
    site.pipeline.model = ScriptedModel(
        [[WORDED], ["no"], ModelError("The server broke off.")], style="strong"
    )
    view = page.look(kim, Given(goal=goal, words="speak up in meetings", context="")).view
    assert view and 'data-act="stream_word"' in view and page.words["model_one"] not in view
    working, worded, _ = [*page.stream_word(kim, Given(goal=goal)), None]
    assert page.words["model_working"] in working.view
    assert page.words["model_one"] in worded.view and "one figure" in worded.view
    assert strings()["common"]["given"] in worded.view and "speak up in meetings" in worded.view
    assert site.store.goals.load(kim.id, goal)["reading"]["origin"] == "model"
    for says in ("model_empty", "model_failed"):
        page.look(kim, Given(goal=goal, words=f"speak up in meetings {says}", context=""))
        *_, last = page.stream_word(kim, Given(goal=goal))
        assert page.words[says] in last.says and page.words["model_one"] not in last.view
        assert site.store.goals.load(kim.id, goal)["reading"]["origin"] == "template"


def test_a_goal_changed_while_the_model_writes_keeps_its_new_words(site, kim):
    page = Goals(site)
    goal = site.store.goals.save(kim.id, "", "")
    site.pipeline.model = ScriptedModel([[WORDED]], style="strong")
    page.look(kim, Given(goal=goal, words="speak up in meetings", context=""))
    run = page.stream_word(kim, Given(goal=goal))
    next(run)
    site.store.goals.save(kim.id, "learn to draw", "", goal)
    assert page.words["changed_meanwhile"] in next(run).says
    row = site.store.goals.load(kim.id, goal)
    assert row["goal"] == "learn to draw" and row["reading"] is None


def test_no_model_words_a_goal_under_a_notice(site, kim):
    page = Goals(site)
    goal = site.store.goals.save(kim.id, "", "")
    site.pipeline.model = ScriptedModel([[WORDED]], style="strong")
    grave = "I do not want to live any more and I think about ending my life."
    assert 'data-act="stream_word"' not in page.look(kim, Given(goal=goal, words=grave, context="")).view
    list(page.stream_word(kim, Given(goal=goal)))
    assert site.pipeline.model.prompts == []


def test_texts_that_were_not_understood_are_not_counted(site, kim):
    read(site, kim, TEXT)
    read(site, kim, TEXT)
    for _ in range(2):
        read(site, kim, "Ich habe heute lange gearbeitet und weiß nicht, wie ich mit meinem Chef reden soll.")
    assert {(item.state, item.among) for item in site.pipeline.recall.recurring(kim.id)} == {("back", 2)}
