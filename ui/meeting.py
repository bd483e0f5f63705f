"""The page that goes along to the meeting, and the three lines after it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError
from assistant.sharing import markdown
from ui import share_panel
from ui.page import Given, Outcome, Page
from ui.words import render, strings

Row = dict[str, Any]
SUGGESTED = 3
FIELDS = ("take", "do", "due")


class Meeting:
    def __init__(self, site: Application) -> None:
        self.site = site
        self.meetings = site.store.meetings
        self.words = strings()["meeting"]

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, panel: str = "") -> str:
        meeting = self.meetings.open(person.id)
        points = self.meetings.items(person.id, meeting["id"])
        wants = strings()["common"]["wants"].get(meeting["wants"], "")
        return render(
            "meeting.html", "meeting", meeting=meeting, points=points, panel=panel, past=self.past(person),
            suggested=self.suggested(person, points), markdown=markdown(self.words["heading_points"], wants, points),
        )  # fmt: skip

    def past(self, person: Person) -> list[Row]:
        """Return the meetings held, each suggested question with what was said of it afterwards."""
        deeds = {row["question"]: row["deed"] for row in self.site.store.feedback.of(person.id)}
        return [
            meeting
            | {
                "asked": [
                    item | {"deed": deeds.get(item["suggested"], "")}
                    for item in meeting["items"]
                    if item["suggested"]
                ]
            }
            for meeting in self.meetings.held(person.id)
        ]

    def suggested(self, person: Person, points: list[Row]) -> list[Row]:
        """Return up to three things from the newest reading that are not on the page yet."""
        newest = next((row for row in self.site.store.reflections.list(person.id) if row["reported"]), None)
        found = self.site.store.reflections.report(person.id, newest["id"]) if newest else None
        if not newest or not found or newest["left_alone"] or newest["level"] != "none":
            return []  # under a notice nothing stands without it
        verdicts = self.site.store.reflections.verdicts(person.id, newest["id"])
        recall = self.site.pipeline.recall
        there = {point["text"] for point in points} | recall.preference(person.id, ()).avoid
        return [
            item | {"kind": "question", "reflection": newest["id"]}
            for item in sorted(found[0]["questions"], key=lambda item: item["kind"] != "ask")
            if item["text"] not in there and verdicts.get(item["theme"], {}).get("verdict") != "not_me"
        ][:SUGGESTED]

    def take(self, person: Person, given: Given) -> Outcome:
        reflection = given.need("reflection")
        self.site.store.reflections.load(person.id, reflection)
        return self._added(
            person,
            {
                "kind": "question",
                "text": given.need("text"),
                "theme": given.text("theme") or None,
                "reflection": reflection,
                "origin": given.text("origin") or "bank",
            },
        )

    def add(self, person: Person, given: Given) -> Outcome:
        if not given.text("text").strip():
            raise InputError("Write a topic or a question first.")
        return self._added(person, {"kind": "topic", "text": given.text("text").strip(), "origin": "own"})

    def _added(self, person: Person, item: Row) -> Outcome:
        self.meetings.add_item(person.id, self.meetings.open(person.id)["id"], item)
        return Outcome(self.draw(person))

    def edit(self, person: Person, given: Given) -> Outcome:
        self.meetings.edit_item(person.id, given.need("item"), given.text("text"))
        return Outcome(saved=given.need("item"))

    def drop(self, person: Person, given: Given) -> Outcome:
        self.meetings.drop_item(person.id, given.need("item"))
        return Outcome(self.draw(person))

    def deed(self, person: Person, given: Given) -> Outcome:
        """Remember that a question of an earlier meeting was asked, or that it helped."""
        if given.text("deed") not in self.words["deeds"]:
            raise InputError("Choose one of the two.")
        self.meetings.say_of_item(person.id, given.need("item"), given.text("deed"))
        return Outcome(self.draw(person))

    def up(self, person: Person, given: Given) -> Outcome:
        self.meetings.move_item(person.id, given.need("item"), up=True)
        return Outcome(self.draw(person))

    def down(self, person: Person, given: Given) -> Outcome:
        self.meetings.move_item(person.id, given.need("item"), up=False)
        return Outcome(self.draw(person))

    def wants(self, person: Person, given: Given) -> Outcome:
        """Choose what help is wanted; choosing it again takes it back."""
        if given.text("wants") not in strings()["common"]["wants"]:
            raise InputError("Choose one of the five.")
        meeting = self.meetings.open(person.id)
        chosen = "" if meeting["wants"] == given.text("wants") else given.text("wants")
        self.meetings.set_wants(person.id, meeting["id"], chosen)
        return Outcome(self.draw(person))

    def after(self, person: Person, given: Given) -> Outcome:
        """Save one of the three lines as it is typed."""
        if given.text("field") not in FIELDS:
            raise InputError("This field is not known. Reload the page.")
        self.meetings.save_after(person.id, given.need("meeting"), given.text("field"), given.text("text"))
        return Outcome(saved=given.need("meeting"))

    def met(self, person: Person, given: Given) -> Outcome:
        """Close the page with what came out of the meeting."""
        take, do, due = (given.text(name).strip() for name in FIELDS)
        if not (take or do):
            raise InputError("Write what you take with you, or what you will do; a few words are enough.")
        if due and not do:
            raise InputError("You wrote by when, but not what you will do. Add it, or empty that line.")
        self.meetings.close(person.id, given.need("meeting"), take, do, due)
        return Outcome(self.draw(person), self.words["closed"])


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Meeting(site)

    def redraw(person: Person, given: Given, panel: str) -> str:
        return acts.draw(person, panel)

    names = ("open", "take", "add", "edit", "drop", "deed", "up", "down", "wants", "after", "met")
    Page(
        site, demo, "meeting", {name: getattr(acts, name) for name in names} | share_panel.acts(site, redraw)
    )
