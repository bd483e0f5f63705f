"""Every handler and route, as the pages themselves name them, called by everybody it is not meant for.

Nothing here knows a handler by name: a page or an act that is added is swept with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from conftest import PASSWORD
from web import Answer, Browser, Handler, Human, Row, Server, World, keeper, plant, rows_of, serving

from assistant.sharing import KINDS

pytestmark = pytest.mark.web

FIELDS = {
    "passage": "self_confidence-about-what",
    "entry": "self_confidence-r1",
    "text": "Plain words of the one who asks, about a plan for our team.",
    "words": "I want to learn to speak up in our weekly meeting.",
    "context": "The team is new to me.",
    "wording": "Plain words for this.",
    "question": "What would you like to be asked?",
    "step": "Write a first note.",
    "take": "Plain words to take.",
    "do": "Write to them.",
    "due": "Friday",
    "state": "done",
    "deed": "asked",
    "field": "take",
    "wants": "listen",
    "role": "mentee",
    "mark": "later",
    "origin": "own",
    "on": "true",
    "with_quote": "true",
    "initials": "true",
    "kind": "question",
    "seen": "",
    "mark_of_act": "act#1",
}
IDS = ("reflection", "suggested", "here", "goal", "item", "action", "share", "pair", "meeting")
# Columns of a person's tables that hold no words of theirs: ids, days, numbers and fixed vocabularies.
WORDLESS = set(
    "id owner reflection meeting pair share part created changed held shared withdrawn text_hash level theme "
    "verdict wants kind origin state mark mode model deed".split()
)


@dataclass
class Sweep:
    """What the handlers answered to Kim, Ben and Ana, who asked in this order, and what they read."""

    handlers: list[Handler] = field(default_factory=list)
    reads: dict[str, set[str]] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)
    back: dict[str, set[str]] = field(default_factory=lambda: {"Ana": set(), "Ben": set()})
    leaks: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    stumbled: set[str] = field(default_factory=set)


class Reader:
    """Notes the names of the fields that acts ask for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def record(self, base: type) -> type:
        names = self.names

        class Recording(base):  # type: ignore[misc]
            def get(self, name: str, default: object = None) -> object:
                names.add(name)
                return super().get(name, default)

            def __getitem__(self, name: str) -> object:
                names.add(name)
                return super().__getitem__(name)

        return Recording


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("sweep")) as made:
        yield made


@pytest.fixture(scope="module")
def reader(server: Server) -> Iterator[Reader]:
    from ui import page

    made = Reader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "Given", made.record(page.Given))
        yield made


@pytest.fixture(scope="module")
def pages(server: Server) -> list[str]:
    from ui.app import PAGES

    return list(PAGES)


@pytest.fixture(scope="module")
def sweep(server: Server, reader: Reader, pages: list[str]) -> Sweep:
    """Call every handler in a world of its own as Kim, as Ben and as Ana, with Ana's ids."""
    browser = server.signed_in(plant(server.site).ana)
    found = Sweep([handler for page in pages for handler in browser.handlers(page)])
    for handler in found.handlers:
        world = plant(server.site)
        before = rows_of(server.site, world.ana.id)
        reader.names.clear()
        for human in (keeper(server.site), world.ben, world.ana):
            if human is world.ana and rows_of(server.site, world.ana.id) != before:
                found.changed.append(handler.name)
            for answer in called(server, reader, handler, human, found.handlers, world):
                judge(found, handler, human, answer, world)
        found.reads[handler.name] = set(reader.names)
    return found


def called(
    server: Server, reader: Reader, handler: Handler, human: Human, every: list[Handler], world: World
) -> Iterator[Answer]:
    """Yield the answers to one handler: one for each kind of thing where it asks for the kind."""
    browser = server.signed_in(human)
    for kind in KINDS:
        code = server.site.accounts.pair_code(keeper(server.site).id, "mentor")
        fields = superset(world.ids, kind=kind, code=code)
        yield browser.call(handler, fields, **fields)
        if "seen" in reader.names:
            fields["seen"] = looked_at(browser, handler, every, fields)
            yield browser.call(handler, fields, **fields)
        if "kind" not in reader.names:
            return


def superset(ids: dict[str, str], **given: str) -> Row:
    """Return every field that any act reads, with these ids."""
    return FIELDS | ids | {"r": ids["reflection"]} | given


def looked_at(browser: Browser, handler: Handler, every: list[Handler], fields: Row) -> str:
    """Return what the preview on this page says was seen, or nothing where there is none."""
    preview = next(item for item in every if item.page == handler.page and item.name.endswith("_preview"))
    seen = re.search(r'data-seen="(\w+)"', browser.call(preview, fields).text)
    return seen.group(1) if seen else ""


def judge(found: Sweep, handler: Handler, human: Human, answer: Answer, world: World) -> None:
    """Note what came back to whom."""
    names = {of["name"] for of in (world.marks, world.bens, world.eves)}
    everything = {*world.marks.values(), *world.bens.values(), *world.eves.values()}
    allowed = {
        world.ana.id: {*world.marks.values(), world.bens["name"], world.bens["replies.text"]},
        world.ben.id: world.shared,
    }.get(human.id, names if handler.page == "/keeper" else set())
    found.leaks += [f"{handler.name} to {human.name}" for mark in everything - allowed if mark in answer.text]
    if answer.good:
        found.good.add(handler.name)
    if answer.unforeseen:
        found.stumbled.add(f"{handler.name} as {human.name.split()[0]}")
    for who, human_id, marks in (("Ana", world.ana.id, world.marks), ("Ben", world.ben.id, world.bens)):
        if human.id == human_id:
            found.back[who] |= {column for column, mark in marks.items() if mark in answer.text}


def test_every_column_with_words_is_planted(server):
    world = plant(server.site)
    database = server.site.store.database
    marks = {*world.marks.values(), *world.bens.values()}
    bare = []
    for table in database.connection.tables:
        columns = {column.name: column.type for column in table.columns}
        if "owner" not in columns or table.name in ("sign_ins", "codes"):
            continue
        for column in {name for name, kind in columns.items() if kind == "TEXT"} - WORDLESS:
            values = database.rows(f"SELECT [{column}] AS value FROM [{table.name}]")
            if not any(mark in str(row["value"]) for row in values for mark in marks):
                bare.append(f"{table.name}.{column}")
    assert not bare, "plant a marker in these, or call them wordless"


def test_every_field_that_a_handler_reads_is_sent(sweep):
    sent = set(superset(dict.fromkeys((*IDS, "theme", "code"), "")))
    missing = {name: sorted(reads - sent) for name, reads in sweep.reads.items() if reads - sent}
    assert not missing, "give these fields a value in FIELDS or in the planted world"


def test_every_handler_does_its_work_for_somebody(sweep):
    assert len(sweep.handlers) > 50
    silent = {handler.name for handler in sweep.handlers} - sweep.good
    assert not silent, "these only ever answer with an error"


def test_no_handler_stumbles_over_anything_that_was_sent(sweep):
    assert not sweep.stumbled


def test_mentor_and_keeper_get_nothing_that_is_not_shared_and_the_mentee_none_of_the_mentors_notes(sweep):
    assert not sweep.leaks


def test_mentor_and_keeper_change_nothing_of_the_mentees(sweep):
    # Either may end a pair, and what was shared in it is then erased for both.
    assert set(sweep.changed) <= {"sharing_end"}


def test_every_planted_word_comes_back_to_its_owner(server, sweep):
    world = plant(server.site)
    back = {who: set(columns) for who, columns in sweep.back.items()}
    for who, human, marks in (("Ana", world.ana, world.marks), ("Ben", world.ben, world.bens)):
        browser = server.signed_in(human)
        for route in server.routes():
            if "GET" in route.methods:
                text = browser.client.get(route.path).text
                back[who] |= {column for column, mark in marks.items() if mark in text}
    assert back == {"Ana": set(world.marks), "Ben": set(world.bens)}


def test_a_stranger_gets_and_changes_nothing_through_any_handler(server, sweep):
    leaks, changed = [], []
    for handler in sweep.handlers:
        world = plant(server.site)
        humans = (world.ana.id, world.ben.id)
        tries = list(attacks(sweep, handler, world, server))  # Ana looks at previews for these, so first
        before = [rows_of(server.site, human) for human in humans]
        eve = server.signed_in(world.eve)
        for fields in tries:
            answer = eve.call(handler, fields, **fields)
            theirs = {*world.marks.values(), *world.bens.values()}
            leaks += [f"{handler.name}: {fields}" for mark in theirs if mark in answer.text]
        if [rows_of(server.site, human) for human in humans] != before:
            changed.append(handler.name)
    assert not leaks
    assert not changed


def attacks(sweep: Sweep, handler: Handler, world: World, server: Server) -> Iterator[Row]:
    """Yield Ana's ids all together, then each single one of them among Eve's own."""
    reads = sweep.reads[handler.name]
    ana = server.signed_in(world.ana)
    for kind in KINDS if "kind" in reads else KINDS[:1]:
        fields = superset(world.ids, kind=kind)
        if "seen" in reads:
            fields["seen"] = looked_at(ana, handler, sweep.handlers, fields)
        yield fields
        for name in reads & set(IDS):
            yield fields | superset(world.ids | world.own | {name: world.ids[name]}, kind=kind)


def test_nobody_gets_an_answer_without_a_sign_in(server, sweep, pages):
    world = plant(server.site)
    before = rows_of(server.site, world.ana.id)
    browser = server.nobody()
    for handler in sweep.handlers:
        fields = superset(world.ids)
        answer = browser.call(handler, fields, **fields)
        assert (answer.status, "note" in answer.text) == (401, False), handler.name
    for page in pages:
        reply = browser.client.get(page, params={"r": world.ids["reflection"]})
        assert (reply.status_code, reply.text) == (303, "")
    assert rows_of(server.site, world.ana.id) == before


def test_a_stranger_gets_and_changes_nothing_through_any_route(server, pages):
    world = plant(server.site)
    humans = (world.ana.id, world.ben.id)
    before = [rows_of(server.site, human) for human in humans]
    fields = superset(world.ids) | {"name": world.ana.name, "password": PASSWORD[::-1], "owner": world.ana.id}
    theirs = {*world.marks.values(), *world.bens.values()} - {world.marks["name"]}
    tried = 0
    for path, methods in [(route.path, route.methods) for route in server.routes()] + [
        (page, {"GET"}) for page in pages
    ]:
        for method in methods & {"GET", "POST"}:
            eve = server.signed_in(world.eve)
            data = fields if method == "POST" else None
            reply = eve.client.request(method, path.replace("{name}", "app.js"), params=fields, data=data)
            tried += 1
            assert not [mark for mark in theirs if mark in reply.text], path
            assert world.marks["name"] not in reply.text or path in ("/sign-in", "/sign-up"), path
    assert tried > 20
    assert [rows_of(server.site, human) for human in humans] == before


def test_the_session_of_another_tab_is_refused_however_it_is_named(server, sweep):
    world = plant(server.site)
    ana, eve = server.signed_in(world.ana), server.signed_in(world.eve)
    handler = next(item for item in sweep.handlers if item.queued)
    assert ana.call(handler, superset(world.ids)).status == 200
    theirs, mine = ana.session, eve.session
    body = eve.body(handler, superset(world.own))
    posts = ("queue/join", "run/predict", "cancel", "reset")
    tries = [("POST", path, {}, body | {"session_hash": theirs}) for path in posts]
    tries += [("POST", path, {"session_hash": mine}, body | {"session_hash": theirs}) for path in posts]
    tries += [("POST", path, {"session_hash": theirs}, body) for path in posts]
    tries += [
        ("GET", f"heartbeat/{theirs}", {}, None),
        ("GET", f"heartbeat/{theirs}", {"session_hash": mine}, None),
        ("GET", "queue/data", {"session_hash": theirs}, None),
        ("GET", "queue/data", {"session_hash": [mine, theirs]}, None),
        ("GET", "queue/data", {"session_hash": [theirs, mine]}, None),
    ]
    let_in = [
        (method, path, query)
        for method, path, query, sent in tries
        if eve.client.request(
            method, f"/gradio_api/{path}", params=query, json=sent, headers={"sec-fetch-site": "same-origin"}
        ).status_code
        != 403
    ]
    assert not let_in


def test_nothing_that_is_sent_says_who_asks(server, sweep):
    world = plant(server.site)
    eve = server.signed_in(world.eve)
    handler = next(item for item in sweep.handlers if item.page == "/mine" and not item.queued)
    forged = {"username": world.ana.id, "user": world.ana.id, "owner": world.ana.id, "person": world.ana.id}
    body = eve.body(handler, forged) | forged | {"request": {"username": world.ana.id}, "batched": True}
    for sent in (body, body | {"batched": False}):
        reply = eve.client.post("/gradio_api/run/predict", json=sent, params=forged, headers=forged)
        assert not [mark for mark in world.marks.values() if mark in reply.text]
    assert eve.call(handler, {}).good
