"""All SQL. ``Store`` opens the one database and groups what is read and written by whose it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assistant.store.database import Database, now, storable
from assistant.store.feedback import Feedback
from assistant.store.people import People
from assistant.store.preparation import Goals, Meetings
from assistant.store.reflections import Reflections, text_hash
from assistant.store.shares import Shares

__all__ = [
    "Database",
    "Feedback",
    "Goals",
    "Meetings",
    "People",
    "Reflections",
    "Shares",
    "Store",
    "now",
    "storable",
    "text_hash",
]


class Store:
    """The application's storage; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the database at ``path``. Raises StoreError when it cannot be used."""
        self.database = Database(path)
        self.people = People(self.database)
        self.reflections = Reflections(self.database)
        self.goals = Goals(self.database)
        self.meetings = Meetings(self.database)
        self.feedback = Feedback(self.database)
        self.shares = Shares(self.database)

    def everything_of(self, owner: str) -> dict[str, list[dict[str, Any]]]:
        """Return all rows of a person by table, for the download; secrets and vectors left out."""
        tables = self.database.rows(
            "SELECT t.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table' "
            "AND c.name = 'owner' AND t.name NOT IN ('sign_ins', 'codes', 'vectors')"
        )
        return {
            name: self.database.rows(f"SELECT * FROM [{name}] WHERE owner = ?", owner)
            for name in (table["name"] for table in tables)
        }

    def close(self) -> None:
        self.database.close()
