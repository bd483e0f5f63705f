"""The preview that stands before every share: the same draft is drawn and shared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.sharing import Draft
from ui.page import Act, Given, Outcome
from ui.words import render, strings

Redraw = Callable[[Person, Given, str], str]  # draws the page, with a panel over it or none


def acts(site: Application, redraw: Redraw) -> dict[str, Act]:
    """Return the acts preview, share and close for a page that ``redraw`` draws."""

    def preview(person: Person, given: Given) -> Outcome:
        return Outcome(redraw(person, given, _panel(site, person, given)))

    def share(person: Person, given: Given) -> Outcome:
        draft = _draft(site, person, given)
        if given.text("seen") != _hash(draft):
            return Outcome(
                redraw(person, given, _panel(site, person, given)), strings()["common"]["share"]["changed"]
            )
        site.sharing.share(person.id, given.need("pair"), draft)
        return Outcome(redraw(person, given, ""), strings()["common"]["share"]["done"])

    def close(person: Person, given: Given) -> Outcome:
        return Outcome(redraw(person, given, ""))

    return {"preview": preview, "share": share, "close": close}


def _draft(site: Application, person: Person, given: Given) -> Draft:
    """Return the draft that the given fields describe, made anew from what is stored."""
    draft = _whole_draft(site, person, given)
    return site.sharing.with_initials(draft) if given.flag("initials") else draft


def _whole_draft(site: Application, person: Person, given: Given) -> Draft:
    kind = given.need("kind")
    if kind != "theme":
        part = {"question": "item", "goal": "goal", "reflection": "reflection"}.get(kind)
        return site.sharing.draft(person.id, kind, given.need(part) if part else "")
    reflection, theme = given.need("reflection"), given.need("theme")
    wording, quote = theme_words(site, person, reflection, theme)
    return site.sharing.theme(
        person.id, reflection, theme, wording, quote if given.flag("with_quote") else None
    )


def theme_words(site: Application, person: Person, reflection: str, theme: str) -> tuple[str, str | None]:
    """Return the writer's wording of a theme and the first quote that shows it."""
    said = site.store.reflections.verdicts(person.id, reflection).get(theme, {})
    guidance = site.knowledge.guidance.get(theme)
    wording = said.get("wording") or (guidance.reworded if guidance else "")
    report = site.store.reflections.report(person.id, reflection)
    themes = report[0]["themes"] if report else []
    quotes = [part["text"] for entry in themes if entry["id"] == theme for part in entry["evidence"]]
    return wording, quotes[0] if quotes else None


def _panel(site: Application, person: Person, given: Given) -> str:
    whole = _whole_draft(site, person, given)
    draft = site.sharing.with_initials(whole) if given.flag("initials") else whole
    pairs = [pair for pair in site.accounts.pairs(person.id) if pair["role"] == "mentee"]
    kept = ("kind", "reflection", "theme", "item", "goal")
    fields = {name: given.text(name) for name in kept if given.text(name)} | {"seen": _hash(draft)}
    return render(
        "share_panel.html",
        "common",
        draft=replace(draft, names=()),
        fields=fields,
        names=whole.names,
        initials=given.flag("initials"),
        with_quote=given.flag("with_quote"),
        pairs=pairs,
        chosen=given.text("pair") or (pairs[0]["id"] if pairs else ""),
    )


def _hash(draft: Draft) -> str:
    return hashlib.sha256(json.dumps(draft.payload, sort_keys=True).encode()).hexdigest()[:16]
