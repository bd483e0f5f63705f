"""The keeper's page: who may come in. It shows nobody's writing."""

from __future__ import annotations

import gradio as gr

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import AccessError, InputError
from ui.page import Given, Outcome, Page
from ui.words import render


class Keeper:
    def __init__(self, site: Application) -> None:
        self.site = site

    def open(self, person: Person, given: Given) -> Outcome:
        return Outcome(self.draw(person))

    def draw(self, person: Person, code: str = "") -> str:
        if not person.keeper:
            raise AccessError("This page is for the keeper of this installation.")
        return render("keeper.html", "keeper", code=code, people=self.site.accounts.names())

    def code(self, person: Person, given: Given) -> Outcome:
        role = given.text("role")
        if not person.keeper:
            raise AccessError("This page is for the keeper of this installation.")
        if role not in ("mentee", "mentor"):
            raise InputError("Choose for whom the code is.")
        return Outcome(self.draw(person, self.site.accounts.signup_code(role)))


def build(site: Application, demo: gr.Blocks) -> None:
    acts = Keeper(site)
    Page(site, demo, "keeper", {"open": acts.open, "code": acts.code})
