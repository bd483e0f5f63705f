"""What a person did with a suggested question: one row a question, the last deed. Never leaves this file."""

from __future__ import annotations

from typing import Any

from assistant.store.database import Database, new_id, now
from assistant.store.reflections import Reflections


class Feedback:
    def __init__(self, database: Database) -> None:
        self._db = database

    def note(
        self,
        owner: str,
        question: str,
        origin: str,
        deed: str,
        reflection: str | None = None,
        over: bool = False,
    ) -> None:
        """Remember what the owner did with a question, over what was noted of it before.

        That a question was asked or helped is not forgotten because it is kept or edited once more, unless
        ``over`` says so. A question of the model goes when the reflection it is about does; the bank's are
        nobody's words. Raises AccessError for a reflection that is not the owner's.
        """
        with self._db.act():
            if reflection:
                Reflections(self._db).load(owner, reflection)
            self._db.run(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (owner, question) DO UPDATE "
                "SET deed = excluded.deed, reflection = excluded.reflection, changed = excluded.changed "
                "WHERE ? OR feedback.deed NOT IN ('asked', 'helped') OR excluded.deed NOT IN ('kept', 'edited')",
                new_id(), owner, reflection if origin == "model" else None, question, origin, deed, now(), int(over),
            )  # fmt: skip

    def forget(self, owner: str, question: str) -> None:
        """Forget that a question was kept or edited; what was asked, helped or dropped stays said."""
        self._db.run(
            "DELETE FROM feedback WHERE owner = ? AND question = ? AND deed IN ('kept', 'edited')",
            owner,
            question,
        )

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Return the owner's rows, oldest first."""
        return self._db.rows("SELECT * FROM feedback WHERE owner = ? ORDER BY changed, id", owner)
