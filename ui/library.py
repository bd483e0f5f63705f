"""The library: browse by theme, search by meaning, read a passage, take one along."""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant import screen
from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import AccessError, InputError
from ui.page import Given, Outcome, Page
from ui.words import render, strings

FOUND = 8  # passages shown for a search


class Library:
    """The acts of the page; what is read here is the same for everybody and is not remembered."""

    def __init__(self, site: Application) -> None:
        self.site = site
        self.words = strings()["library"]

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, theme: str = "", words: str = "") -> str:
        """Return the page with the passages of a theme, or those nearest to some words."""
        meetings = self.site.store.meetings
        taken = {item["text"] for item in meetings.items(person.id, meetings.open(person.id)["id"])}
        questions = [
            {"id": item.id, "text": item.text, "kind": item.kind, "taken": item.text in taken}
            for item in self.site.knowledge.questions
            if item.theme == theme
        ]
        rows = [
            screen.passage_row(passage, self.site.knowledge) | {"taken": self._point(passage) in taken}
            for passage in self._chosen(theme, words)
        ]
        return render(
            "library.html", "library", groups=self._groups(), theme=theme, words=words, passages=rows,
            questions=questions,
        )  # fmt: skip

    def browse(self, person: Person, given: Given) -> Outcome:
        theme = given.need("theme")
        if theme not in {entry["id"] for group in self._groups() for entry in group["themes"]}:
            raise InputError("This topic is not in the library. Reload the page.")
        return Outcome(self.draw(person, theme=theme))

    def find(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person, words=given.text("words").strip()))

    def take(self, person: Person, given: Given) -> Outcome:
        """Put a passage on the meeting page, by its title."""
        passage = given.need("passage")
        if passage not in self.site.knowledge.passages:
            raise AccessError("This passage is not in the library any more.")
        meetings = self.site.store.meetings
        item = {"kind": "topic", "text": self._point(passage), "origin": "library"}
        meetings.add_item(person.id, meetings.open(person.id)["id"], item)
        return Outcome(self.draw(person, given.text("theme"), given.text("words")), self.words["taken"])

    def take_question(self, person: Person, given: Given) -> Outcome:
        """Put a question of the bank on the meeting page."""
        wanted = given.need("entry")
        found = next((item for item in self.site.knowledge.questions if item.id == wanted), None)
        if not found:
            raise AccessError("This question is not in the library any more.")
        meetings = self.site.store.meetings
        item = {"kind": "question", "text": found.text, "origin": "bank"}
        meetings.add_item(person.id, meetings.open(person.id)["id"], item)
        return Outcome(self.draw(person, given.text("theme")), self.words["taken"])

    def _chosen(self, theme: str, words: str) -> list[str]:
        if words:
            return [match.passage.id for match in self.site.pipeline.search(words, FOUND)]
        every = self.site.knowledge.passages.values()
        return [item.id for item in every if theme in (*item.themes, *item.topics)]

    def _groups(self) -> list[dict[str, Any]]:
        groups: dict[str, list[dict[str, str]]] = {}
        for info in self.site.knowledge.themes.values():
            groups.setdefault(info.group, []).append({"id": info.id, "name": info.name})
        filled = {topic for item in self.site.knowledge.passages.values() for topic in item.topics}
        groups[self.words["about_mentoring"]] = [
            {"id": topic, "name": name} for topic, name in self.words["more"].items() if topic in filled
        ]
        groups[self.words["moments_title"]] = [
            {"id": moment, "name": name} for moment, name in self.words["moments"].items()
        ]
        return [{"name": name, "themes": themes} for name, themes in groups.items()]

    def _point(self, passage: str) -> str:
        return f"{self.words['about']}: {self.site.knowledge.passages[passage].title}"


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Library(site)
    Page(
        site,
        demo,
        "library",
        {name: getattr(acts, name) for name in ("open", "browse", "find", "take", "take_question")},
    )
