"""Coming in and going out, and what is left behind: in logs, in files, in memory, after a fault."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from conftest import PASSWORD
from web import COOKIE, LAN, Browser, Server, World, plant, serving

from assistant.accounts import ATTEMPT_MINUTES, ATTEMPTS
from assistant.errors import InputError

pytestmark = pytest.mark.web


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("signin")) as made:
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


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password} | fields)


def test_the_cookie_is_for_this_site_alone_and_for_scripts_never(server, world):
    plain = sign_in(server.client(), world.ana.name).headers["set-cookie"].lower()
    assert "httponly" in plain and "samesite=strict" in plain and "path=/" in plain
    assert "secure" not in plain and "domain" not in plain
    behind = server.client(**{"x-forwarded-proto": "https"})
    assert "; secure" in sign_in(behind, world.ana.name).headers["set-cookie"].lower()


def test_a_name_on_the_network_without_encryption_is_warned_of(nobody):
    def warned(**headers: str) -> bool:
        return "not encrypted" in nobody.get("/sign-in", headers=headers).text

    assert warned(host=LAN)
    assert not warned(host="localhost")
    assert not warned(host=LAN, **{"x-forwarded-proto": "https"})


# Coming in and going out


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(server, world):
    browser = server.signed_in(world.ana)
    copy = server.client(browser.client.cookies[COOKIE])
    reply = browser.client.post("/sign-out")
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")
    assert reply.headers["clear-site-data"] == '"storage"'
    assert copy.get("/").status_code == 303 and copy.get("/download").status_code in (303, 401)
    assert browser.client.get("/sign-out").status_code != 200


def test_an_idle_or_an_old_sign_in_has_ended(server, world):
    for column in ("used", "created"):
        browser = server.signed_in(world.ana)
        handler = browser.handlers("/mine")[0]
        assert browser.call(handler, {}).good
        hashed = hashlib.sha256(browser.client.cookies[COOKIE].encode()).hexdigest()
        server.site.store.database.run(
            f"UPDATE sign_ins SET [{column}] = '2001-01-01' WHERE token_hash = ?", hashed
        )
        assert browser.call(handler, {}).status == 401
        assert browser.client.get("/mine").headers["location"] == "/sign-in?next=/mine"


OUTSIDE = [
    "//evil.example", "/\\evil.example", "\\\\evil.example", "http://evil.example", "https:evil.example",
    "javascript:alert(1)", "/\t/evil.example", "/\r/evil.example", "/\n/evil.example", "\t//evil.example",
    "/%09/evil.example", "/ /evil.example", "///evil.example", "@evil.example", "", ".evil.example",
    "/\x00/evil.example", "/\r\nLocation: http://evil.example", "data:text/html,x",
]  # fmt: skip


@pytest.mark.parametrize("there", OUTSIDE, ids=repr)
def test_no_link_to_the_sign_in_leads_anywhere_else(server, world, there):
    reply = sign_in(server.client(), world.ana.name, next=there)
    assert reply.status_code == 303
    assert len(reply.headers.get_list("location")) == 1
    # A browser drops tabs and line ends, and takes a backslash for a slash.
    seen = re.sub(r"[\t\r\n]", "", reply.headers["location"]).replace("\\", "/")
    assert urlsplit(urljoin(server.url, seen)).netloc == urlsplit(server.url).netloc
    assert seen.startswith("/") and not seen.startswith("//")


def test_too_many_wrong_passwords_are_answered_with_how_long_to_wait(server):
    name = "Somebody Throttled"
    server.site.accounts.sign_up(server.site.accounts.signup_code("mentee"), name, PASSWORD)
    client = server.client()
    for _ in range(ATTEMPTS):
        reply = sign_in(client, name, "not the password")
        assert reply.status_code == 400 and "do not match" in reply.text
    reply = sign_in(client, name)
    assert reply.status_code == 400 and f"Wait {ATTEMPT_MINUTES} minutes" in reply.text
    assert "set-cookie" not in reply.headers


def test_a_wrong_sign_in_says_the_same_of_a_known_and_an_unknown_name(server, world):
    known, unknown = (sign_in(server.client(), name, "not it") for name in (world.eve.name, "Nobody At All"))
    assert known.text.replace(world.eve.name, "") == unknown.text.replace("Nobody At All", "")
    assert "not it" not in known.text and known.status_code == unknown.status_code == 400


def test_the_code_for_the_first_account_works_once(tmp_path):
    with serving(tmp_path) as fresh:
        old, code = fresh.site.accounts.first_code(), fresh.site.accounts.first_code()
        replies = [
            fresh.client().post("/sign-up", data={"code": key, "name": name, "password": PASSWORD})
            for key, name in ((old, "Early"), (code, "First"), (code, "Second"))
        ]
        assert [reply.status_code for reply in replies] == [400, 303, 400]
        assert fresh.site.store.people.names() == ["First"]
        assert fresh.site.accounts.first_code() is None


def test_a_reset_code_ends_every_sign_in_and_works_once(server):
    name = "Somebody Forgetful"
    server.site.accounts.sign_up(server.site.accounts.signup_code("mentee"), name, PASSWORD)
    inside = server.client()
    sign_in(inside, name)
    code = server.site.accounts.reset_code(name)
    replies = [
        server.client().post("/reset", data={"code": code, "password": word * 3})
        for word in ("fresh", "other")
    ]
    assert [reply.status_code for reply in replies] == [303, 400]
    assert inside.get("/").headers["location"] == "/sign-in"
    assert sign_in(server.client(), name, "fresh" * 3).status_code == 303


def test_an_account_is_deleted_with_its_password_alone(server):
    name = "Somebody Leaving"
    person = server.site.accounts.sign_up(server.site.accounts.signup_code("mentee"), name, PASSWORD)
    client = server.client()
    sign_in(client, name)
    assert client.post("/delete-account", data={"password": "not it, no"}).status_code == 400
    assert server.site.store.people.by_id(person.id)
    assert client.post("/delete-account", data={"password": PASSWORD}).status_code == 200
    assert server.site.store.people.by_id(person.id) is None
    assert client.get("/").status_code == 303


# Traces


class Stumble(Exception):
    """Something unforeseen that holds the words it stumbled over."""


def test_a_fault_says_nothing_of_the_words_it_happened_on(server, world, ana, monkeypatch, caplog, capfd):
    def stumbling(*given: object, **named: object) -> None:
        raise Stumble(f"{world.marks['reflections.text']} {given} {named}")

    for of, name in ((server.site.store.reflections, "save"), (server.site.store.reflections, "load")):
        monkeypatch.setattr(of, name, stumbling)
    for of, name in ((server.site.store, "everything_of"), (server.site.store.meetings, "items")):
        monkeypatch.setattr(of, name, stumbling)
    fields = world.ids | {"text": world.marks["reflections.text"], "r": world.ids["reflection"]}
    answers = [
        ana.call(handler, fields, r=fields["r"])
        for page in ("/", "/meeting")
        for handler in ana.handlers(page)
    ]
    assert sum(answer.unforeseen for answer in answers) > 5
    texts = [answer.text for answer in answers] + [
        ana.client.get(path).text for path in ("/download", "/meeting.md", "/meeting/print")
    ]
    for text in [*texts, caplog.text, *capfd.readouterr()]:
        assert not [mark for mark in world.marks.values() if mark in text]
        assert "Stumble(" not in text and fields["text"] not in text
    for text in texts:
        assert "Traceback" not in text and ".py" not in text and "Stumble" not in text


def test_no_words_are_left_in_logs_or_in_any_file_but_the_database(server, ana, world, caplog, capfd):
    from ui.app import PAGES

    caplog.set_level("DEBUG")
    for page in PAGES:
        for handler in ana.handlers(page):
            ana.call(handler, {"text": f"{world.marks['reflections.text']} again, and more."} | world.ids)
    sign_in(server.client(), world.ana.name, world.marks["reflections.text"])
    marks = [*world.marks.values(), *world.bens.values(), *world.eves.values()]
    for text in (caplog.text, *capfd.readouterr()):
        assert not [mark for mark in marks if mark in text]
    data = server.site.settings.data
    assert Path(os.environ["GRADIO_TEMP_DIR"]).is_relative_to(data.parent.parent)
    for path in data.rglob("*"):
        if path.is_file() and not path.name.startswith(server.site.settings.database.name):
            content = path.read_bytes()
            assert not [mark for mark in marks if mark.encode() in content], path
    assert (data / "tmp").stat().st_mode & 0o077 == 0


def held(thing: object, depth: int = 6) -> object:
    """Return what an object holds, and what that holds, as far down as text can be expected."""
    if depth and isinstance(thing, dict):
        return {str(key): held(value, depth - 1) for key, value in thing.items()}
    if depth and isinstance(thing, list | tuple | set):
        return [held(value, depth - 1) for value in thing]
    return held(vars(thing), depth - 1) if depth and hasattr(thing, "__dict__") else str(thing)


def test_gradio_keeps_no_words_in_memory(server, ana, world):
    mounted = next(route.app for route in server.app._app.routes if hasattr(route, "app"))
    for handler in ana.handlers("/"):
        ana.call(handler, {"text": world.marks["reflections.text"]} | world.ids, r=world.ids["reflection"])
    blocks, states = mounted.get_blocks(), mounted.state_holder.session_data
    seen = repr([held(state) for state in states.values()])
    seen += repr([dict(blocks.pending_diff_streams), held(blocks.default_config), held(mounted.iterators)])
    assert not [mark for mark in world.marks.values() if mark in seen]


def test_a_refusal_stays_a_refusal_when_it_is_expected(server, ana, monkeypatch):
    def refusing(*given: object) -> None:
        raise InputError("Not like this.")

    monkeypatch.setattr(server.site.store.goals, "list", refusing)
    handler = ana.handlers("/goals")[0]
    assert "Not like this." in ana.call(handler, {}).text
