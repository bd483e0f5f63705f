"""All that a person has written: find, open, leave alone, delete, take away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant.accounts import Person
from assistant.assemble import Application
from ui.page import Given, Outcome, Page
from ui.words import render, strings

BEGINNING = 220  # characters of a reflection shown in the list


class Mine:
    def __init__(self, site: Application) -> None:
        self.site = site
        self.words = strings()["mine"]

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, words: str = "") -> str:
        rows = self.site.pipeline.find_reflections(person.id, words)
        return render(
            "mine.html", "mine", words=words, rows=[row | {"beginning": _beginning(row)} for row in rows]
        )

    def find(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person, given.text("words").strip()))

    def leave(self, person: Person, given: Given) -> Outcome:
        self.site.store.reflections.leave_alone(person.id, given.need("reflection"), given.flag("on"))
        return Outcome(self.draw(person))

    def delete(self, person: Person, given: Given) -> Outcome:
        self.site.store.reflections.delete(person.id, given.need("reflection"))
        return Outcome(self.draw(person), self.words["deleted"])


def _beginning(row: dict[str, Any]) -> str:
    text = row["text"].strip()
    return text if len(text) <= BEGINNING else text[:BEGINNING].rsplit(" ", 1)[0] + " …"


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Mine(site)
    Page(site, demo, "mine", {name: getattr(acts, name) for name in ("open", "find", "leave", "delete")})
