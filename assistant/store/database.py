"""One SQLite connection a thread, foreign keys on for each, one transaction an act."""

from __future__ import annotations

import re
import sqlite3
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database as Connection

from assistant.errors import StoreError
from assistant.migrations import history, unknown

BUSY_SECONDS = 5.0
SETTLE_SECONDS = 0.25  # forgetting can wait for the next act, so it never keeps anybody waiting
_SURROGATE = re.compile("[\ud800-\udfff]")


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
    return _SURROGATE.sub("\ufffd", text)


class Database:
    """The application's one SQLite file; opens, migrates and hands out a connection a thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at ``path``. Raises StoreError when it cannot be used."""
        self.path = path
        self._local = threading.local()
        self._every: weakref.WeakSet[Connection] = weakref.WeakSet()  # a thread that ends lets go of its own
        self._guard = threading.Lock()
        self._owed = False  # a deletion whose traces could not be removed from the files yet
        try:
            path.touch(mode=0o600)  # before SQLite does: its side files take over these permissions
            path.chmod(0o600)
        except OSError as error:
            raise StoreError(
                f"The database {path} cannot be opened ({error.strerror}). Run `mentoring doctor`."
            ) from error
        with self._errors():
            self.connection.enable_wal()
        with self.act() as connection:
            if unknown(connection):
                raise StoreError(
                    f"The database {path} was written by a newer version. Update this installation, then try again."
                )
            history.apply(connection)

    @property
    def connection(self) -> Connection:
        """This thread's connection, opened on first use."""
        if not hasattr(self._local, "connection"):
            with self._errors():
                raw = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
            opened = Connection(raw)
            # Deleted words are overwritten with zeros, not left in free pages; none goes to a temporary file.
            for pragma in ("foreign_keys=ON", "secure_delete=ON", "synchronous=NORMAL", "temp_store=MEMORY"):
                opened.execute(f"PRAGMA {pragma}")
            self._local.connection = opened
            with self._guard:
                self._every.add(opened)
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
            self._local.forgetting = False
            try:
                yield connection
                connection.conn.commit()
            except BaseException:
                connection.conn.rollback()
                raise
            if self._local.forgetting or self._owed:
                self._settle()

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a SELECT as dictionaries."""
        with self._errors():
            return list(self.connection.query(sql, _bound(values)))

    def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """Return the first row of a SELECT, or None."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def run(self, sql: str, *values: Any) -> int:
        """Run one writing statement in a transaction; return how many rows it touched."""
        with self.act() as connection:
            return connection.execute(sql, _bound(values)).rowcount

    def erase_shares_of(self, owner: str, source: str, kind: str | None = None) -> None:
        """Erase every share (of one kind) made from ``source``; the ledger rows stay, withdrawn and empty."""
        self.run(
            "UPDATE shares SET payload = NULL, part = '', withdrawn = coalesce(withdrawn, ?) WHERE owner = ? "
            "AND kind = coalesce(?, kind) AND id IN (SELECT share FROM share_sources WHERE source = ?)",
            now(), owner, kind, source,
        )  # fmt: skip

    def forget(self) -> None:
        """After a deletion: leave no deleted word in the files. Within an act, once that act holds.

        While another program reads or writes the files it is put off to the end of the next act.
        """
        if self.connection.conn.in_transaction:
            self._local.forgetting = True
        else:
            self._settle()

    def _settle(self) -> None:
        """Build the file anew and empty the write-ahead log.

        Zeroing deleted cells is not enough: SQLite leaves copies of cells that it moved between pages.
        """
        self._owed = False
        execute = self.connection.conn.execute
        try:
            execute(f"PRAGMA busy_timeout={int(SETTLE_SECONDS * 1000)}")
            execute("VACUUM")
            busy = execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self._owed = self._owed or bool(busy)
        except sqlite3.OperationalError:  # the deletion itself holds
            self._owed = True
        finally:
            execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")

    def close(self) -> None:
        """Close every thread's connection."""
        if self._owed:
            self._settle()
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
        except sqlite3.Error as error:
            raise StoreError(
                f"The database {self.path} refused this ({error}). Run `mentoring doctor`."
            ) from error


def _bound(values: tuple[Any, ...]) -> list[Any]:
    return [storable(value) if isinstance(value, str) else value for value in values]
