"""What the tests share: a store on a temporary folder, three people, a small embedder, and no network."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from argon2 import PasswordHasher
from sqlite_utils import Database as Connection
from sqlite_utils import Migrations

from assistant import migrations
from assistant.accounts import Accounts
from assistant.assemble import WRITER
from assistant.domain import Span
from assistant.embedding import Vectors
from assistant.embedding.tuned import WordReading
from assistant.model import prepare
from assistant.sharing import Sharing
from assistant.store import Store, database, text_hash

PASSWORD = "three words do"
MARK = "MARKER7f3a"
VECTOR = np.arange(384, dtype=np.float32)
CHECKOUT = Path(__file__).resolve().parent.parent


def writer_folder() -> Path:
    """Return the prepared text model, tuned, as the application uses it; the first call prepares it."""
    models = os.environ.get("MENTORING_MODELS") or CHECKOUT / ".cache" / "models"
    return prepare.prepare(Path(models), adapter=WRITER)


class HashingEmbedder:
    """Unit vectors from the words of a text alone: the same words give the same vector, at no cost."""

    name = "hashing"
    hash = "hashing-384"
    dimensions = 384

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.encoded += texts
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
                row[int.from_bytes(digest[:4], "big") % self.dimensions] += 1 if digest[4] % 2 else -1
            row[0] += not row.any()
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


class CalmReader:
    """A scripted tuned encoder: says nothing about any text, and counts how often it was asked."""

    hash = "calm"

    def __init__(self) -> None:
        self.asked = 0

    def read(self, text: str) -> WordReading:
        self.asked += 1
        return reading_of(text)


def reading_of(
    text: str,
    themes: Sequence[float] = (),
    urgent: float = -9.0,
    raised: float = -9.0,
    at: dict[int, str] | None = None,
) -> WordReading:
    """Return a made reading: a piece a word; ``at`` says on which words each column of looks rests."""
    pieces = [Span(found.start(), found.end()) for found in re.finditer(r"\S+", text)]
    count = max(len(themes), 25)
    looks = np.zeros((len(pieces), count + 2), np.float32)
    for column, words in (at or {}).items():
        start = text.index(words)
        on = [n for n, piece in enumerate(pieces) if start <= piece.start < start + len(words)]
        looks[on, column] = 1 / len(on)
    logits = np.full(count, -9.0, np.float32)
    logits[: len(themes)] = themes
    return WordReading(logits, urgent, raised, np.zeros(7, np.float32), pieces, looks)


@dataclass(frozen=True)
class People:
    """Ids: ana is the mentee and ben the mentor of ``pair``; eve has nothing to do with them."""

    ana: str
    ben: str
    eve: str
    pair: str


def traces(store: Store, words: str) -> int:
    """Count the words in every byte of the database file and the files beside it."""
    folder = store.database.path.parent
    return sum(path.read_bytes().count(words.encode()) for path in folder.iterdir())


def planted(store: Store, owner: str, words: str) -> dict[str, str]:
    """Fill every private table of ``owner`` with ``words``; return the ids by kind."""
    reflection = store.reflections.save(owner, f"{words} text")
    store.reflections.save_report(owner, reflection, f"{words} text", {"quote": words})
    store.reflections.save_vectors(owner, reflection, "m", {text_hash(words): VECTOR})
    store.reflections.save_answer(owner, reflection, f"{words} asked", f"{words} answered", "none")
    store.reflections.save_verdict(owner, reflection, "trust", "reworded", f"{words} wording")
    goal = store.goals.save(owner, f"{words} goal", f"{words} context")
    kept = store.goals.load(owner, goal)
    store.goals.save_reading(owner, goal, (kept["goal"], kept["context"]), {"refined": words}, "none")
    store.goals.save_wording(owner, goal, f"{words} settled")
    meeting = store.meetings.open(owner)["id"]
    item = store.meetings.add_item(
        owner, meeting, {"kind": "question", "text": f"{words}?", "quote": words, "reflection": reflection}
    )
    store.meetings.set_wants(owner, meeting, words)
    held = {"reflection": reflection, "goal": goal, "meeting": meeting, "item": item}
    store.meetings.close(owner, meeting, f"{words} take", f"{words} do", "")
    return held | {"action": store.meetings.actions(owner, meeting)[0]["id"]}


def at_once(*acts: Callable[[], object]) -> list[BaseException]:
    """Run each act in a thread of its own; return what they raised."""
    faults: list[BaseException] = []
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            act()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def old_database(path: Path) -> None:
    """Make a database as the first migration left it, with a person and a reflection."""
    first = Migrations("mentoring")
    first(name="m001_first")(migrations.m001_first)
    old = Connection(path)
    first.apply(old)
    old.execute("INSERT INTO people (id, name, password, created) VALUES ('p', 'ana', 'x', '2026')")
    old.execute("INSERT INTO reflections (id, owner, text, created, changed) VALUES ('r','p','Old.','1','1')")
    old.close()


def with_next(monkeypatch: pytest.MonkeyPatch, migration: Callable[[Connection], object]) -> None:
    """Put one more migration at the end of the history."""
    history = Migrations("mentoring")
    for item in migrations.history._migrations:
        history(name=item.name)(item.fn)
    history(name="m999_next")(migration)  # type: ignore[type-var]
    monkeypatch.setattr(database, "history", history)
    monkeypatch.setattr(migrations, "history", history)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data.sqlite")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def cheap_hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def accounts(store: Store, cheap_hasher: PasswordHasher) -> Accounts:
    return Accounts(store, hasher=cheap_hasher)


@pytest.fixture
def sharing(store: Store, accounts: Accounts) -> Sharing:
    return Sharing(store, accounts, frozenset({"the", "then", "my", "what", "how", "i"}))


@pytest.fixture
def people(accounts: Accounts) -> People:
    first = accounts.first_code()
    assert first
    ana = accounts.sign_up(first, "Ana", PASSWORD).id
    ben = accounts.sign_up(accounts.signup_code("mentor"), "Ben", PASSWORD).id
    eve = accounts.sign_up(accounts.signup_code("mentee"), "Eve", PASSWORD).id
    pair = accounts.join_pair(ben, accounts.pair_code(ana, "mentee"))["id"]
    return People(ana, ben, eve, pair)


@pytest.fixture
def ana(people: People) -> str:
    return people.ana


@pytest.fixture
def ben(people: People) -> str:
    return people.ben


@pytest.fixture
def eve(people: People) -> str:
    return people.eve


@pytest.fixture
def pair(people: People) -> str:
    return people.pair


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture(scope="session")
def checkout() -> Path:
    return CHECKOUT


def _outside(address: object) -> bool:
    if not isinstance(address, tuple):  # a local socket file
        return False
    host = str(address[0])
    try:
        return not ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return host != "localhost"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: object, real: object = real) -> object:
            if _outside(address):
                raise AssertionError(f"a test tried to reach {address}")
            return real(self, address)  # type: ignore[operator]

        monkeypatch.setattr(socket.socket, name, guarded)


@pytest.fixture(autouse=True)
def shared_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that use the real models share the prepared ones of the checkout."""
    if request.node.get_closest_marker("models") and not os.environ.get("MENTORING_MODELS"):
        monkeypatch.setenv("MENTORING_MODELS", str(CHECKOUT / ".cache" / "models"))
