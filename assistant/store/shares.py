"""The ledger of what was shared, and what the other person made of it. All rules are in
``assistant/sharing.py``; this file only reads and writes."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from assistant.store.database import Database, new_id, now

Row = dict[str, Any]


class Shares:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, owner: str, pair: str, kind: str, part: str, payload: Row, sources: Collection[str]) -> str:
        """Store a frozen copy and the ids of all it was made from; return the share's id."""
        share = new_id()
        with self._db.act():
            self._db.run(
                "INSERT INTO shares (id, owner, pair, kind, part, payload, shared) VALUES (?, ?, ?, ?, ?, ?, ?)",
                share, owner, pair, kind, part, json.dumps(payload, ensure_ascii=False), now(),
            )  # fmt: skip
            for source in sorted(set(sources)):
                self._db.run("INSERT INTO share_sources VALUES (?, ?)", share, source)
        return share

    def sources(self, share: str) -> set[str]:
        rows = self._db.rows("SELECT source FROM share_sources WHERE share = ?", share)
        return {row["source"] for row in rows}

    def by_id(self, share: str) -> Row | None:
        return _parsed(self._db.row("SELECT * FROM shares WHERE id = ?", share))

    def sent(self, owner: str) -> list[Row]:
        """Return the owner's ledger, newest first, withdrawn rows without payload included."""
        rows = self._db.rows("SELECT * FROM shares WHERE owner = ? ORDER BY shared DESC", owner)
        return [parsed for row in rows if (parsed := _parsed(row))]

    def standing(self, pair: str, sender: str) -> list[Row]:
        """Return what ``sender`` shares in a pair now, newest first."""
        rows = self._db.rows(
            "SELECT * FROM shares WHERE pair = ? AND owner = ? AND withdrawn IS NULL AND payload IS NOT NULL "
            "ORDER BY shared DESC",
            pair, sender,
        )  # fmt: skip
        return [parsed for row in rows if (parsed := _parsed(row))]

    def withdraw(self, owner: str, share: str) -> bool:
        """Erase a share's payload and keep the ledger row; return whether there was one to withdraw."""
        with self._db.act():
            changed = self._db.run(
                "UPDATE shares SET payload = NULL, part = '', withdrawn = ? WHERE id = ? AND owner = ? "
                "AND withdrawn IS NULL",
                now(), share, owner,
            )  # fmt: skip
            self._db.forget()
        return bool(changed)

    def add_reply(self, author: str, share: str, text: str) -> str:
        reply = new_id()
        self._db.run("INSERT INTO replies VALUES (?, ?, ?, ?, ?)", reply, author, share, text, now())
        return reply

    def replies(self, share: str) -> list[Row]:
        return self._db.rows(
            "SELECT replies.*, people.name FROM replies JOIN people ON people.id = owner WHERE share = ? "
            "ORDER BY replies.created",
            share,
        )

    def mark(self, owner: str, share: str, mark: str) -> None:
        self._db.run(
            "INSERT INTO marks (owner, share, mark) VALUES (?, ?, ?) "
            "ON CONFLICT (owner, share) DO UPDATE SET mark = excluded.mark",
            owner, share, mark,
        )  # fmt: skip

    def set_seen(self, owner: str, shares: list[str]) -> None:
        with self._db.act():
            for share in shares:
                self._db.run(
                    "INSERT INTO marks (owner, share, mark, seen) VALUES (?, ?, '', 1) "
                    "ON CONFLICT (owner, share) DO UPDATE SET seen = 1",
                    owner, share,
                )  # fmt: skip

    def marks(self, owner: str) -> dict[str, Row]:
        return {row["share"]: row for row in self._db.rows("SELECT * FROM marks WHERE owner = ?", owner)}

    def save_note(self, owner: str, pair: str, kind: str, text: str) -> None:
        self._db.run("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?)", owner, pair, kind, text, now())

    def notes(self, owner: str, pair: str) -> dict[str, str]:
        rows = self._db.rows("SELECT kind, text FROM notes WHERE owner = ? AND pair = ?", owner, pair)
        return {row["kind"]: row["text"] for row in rows}


def _parsed(row: Row | None) -> Row | None:
    return row | {"payload": json.loads(row["payload"]) if row["payload"] else None} if row else None
