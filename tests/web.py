"""The whole web application on a loopback port, people who sign in to it, and words that must stay theirs.

Engines are small and scripted; store, accounts, sharing, knowledge, guard and pages are the real ones.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from argon2 import PasswordHasher
from conftest import PASSWORD, CalmReader, HashingEmbedder

from assistant import knowledge as library
from assistant.accounts import Accounts
from assistant.assemble import Application
from assistant.domain import RankedTheme, Span, Theme, ThemeReading
from assistant.goals import GoalReader
from assistant.model.scripted import ScriptedModel
from assistant.pipeline import Pipeline
from assistant.questions import QuestionBank
from assistant.reporting import goal_row
from assistant.retrieval import KnowledgeIndex
from assistant.retrieval.cases import CaseIndex
from assistant.safety import SafetyReader
from assistant.settings import Settings, go_offline
from assistant.sharing import Sharing
from assistant.store import Store
from ui.words import strings

COOKIE = "mentoring_session"
LAN = "mentor.lan"  # a name allowed besides loopback
CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});\s*</script>", re.DOTALL)
THEMES = ("self_confidence", "career_direction")
Row = dict[str, Any]


class TwoThemes:
    """Names the same two themes in every text: one beside its first sentence, one beside its last."""

    hash = "two"

    def read(
        self, text: str, sentences: Sequence[Span], reading: object, doubts: Mapping[str, float] | None = None
    ) -> ThemeReading:
        if not sentences:
            return ThemeReading()
        shown = (sentences[0], sentences[-1])
        every = [Theme(theme, 0.9 - 0.1 * place, (shown[place],)) for place, theme in enumerate(THEMES)]
        themes = tuple(theme for theme in every if (doubts or {}).get(theme.id) != inf)
        return ThemeReading(themes, tuple(RankedTheme(theme.id, theme.score) for theme in themes))


def application(folder: Path, **settings: Any) -> Application:
    """Return the application on a fresh database, with engines that answer at once."""
    config = Settings(data=folder, models=folder / "models", model="none", **settings)
    store = Store(config.database)
    people = Accounts(store, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    known = library.load()
    embedder = HashingEmbedder()
    pipeline = Pipeline(
        knowledge=known,
        embedder=embedder,
        encoder=CalmReader(),
        safety_reader=SafetyReader(),
        theme_reader=TwoThemes(),  # type: ignore[arg-type]
        index=KnowledgeIndex(list(known.passages.values()), embedder.encode, embedder.hash, folder / "index"),
        cases=CaseIndex([], embedder.encode, embedder.hash, folder / "index"),
        bank=QuestionBank(known.questions),
        goal_reader=GoalReader(),
        prompts_hash="none",
        store=store,
        model=ScriptedModel([["What would a good first step look like for you?"] * 8], repeat=True),
    )
    return Application(config, known, store, people, Sharing(store, people), pipeline)


@dataclass
class Server:
    """A running application: the parts it is made of, and where it answers."""

    site: Application
    app: Any
    url: str

    pool: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        cookies = {COOKIE: token} if token else {}
        return httpx.Client(
            base_url=self.url, cookies=cookies, headers=headers, timeout=30, transport=self.pool
        )

    def signed_in(self, human: Human) -> Browser:
        return Browser(self.client(self.site.accounts.sign_in(human.name, PASSWORD, "test")))

    def nobody(self) -> Browser:
        return Browser(self.client())

    def routes(self) -> list[Any]:
        """Return the application's own routes, those of Gradio left out."""
        return [r for r in self.every_route() if getattr(r.endpoint, "__module__", "").startswith("ui.")]

    def every_route(self) -> list[Any]:
        found, left = [], list(self.app._app.routes)
        while left:
            route = left.pop(0)
            inner = getattr(route, "routes", None) or getattr(
                getattr(route, "original_router", None), "routes", None
            )
            if inner:
                left += [item for item in inner if item is not route]
            elif getattr(route, "endpoint", None):
                found.append(route)
        return found


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Server]:
    """Serve a fresh application on a free port until the block ends."""
    go_offline()
    from ui.app import build  # Gradio is slow to import, so only where a page is asked for

    site = application(folder, allowed_hosts=(LAN,), **settings)
    app = build(site)
    # Naming TCP lets asyncio send small answers at once instead of waiting for the other side.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        forwarded_allow_ips="127.0.0.1",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    made = Server(site, app, f"http://127.0.0.1:{listener.getsockname()[1]}")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield made
    finally:
        server.should_exit = True
        made.pool.close()
        thread.join(10)
        site.store.close()


@dataclass(frozen=True)
class Handler:
    """One act of a page, as the page itself names it to a browser."""

    page: str
    name: str
    index: int
    queued: bool
    trigger: int | None


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def good(self) -> bool:
        """Whether an act was done: an answer without an error, in the note or in place of the page."""
        bad = "note bad" in self.text or 'class="says bad" role="alert"' in self.text
        return self.status == 200 and "note good" in self.text and not bad

    @property
    def unforeseen(self) -> bool:
        """Whether the application stumbled, rather than refused."""
        return self.status >= 500 or strings()["common"]["unforeseen"] in self.text


class Browser:
    """One tab of one person: calls pages and their handlers as Gradio's own script does."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.session = uuid.uuid4().hex[:12]

    def config(self, page: str) -> Row:
        """Return what the page tells the browser about itself."""
        found = CONFIG.search(self.client.get(page).text)
        assert found, f"{page} holds no configuration"
        return json.loads(found.group(1))  # type: ignore[no-any-return]

    def handlers(self, page: str) -> list[Handler]:
        return [
            Handler(
                page,
                item["api_name"] or f"{page}#{item['id']}",
                item["id"],
                item["queue"] is not False,
                next((target for target, _ in item["targets"] if target is not None), None),
            )
            for item in self.config(page)["dependencies"]
        ]

    def body(self, handler: Handler, fields: Row) -> Row:
        return {
            "data": [],
            "fn_index": handler.index,
            "trigger_id": handler.trigger,
            "event_data": fields,
            "session_hash": self.session,
        }

    def call(self, handler: Handler, fields: Row, **query: str) -> Answer:
        """Do one act with these fields; queued ones are waited for."""
        body = self.body(handler, fields)
        if not handler.queued:
            reply = self.client.post("/gradio_api/run/predict", json=body, params=query)
            return Answer(reply.status_code, readable(reply.text))
        reply = self.client.post("/gradio_api/queue/join", json=body, params=query)
        if reply.status_code != 200:
            return Answer(reply.status_code, readable(reply.text))
        stream = self.client.get("/gradio_api/queue/data", params={"session_hash": self.session})
        return Answer(stream.status_code, readable(stream.text))


def readable(text: str) -> str:
    """Return a JSON answer as the page would hold it, so that a marker or a class is found as it stands."""
    return text.replace('\\"', '"').replace("\\n", "\n")


@dataclass(frozen=True)
class Human:
    id: str
    name: str


@dataclass
class World:
    """Three people and all that was planted for them: ids by kind, markers by column."""

    ana: Human
    ben: Human
    eve: Human
    ids: dict[str, str] = field(default_factory=dict)  # Ana's things, and what lies between her and Ben
    own: dict[str, str] = field(default_factory=dict)  # Eve's things, by the same names
    marks: dict[str, str] = field(default_factory=dict)  # of Ana, by what they are planted in
    bens: dict[str, str] = field(default_factory=dict)
    eves: dict[str, str] = field(default_factory=dict)

    @property
    def shared(self) -> set[str]:
        """The markers that Ben may see: what stands shared with him, Ana's name, and his own words."""
        return {self.marks["name"], self.marks["shares.payload"], *self.bens.values()}


def marker() -> str:
    return f"mk{uuid.uuid4().hex[:14]}"


def plant(site: Application) -> World:
    """Make Ana, her mentor Ben and the stranger Eve, each private column of theirs holding its own marker."""
    marks, bens, eves = {"name": marker()}, {"name": marker()}, {"name": marker()}
    first = site.accounts.first_code()
    if first:  # the first account keeps the installation, so it belongs to none of the three
        site.accounts.welcome(site.accounts.sign_up(first, "Kim", PASSWORD).id)
    ana, ben, eve = (
        _human(site, f"{called} {of['name']}")
        for called, of in (("Ana", marks), ("Ben", bens), ("Eve", eves))
    )
    world = World(ana, ben, eve, marks=marks, bens=bens, eves=eves)
    world.ids = _prepared(site, ana.id, marks)
    code = site.accounts.pair_code(ana.id, "mentee")
    world.ids |= {"code": code, "pair": site.accounts.join_pair(ben.id, code)["id"]}
    _shared(site, world)
    _rest(site, world)
    world.own = _prepared(site, eve.id, eves)
    return world


def keeper(site: Application) -> Human:
    found = site.store.people.by_name("Kim")
    assert found
    return Human(found["id"], "Kim")


def _human(site: Application, name: str) -> Human:
    made = site.accounts.sign_up(site.accounts.signup_code("mentee"), name, PASSWORD)
    site.accounts.welcome(made.id)
    return Human(made.id, name)


def _written(marks: dict[str, str], column: str) -> str:
    """Return a plain sentence or two around a new marker."""
    marks[column] = marker()
    return (
        f"I wanted to ask about {marks[column]} in our weekly meeting. Then we took another plan to the team."
    )


def _prepared(site: Application, owner: str, marks: dict[str, str]) -> dict[str, str]:
    """Write a reflection, its report and answers, goals and meetings; return their ids."""
    store = site.store
    earlier = store.reflections.save(owner, _written(marks, "reflections.text earlier"))
    site.pipeline.read_reflection(owner, earlier)
    reflection = store.reflections.save(owner, _written(marks, "reflections.text"))
    report = site.pipeline.read_reflection(owner, reflection)
    draft = {"kind": "reflect", "text": _written(marks, "reports.payload"), "theme": None, "origin": "model"}
    match = {"reflection_id": earlier, "quote": _written(marks, "reports.payload earlier"), "score": 0.9}
    store.reflections.change_report(
        owner, reflection, lambda stored: stored | {"drafts": [draft], "earlier": [match]}
    )
    asked = next(item["text"] for item in report["questions"] if item["kind"] == "reflect")
    store.reflections.save_answer(owner, reflection, asked, _written(marks, "answers.text"), "none")
    store.reflections.save_answer(owner, reflection, _written(marks, "answers.question"), "Yes.", "none")
    wording = _written(marks, "verdicts.wording")
    store.reflections.save_verdict(owner, reflection, THEMES[0], "reworded", wording)
    ids = {
        "reflection": reflection,
        "here": reflection,
        "earlier": earlier,
        "theme": THEMES[0],
        "suggested": asked,
    }
    return ids | _goals(site, owner, marks) | _meetings(site, owner, reflection, marks)


def _goals(site: Application, owner: str, marks: dict[str, str]) -> dict[str, str]:
    goals = site.store.goals
    settled = goals.save(owner, _written(marks, "goals.goal settled"), "")
    goals.save_wording(owner, settled, _written(marks, "goals.wording"))
    goal = goals.save(owner, _written(marks, "goals.goal"), _written(marks, "goals.context"))
    row = goal_row(*site.pipeline.refine_goal("Learn to speak up in our weekly meeting.", None))
    found, kept = row | {"refined": _written(marks, "goals.reading")}, goals.load(owner, goal)
    goals.save_reading(owner, goal, (kept["goal"], kept["context"]), found, "none")
    return {"goal": goal, "settled": settled}


def _meetings(site: Application, owner: str, reflection: str, marks: dict[str, str]) -> dict[str, str]:
    meetings = site.store.meetings
    held = meetings.open(owner)["id"]
    meetings.close(
        owner, held, *(_written(marks, column) for column in ("meetings.take", "actions.text", "actions.due"))
    )
    meeting = meetings.open(owner)["id"]
    meetings.set_wants(owner, meeting, "think")
    for column in ("take", "do", "due"):
        meetings.save_after(owner, meeting, column, _written(marks, f"meetings.{column} open"))
    point = {"kind": "question", "reflection": reflection}
    point |= {name: _written(marks, f"items.{name}") for name in ("text", "quote")}
    item = meetings.add_item(owner, meeting, point)
    meetings.add_item(owner, meeting, {"kind": "topic", "text": _written(marks, "items.text second")})
    asked = {"kind": "question", "origin": "model", "reflection": reflection}
    meetings.add_item(owner, held, asked | {"text": _written(marks, "items.suggested held")})
    meetings.add_item(owner, meeting, asked | {"text": _written(marks, "feedback.question")})
    action = meetings.actions(owner, held)[0]["id"]
    return {"meeting": meeting, "held": held, "item": item, "action": action}


def _shared(site: Application, world: World) -> None:
    """Share a goal in an earlier wording, which stands, and a reflection, which is taken back."""
    ana, pair, goal = world.ana.id, world.ids["pair"], world.ids["settled"]
    wording = site.store.goals.load(ana, goal)["wording"]
    site.store.goals.save_wording(ana, goal, _written(world.marks, "shares.payload"))
    share = site.sharing.share(ana, pair, site.sharing.goal(ana, goal))
    site.store.goals.save_wording(ana, goal, wording)
    gone = site.sharing.share(ana, pair, site.sharing.reflection(ana, world.ids["earlier"]))
    site.sharing.withdraw(ana, gone)
    world.ids |= {"share": share, "withdrawn": gone}
    ben = world.ben.id
    site.sharing.reply(ben, share, _written(world.bens, "replies.text"))
    site.sharing.mark(ben, share, "next")
    site.sharing.save_note(ben, pair, "note", _written(world.bens, "notes.text"))
    site.sharing.save_note(ben, pair, "story", _written(world.bens, "notes.text story"))


def _rest(site: Application, world: World) -> None:
    """Fill the columns that no page writes to yet."""
    run, pair, ana = site.store.database.run, world.ids["pair"], world.ana.id
    words = [_written(world.marks, name) for name in ("agreements.payload", "logs.topics", "logs.text")]
    run("INSERT INTO agreements VALUES (?, ?, ?, ?, '2024-01-01')", marker(), pair, ana, words[0])
    run(
        "INSERT INTO logs (id, owner, pair, held, topics, text, created) VALUES (?, ?, ?, '2024', ?, ?, '2024')",
        marker(),
        ana,
        pair,
        *words[1:],
    )


def rows_of(site: Application, person: str) -> Row:
    """Return every row of a person, vectors and the account itself included."""
    database = site.store.database
    vectors = "SELECT reflection, text_hash FROM vectors WHERE owner = ? ORDER BY 1, 2"
    return site.store.everything_of(person) | {
        "vectors": database.rows(vectors, person),
        "people": database.rows("SELECT * FROM people WHERE id = ?", person),
        "codes": database.rows("SELECT * FROM codes WHERE owner = ?", person),
    }
