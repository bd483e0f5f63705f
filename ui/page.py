"""What every page is made of: one view drawn on the server, and acts that a person does on it.

A view is HTML from a Jinja template with every value escaped, placed whole by ``gr.HTML``. User text
never enters a gr.HTML *template*: Gradio evaluates those as JavaScript after filling them in, so a
``${…}`` written by one person would run in another's browser.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import InputError, MentoringError
from assistant.store import storable
from ui.guard import fault
from ui.words import render, strings

log = logging.getLogger("mentoring")
# Gradio may run these before the page's own script has arrived.
_WHEN_THERE = "const go = () => window.mentoring ? ({act}) : setTimeout(go, 20); go();"
_WIRE = _WHEN_THERE.format(act="mentoring.wire(element, trigger, watch, [EVENTS])")
_NOTE = "watch('value', () => window.mentoring?.noted(element)); " + _WHEN_THERE.format(
    act="mentoring.noted(element)"
)


class Given(dict[str, Any]):
    """What the browser sent with an act: strings only, every one to be checked by who uses it."""

    def text(self, name: str) -> str:
        """Return a field as text, empty when it is missing."""
        value = self.get(name)
        return storable(value) if isinstance(value, str) else ""

    def need(self, name: str) -> str:
        """Return a field that the page always sends. Raises InputError when it did not."""
        value = self.text(name)
        if not value:
            raise InputError("This page is out of date. Reload it; what you wrote is kept.")
        return value

    def flag(self, name: str) -> bool:
        return self.get(name) in (True, "true", "on", "1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an act changes on the page: the view or not, a sentence to say, the field it saved."""

    view: str | None = None
    says: str = ""
    saved: str = ""


Act = Callable[[Person, Given], Outcome]
Stream = Callable[[Person, Given], Iterator[Outcome]]


class Page:
    """One page of the application inside the Gradio block that is open while it is made."""

    def __init__(self, site: Application, demo: gr.Blocks, name: str, acts: dict[str, Act | Stream]) -> None:
        """Draw the frame of the page ``name`` and wire each act to the event of the same name.

        ``acts`` must hold ``open``, which draws the page for the person who asks.
        """
        self.site = site
        self.name = name
        gr.HTML(
            render("header.html", "common", active=name, links=_links()),
            elem_id="header",
            apply_default_css=False,
            padding=False,
        )
        events = ", ".join(f"'do_{event}'" for event in acts if event != "open")
        self.view = gr.HTML(
            render("waiting.html", name),
            elem_id="view",
            js_on_load=_WIRE.replace("EVENTS", events),
            apply_default_css=False,
            padding=False,
        )
        self.note = gr.HTML("", elem_id="note", js_on_load=_NOTE, apply_default_css=False, padding=False)
        outputs = [self.view, self.note]
        demo.load(self._opening(acts["open"]), None, outputs, queue=False, show_progress="hidden")
        for event, act in acts.items():
            if event == "open":
                continue
            streams = event.startswith("stream_")
            handler = self._streaming(act) if streams else self._answering(act)  # type: ignore[arg-type]
            # The prefix keeps clear of the events and methods that gr.HTML has already.
            getattr(self.view, f"do_{event}")(
                handler,
                None,
                outputs,
                queue=streams or event in SLOW,
                concurrency_id="model" if streams else None,
                concurrency_limit=2 if streams else 16,
                show_progress="hidden",
                trigger_mode="multiple",
                api_name=f"{name}_{event}",
                api_visibility="private",
            )

    def _opening(self, act: Any) -> Callable[..., tuple[Any, Any]]:
        def opened(request: gr.Request) -> tuple[Any, Any]:
            given = Given({str(k): str(v) for k, v in dict(request.query_params).items()})
            try:
                return _shown(act(self._person(request), given), given)
            except Exception as error:  # said on the page itself, which would else wait for ever
                view = render("failed.html", self.name, says=_sentence(error))
                return _shown(Outcome(view), given)

        return opened

    def _answering(self, act: Act) -> Callable[..., tuple[Any, Any]]:
        def answered(event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
            return self._do(act, request, _given(event))

        return answered

    def _streaming(self, act: Stream) -> Callable[..., Iterator[tuple[Any, Any]]]:
        def streamed(event: gr.EventData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
            given, says = _given(event), ""
            try:
                for outcome in act(self._person(request), given):
                    says = outcome.says
                    yield _shown(outcome, Given())
                # Only the end carries the act's mark: until then the page takes no other act, so that
                # no late line redraws over something that was opened meanwhile.
                yield _shown(Outcome(says=says), given)
            except Exception as error:
                yield _failed(error, given)

        return streamed

    def _do(self, act: Act, request: gr.Request, given: Given) -> tuple[Any, Any]:
        try:
            return _shown(act(self._person(request), given), given)
        except Exception as error:
            return _failed(error, given)

    def _person(self, request: gr.Request) -> Person:
        """Return who asks, from the sign-in that the guard checked, never from what was sent."""
        return self.site.accounts.person(str(request.username))


SLOW = ("read",)  # waits for the embedder on a long text, so it goes through the queue


def _given(event: gr.EventData) -> Given:
    data = event._data
    return Given(data) if isinstance(data, dict) else Given()


def _shown(outcome: Outcome, given: Given) -> tuple[Any, Any]:
    view = gr.skip() if outcome.view is None else outcome.view
    note = render(
        "note.html",
        "common",
        says=outcome.says,
        saved=outcome.saved,
        kind="good",
        mark=given.text("mark_of_act"),
    )
    return view, note


def _failed(error: Exception, given: Given) -> tuple[Any, Any]:
    says, mark = _sentence(error), given.text("mark_of_act")
    return gr.skip(), render("note.html", "common", says=says, saved="", kind="bad", mark=mark)


def _sentence(error: Exception) -> str:
    """Say what went wrong in a sentence; an unforeseen fault is logged without anybody's words."""
    if isinstance(error, MentoringError):
        return str(error)
    log.error(fault(error))
    return str(strings()["common"]["unforeseen"])


def _links() -> list[dict[str, str]]:
    return strings()["common"]["links"]  # type: ignore[no-any-return]
