"""The pages outside Gradio: signing in and up, the first page to read, help, and leaving."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from assistant.accounts import Person
from assistant.assemble import Application
from assistant.errors import MentoringError
from ui.guard import COOKIE
from ui.words import render

MEDIA = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def routes(site: Application) -> APIRouter:
    """Return the plain routes; the guard has already decided who may reach which."""
    router = APIRouter()
    _add_open(router, site)
    _add_coming_in(router, site)
    _add_signed_in(router, site)
    return router


def _add_open(router: APIRouter, site: Application) -> None:
    @router.get("/own/{name}")
    def own(name: str) -> Response:
        """Serve the application's own style and script."""
        path = files("ui") / "static" / name
        suffix = name[name.rfind(".") :]
        if suffix not in MEDIA or not path.is_file():
            return Response("There is nothing here.", 404)
        return Response(path.read_bytes(), media_type=MEDIA[suffix], headers={"cache-control": "no-cache"})

    @router.get("/help")
    def get_help() -> Response:
        return _page("help.html", "help", pointers=list(site.knowledge.pointers.values()))

    @router.get("/quiet")
    def quiet() -> Response:
        """A page that says nothing, to be on when somebody looks over a shoulder."""
        return _page("quiet.html", "quiet")


def _add_coming_in(router: APIRouter, site: Application) -> None:
    @router.get("/sign-in")
    def sign_in(request: Request, next: str = "/") -> Response:
        return _form("sign-in", next=_local(next), plain=_in_the_clear(request))

    @router.post("/sign-in")
    async def signing_in(request: Request) -> Response:
        given = await _fields(request)
        address = request.client.host if request.client else "?"
        try:
            token = site.accounts.sign_in(given("name"), given("password"), address)
        except MentoringError as error:
            return _form(
                "sign-in", says=str(error), name=given("name"), next=_local(given("next")), status=400
            )
        response = RedirectResponse(_local(given("next")), 303)
        response.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", secure=_secure(request),
            max_age=site.settings.session_days * 86_400, path="/",
        )  # fmt: skip
        return response

    @router.get("/sign-up")
    def sign_up() -> Response:
        return _form("sign-up")

    @router.post("/sign-up")
    async def signing_up(request: Request) -> Response:
        given = await _fields(request)
        try:
            site.accounts.sign_up(given("code"), given("name"), given("password"))
        except MentoringError as error:
            return _form("sign-up", says=str(error), name=given("name"), code=given("code"), status=400)
        return await signing_in(request)

    @router.get("/reset")
    def reset() -> Response:
        return _form("reset")

    @router.post("/reset")
    async def resetting(request: Request) -> Response:
        given = await _fields(request)
        try:
            site.accounts.reset_password(given("code"), given("password"))
        except MentoringError as error:
            return _form("reset", says=str(error), code=given("code"), status=400)
        return RedirectResponse("/sign-in", 303)


def _add_signed_in(router: APIRouter, site: Application) -> None:
    @router.get("/welcome")
    def welcome(request: Request) -> Response:
        return _page("welcome.html", "welcome", person=_person(request))

    @router.post("/welcome")
    def welcomed(request: Request) -> Response:
        site.accounts.welcome(_person(request).id)
        return RedirectResponse("/", 303)

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        site.accounts.sign_out(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, path="/")
        # Whatever the browser kept of unsaved text goes with the sign-in.
        response.headers["clear-site-data"] = '"storage"'
        return response

    @router.post("/delete-account")
    async def delete_account(request: Request) -> Response:
        given = await _fields(request)
        try:
            site.accounts.delete(_person(request).id, given("password"))
        except MentoringError as error:
            return _page("plain.html", "plain", title=str(error), back="/mine", status=400)
        response = _page("plain.html", "plain", title="", back="/sign-up")
        response.delete_cookie(COOKIE, path="/")
        response.headers["clear-site-data"] = '"storage"'
        return response


def _person(request: Request) -> Person:
    return request.scope["state"]["person"]  # type: ignore[no-any-return]


def _form(name: str, /, status: int = 200, **values: str | bool) -> Response:
    fields = {"says": "", "name": "", "code": "", "next": "/", "plain": False} | values
    return _page(f"{name}.html", name.replace("-", "_"), status=status, **fields)


def _page(template: str, words: str, status: int = 200, **values: object) -> Response:
    return HTMLResponse(render(template, words, **values), status)


async def _fields(request: Request) -> Callable[[str], str]:
    """Read a form. The body is small: the guard has measured it."""
    found = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return lambda name: found.get(name, [""])[0]


def _local(path: str) -> str:
    """Return a path on this site, so that a crafted link cannot send anyone elsewhere."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path else "/"


def _secure(request: Request) -> bool:
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def _in_the_clear(request: Request) -> bool:
    """Say whether a password would cross the network readable: neither on this machine nor under TLS."""
    return not _secure(request) and request.url.hostname not in ("127.0.0.1", "localhost", "::1")
