"""Goals: as the person says them, one way to word them, and the wording they settle on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from assistant import goals as goal_step
from assistant import reporting, screen
from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError, ModelError, PromptError
from assistant.goal_drafting import ABLE
from assistant.prompting import Prompt
from ui import share_panel
from ui.page import Given, Outcome, Page
from ui.words import render, strings

Row = dict[str, Any]


class Goals:
    def __init__(self, site: Application) -> None:
        self.site = site
        self.goals = site.store.goals
        self.meetings = site.store.meetings
        self.words = strings()["goals"]

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, goal_id: str = "", panel: str = "", working: bool = False) -> str:
        """Return the page with one goal on the sheet, else the unsettled one, and all others beside it."""
        goal = self.goals.load(person.id, goal_id) if goal_id else self._unsettled(person)
        reading = goal["reading"]
        taken = self.meetings.items(person.id, self.meetings.open(person.id)["id"])
        texts = {item["text"] for item in taken}
        every = [
            row | {"taken": (row["wording"] or row["goal"]) in texts}
            for row in self.goals.list(person.id)
            if row["goal"].strip()
        ]
        notices = []
        if reading and reading["safety"]["level"] != "none":
            notices = [
                screen.notice_row(reading["safety"]["level"], reading["safety"]["kind"], self.site.knowledge)
            ]
        model = self.site.pipeline.model
        return render(
            "goals.html", "goals", goal=goal, reading=reading, goals=every, notices=notices, panel=panel,
            working=working, model_offer=model is not None and model.style == ABLE,
            goes_to=self.site.text_goes_to,
            pieces=_pieces(reading["refined"]) if reading and reading["refined"] else [],
            step=_pieces(reading["first_step"]) if reading and reading["first_step"] else [],
            complete=bool(reading) and not reading["missing"] and not notices,
            open=goal_step.missing_as_questions(reading["missing"]) if reading and reading["missing"] else [],
        )  # fmt: skip

    def _unsettled(self, person: Person) -> Row:
        """Return the newest goal without a wording; an empty one is made so that typing has a place."""
        found = next((row for row in self.goals.list(person.id) if not row["wording"]), None)
        return found or self.goals.load(person.id, self.goals.save(person.id, "", ""))

    def save(self, person: Person, given: Given) -> Outcome:
        """Save one of the two fields as it is typed."""
        field = "context" if given.text("field") == "context" else "goal"
        with self.site.store.database.act():  # both fields may be saved at once, and neither undoes the other
            row = self.goals.load(person.id, given.need("goal")) | {field: given.text("text")}
            self.goals.save(person.id, row["goal"], row["context"], row["id"])
        return Outcome(saved=row["id"])

    def look(self, person: Person, given: Given) -> Outcome:
        """Read the goal, safety first, and offer a wording."""
        goal, context = given.text("words"), given.text("context")  # stored as typed, spaces and all
        if not goal.strip():
            raise InputError("Write the goal first, as you would say it.")
        goal_id = self.goals.save(person.id, goal, context, given.need("goal"))
        finding, reading = self.site.pipeline.refine_goal(goal.strip(), context.strip() or None)
        row = self.goals.load(person.id, goal_id)
        found = reporting.goal_row(finding, reading)
        self.goals.save_reading(person.id, goal_id, (row["goal"], row["context"]), found, finding.level)
        return Outcome(self.draw(person, goal_id))

    def stream_word(self, person: Person, given: Given) -> Iterator[Outcome]:
        """Let the local model word the goal that was looked at; without its words the others stay."""
        goal_id = given.need("goal")
        row = self.goals.load(person.id, goal_id)
        yield Outcome(self.draw(person, goal_id, working=True))
        goal, context = row["goal"].strip(), row["context"].strip() or None
        pipeline, prompts = self.site.pipeline, list[Prompt]()
        try:
            finding, reading = pipeline.refine_goal(goal, context)
            worded = pipeline.word_goal(goal, context, finding, reading, 0, prompts.append)
        except (ModelError, PromptError) as error:
            yield Outcome(self.draw(person, goal_id), f"{self.words['model_failed']} {error}")
            return
        found = reporting.goal_row(finding, worded)
        if prompts and pipeline.model:
            found["given"] = reporting.given_row(pipeline.model.name, pipeline.model.hash, prompts)
        if not self.goals.save_reading(
            person.id, goal_id, (row["goal"], row["context"]), found, finding.level
        ):
            yield Outcome(self.draw(person, goal_id), self.words["changed_meanwhile"])
            return
        says = "" if worded.origin == "model" else self.words["model_empty"]
        yield Outcome(self.draw(person, goal_id), says)

    def use(self, person: Person, given: Given) -> Outcome:
        """Keep the offered wording with the fields as the person filled them."""
        wording = given.text("wording").strip()
        step = given.text("step").strip()
        if not wording:
            raise InputError("The wording is empty. Fill it in, or keep your own.")
        lines = [wording, f"{self.words['first_step']}: {step}"] if step else [wording]
        self.goals.save_wording(person.id, given.need("goal"), "\n".join(lines))
        return Outcome(self.draw(person), self.words["kept"])

    def keep(self, person: Person, given: Given) -> Outcome:
        row = self.goals.load(person.id, given.need("goal"))
        self.goals.save_wording(person.id, row["id"], row["goal"])
        return Outcome(self.draw(person), self.words["kept"])

    def take(self, person: Person, given: Given) -> Outcome:
        row = self.goals.load(person.id, given.need("goal"))
        item = {"kind": "goal", "text": row["wording"] or row["goal"], "origin": "own"}
        self.meetings.add_item(person.id, self.meetings.open(person.id)["id"], item)
        return Outcome(self.draw(person))

    def delete(self, person: Person, given: Given) -> Outcome:
        self.goals.delete(person.id, given.need("goal"))
        return Outcome(self.draw(person))


def _pieces(text: str) -> list[Row]:
    """Cut a wording into what is said and what is proposed, the brackets left out."""
    pieces, at = [], 0
    for span in goal_step.proposals(text):
        pieces += [
            {"field": False, "text": text[at : span.start]},
            {"field": True, "text": span.of(text).strip("[]")},
        ]
        at = span.end
    return [*pieces, {"field": False, "text": text[at:]}]


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Goals(site)

    def redraw(person: Person, given: Given, panel: str) -> str:
        return acts.draw(person, panel=panel)

    names = ("open", "save", "look", "stream_word", "use", "keep", "take", "delete")
    Page(site, demo, "goals", {name: getattr(acts, name) for name in names} | share_panel.acts(site, redraw))
