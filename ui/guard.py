"""The outer wall: who may reach what, before Gradio or any page sees a request. Denies by default.

Gradio alone isolates nobody: handlers are open endpoints, a session hash is not tied to a person, and
it offers routes this application has no use for. So only the routes a page needs pass here, behind
the sign-in, from the right host and origin, and each Gradio session belongs to one person.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from assistant.accounts import Accounts, Person
from assistant.errors import StoreError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("mentoring")
COOKIE = "mentoring_session"
BODY_LIMIT = 4_000_000  # bytes; 100,000 words are well under a million
FORM_LIMIT = 20_000
SESSIONS = 10_000
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OPEN = re.compile(r"/(sign-in|sign-up|reset|help|quiet|own/[\w.-]+)$")
ALLOWED = re.compile(
    r"/(assets/[\w./-]+|static/[\w./-]+|theme\.css|favicon\.ico|robots\.txt"
    r"|gradio_api/(queue/join|queue/data|run/predict|cancel|heartbeat/\w+|startup-events|theme\.css|app_id|"
    r"reset|login_check))$"
)
FORMS = ("/sign-in", "/sign-up", "/reset", "/sign-out", "/welcome", "/delete-account")
HASHED = re.compile(r"/gradio_api/(queue/join|queue/data|run/predict|cancel|reset|heartbeat/)")
_SCRIPT = re.compile(rb"<script([^>]*)>(.*?)</script>", re.DOTALL)
_POLICY = (
    "default-src 'self'; script-src 'self' {scripts}'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: App, accounts: Accounts, pages: tuple[str, ...], hosts: tuple[str, ...], head: str = ""
    ) -> None:
        """``pages``: the paths of the application's own pages; ``hosts``: names allowed besides loopback.

        ``head`` goes into the head of Gradio's pages, which would otherwise add it too late.
        """
        self._head = head.encode()
        self._app = app
        self._accounts = accounts
        self._pages = frozenset(pages)
        self._hosts = frozenset(host.lower() for host in (*LOOPBACK, *hosts))
        self._owners: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = _Request(scope)
        refusal = self._refusal(request)
        if refusal:
            await _answer(send, *refusal)
            return
        try:
            person = self._accounts.who(request.cookie(COOKIE))
        except StoreError as error:  # its own sentence names a path, which is for the keeper
            log.error(fault(error))
            await _answer(send, 503, b"The program is busy. Nothing was lost: wait a moment and try again.")
            return
        redirect = self._where_else(request, person)
        if redirect:
            await _answer(send, *redirect)
            return
        scope.setdefault("state", {})["person"] = person
        body = await _body(receive, FORM_LIMIT if request.path in FORMS else BODY_LIMIT)
        if body is None:
            await _answer(send, 413, b"This is too long to send at once. Nothing was changed.")
        elif person and not self._own_session(request, body, person):
            await _answer(send, 403, b"This belongs to another sign-in. Reload the page.")
        else:
            scope["headers"] = [item for item in scope["headers"] if item[0] != b"accept-encoding"]
            try:
                await self._app(scope, _replay(body, receive), _Dressed(send, request.path, self._head).send)
            except Exception as error:  # answered already; what it says may hold somebody's words
                log.error(fault(error))

    def _refusal(self, request: _Request) -> tuple[int, bytes] | None:
        """Refuse a foreign host, a foreign origin, and every path that no page needs."""
        if request.host not in self._hosts:
            return 421, b"This name is not among the allowed hosts of this installation."
        if request.method not in ("GET", "HEAD"):
            origin = request.header(b"origin")
            if origin and urlsplit(origin).netloc.lower() != request.header(b"host").lower():
                return 403, b"This request came from another page."
            if request.header(b"sec-fetch-site") not in ("", "same-origin", "none"):
                return 403, b"This request came from another page."
        if request.path in self._pages or OPEN.match(request.path) or ALLOWED.match(request.path):
            return None
        return 404, b"There is nothing here."

    def _where_else(
        self, request: _Request, person: Person | None
    ) -> tuple[int, bytes, str] | tuple[int, bytes] | None:
        """Send who is not signed in to the sign-in, and who has not read the first page to it."""
        if OPEN.match(request.path):
            return None
        page = request.path in self._pages and request.method in ("GET", "HEAD")
        if person is None:
            there = f"/sign-in?next={quote(request.path)}" if request.path != "/" else "/sign-in"
            return (
                (303, b"", there) if page else (401, b"You are signed out. Sign in again; your text is kept.")
            )
        if page and not person.welcomed and request.path not in ("/welcome", "/sign-out"):
            return 303, b"", "/welcome"
        return None

    def _own_session(self, request: _Request, body: bytes, person: Person) -> bool:
        """Bind a Gradio session hash to the first person who uses it, and to nobody else."""
        if not HASHED.match(request.path):
            return True
        # Every hash counts: which of two Gradio would take is not for this wall to guess.
        owners = [self._owner(session, person) for session in _session_hashes(request, body)]
        return all(owner == person.id for owner in owners)

    def _owner(self, session: str, person: Person) -> str:
        owner = self._owners.setdefault(session, person.id)
        self._owners.move_to_end(session)
        while len(self._owners) > SESSIONS:
            self._owners.popitem(last=False)
        return owner


class _Request:
    """The few things of a request that the guard looks at."""

    def __init__(self, scope: Scope) -> None:
        self.method = scope["method"]
        self.path = scope["path"]
        self.query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        self._headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        host = self.header(b"host").lower()
        self.host = re.sub(r":\d+$", "", host)

    def header(self, name: bytes) -> str:
        return self._headers.get(name, "")

    def cookie(self, name: str) -> str | None:
        for part in self.header(b"cookie").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return None


def fault(error: BaseException) -> str:
    """Say which fault happened where, and nothing of what was in hand."""
    where = error.__traceback__
    while where and where.tb_next:
        where = where.tb_next
    place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "?"
    return f"{type(error).__name__} at {place}"


def _session_hashes(request: _Request, body: bytes) -> set[str]:
    """Return every session hash that a request names, in its path, its query or its body."""
    found = set(request.query.get("session_hash", []))
    if request.path.startswith("/gradio_api/heartbeat/"):
        found.add(request.path.rsplit("/", 1)[-1])
    try:
        given = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return found
    named = given.get("session_hash") if isinstance(given, dict) else None
    return found | {str(named)} if named else found


async def _body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body, or return None once it is longer than ``limit`` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()  # what follows is the disconnect, which streams wait for
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(send: Send, status: int, text: bytes, location: str | None = None) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        *_HEADERS.items(),
    ]
    if location:
        headers.append((b"location", location.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class _Dressed:
    """Adds the security headers; holds an HTML page back to name its inline scripts in the policy."""

    def __init__(self, send: Send, path: str, head: bytes) -> None:
        self._send = send
        self._head = head
        self._keep = path.startswith(("/assets/", "/static/", "/own/"))
        self._start: Message | None = None
        self._held: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [item for item in message["headers"] if item[0].lower() not in _HEADERS]
            html = any(key.lower() == b"content-type" and b"text/html" in value for key, value in headers)
            headers += list(_HEADERS.items())
            if not self._keep:
                headers = [item for item in headers if item[0].lower() != b"cache-control"]
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
            if html:
                self._start = message
                return
        elif self._start is not None:
            self._held.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(self._held)
            if b"gradio_config" in body:
                body = body.replace(b"</head>", self._head + b"</head>", 1)
            headers = [item for item in self._start["headers"] if item[0].lower() != b"content-length"]
            headers += [
                (b"content-security-policy", policy(body)),
                (b"content-length", str(len(body)).encode()),
            ]
            await self._send({**self._start, "headers": headers})
            message = {"type": "http.response.body", "body": body}
            self._start = None
        await self._send(message)


def policy(html: bytes) -> bytes:
    """Return the content-security policy of a page, with the hash of each of its inline scripts."""
    hashes = []
    for attributes, script in _SCRIPT.findall(html):
        if b"src=" not in attributes and script.strip():
            digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
            hashes.append(f"'sha256-{digest}' ")
    return _POLICY.format(scripts="".join(dict.fromkeys(hashes))).encode()
