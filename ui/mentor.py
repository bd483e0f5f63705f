"""What mentees chose to share, and what helps to prepare. All it reads comes from ``assistant.sharing``."""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant import screen
from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError
from ui.page import Given, Outcome, Page
from ui.words import render, strings

Row = dict[str, Any]


class Mentor:
    def __init__(self, site: Application) -> None:
        self.site = site
        self.sharing = site.sharing
        self.words = strings()["mentor"]

    def open(self, person: Person, given: Given) -> Outcome:
        """Draw the desk, then remember that what was new has been looked at."""
        drawn = self.draw(person)
        for pair in self.site.accounts.pairs(person.id):
            self.sharing.seen(person.id, pair["id"])
        return Outcome(drawn)

    def draw(self, person: Person, notices: list[Row] | None = None) -> str:
        desk = [
            mentee | {"shares": [self._guided(share) for share in mentee["shares"]], "first": _first(mentee)}
            for mentee in self.sharing.desk(person.id)
            if mentee["role"] == "mentor"
        ]
        return render("mentor.html", "mentor", desk=desk, notices=notices or [])

    def _guided(self, share: Row) -> Row:
        """Add what helps and what to avoid to a shared theme."""
        guidance = self.site.knowledge.guidance.get(share["payload"].get("theme", ""))
        if share["kind"] != "theme" or not guidance:
            return share | {"guidance": None, "passage": None}
        return share | {
            "guidance": guidance,
            "passage": screen.passage_row(guidance.passage, self.site.knowledge),
        }

    def reply(self, person: Person, given: Given) -> Outcome:
        if not given.text("text").strip():
            raise InputError("Write your reply first.")
        self.sharing.reply(person.id, given.need("share"), given.text("text"))
        return Outcome(self.draw(person, self._noticed(given.text("text"))), self.words["replied"])

    def mark(self, person: Person, given: Given) -> Outcome:
        """Keep for oneself when to come to it; choosing it again takes the mark off."""
        share, mark = given.need("share"), given.text("mark")
        now = next(
            (
                item["mark"]
                for desk in self.sharing.desk(person.id)
                for item in desk["shares"]
                if item["id"] == share
            ),
            "",
        )
        self.sharing.mark(person.id, share, "" if now == mark else mark)
        return Outcome(self.draw(person))

    def note(self, person: Person, given: Given) -> Outcome:
        return self._kept(person, given, "note")

    def story(self, person: Person, given: Given) -> Outcome:
        return self._kept(person, given, "story")

    def _kept(self, person: Person, given: Given, kind: Any) -> Outcome:
        self.sharing.save_note(person.id, given.need("pair"), kind, given.text("text"))
        notices = self._noticed(given.text("text"))
        return Outcome(self.draw(person, notices) if notices else None, saved=given.need("pair"))

    def _noticed(self, text: str) -> list[Row]:
        """Return the notice that a mentor's own writing calls for, if any."""
        finding = self.site.pipeline.check_safety(text)
        if finding.level == "none":
            return []
        return [screen.notice_row(finding.level, finding.kind, self.site.knowledge)]


def _first(mentee: Row) -> str:
    """Return what a mentee put first: the first point of a shared meeting page, else the newest share."""
    for share in mentee["shares"]:
        if share["kind"] == "meeting":
            return str(share["payload"]["points"][0]["text"])
    for share in mentee["shares"][:1]:
        return str(share["payload"].get("wording") or share["payload"].get("text") or "")
    return ""


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Mentor(site)
    names = ("open", "reply", "mark", "note", "story")
    Page(site, demo, "mentor", {name: getattr(acts, name) for name in names})
