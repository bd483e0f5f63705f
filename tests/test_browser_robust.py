"""What people type and what goes wrong around them: hostile text, outages, hard moments."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from conftest import PASSWORD
from playwright.sync_api import Browser, expect
from visitor import Visitor, account, look, tabs_to, visit

if TYPE_CHECKING:
    from browser import Server

pytest_plugins = ("browser",)
pytestmark = [pytest.mark.browser, pytest.mark.models]

HOSTILE = (
    "I wrote `${alert(1)}` and ${alert(2)} and {{x}} {{{y}}} {% z %} to my manager. "
    "Then \\u003cimg src=x onerror=alert(3)\\u003e \\x3c </textarea><script>alert(4)</script>\n"
    '<img src="https://192.0.2.1/a.png" onerror="alert(5)"> <a href="javascript:alert(6)">here</a> &lt;b&gt; '
    "'\"><svg onload=alert(7)> \u202eback\u202c \u0627\u0644\u0633\u0644\u0627\u0645 `\\`\n"
    "I told myself that I am not good enough for the new post, and I am afraid that they notice it. "
)
EMOJI = "🙂👩🏽‍🚀" * 1_000  # five code points a pair
SUPPORT = (
    "My father died three weeks ago and I am back at my desk. I sit in meetings and do not hear what is "
    "said. Everybody is kind, and I miss him all the time. I do not know how to be a good colleague now."
)
URGENT = (
    "Work has been quiet and nobody has asked much of me. "
    "For the last few days I have been thinking of ending my life."
)
GERMAN = (
    "Seit dem Wechsel in die neue Abteilung weiß ich nicht mehr, was man von mir erwartet. Meine "
    "Vorgesetzte sagt wenig, und ich traue mich nicht zu fragen. Ich möchte darüber sprechen, wie ich "
    "mir mehr Zeit für die Dinge nehmen kann, die mir wichtig sind."
)
LONG = "The report is late because I rewrote the beginning four times. " * 3
Arrive = Callable[[str], Visitor]


@pytest.fixture
def arrive(chromium: Browser, server: Server) -> Iterator[Arrive]:
    """Make an account and sign in to it at a browser of its own; nothing may have left the machine."""
    visitors: list[Visitor] = []

    def arrived(name: str) -> Visitor:
        account(server, name)
        visitor = visit(chromium, server)
        visitors.append(visitor)
        visitor.sign_in(name)
        visitor.page.locator("#text").wait_for()
        return visitor

    yield arrived
    for visitor in visitors:
        visitor.context.close()
        assert visitor.outside == []
        assert visitor.faults == []


def test_hostile_text_is_shown_as_it_was_written_on_every_page(arrive: Arrive) -> None:
    mara = arrive("Mara")
    mara.read(HOSTILE)
    page = mara.page
    shown = "(node) => { node.querySelectorAll('sup').forEach((s) => s.remove()); return node.textContent; }"
    assert page.locator(".marked").evaluate(shown) == HOSTILE
    assert page.locator("#view img, #view script, #view svg").count() == 0
    mara.go("/meeting", ".meeting").get_by_label("A topic or a question of your own").fill(HOSTILE)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".points textarea")).to_have_value(HOSTILE.strip())
    look(mara, "meeting-hostile")
    mara.go("/goals", ".goals").locator("[name=words]").fill(HOSTILE)
    page.get_by_role("button", name="Look at it with me").click()
    expect(page.locator(".reading .own-text").first).to_have_text(HOSTILE.strip(), use_inner_text=False)
    mara.go("/mine", ".mine article").fill("[name=words]", "${alert(1)}")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".mine article .own-text").first).to_contain_text("`${alert(1)}` and ${alert(2)}")
    page.get_by_role("link", name="Open", exact=True).first.click()
    page.locator(".columns").wait_for()
    page.get_by_role("button", name="Share this text …").click()
    expect(page.locator(".preview")).to_contain_text("<script>alert(4)</script>")
    page.keyboard.press("Escape")
    expect(page.locator("[data-panel]")).to_have_count(0)
    page.get_by_role("button", name="Change the text").click()
    expect(page.locator("#text")).to_have_value(HOSTILE)


def test_five_thousand_signs_of_emoji_are_kept_and_shown(arrive: Arrive) -> None:
    emil = arrive("Emil")
    assert len(EMOJI) == 5_000
    emil.read(EMOJI)
    assert emil.page.evaluate("(words) => document.body.textContent.includes(words)", EMOJI)
    emil.go("/", "#text")
    expect(emil.page.locator("#text, .marked").first).to_be_visible()


def test_text_outlives_a_reload_and_a_restart_of_the_application(arrive: Arrive, server: Server) -> None:
    rosa = arrive("Rosa")
    page, text = rosa.page, rosa.page.locator("#text")
    text.fill(LONG)
    page.reload()
    expect(text).to_have_value(LONG)
    rosa.write(LONG + "Before the cut.")
    server.stop()
    text.fill(LONG + "Typed during the cut.")
    expect(page.locator(".sheet [data-status]")).to_have_text(re.compile("Not saved yet|Saving"))
    server.start()
    expect(text).to_have_value(LONG + "Typed during the cut.", timeout=60_000)
    _saved(rosa, server, LONG + "Typed during the cut.")
    page.reload()
    expect(text).to_have_value(LONG + "Typed during the cut.")


# Answers to acts arrive a good while after they were given.
SLOW = """() => { const real = window.fetch; window.fetch = async (...given) => {
  const answer = await real(...given);
  if (String(given[0]?.url ?? given[0]).includes("/run/predict")) await new Promise((go) => setTimeout(go, 1500));
  return answer; }; }"""


def test_what_is_typed_while_a_save_is_on_its_way_is_saved_too(arrive: Arrive, server: Server) -> None:
    vera = arrive("Vera")
    vera.page.evaluate(SLOW)
    text = vera.page.locator("#text")
    text.fill(LONG + "Sent first.")
    vera.page.wait_for_timeout(1750)  # the save has gone out, and its answer is about to come
    text.fill(LONG + "Typed meanwhile.")
    _saved(vera, server, LONG + "Typed meanwhile.")


def _saved(visitor: Visitor, server: Server, words: str, seconds: int = 40) -> None:
    """Wait until the words are in the database, whoever's they are."""
    for _ in range(seconds * 2):
        if _run(server, "SELECT 1 FROM reflections WHERE text = ?", words):
            return
        visitor.page.wait_for_timeout(500)
    pytest.fail("the words did not reach the application")


def _run(server: Server, sql: str, *values: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(server.data / "mentoring.sqlite")) as database, database:
        return database.execute(sql, values).fetchall()


def test_an_ended_sign_in_loses_nothing_and_saving_goes_on_after_signing_in(
    arrive: Arrive, server: Server
) -> None:
    ines = arrive("Ines")
    page = ines.page
    ines.write(LONG)
    _run(server, "DELETE FROM sign_ins")
    page.locator("#text").fill(LONG + "After it ended.")
    expect(page.locator(".banner")).to_contain_text("You are signed out. Your text is kept here.")
    with ines.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    tab = opened.value
    tab.fill("[name=name]", "Ines")
    tab.fill("[name=password]", PASSWORD)
    tab.click("button[type=submit]")
    tab.locator("#text").wait_for()
    _saved(ines, server, LONG + "After it ended.")
    expect(page.locator(".banner")).to_have_count(0)
    expect(page.locator("#text")).to_have_value(LONG + "After it ended.")


def test_two_escapes_or_the_button_put_a_harmless_page_on_the_screen(arrive: Arrive) -> None:
    hugo = arrive("Hugo")
    hugo.write(LONG)
    hugo.page.keyboard.press("Escape")
    hugo.page.keyboard.press("Escape")
    hugo.page.wait_for_url("**/quiet")
    assert "report" not in hugo.page.locator("body").inner_text() + hugo.page.title()
    hugo.go("/", "#text").get_by_role("button", name="Hide").click()
    hugo.page.wait_for_url("**/quiet")


def test_hard_times_bring_the_notice_first_and_little_else(arrive: Arrive) -> None:
    noor = arrive("Noor")
    noor.read(SUPPORT)
    page = noor.page
    notice = page.locator(".notice")
    expect(notice).to_be_visible()
    assert notice.locator(".pointers li").count() > 1
    assert notice.bounding_box()["y"] < page.locator(".columns").bounding_box()["y"]  # type: ignore[index]
    assert page.locator("[data-act=stream_model]").count() == 0
    assert page.locator("#view li.question").count() <= 2
    look(noor, "notice-support")


def test_thoughts_of_ending_ones_life_bring_people_to_turn_to_and_nothing_else(arrive: Arrive) -> None:
    jona = arrive("Jona")
    jona.read(URGENT)
    page = jona.page
    expect(page.locator(".notice")).to_be_in_viewport()
    expect(page.locator(".notice")).to_contain_text("Your local emergency number")
    for part in (".theme", "li.question", "mark", ".passage", ".model", "[data-act=take]"):
        assert page.locator(part).count() == 0, part
    assert page.locator("a", has_text="For my meeting").count() == 1  # the bar's own link alone
    look(jona, "notice-urgent")


def test_a_text_in_another_language_is_kept_and_said_not_to_be_understood(arrive: Arrive) -> None:
    lena = arrive("Lena")
    lena.read(GERMAN)
    page = lena.page
    expect(page.locator(".notice")).to_contain_text("language that I do not understand")
    assert page.locator(".marked").inner_text() == GERMAN
    for part in (".theme", "li.question", "mark"):
        assert page.locator(part).count() == 0, part
    look(lena, "notice-language")


def test_a_pair_of_keys_reaches_every_main_button(arrive: Arrive) -> None:
    kim = arrive("Kim")
    kim.write(LONG)
    assert tabs_to(kim.page, "[data-act=read]")
    for path, button in (
        ("/goals", ".goals form button[type=submit]"),
        ("/meeting", ".meeting form[data-act=add] button"),
        ("/sharing", ".sharing form button[type=submit]"),
        ("/mine", ".mine [role=search] button"),
        ("/mentor", ".bar a.help"),
    ):
        kim.go(path, f".{path.strip('/')}")
        assert tabs_to(kim.page, button), path
    kim.go("/goals", ".goals")
    kim.page.keyboard.press("Tab")
    kim.page.keyboard.press("Enter")
    assert kim.page.evaluate("document.activeElement.id") == "view", "the first key does not skip to the page"
    kim.page.keyboard.press("Tab")
    assert kim.page.evaluate("document.activeElement.name") == "words"


def test_the_preview_keeps_the_keyboard_inside_and_gives_it_back(arrive: Arrive) -> None:
    keys = arrive("Keys")
    keys.read(LONG)
    page = keys.page
    share = page.get_by_role("button", name="Share this text …")
    share.focus()
    page.keyboard.press("Enter")
    panel = page.locator("[data-panel]")
    expect(panel).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert panel.evaluate("(node) => node.contains(document.activeElement)")
    page.keyboard.press("Shift+Tab")
    assert panel.evaluate("(node) => node.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(share).to_be_focused()


def test_the_library_is_browsed_searched_and_taken_along(arrive: Arrive) -> None:
    reader = arrive("Reader")
    page = reader.go("/library", ".library")
    page.get_by_role("button", name="Giving and receiving feedback", exact=True).click()
    expect(page.locator(".right article").first).to_be_visible()
    assert page.locator(".right article").count() >= 5
    look(reader, "library")
    browsed = page.locator(".right h3").first.inner_text()
    page.fill("[name=words]", "I go quiet in meetings")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".right h3").first).not_to_have_text(browsed)
    expect(page.locator(".right article")).to_have_count(8)
    title = page.locator(".right h3").first.inner_text()
    page.locator("[data-act=take]").first.click()
    expect(page.locator(".right article").first.get_by_text("On your meeting page")).to_be_visible()
    points = reader.go("/meeting", ".meeting").locator(".points textarea")
    expect(points.first).to_have_value(f"To talk about: {title}")
    page = reader.go("/library", ".library")
    page.get_by_role("button", name="For the first meeting", exact=True).click()
    expect(page.locator(".right .asks").first).to_be_visible()
    asked = page.locator(".right .asks").first.inner_text()
    page.locator("[data-act=take_question]").first.click()
    expect(page.locator(".right").get_by_text("On your meeting page")).to_have_count(1)
    look(reader, "library-questions")
    points = reader.go("/meeting", ".meeting").locator(".points textarea")
    expect(points.nth(1)).to_have_value(asked)
