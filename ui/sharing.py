"""Who is paired with whom, what is shared, and what came back."""

from __future__ import annotations

import gradio as gr

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError
from ui.page import Given, Outcome, Page
from ui.words import render, strings


class SharingPage:
    def __init__(self, site: Application) -> None:
        self.site = site
        self.words = strings()["sharing"]

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, code: str = "") -> str:
        return render(
            "sharing.html", "sharing", pairs=self.site.accounts.pairs(person.id),
            ledger=self.site.sharing.ledger(person.id), code=code, keeper=person.keeper,
        )  # fmt: skip

    def code(self, person: Person, given: Given) -> Outcome:
        """Make a pair code; the one who makes it takes the role that is named."""
        role = given.text("role")
        if role not in ("mentee", "mentor"):
            raise InputError("Choose for whom the code is.")
        return Outcome(self.draw(person, self.site.accounts.pair_code(person.id, role)))  # type: ignore[arg-type]

    def join(self, person: Person, given: Given) -> Outcome:
        pair = self.site.accounts.join_pair(person.id, given.text("code"))
        return Outcome(self.draw(person), f"{self.words['paired']} {pair['other']}.")

    def end(self, person: Person, given: Given) -> Outcome:
        self.site.accounts.end_pair(person.id, given.need("pair"))
        return Outcome(self.draw(person), self.words["ended"])

    def withdraw(self, person: Person, given: Given) -> Outcome:
        self.site.sharing.withdraw(person.id, given.need("share"))
        return Outcome(self.draw(person), self.words["taken_back"])


def build(site: Application, demo: gr.Blocks) -> None:
    acts = SharingPage(site)
    names = ("open", "code", "join", "end", "withdraw")
    Page(site, demo, "sharing", {name: getattr(acts, name) for name in names})
