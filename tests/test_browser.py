"""The whole way of two people, each at a browser of their own, with no network at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from conftest import PASSWORD
from playwright.sync_api import Browser, Locator, expect
from visitor import READ, Axe, Visitor, look, tabs_to, visit

if TYPE_CHECKING:
    from browser import CutOff, Server

pytest_plugins = ("browser",)
pytestmark = [pytest.mark.browser, pytest.mark.models]

TEXT = """The senior analyst post came up again on Monday. I have done half of that job since Petra left: the month-end, the two new starters, the calls with Leeds. I opened the form, read it twice and closed it. I doubt myself: I do not trust that I could do it, and I keep thinking that I am not good enough. I told myself next year, when I have a bit more behind me.

My manager asked in passing whether I had thought about it. I said I was too busy, which is not true. In the meeting on Wednesday Tom explained my own report to the room and I did not dare to speak up. I had the answer and I kept quiet, as I always do in that room.

I do not know which direction my career should take. Should I apply for the promotion, stay where I am, or look for something else altogether? What I would like to ask: how did you decide, and did you ever doubt it yourself?"""
ANSWER = "Only the blue kitchen table knows this answer."
OWN_TOPIC = "How Petra made room for herself"
CONTEXT = "My sister in Aberdeen said so first."
NOTE = "Private to Ben: bring the walnut story."
STORY = "My first budget was wrong by a whole zero."
REPLY = "I closed that form twice myself. Let us open it together on Friday."
TAKE, DO, DUE = "Doubt is ordinary", "Open the form and fill in page one", "Friday"
PRIVATE = (ANSWER, CONTEXT, NOTE, STORY)
WORDS = """(node) => { const copy = node.cloneNode(true);
  copy.querySelectorAll("sup, .hidden").forEach((part) => part.remove()); return copy.textContent; }"""


@dataclass
class Two:
    """Ana the mentee and Ben the mentor."""

    server: Server
    ana: Visitor
    ben: Visitor


@pytest.fixture(scope="module")
def two(chromium: Browser, server: Server) -> Iterator[Two]:
    ana, ben = (visit(chromium, server, permissions=["clipboard-read", "clipboard-write"]) for _ in range(2))
    yield Two(server, ana, ben)
    ana.context.close()
    ben.context.close()


def test_programs_of_these_tests_reach_no_other_machine(cut_off: CutOff) -> None:
    assert not cut_off.reaches("192.0.2.1")


def test_axe_is_there_to_check_every_page() -> None:
    assert Axe is not None, "axe-playwright-python is not installed: the pages are not checked by axe-core"


def test_two_people_go_the_whole_way_and_nothing_leaves_the_machine(two: Two) -> None:
    """One story, told in order: each part stands on what the parts before it left behind."""
    accounts_are_made(two)
    either_side_makes_the_pair(two)
    a_reflection_is_written_and_read(two.ana)
    what_was_read_can_be_corrected(two.ana)
    an_answer_and_questions_are_kept(two.ana)
    the_local_model_tries(two.ana)
    the_meeting_page_is_arranged(two.ana)
    a_goal_is_worded(two.ana)
    seen = pieces_are_shared(two.ana)
    the_mentor_sees_exactly_the_previews(two.ben, seen)
    the_mentor_answers(two.ben)
    the_reply_arrives_and_a_share_is_taken_back(two)
    the_next_visit_begins_after_the_meeting(two.ana)
    all_is_taken_away_then_deleted(two)
    nothing_left_the_machine(two)


def accounts_are_made(two: Two) -> None:
    ana, ben = two.ana, two.ben
    ana.go("/")
    assert ana.page.url.endswith("/sign-in")
    look(ana, "sign-in")
    for name in ("reset", "help", "quiet", "sign-up"):
        ana.go(f"/{name}")
        look(ana, name)
    ana.sign_up(two.server.first_code(), "Ana")
    look(ana, "welcome")
    ana.page.click("button.first")
    ana.page.locator("#text").wait_for()
    ana.go("/keeper", ".keeper").get_by_role("button", name="For a mentor").click()
    code = ana.page.locator(".code code").inner_text()
    look(ana, "keeper")
    ben.sign_up(code, "Ben")
    ben.page.click("button.first")
    ben.page.locator("#text").wait_for()
    ben.go("/keeper", ".says.bad")
    look(ben, "keeper-refused")


def either_side_makes_the_pair(two: Two) -> None:
    _pair(two.ben, "A code for my mentee", two.ana)
    look(two.ana, "sharing-paired")
    two.ana.page.locator("summary", has_text="End this pair").click()
    two.ana.page.get_by_role("button", name="End this pair").click()
    expect(two.ana.page.locator(".sharing")).to_contain_text("not paired with anybody yet")
    _pair(two.ana, "A code for my mentor", two.ben)
    two.ben.go("/mentor", ".mentor")
    look(two.ben, "mentor-empty")


def _pair(maker: Visitor, button: str, other: Visitor) -> None:
    maker.go("/sharing", ".sharing").get_by_role("button", name=button).click()
    code = maker.page.locator(".code code").inner_text()
    other.go("/sharing", ".sharing").fill("[name=code]", code)
    other.page.get_by_role("button", name="Make the pair").click()
    expect(other.page.locator("#note")).to_contain_text("You are paired with")


def a_reflection_is_written_and_read(ana: Visitor) -> None:
    page = ana.go("/", "#text")
    look(ana, "write-empty")
    starter = page.locator("[data-start]").first
    words = starter.get_attribute("data-start") or ""
    page.locator(".starters summary").click()
    starter.click()
    expect(page.locator("#text")).to_have_value(words.removesuffix("…"))
    ana.write(TEXT)
    look(ana, "write")
    assert tabs_to(page, "button.first[data-act=read]"), "the keyboard does not reach the main button"
    page.keyboard.press("Enter")
    page.locator(".columns").wait_for(timeout=READ)
    look(ana, "read", (TEXT[:20],))
    assert page.evaluate("(selector) => document.querySelector(selector).textContent", "h1")
    marks, quotes = _words(page.locator("mark")), _words(page.locator(".theme > blockquote"))
    assert marks and quotes
    assert all(words in TEXT for words in [*marks, *quotes]), "a quote is not from the text"
    assert page.locator(".marked").evaluate(WORDS) == TEXT


def _words(found: Locator) -> list[str]:
    return [found.nth(place).evaluate(WORDS) for place in range(found.count())]


def what_was_read_can_be_corrected(ana: Visitor) -> None:
    page, themes = ana.page, ana.page.locator("article.theme")
    first, count = themes.first.locator("h3").inner_text(), themes.count()
    theme = themes.first.locator("[data-act=not_me]").get_attribute("data-theme")
    themes.first.get_by_role("button", name="That's not it").click()
    expect(page.locator(".aside")).to_be_visible()
    assert page.locator(f"article [data-theme={theme}]").count() == 0
    page.get_by_role("button", name="Put it back").click()
    expect(page.locator(".aside")).to_have_count(0)
    expect(themes).to_have_count(count)
    expect(themes.first.locator("h3")).to_have_text(re.compile(re.escape(first.split("\n")[-1])))
    themes.first.get_by_text("Say it in my words").click()
    themes.first.locator("[name=wording]").fill("I let Tom and the form decide for me.")
    themes.first.get_by_role("button", name="Keep these words").click()
    expect(themes.first.locator("h3")).to_contain_text("I let Tom and the form decide for me.")


def an_answer_and_questions_are_kept(ana: Visitor) -> None:
    page = ana.page
    asked = page.locator("li.reflect").first
    asked.get_by_text("Write an answer").click()
    asked.locator("textarea").fill(ANSWER)
    expect(asked.locator("[data-status]")).to_have_text("Saved")
    page.locator("summary", has_text="More questions").click()
    for _ in range(2):
        done = page.locator("#view .done").count()
        page.locator("li.question [data-act=take]:visible").last.click()
        expect(page.locator("#view .done")).to_have_count(done + 1)
    page.locator("article.theme").first.get_by_role("button", name="Take this topic along").click()
    expect(page.locator("article.theme").first.locator("> .row .done")).to_be_visible()
    expect(page.locator("li.reflect textarea").first).to_have_value(ANSWER)


def the_local_model_tries(ana: Visitor) -> None:
    """It yields questions or says that none passed, and the rest of the page stays as it is."""
    page = ana.page
    above = page.locator("article.theme").all_inner_texts()
    page.locator("[data-act=stream_model]").click()
    page.locator(".model h3").wait_for(timeout=120_000)
    expect(page.locator(".model .working")).to_have_count(0, timeout=120_000)
    expect(page.locator(".model li.question, .model p.small").first).to_be_visible()
    assert page.locator("article.theme").all_inner_texts() == above
    look(ana, "read-with-model")


def the_meeting_page_is_arranged(ana: Visitor) -> None:
    page, points = ana.go("/meeting", ".meeting"), ana.page.locator(".points > li textarea")
    expect(points).to_have_count(3)
    second = points.nth(1).input_value()
    page.locator(".points > li").nth(1).locator("[data-act=up]").click()
    expect(points.first).to_have_value(second)
    points.first.fill(second + " And how did you begin?")
    expect(page.locator(".points > li").first.locator("[data-status]")).to_have_text("Saved")
    page.get_by_label("A topic or a question of your own").fill(OWN_TOPIC)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(points.nth(3)).to_have_value(OWN_TOPIC)
    page.get_by_role("button", name="Think with me").click()
    expect(page.locator("[data-wants=think]")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(points.first).to_have_value(second + " And how did you begin?")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        page.get_by_text("Save as Markdown").click()
    saved = download.value.path().read_text("utf-8")
    for words in (second + " And how did you begin?", OWN_TOPIC, "Think with me"):
        assert words in copied and words in saved
    assert copied == saved
    look(ana, "meeting", (OWN_TOPIC,))
    ana.go("/meeting/print")
    look(ana, "meeting-print", (OWN_TOPIC,))
    expect(page.locator("ol > li")).to_have_count(4)


def a_goal_is_worded(ana: Visitor) -> None:
    page = ana.go("/goals", ".goals")
    look(ana, "goals-empty")
    page.locator("[name=words]").fill("Get better at speaking up when Tom explains my work")
    page.locator("[name=context]").fill(CONTEXT)
    page.get_by_role("button", name="Look at it with me").click()
    page.locator(".reading").wait_for()
    look(ana, "goal")
    fields = page.locator(".reading .fill input")
    assert fields.count() > 0, "nothing was left open in the wording"
    for place in range(fields.count()):
        fields.nth(place).fill(f"my part {place}")
    page.get_by_role("button", name="Use this wording").click()
    mine = page.locator(".right article .own-text")
    expect(mine).to_contain_text("my part 0")
    assert "[" not in mine.inner_text()
    expect(page.locator("[name=words]")).to_have_value("")


def pieces_are_shared(ana: Visitor) -> dict[str, list[str]]:
    """Share a topic, a question, the goal and the meeting page; return what each preview showed."""
    page, seen = ana.go("/mine", ".mine"), {}
    look(ana, "mine", (TEXT[:20],))
    page.get_by_role("link", name="Open", exact=True).first.click()
    page.locator(".columns").wait_for()
    page.locator("article.theme").first.get_by_role("button", name="Share …").click()
    page.get_by_label("Show my own words beside it").check()
    page.locator(".preview blockquote").wait_for()
    seen["A topic"] = _share(ana, "share-panel")
    ana.go("/goals", ".goals").get_by_role("button", name="Share …").click()
    seen["A goal"] = _share(ana)
    ana.go("/meeting", ".meeting").locator(".points [data-act=preview]").last.click()
    seen["A question"] = _share(ana)
    page.get_by_role("button", name="Share this page …").click()
    seen["A meeting page"] = _share(ana)
    assert OWN_TOPIC.replace("Petra", "P.") in "\n".join(seen["A meeting page"])
    assert "Think with me" in "\n".join(seen["A meeting page"])
    return seen


def _share(ana: Visitor, name: str = "") -> list[str]:
    """Put initials for the names found, share with Ben, and return the lines of the preview."""
    page = ana.page
    page.locator("[data-panel]").wait_for()
    initials = page.locator("[name=initials]")
    assert initials.count() == 1, "the preview found no name"
    initials.check()
    expect(page.locator(".preview")).not_to_contain_text(re.compile("Tom|Petra"))
    expect(page.locator("[name=initials]")).to_be_checked()
    if name:
        look(ana, name)
    lines = _lines(page.locator(".preview").inner_text())[1:]
    page.get_by_role("button", name="Share this", exact=True).click()
    expect(page.locator("[data-panel]")).to_have_count(0)
    expect(page.locator("#note")).to_contain_text("Shared.")
    return lines


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def the_mentor_sees_exactly_the_previews(ben: Visitor, seen: dict[str, list[str]]) -> None:
    page = ben.go("/mentor", ".mentor article")
    cards = page.locator("article.card")
    expect(cards).to_have_count(len(seen))
    for card in cards.all():
        head, *rest = _lines(card.inner_text())
        lines = seen[head.split(" · ")[0]]
        assert rest[: len(lines)] == lines
        assert rest[len(lines)].startswith(("What helps:", "Next time"))
    look(ben, "mentor", PRIVATE)
    shown = page.locator("body").inner_text()
    given = "\n".join(line for lines in seen.values() for line in lines)
    for words in (ANSWER, CONTEXT, "Petra", "Tom"):
        assert words not in shown
    for sentence in re.findall(r"[^.?!\n]+[.?!]", TEXT):
        assert sentence.strip() not in shown or sentence.strip() in given


def the_mentor_answers(ben: Visitor) -> None:
    page = ben.page
    topic = page.locator("article.card", has_text="A topic").first
    topic.get_by_role("button", name="Next time").click()
    expect(topic.get_by_role("button", name="Next time")).to_have_attribute("aria-pressed", "true")
    page.locator("[data-save=note]").fill(NOTE)
    expect(page.locator(".right [data-status]")).to_have_text("Saved")
    page.locator("[data-save=story]").fill(STORY)
    expect(page.locator(".right [data-status]")).to_have_text("Saved")
    topic.get_by_text("Your reply").first.click()
    topic.locator("[name=text]").fill(REPLY)
    topic.get_by_role("button", name="Send").click()
    expect(topic.locator(".reply")).to_contain_text(REPLY)
    page.reload()
    expect(page.locator("[data-save=note]")).to_have_value(NOTE)
    expect(page.locator("[data-save=story]")).to_have_value(STORY)


def the_reply_arrives_and_a_share_is_taken_back(two: Two) -> None:
    page = two.ana.go("/sharing", ".sharing article")
    expect(page.locator(".reply")).to_contain_text(REPLY)
    shown = page.locator("body").inner_text()
    assert NOTE not in shown and STORY not in shown
    look(two.ana, "sharing", PRIVATE)
    page.locator("article", has_text="A question").get_by_role("button", name="Take it back").click()
    expect(page.locator("article.gone")).to_have_count(1)
    two.ben.page.reload()
    expect(two.ben.page.locator("article.card")).to_have_count(3)
    expect(two.ben.page.locator("article.card", has_text="A question ·")).to_have_count(0)
    page = two.ana.go("/mine", ".mine article")
    page.locator("article").filter(has_text="The senior analyst").locator(
        "summary", has_text="Delete"
    ).click()
    page.get_by_role("button", name="Really delete?").click()
    expect(page.locator("#note")).to_contain_text("Deleted")
    expect(page.locator("article")).to_have_count(0)
    two.ben.page.reload()
    expect(two.ben.page.locator("article.card", has_text="A goal")).to_have_count(1)
    expect(two.ben.page.locator("article.card", has_text="A topic")).to_have_count(0)


def the_next_visit_begins_after_the_meeting(ana: Visitor) -> None:
    page = ana.go("/meeting", ".meeting")
    for name, words in (("take", TAKE), ("do", DO), ("due", DUE)):
        page.locator(f"[name={name}]").fill(words)
    expect(page.locator("form[data-act=met] [data-status]")).to_have_text("Saved")
    page.get_by_role("button", name="Keep this and close the page").click()
    expect(page.locator("#note")).to_contain_text("Kept.")
    expect(page.locator(".points > li")).to_have_count(0)
    ana.go("/", ".last")
    for words in (TAKE, DO, DUE):
        expect(page.locator(".last")).to_contain_text(words)
    page.get_by_role("button", name="I did it").click()
    expect(page.locator("[data-state=done]")).to_have_attribute("aria-pressed", "true")
    look(ana, "write-again")


def all_is_taken_away_then_deleted(two: Two) -> None:
    ana, page = two.ana, two.ana.go("/mine", ".mine")
    with page.expect_download() as download:
        page.get_by_text("Download all of mine").click()
    told = json.dumps(json.loads(download.value.path().read_text("utf-8")), ensure_ascii=False)
    assert TAKE in told and CONTEXT in told
    assert NOTE not in told and STORY not in told and ANSWER not in told
    page.locator("summary", has_text="Delete my account").click()
    page.locator("[name=password]").fill(PASSWORD)
    look(ana, "mine-empty")
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_text("Everything is deleted.").wait_for()
    look(ana, "deleted")
    assert ana.context.cookies() == []
    two.ben.page.reload()
    expect(two.ben.page.locator(".mentor h1")).to_be_visible()
    expect(two.ben.page.locator("article.card")).to_have_count(0)


def nothing_left_the_machine(two: Two) -> None:
    for visitor in (two.ana, two.ben):
        assert visitor.outside == []
        assert visitor.faults == []
        for words in (*PRIVATE, "senior", OWN_TOPIC):
            assert not [url for url in visitor.asked if words.split(" ")[-1] in url]
