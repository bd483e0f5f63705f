"""All that a person has written: find, open, leave alone, delete, take away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant import screen
from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError
from ui import share_panel
from ui.page import Given, Outcome, Page
from ui.words import render, strings

Row = dict[str, Any]
ACTS = ("open", "find", "leave", "delete", "not_me", "put_back", "take")
BEGINNING = 220  # characters of a reflection shown in the list


class Mine:
    def __init__(self, site: Application) -> None:
        self.site = site
        self.reflections = site.store.reflections
        self.meetings = site.store.meetings
        self.words = strings()["mine"]

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, words: str = "") -> str:
        rows = self.site.pipeline.recall.find(person.id, words)
        return render(
            "mine.html", "mine", words=words, rows=[row | {"beginning": _beginning(row)} for row in rows],
            over_time=[] if words else self._over_time(person), put_aside=[] if words else self._put_aside(person),
        )  # fmt: skip

    def _over_time(self, person: Person) -> list[Row]:
        """Return the topics that come back in what the person wrote, and whether each is on the meeting page."""
        recurring = self.site.pipeline.recall.recurring(person.id)
        rows = screen.over_time(recurring, self.site.knowledge, self.reflections.wordings(person.id))
        points = self.meetings.items(person.id, self.meetings.open(person.id)["id"])
        taken = {item["theme"] for item in points if item["kind"] == "theme"}
        return [row | {"taken": row["id"] in taken} for row in rows]

    def _put_aside(self, person: Person) -> list[Row]:
        """Return the topics of which the person ever said that they are not it."""
        shown = {row["id"] for row, _ in self.reflections.read_ones(person.id)}
        dismissed = self.reflections.dismissed(person.id)
        themes = {theme for reflection, said in dismissed.items() if reflection in shown for theme in said}
        known = self.site.knowledge.themes
        return [{"id": theme, "name": known[theme].name} for theme in sorted(themes) if theme in known]

    def find(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person, given.text("words").strip()))

    def not_me(self, person: Person, given: Given) -> Outcome:
        """Put a topic aside in each of the texts it was found in; it is named more rarely from now on."""
        theme = given.need("theme")
        found = [row["id"] for row, report in self.reflections.read_ones(person.id) if _names(report, theme)]
        self.reflections.dismiss(person.id, theme, found)
        return Outcome(self.draw(person))

    def put_back(self, person: Person, given: Given) -> Outcome:
        """Lift every "not it" of a topic; texts that were read without it meanwhile are read once more."""
        theme = given.need("theme")
        put_aside = [row for row, said in self.reflections.dismissed(person.id).items() if theme in said]
        self.reflections.lift(person.id, theme)
        for reflection in put_aside:
            found = self.reflections.report(person.id, reflection)
            if found and not _names(found[0], theme):
                self.site.pipeline.read_reflection(person.id, reflection)
        return Outcome(self.draw(person))

    def take(self, person: Person, given: Given) -> Outcome:
        """Put a topic on the meeting page, with the words of the text it was last found in."""
        theme, reflection = given.need("theme"), given.need("reflection")
        wording, quote = share_panel.theme_words(self.site, person, reflection, theme)
        if theme not in self.site.knowledge.themes or not quote:
            raise InputError("This topic is not in that text any more. Reload the page.")
        item = {
            "kind": "theme",
            "text": wording,
            "quote": quote,
            "theme": theme,
            "reflection": reflection,
            "origin": "own",
        }
        self.meetings.add_item(person.id, self.meetings.open(person.id)["id"], item)
        return Outcome(self.draw(person), self.words["taken"])

    def leave(self, person: Person, given: Given) -> Outcome:
        self.reflections.leave_alone(person.id, given.need("reflection"), given.flag("on"))
        return Outcome(self.draw(person))

    def delete(self, person: Person, given: Given) -> Outcome:
        self.reflections.delete(person.id, given.need("reflection"))
        return Outcome(self.draw(person), self.words["deleted"])


def _names(report: Row, theme: str) -> bool:
    return any(item["id"] == theme for item in report["themes"])


def _beginning(row: Row) -> str:
    text = row["text"].strip()
    return text if len(text) <= BEGINNING else text[:BEGINNING].rsplit(" ", 1)[0] + " …"


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Mine(site)
    Page(site, demo, "mine", {name: getattr(acts, name) for name in ACTS})
