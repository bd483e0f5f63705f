"""One SQLite connection a thread, foreign keys on for each, one transaction an act."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database as Connection

from assistant.errors import StoreError
from assistant.migrations import history

BUSY_SECONDS = 5.0


def new_id() -> str:
    """Return a random id; nothing in it counts or dates."""
    return str(uuid.uuid4())


def now() -> str:
    """Return the time in UTC as ISO 8601 to the microsecond, so that rows sort by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def storable(text: str) -> str:
    """Return ``text`` with each lone surrogate as U+FFFD, one for one, so that offsets hold.

    >>> storable("a" + chr(0xD800) + "b") == "a" + chr(0xFFFD) + "b"
    True
    """
    return "".join("�" if "\ud800" <= ch <= "\udfff" else ch for ch in text)


class Database:
    """The application's one SQLite file; opens, migrates and hands out a connection a thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at ``path``. Raises StoreError when it cannot be used."""
        self.path = path
        self._local = threading.local()
        self._every: list[Connection] = []
        self._guard = threading.Lock()
        with self._errors():
            self.connection.enable_wal()
            history.apply(self.connection)
        path.chmod(0o600)

    @property
    def connection(self) -> Connection:
        """This thread's connection, opened on first use."""
        if not hasattr(self._local, "connection"):
            with self._errors():
                raw = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
            opened = Connection(raw)
            # Deleted words are overwritten with zeros, not left in free pages.
            for pragma in ("foreign_keys=ON", "secure_delete=ON", "synchronous=NORMAL"):
                opened.execute(f"PRAGMA {pragma}")
            self._local.connection = opened
            with self._guard:
                self._every.append(opened)
        return self._local.connection  # type: ignore[no-any-return]

    @contextmanager
    def act(self) -> Iterator[Connection]:
        """Run a block as one transaction that takes the write lock first; all of it holds or none."""
        with self._errors():
            connection = self.connection
            if connection.conn.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.conn.rollback()
                raise
            connection.conn.commit()

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a SELECT as dictionaries."""
        with self._errors():
            return list(self.connection.query(sql, values))

    def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """Return the first row of a SELECT, or None."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def run(self, sql: str, *values: Any) -> int:
        """Run one writing statement in a transaction; return how many rows it touched."""
        with self.act() as connection:
            return connection.execute(sql, values).rowcount

    def erase_shares_of(self, owner: str, source: str) -> None:
        """Erase the payload of every share made from ``source``; the ledger rows stay, withdrawn."""
        self.run(
            "UPDATE shares SET payload = NULL, withdrawn = coalesce(withdrawn, ?) WHERE owner = ? AND id IN "
            "(SELECT share FROM share_sources WHERE source = ?)",
            now(), owner, source,
        )  # fmt: skip

    def forget(self) -> None:
        """After a deletion: empty the write-ahead log, so no deleted word stays on disk in it."""
        with self._errors():
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close every thread's connection."""
        with self._guard:
            for connection in self._every:
                connection.close()
            self._every.clear()
        self._local = threading.local()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise StoreError(
                    f"The database {self.path} is busy with another program. "
                    "Nothing was lost: wait a moment and try again."
                ) from error
            raise StoreError(
                f"The database {self.path} cannot be used ({error}). Run `mentoring doctor`."
            ) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"The database {self.path} refused this ({error}). Run `mentoring doctor`."
            ) from error
