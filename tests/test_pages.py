"""Acts of the pages, called as a page calls them: what is kept, what is drawn, what stands under a notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import at_once
from web import Human, application, keeper, plant

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError
from ui.goals import Goals
from ui.meeting import Meeting
from ui.page import Given
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
