"""Goals, meetings, the items taken to a meeting, and the actions that come out of it."""

from __future__ import annotations

import json
from typing import Any

from assistant.errors import AccessError
from assistant.store.database import Database, new_id, now, storable

Row = dict[str, Any]


class Goals:
    def __init__(self, database: Database) -> None:
        self._db = database

    def save(self, owner: str, goal: str, context: str, goal_id: str | None = None) -> str:
        """Store a goal in the writer's words; changing the words drops the reading of the old ones."""
        goal, context = storable(goal), storable(context)
        if goal_id is None:
            goal_id = new_id()
            self._db.run(
                "INSERT INTO goals (id, owner, goal, context, created, changed) VALUES (?, ?, ?, ?, ?, ?)",
                goal_id, owner, goal, context, now(), now(),
            )  # fmt: skip
        else:
            before = self.load(owner, goal_id)
            if (before["goal"], before["context"]) != (goal, context):
                self._db.run(
                    "UPDATE goals SET goal = ?, context = ?, reading = NULL, changed = ? WHERE id = ? AND owner = ?",
                    goal, context, now(), goal_id, owner,
                )  # fmt: skip
        return goal_id

    def load(self, owner: str, goal_id: str) -> Row:
        """Return one goal, its reading parsed. Raises AccessError when missing or not the owner's."""
        found = self._db.row("SELECT * FROM goals WHERE id = ? AND owner = ?", goal_id, owner)
        if not found:
            raise AccessError("This goal is not here. It may have been deleted.")
        return found | {"reading": json.loads(found["reading"]) if found["reading"] else None}

    def list(self, owner: str) -> list[Row]:
        rows = self._db.rows("SELECT id FROM goals WHERE owner = ? ORDER BY created DESC", owner)
        return [self.load(owner, row["id"]) for row in rows]

    def save_reading(self, owner: str, goal_id: str, reading: Row, level: str) -> None:
        self._db.run(
            "UPDATE goals SET reading = ?, level = ? WHERE id = ? AND owner = ?",
            json.dumps(reading), level, goal_id, owner,
        )  # fmt: skip

    def save_wording(self, owner: str, goal_id: str, wording: str) -> None:
        """Store the wording the writer settled on."""
        self.load(owner, goal_id)
        self._db.run(
            "UPDATE goals SET wording = ?, changed = ? WHERE id = ? AND owner = ?",
            storable(wording), now(), goal_id, owner,
        )  # fmt: skip

    def delete(self, owner: str, goal_id: str) -> None:
        """Delete a goal and erase what was shared of it."""
        self.load(owner, goal_id)
        with self._db.act():
            self._db.erase_shares_of(owner, goal_id)
            self._db.run("DELETE FROM goals WHERE id = ? AND owner = ?", goal_id, owner)
        self._db.forget()


class Meetings:
    """The page a mentee takes to a meeting: one open at a time, closed by what came out of it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def open(self, owner: str) -> Row:
        """Return the owner's meeting that has not been held yet, making it when there is none."""
        found = self._db.row(
            "SELECT * FROM meetings WHERE owner = ? AND held IS NULL ORDER BY created DESC", owner
        )
        if found:
            return found
        self._db.run(
            "INSERT INTO meetings (id, owner, created, changed) VALUES (?, ?, ?, ?)",
            new_id(),
            owner,
            now(),
            now(),
        )
        return self.open(owner)

    def last_held(self, owner: str) -> Row | None:
        """Return the meeting held last with its actions, or None."""
        found = self._db.row(
            "SELECT * FROM meetings WHERE owner = ? AND held IS NOT NULL ORDER BY held DESC", owner
        )
        return found | {"actions": self.actions(owner, found["id"])} if found else None

    def held(self, owner: str) -> list[Row]:
        rows = self._db.rows(
            "SELECT * FROM meetings WHERE owner = ? AND held IS NOT NULL ORDER BY held DESC", owner
        )
        return [row | {"actions": self.actions(owner, row["id"])} for row in rows]

    def set_wants(self, owner: str, meeting: str, wants: str) -> None:
        self._db.run(
            "UPDATE meetings SET wants = ?, changed = ? WHERE id = ? AND owner = ?",
            wants,
            now(),
            meeting,
            owner,
        )

    def close(self, owner: str, meeting: str, take: str, do: str, due: str) -> None:
        """Log the open meeting as held: what I take, and what I will do by when."""
        with self._db.act():
            changed = self._db.run(
                "UPDATE meetings SET take = ?, held = ?, changed = ? WHERE id = ? AND owner = ? AND held IS NULL",
                storable(take), now(), now(), meeting, owner,
            )  # fmt: skip
            if not changed:
                raise AccessError(
                    "This meeting is not open any more. Reload the page to see where it stands."
                )
            if do.strip():
                self._db.run(
                    "INSERT INTO actions (id, owner, meeting, text, due, created) VALUES (?, ?, ?, ?, ?, ?)",
                    new_id(), owner, meeting, storable(do), storable(due), now(),
                )  # fmt: skip

    def actions(self, owner: str, meeting: str) -> list[Row]:
        return self._db.rows(
            "SELECT * FROM actions WHERE owner = ? AND meeting = ? ORDER BY created", owner, meeting
        )

    def set_action(self, owner: str, action: str, state: str) -> None:
        changed = self._db.run(
            "UPDATE actions SET state = ? WHERE id = ? AND owner = ?", state, action, owner
        )
        if not changed:
            raise AccessError("This step is not here. Reload the page to see where it stands.")

    # Items

    def add_item(self, owner: str, meeting: str, item: Row) -> str:
        """Put an item (kind, text, quote, theme, reflection, origin) last; the same one only once."""
        with self._db.act():
            same = self._db.row(
                "SELECT id FROM items WHERE owner = ? AND meeting = ? AND kind = ? AND text = ?",
                owner, meeting, item["kind"], storable(item["text"]),
            )  # fmt: skip
            if same:
                return str(same["id"])
            item_id = new_id()
            self._db.run(
                "INSERT INTO items (id, owner, meeting, kind, text, quote, theme, reflection, origin, position, "
                "created) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(max(position), 0) + 1, ? FROM items "
                "WHERE meeting = ?",
                item_id, owner, meeting, item["kind"], storable(item["text"]), storable(item.get("quote") or ""),
                item.get("theme"), item.get("reflection"), item.get("origin", "own"), now(), meeting,
            )  # fmt: skip
            return item_id

    def items(self, owner: str, meeting: str) -> list[Row]:
        return self._db.rows(
            "SELECT * FROM items WHERE owner = ? AND meeting = ? ORDER BY position", owner, meeting
        )

    def item(self, owner: str, item: str) -> Row:
        found = self._db.row("SELECT * FROM items WHERE id = ? AND owner = ?", item, owner)
        if not found:
            raise AccessError("This point is not on your page any more. Reload to see where it stands.")
        return found

    def edit_item(self, owner: str, item: str, text: str) -> None:
        self.item(owner, item)
        self._db.run("UPDATE items SET text = ? WHERE id = ? AND owner = ?", storable(text), item, owner)

    def drop_item(self, owner: str, item: str) -> None:
        self.item(owner, item)
        self._db.run("DELETE FROM items WHERE id = ? AND owner = ?", item, owner)

    def move_item(self, owner: str, item: str, up: bool) -> None:
        """Swap an item with its neighbour; at the end nothing moves."""
        with self._db.act():
            order = self.items(owner, self.item(owner, item)["meeting"])
            here = next(i for i, row in enumerate(order) if row["id"] == item)
            there = here - 1 if up else here + 1
            if 0 <= there < len(order):
                for row, position in ((order[here], there), (order[there], here)):
                    self._db.run("UPDATE items SET position = ? WHERE id = ?", position + 1, row["id"])
                for i, row in enumerate(order):
                    if i not in (here, there):
                        self._db.run("UPDATE items SET position = ? WHERE id = ?", i + 1, row["id"])
