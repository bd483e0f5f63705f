"""Goals, meetings, the items taken to a meeting, and the actions that come out of it."""

from __future__ import annotations

import json
from typing import Any

from assistant.errors import AccessError
from assistant.store.database import Database, new_id, now
from assistant.store.feedback import Feedback
from assistant.store.reflections import Reflections

Row = dict[str, Any]


class Goals:
    def __init__(self, database: Database) -> None:
        self._db = database

    def save(self, owner: str, goal: str, context: str, goal_id: str | None = None) -> str:
        """Store a goal in the writer's words; changing the words drops the reading of the old ones."""
        if goal_id is None:
            goal_id = new_id()
            self._db.run(
                "INSERT INTO goals (id, owner, goal, context, created, changed) VALUES (?, ?, ?, ?, ?, ?)",
                goal_id, owner, goal, context, now(), now(),
            )  # fmt: skip
            return goal_id
        with self._db.act():
            self.load(owner, goal_id)
            self._db.run(
                "UPDATE goals SET goal = ?1, context = ?2, reading = NULL, changed = ?3 WHERE id = ?4 "
                "AND (goal <> ?1 OR context <> ?2)",
                goal, context, now(), goal_id,
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

    def save_reading(
        self, owner: str, goal_id: str, about: tuple[str, str], reading: Row, level: str
    ) -> bool:
        """Store what was found in ``about``, a goal and its context, and return whether they still stand.

        Where they were changed meanwhile nothing is stored.
        """
        with self._db.act():
            row = self.load(owner, goal_id)
            if (row["goal"], row["context"]) != about:
                return False
            self._db.run(
                "UPDATE goals SET reading = ?, level = ? WHERE id = ?",
                json.dumps(reading, ensure_ascii=False), level, goal_id,
            )  # fmt: skip
            return True

    def save_wording(self, owner: str, goal_id: str, wording: str) -> None:
        """Store the wording the writer settled on."""
        with self._db.act():
            self.load(owner, goal_id)
            self._db.run("UPDATE goals SET wording = ?, changed = ? WHERE id = ?", wording, now(), goal_id)

    def delete(self, owner: str, goal_id: str) -> None:
        """Delete a goal and erase what was shared of it."""
        with self._db.act():
            self.load(owner, goal_id)
            self._db.erase_shares_of(owner, goal_id)
            self._db.run("DELETE FROM goals WHERE id = ?", goal_id)
            self._db.forget()


class Meetings:
    """The page a mentee takes to a meeting: one open at a time, closed by what came out of it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def open(self, owner: str) -> Row:
        """Return the owner's meeting that has not been held yet, making it when there is none."""
        standing = "SELECT * FROM meetings WHERE owner = ? AND held IS NULL ORDER BY created DESC"
        found = self._db.row(standing, owner)
        if found:
            return found
        with self._db.act():  # one alone, though two pages may ask at once
            self._db.run(
                "INSERT INTO meetings (id, owner, created, changed) SELECT ?1, ?2, ?3, ?3 WHERE NOT EXISTS "
                "(SELECT 1 FROM meetings WHERE owner = ?2 AND held IS NULL)",
                new_id(), owner, now(),
            )  # fmt: skip
            return self._db.rows(standing, owner)[0]

    def load(self, owner: str, meeting: str) -> Row:
        """Return one meeting, open or held. Raises AccessError when missing or not the owner's."""
        found = self._db.row("SELECT * FROM meetings WHERE id = ? AND owner = ?", meeting, owner)
        if not found:
            raise AccessError("This meeting is not here. Reload the page to see where it stands.")
        return found

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
        return [
            row | {"actions": self.actions(owner, row["id"]), "items": self.items(owner, row["id"])}
            for row in rows
        ]

    def set_wants(self, owner: str, meeting: str, wants: str) -> None:
        with self._db.act():
            self.load(owner, meeting)
            self._db.run("UPDATE meetings SET wants = ?, changed = ? WHERE id = ?", wants, now(), meeting)

    def save_after(self, owner: str, meeting: str, field: str, text: str) -> None:
        """Save one line (take, do or due) of the open meeting while it is being typed."""
        column = {"take": "take", "do": "do", "due": "due"}[field]
        changed = self._db.run(
            f"UPDATE meetings SET [{column}] = ?, changed = ? WHERE id = ? AND owner = ? AND held IS NULL",
            text, now(), meeting, owner,
        )  # fmt: skip
        if not changed:
            raise AccessError("This meeting is not open any more. Reload the page to see where it stands.")

    def close(self, owner: str, meeting: str, take: str, do: str, due: str) -> None:
        """Log the open meeting as held: what I take, and what I will do by when."""
        with self._db.act():
            if self.load(owner, meeting)["held"]:
                raise AccessError(
                    "This meeting is not open any more. Reload the page to see where it stands."
                )
            self._db.run(
                "UPDATE meetings SET take = ?, do = '', due = '', held = ?, changed = ? WHERE id = ?",
                take, now(), now(), meeting,
            )  # fmt: skip
            if do.strip():
                self._db.run(
                    "INSERT INTO actions (id, owner, meeting, text, due, created) VALUES (?, ?, ?, ?, ?, ?)",
                    new_id(), owner, meeting, do, due, now(),
                )  # fmt: skip

    def actions(self, owner: str, meeting: str) -> list[Row]:
        self.load(owner, meeting)
        return self._db.rows("SELECT * FROM actions WHERE meeting = ? ORDER BY created", meeting)

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
            self.load(owner, meeting)
            if item.get("reflection"):
                Reflections(self._db).load(owner, item["reflection"])
            same = self._db.row(
                "SELECT id FROM items WHERE meeting = ? AND kind = ? AND text = ?",
                meeting, item["kind"], item["text"],
            )  # fmt: skip
            if same:
                return str(same["id"])
            item_id = new_id()
            self._db.run(
                "INSERT INTO items (id, owner, meeting, kind, text, quote, theme, reflection, origin, suggested, "
                "position, created) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(max(position), 0) + 1, ? "
                "FROM items WHERE meeting = ?",
                item_id, owner, meeting, item["kind"], item["text"], item.get("quote") or "",
                item.get("theme"), item.get("reflection"), item.get("origin", "own"),
                item["text"] if _suggested(item) else "", now(), meeting,
            )  # fmt: skip
            self._note(owner, item | {"suggested": item["text"] if _suggested(item) else ""}, "kept")
            return item_id

    def _note(self, owner: str, item: Row, deed: str, over: bool = False) -> None:
        """Remember what became of a suggested question; anything else on a page is the owner's alone."""
        if item.get("suggested"):
            Feedback(self._db).note(
                owner, item["suggested"], item["origin"], deed, item.get("reflection"), over
            )

    def say_of_item(self, owner: str, item: str, deed: str) -> None:
        """Remember that a question was asked, or that it helped; saying so again takes it back."""
        with self._db.act():
            row = self.item(owner, item)
            said = {entry["question"]: entry["deed"] for entry in Feedback(self._db).of(owner)}
            again = said.get(row["suggested"]) == deed
            self._note(owner, row, "kept" if again else deed, over=True)

    def items(self, owner: str, meeting: str) -> list[Row]:
        self.load(owner, meeting)
        return self._db.rows("SELECT * FROM items WHERE meeting = ? ORDER BY position", meeting)

    def item(self, owner: str, item: str) -> Row:
        found = self._db.row("SELECT * FROM items WHERE id = ? AND owner = ?", item, owner)
        if not found:
            raise AccessError("This point is not on your page any more. Reload to see where it stands.")
        return found

    def edit_item(self, owner: str, item: str, text: str) -> None:
        with self._db.act():
            row = self.item(owner, item)
            self._db.run("UPDATE items SET text = ? WHERE id = ?", text, item)
            self._note(owner, row, "kept" if text.strip() == row["suggested"] else "edited")

    def drop_item(self, owner: str, item: str) -> None:
        """Take an item off the page and erase its own share; a shared page stays until shared again."""
        with self._db.act():
            Feedback(self._db).forget(owner, self.item(owner, item)["suggested"])
            self._db.erase_shares_of(owner, item, "question")
            self._db.run("DELETE FROM items WHERE id = ?", item)
            self._db.forget()

    def move_item(self, owner: str, item: str, up: bool) -> None:
        """Swap an item with its neighbour; at the end nothing moves."""
        with self._db.act():
            order = self.items(owner, self.item(owner, item)["meeting"])
            here = next(i for i, row in enumerate(order) if row["id"] == item)
            there = here - 1 if up else here + 1
            if 0 <= there < len(order):
                order[here], order[there] = order[there], order[here]
                for position, row in enumerate(order, start=1):
                    self._db.run("UPDATE items SET position = ? WHERE id = ?", position, row["id"])


def _suggested(item: Row) -> bool:
    return item["kind"] == "question" and item.get("origin") in ("bank", "model")
