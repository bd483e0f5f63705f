"""What a person takes away: everything of theirs, and the meeting page as Markdown or on paper."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.sharing import markdown
from ui.words import render, strings


def routes(site: Application) -> APIRouter:
    """Return the routes that send files; each sends the asking person's own data only."""
    router = APIRouter()

    @router.get("/download")
    def download(request: Request) -> Response:
        person = _person(request)
        data = {"name": person.name} | site.store.everything_of(person.id)
        return _file(json.dumps(data, indent=1, ensure_ascii=False), "application/json", "mentoring.json")

    @router.get("/meeting.md")
    def meeting_markdown(request: Request) -> Response:
        wants, points = _meeting(site, _person(request))
        heading = strings()["meeting"]["heading_points"]
        return _file(markdown(heading, wants, points), "text/markdown; charset=utf-8", "meeting.md")

    @router.get("/meeting/print")
    def meeting_print(request: Request) -> Response:
        wants, points = _meeting(site, _person(request))
        return HTMLResponse(render("print.html", "meeting", wants=wants, points=points))

    return router


def _person(request: Request) -> Person:
    return request.scope["state"]["person"]  # type: ignore[no-any-return]


def _meeting(site: Application, person: Person) -> tuple[str, list[dict[str, str]]]:
    meeting = site.store.meetings.open(person.id)
    wants = strings()["common"]["wants"].get(meeting["wants"], "")
    return wants, site.store.meetings.items(person.id, meeting["id"])


def _file(text: str, kind: str, name: str) -> Response:
    return Response(
        text.encode("utf-8", "replace"),
        media_type=kind,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
