"""The page to write on, and what the assistant says about what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from assistant import screen
from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError, ModelError
from ui import share_panel
from ui.page import Act, Given, Outcome, Page, Stream
from ui.words import render, strings

Row = dict[str, Any]
STATES = ("done", "open", "dropped")


class Write:
    """The acts of the page; every read and write is of the person who asks."""

    def __init__(self, site: Application) -> None:
        self.site = site
        self.reflections = site.store.reflections
        self.meetings = site.store.meetings
        self.words = strings()["write"]

    # Drawing

    def open(self, person: Person, given: Given) -> Outcome:
        """Draw a reflection by its link (``r``), else the unfinished one, else an empty sheet."""
        if given.text("r"):
            return Outcome(self.draw(person, given.text("r")))
        return Outcome(self.draw(person, self._unfinished(person), writing=True))

    def draw(
        self, person: Person, reflection: str, panel: str = "", writing: bool = False, working: bool = False
    ) -> str:
        """Return the page for one reflection: the sheet to write on, or what was read in it."""
        row = self.reflections.load(person.id, reflection)
        report = self.reflections.report(person.id, reflection)
        if writing or report is None:
            return self._sheet(person, row, panel)
        return self._reading(person, row, report, panel, working)

    def _sheet(self, person: Person, row: Row, panel: str) -> str:
        return render(
            "write.html", "write", mode="write", reflection=row["id"], text=row["text"], panel=panel,
            last=self.meetings.last_held(person.id), starters=self.site.knowledge.starters,
        )  # fmt: skip

    def _reading(self, person: Person, row: Row, found: tuple[Row, bool], panel: str, working: bool) -> str:
        report, fresh = found
        report = report | {"earlier": self._still_there(person, report)}
        verdicts = self.reflections.verdicts(person.id, row["id"])
        taken = self.meetings.items(person.id, self.meetings.open(person.id)["id"])
        before = set() if working else self.site.pipeline.recall.before(person.id, row["id"])
        drawn = screen.first_screen(
            report, report["text"], self.site.knowledge, verdicts,
            self.reflections.answers(person.id, row["id"]), [item["text"] for item in taken],
            [said["question"] for said in self.site.store.feedback.of(person.id) if said["deed"] == "dropped"],
        )  # fmt: skip
        on_page = {(item["theme"], item["reflection"]) for item in taken if item["kind"] == "theme"}
        for theme in drawn["themes"]:
            theme["taken"] = (theme["id"], row["id"]) in on_page
        notices = [item for item in [drawn["notice"], *self._answer_notices(person, row["id"])] if item]
        aside = [theme for theme, said in verdicts.items() if said["verdict"] == "not_me"]
        pipeline = self.site.pipeline
        return render(
            "write.html", "write", mode="read", reflection=row["id"], screen=drawn, stale=not fresh, panel=panel,
            came_before=before, notices=notices, put_aside=[] if drawn["notice"] else aside,
            silent=report["safety"]["level"] == "urgent" or not report["understood"], working=working,
            model_offer=bool(drawn["themes"]) and not notices and pipeline.model is not None,
            model_does="chooses" if pipeline.model and pipeline.model.style == "tuned" else "writes",
            goes_to=self.site.text_goes_to,
            model_fault=pipeline.model_fault or ("" if pipeline.model else self.words["model_none"]),
        )  # fmt: skip

    def _still_there(self, person: Person, report: Row) -> list[Row]:
        """Return the earlier sentences that still stand in a text that may be brought back."""
        texts = {
            row["id"]: row["text"]
            for row in self.reflections.list(person.id)
            if row["level"] == "none" and not row["left_alone"]
        }
        return [
            match
            for match in report.get("earlier", ())
            if match["quote"] in texts.get(match["reflection_id"], "")
        ]

    def _answer_notices(self, person: Person, reflection: str) -> list[Row]:
        """Return the notices that the answers to this reflection's questions call for, each once."""
        found = {}
        for level, text in self.reflections.answers_of_concern(person.id, reflection):
            kind = self.site.pipeline.check_safety(text).kind
            found[level, kind] = screen.notice_row(level, kind, self.site.knowledge)
        return list(found.values())

    def _unfinished(self, person: Person) -> str:
        row = self.reflections.unfinished(person.id)
        return str(row["id"]) if row else self.reflections.save(person.id, "")

    # Writing

    def save(self, person: Person, given: Given) -> Outcome:
        reflection = self.reflections.save(person.id, given.text("text"), given.need("reflection"))
        return Outcome(saved=reflection)

    def read(self, person: Person, given: Given) -> Outcome:
        """Store the text as it stands, read it, and show what was read."""
        if not given.text("text").strip():
            raise InputError("There is nothing to read yet. A line or two is enough.")
        reflection = self.reflections.save(person.id, given.text("text"), given.need("reflection"))
        self.site.pipeline.read_reflection(person.id, reflection)
        return Outcome(self.draw(person, reflection))

    def edit(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person, given.need("reflection"), writing=True))

    def fresh(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person, self._unfinished(person), writing=True))

    def step(self, person: Person, given: Given) -> Outcome:
        """Note how a step planned last time went."""
        if given.text("state") not in STATES:
            raise InputError("Choose one of the three.")
        self.meetings.set_action(person.id, given.need("action"), given.text("state"))
        return Outcome(self.draw(person, given.need("reflection"), writing=True))

    # What the writer says of what was read

    def not_me(self, person: Person, given: Given) -> Outcome:
        return self._verdict(person, given, "not_me")

    def put_back(self, person: Person, given: Given) -> Outcome:
        """Lift "not it"; a text that was read again meanwhile is read once more, with the topic in it."""
        outcome = self._verdict(person, given, "lifted")
        reflection = given.need("reflection")
        found = self.reflections.report(person.id, reflection)
        if not found or given["theme"] in {theme["id"] for theme in found[0]["themes"]}:
            return outcome
        self.site.pipeline.read_reflection(person.id, reflection)
        return Outcome(self.draw(person, reflection))

    def reword(self, person: Person, given: Given) -> Outcome:
        return self._verdict(person, given, "reworded", given.text("wording").strip() or None)

    def _verdict(self, person: Person, given: Given, verdict: str, wording: str | None = None) -> Outcome:
        reflection, theme = given.need("reflection"), given.need("theme")
        if theme not in self.site.knowledge.themes:
            raise InputError("This topic is not known. Reload the page.")
        self.reflections.save_verdict(person.id, reflection, theme, verdict, wording)
        return Outcome(self.draw(person, reflection))

    def answer(self, person: Person, given: Given) -> Outcome:
        """Store an answer; what is written here is read for safety like all else."""
        reflection, text = given.need("reflection"), given.text("text")
        level = self.site.pipeline.check_safety(text).level if text.strip() else "none"
        before = self.reflections.answers_of_concern(person.id, reflection)
        self.reflections.save_answer(person.id, reflection, given.need("question"), text, level)
        changed = bool(before) or level != "none"
        return Outcome(self.draw(person, reflection) if changed else None, saved=reflection)

    def take(self, person: Person, given: Given) -> Outcome:
        """Put a question on the meeting page, or a topic with the words that show it."""
        reflection = given.need("reflection")
        self.reflections.load(person.id, reflection)
        quote = None
        if given.text("kind") == "theme":
            quote = share_panel.theme_words(self.site, person, reflection, given.need("theme"))[1]
        item = {
            "kind": "theme" if given.text("kind") == "theme" else "question",
            "text": given.need("text"),
            "quote": quote,
            "theme": given.text("theme") or None,
            "reflection": reflection,
            "origin": given.text("origin") or "own",
        }
        self.meetings.add_item(person.id, self.meetings.open(person.id)["id"], item)
        return Outcome(self.draw(person, reflection), self.words["taken"])

    def drop_question(self, person: Person, given: Given) -> Outcome:
        """Put a suggested question aside; it is not suggested again, and its like less often."""
        self._deed(person, given, "dropped")
        return Outcome(self.draw(person, given.need("reflection")), self.words["dropped_question"])

    def keep_question(self, person: Person, given: Given) -> Outcome:
        """Take a "not this one" back."""
        self._deed(person, given, "kept")
        return Outcome(self.draw(person, given.need("reflection")))

    def _deed(self, person: Person, given: Given, deed: str) -> None:
        """Note what is done with a question of a stored reading."""
        reflection, text = given.need("reflection"), given.need("suggested")
        self.reflections.load(person.id, reflection)
        stored = (self.reflections.report(person.id, reflection) or ({}, False))[0]
        rows = [item for key in ("questions", "any", "more", "drafts") for item in stored.get(key) or ()]
        found = next((item for item in rows if item["text"] == text), None)
        if not found:
            raise InputError("This question is not there any more. Reload the page.")
        self.site.store.feedback.note(person.id, text, found["origin"], deed, reflection, over=True)

    def leave(self, person: Person, given: Given) -> Outcome:
        """Leave an earlier reflection alone: it is not brought back unasked."""
        self.reflections.leave_alone(person.id, given.need("reflection"), True)
        here = given.text("here") or given.need("reflection")
        self.reflections.change_report(
            person.id,
            here,
            lambda report: (
                report
                | {
                    "earlier": [
                        item for item in report["earlier"] if item["reflection_id"] != given["reflection"]
                    ]
                }
            ),
        )
        return Outcome(self.draw(person, here), self.words["left_alone"])

    def stream_model(self, person: Person, given: Given) -> Iterator[Outcome]:
        """Let the local model try; its questions appear below, nothing above them moves."""
        reflection = given.need("reflection")
        try:
            for _ in self.site.pipeline.draft_reflection(person.id, reflection):
                yield Outcome(self.draw(person, reflection, working=True))
        except ModelError as error:
            yield Outcome(self.draw(person, reflection), f"{self.words['model_failed']} {error}")
            return
        yield Outcome(self.draw(person, reflection))


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Write(site)

    def redraw(person: Person, given: Given, panel: str) -> str:
        return acts.draw(person, given.need("reflection"), panel)

    names = (
        "open",
        "save",
        "read",
        "edit",
        "fresh",
        "step",
        "not_me",
        "put_back",
        "reword",
        "answer",
        "take",
        "drop_question",
        "keep_question",
        "leave",
    )
    every: dict[str, Act | Stream] = {name: getattr(acts, name) for name in names}
    every |= {"stream_model": acts.stream_model, **share_panel.acts(site, redraw)}
    Page(site, demo, "write", every)
