"""The outer wall: hosts, origins, the sign-in before every path, limits, headers, cookies and traces."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import PASSWORD
from web import COOKIE, LAN, Browser, Server, World, plant, serving

from assistant.errors import StoreError
from ui.guard import BODY_LIMIT, FORM_LIMIT, Guard

pytestmark = pytest.mark.web

OPEN = ("/sign-in", "/sign-up", "/reset", "/help", "/quiet", "/own/app.css", "/own/app.js")
# What a page of Gradio needs; all else that it offers must stay behind the wall.
NEEDED = {
    "/static/{path:path}",
    "/assets/{path:path}",
    "/favicon.ico",
    "/theme.css",
    "/robots.txt",
    "/gradio_api/login_check",
    "/gradio_api/app_id",
    "/gradio_api/reset",
    "/gradio_api/heartbeat/{session_hash}",
    "/gradio_api/run/{api_name}",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/gradio_api/cancel",
    "/gradio_api/startup-events",
    "/gradio_api/theme.css",
}
CLOSED = """
    /config /login /logout /docs /redoc /openapi.json /manifest.json /pwa_icon /monitoring /monitoring/summary
    /svelte/x.js /gradio_api/deep_link /gradio_api/runs /gradio_api/run-history/records /gradio_api/info
    /gradio_api/openapi.json /gradio_api/config /gradio_api/call/mine_find /gradio_api/call/v2/mine_find
    /gradio_api/call/mine_find/abc /gradio_api/api/predict /gradio_api/run/mine_find /gradio_api/run/predict/
    /gradio_api/proxy=http://127.0.0.1/ /gradio_api/file=/etc/passwd /gradio_api/file=http://127.0.0.1/
    /gradio_api/file/etc/passwd /gradio_api/upload /gradio_api/upload_progress /gradio_api/stream/abc
    /gradio_api/component_server /gradio_api/custom_component/1/client/component/index.js
    /gradio_api/process_recording /gradio_api/vibe-edit /gradio_api/vibe-code /gradio_api/token
    /gradio_api/user /gradio_api/dev/reload /gradio_api/queue/status /gradio_api/mcp /gradio_api/mcp/sse
    /gradio_api/startup-events/ /meeting/ //meeting /own/ /own/.. /own/x/../app.css /nothing
""".split()


class Scripts(HTMLParser):
    """Collects the inline scripts of a page the way a browser finds them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag == "script" and "src" not in dict(attrs)
        if self._open:
            self.inline.append("")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inline[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("guard")) as made:
        yield made


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return plant(server.site)


@pytest.fixture
def ana(server: Server, world: World) -> Browser:
    return server.signed_in(world.ana)


@pytest.fixture
def nobody(server: Server) -> httpx.Client:
    return server.client()


def pages(server: Server) -> list[str]:
    from ui.app import PAGES

    return [*PAGES, "/welcome", "/meeting/print"]


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password} | fields)


def raw(client: httpx.Client, method: str, path: str) -> httpx.Response:
    """Ask for a path as it stands, dots and slashes left alone."""
    return client.request(method, "/", extensions={"target": path.encode()})


# Hosts and origins


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "mentor.lan.", "localhost.", "", "0"]
)
def test_a_name_that_is_not_allowed_reaches_nothing(ana, host):
    for path in ("/sign-in", "/", "/own/app.js", "/download"):
        assert ana.client.get(path, headers={"host": host}).status_code in (400, 421)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7860", "127.0.0.1:1", "[::1]:80", LAN, f"{LAN}:443"]
)
def test_loopback_and_allowed_names_are_served_on_any_port(nobody, host):
    assert nobody.get("/sign-in", headers={"host": host}).status_code == 200


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://127.0.0.1.evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "http://{host}", "sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_another_page_sends_is_refused_and_changes_nothing(server, ana, headers):
    host = urlsplit(server.url).netloc
    headers = {name: value.replace("{host}", host) for name, value in headers.items()}
    before = server.site.store.people.count()
    for path in ("/sign-out", "/welcome", "/delete-account", "/sign-in", "/gradio_api/run/predict"):
        reply = ana.client.post(path, data={"password": PASSWORD}, headers=headers)
        assert reply.status_code == 403, path
    assert server.site.store.people.count() == before
    assert ana.client.get("/download").status_code == 200


def test_the_own_page_may_send_and_no_answer_allows_another_origin(server, ana):
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert ana.client.post("/welcome", headers=own).status_code == 303
    for method, path in (("GET", "/"), ("GET", "/download"), ("OPTIONS", "/gradio_api/run/predict")):
        asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        reply = ana.client.request(method, path, headers=asked)
        assert not [name for name in reply.headers if name.startswith("access-control-allow")]


# Who may reach what


def test_without_a_sign_in_only_the_open_pages_answer(server, nobody):
    paths = {re.sub(r"\{[^}]*\}", "x", route.path) for route in server.every_route()}
    paths |= {*CLOSED, *pages(server), "/download", "/meeting.md", "/sign-out", "/delete-account", "/own/x"}
    for path in sorted(paths - set(OPEN)):
        for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"):
            reply = raw(nobody, method, path)
            inside = reply.status_code < 400 and not reply.headers.get("location", "").startswith("/sign-in")
            assert not inside, f"{method} {path}"
            assert reply.status_code != 500 and len(reply.text) < 200


def test_a_page_asked_for_without_a_sign_in_is_come_back_to(nobody, server, world):
    reply = nobody.get("/goals")
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?next=/goals")
    assert 'name="next" value="/goals"' in nobody.get(reply.headers["location"]).text
    assert sign_in(nobody, world.ana.name, next="/goals").headers["location"] == "/goals"


@pytest.mark.parametrize("path", CLOSED)
def test_what_no_page_needs_is_not_there_even_behind_the_sign_in(ana, path):
    for method in ("GET", "POST"):
        assert raw(ana.client, method, path).status_code == 404


def test_gradio_offers_no_route_that_is_not_listed_here(server, ana):
    own = {route.path for route in server.routes()}
    for route in server.every_route():
        if route.path in own | NEEDED | set(pages(server)):
            continue
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods:
            assert ana.client.request(method, path).status_code == 404, f"{method} {path}"


def test_who_has_not_read_the_first_page_is_sent_to_it(server):
    code = server.site.accounts.signup_code("mentee")
    client = server.client()
    assert (
        client.post("/sign-up", data={"code": code, "name": "Newcomer", "password": PASSWORD}).status_code
        == 303
    )
    for page in pages(server):
        if page != "/welcome":
            reply = client.get(page)
            assert (reply.status_code, reply.headers.get("location")) == (303, "/welcome"), page
    assert client.get("/download").status_code == 303
    assert client.get("/help").status_code == client.get("/welcome").status_code == 200
    assert client.post("/welcome").status_code == 303
    assert client.get("/").status_code == 200


# Limits


def test_an_endless_body_is_cut_off_at_the_limit(server, world):
    token = server.site.accounts.sign_in(world.ana.name, PASSWORD, "test")
    for path, limit in (("/gradio_api/run/predict", BODY_LIMIT), ("/sign-in", FORM_LIMIT)):
        taken, status = asyncio.run(_endless(server.app, path, token))
        assert status == 413
        assert limit < taken <= limit + 65_536


async def _endless(app: Guard, path: str, token: str) -> tuple[int, int]:
    taken, statuses = 0, []

    async def receive() -> dict[str, object]:
        nonlocal taken
        taken += 65_536
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async def send(message: dict[str, object]) -> None:
        statuses.append(message.get("status"))

    headers = [(b"host", b"localhost"), (b"cookie", f"{COOKIE}={token}".encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return taken, statuses[0]


def test_a_busy_database_is_answered_with_a_sentence(ana, server, monkeypatch):
    def busy(token: object) -> None:
        raise StoreError("The database /home/somebody is busy.")

    monkeypatch.setattr(server.site.accounts, "who", busy)
    reply = ana.client.get("/mine")
    assert reply.status_code == 503 and "try again" in reply.text and "somebody" not in reply.text


def test_a_body_that_is_no_request_is_refused_without_a_fault(ana):
    for body in (b"[" * 200_000, b"\xff\xfe", b'{"session_hash": 1', b"null", b"[]", b'{"session_hash": []}'):
        reply = ana.client.post(
            "/gradio_api/run/predict", content=body, headers={"content-type": "application/json"}
        )
        assert 400 <= reply.status_code < 500, body[:20]


def test_half_characters_are_answered_like_any_text(ana):
    half = {"text": "half \ud83d", "words": "half \ud83d", "mark_of_act": "half \ud83d", "wording": "\ud83d"}
    for handler in [item for page in ("/", "/mine", "/meeting") for item in ana.handlers(page)]:
        if not handler.queued:
            body = json.dumps(ana.body(handler, half))  # escaped, as a browser sends it
            kind = {"content-type": "application/json"}
            reply = ana.client.post("/gradio_api/run/predict", content=body, headers=kind)
            assert reply.status_code == 200, handler.name


# Headers and cookies


def test_every_page_carries_the_headers_and_names_exactly_its_inline_scripts(server, ana, nobody):
    replies = [ana.client.get(page) for page in pages(server)] + [nobody.get(page) for page in OPEN[:5]]
    replies += [
        sign_in(nobody, "Nobody", "wrong"),
        ana.client.post("/delete-account", data={"password": "no"}),
    ]
    for reply in replies:
        assert reply.headers["content-type"].startswith("text/html"), reply.url
        policy = dict(
            part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";")
        )
        named = set(re.findall(r"'sha256-([^']+)'", policy["script-src"]))
        inline = [script for script in Scripts(reply.text).inline if script.strip()]
        assert named == {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in inline}
        assert "'unsafe-inline'" not in policy["script-src"]
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert policy["default-src"] == policy["connect-src"] == policy["form-action"] == "'self'"


def test_every_answer_is_kept_out_of_caches_frames_and_other_sites(server, ana, nobody):
    replies = [
        ana.client.get(path)
        for path in (*pages(server), "/download", "/meeting.md", "/nothing", "/own/app.js")
    ]
    replies += [nobody.get(path) for path in ("/sign-in", "/", "/download")]
    for reply in replies:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        kept = "no-cache" if "/own/" in str(reply.url) else "no-store"
        assert reply.headers["cache-control"] == kept
        assert "server" not in reply.headers


def test_what_is_typed_into_an_address_or_a_form_is_no_part_of_the_page(ana, nobody):
    script = "</script><script>alert(1)</script>"
    for reply in (
        nobody.get("/sign-in", params={"next": f'/"{script}'}),
        sign_in(nobody, script, next=f'/"{script}'),
        nobody.post("/sign-up", data={"name": script, "code": script, "password": PASSWORD}),
        ana.client.get("/", params={"r": script, "view": script, "__theme": script, "deep_link": script}),
    ):
        assert script not in reply.text and "alert(1)</" not in reply.text
