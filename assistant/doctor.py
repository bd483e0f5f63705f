"""Checks an installation and says, for each part, how it is and what to do about a fault."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assistant import assemble, knowledge
from assistant.errors import MentoringError
from assistant.settings import Settings
from assistant.store import Store


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    good: bool
    says: str


def checks(settings: Settings) -> Iterator[Check]:
    """Yield one finding a part, in the order in which a fault of one explains those after it."""
    yield Check("data", True, f"kept in {settings.data}")
    for name, look in (("database", _database), ("knowledge", _knowledge), ("embedding model", _embedding)):
        yield _checked(name, look, settings)
    yield _text_model(settings)
    yield _checked("network", _network, settings)


def _checked(name: str, look: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, True, look(settings))
    except (MentoringError, OSError) as error:
        return Check(name, False, str(error))


def _database(settings: Settings) -> str:
    store = Store(settings.database)
    try:
        found = store.database.rows("PRAGMA integrity_check")[0]["integrity_check"]
        if found != "ok":
            raise MentoringError(f"{settings.database} is damaged ({found}). Restore it from a backup.")
        people = store.people.count()
    finally:
        store.close()
    return f"sound, {people} {'account' if people == 1 else 'accounts'}"


def _knowledge(settings: Settings) -> str:
    known = knowledge.load(organisation=settings.own_library)
    if known.faults:
        raise MentoringError(
            f"{len(known.faults)} files have a fault, the first is {known.faults[0]}. "
            "`mentoring knowledge check` names them all."
        )
    return f"{len(known.passages)} passages, {len(known.questions)} questions"


def _embedding(settings: Settings) -> str:
    lines = assemble.pipeline(settings, use_model=False)
    best = lines.search("I go quiet in meetings", 1)[0]
    return f"works; index built; the passage nearest to a trial sentence is {best.passage.id}"


def _text_model(settings: Settings) -> Check:
    name = "text model"
    if settings.model == "none":
        return Check(name, True, "none is set; questions come from the bank alone")
    model, fault = assemble.text_model(settings)
    if model is None:
        return Check(name, False, f"{fault} Everything else works without it.")
    return Check(name, True, f"{model.name} is there")


def _network(settings: Settings) -> str:
    """Make one search with every socket but loopback refused, and report any that was tried."""
    tried: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def watched(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "local"
        if host not in ("127.0.0.1", "::1", "local"):
            tried.append(str(host))
            raise OSError("refused by the check")
        connect(self, address)  # type: ignore[arg-type]

    def looked_up(host: object, *rest: object, **named: object) -> object:
        if host not in ("127.0.0.1", "::1", "localhost", None):
            tried.append(str(host))
            raise OSError("refused by the check")
        return look_up(host, *rest, **named)  # type: ignore[arg-type]

    socket.socket.connect, socket.getaddrinfo = watched, looked_up  # type: ignore[method-assign, assignment]
    try:
        assemble.pipeline(settings, use_model=False).analyse("A trial sentence about work.", model=False)
    finally:
        socket.socket.connect, socket.getaddrinfo = connect, look_up  # type: ignore[method-assign]
    if tried:
        raise MentoringError(f"Something tried to reach {', '.join(sorted(set(tried)))}. Please report this.")
    return "reading a text reached for nothing outside this machine"
