"""Reflections and what belongs to them: reports, vectors, answers, what the writer said of a theme.

Every method takes the owner and touches that owner's rows alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np

from assistant.domain import Level
from assistant.errors import AccessError
from assistant.store.database import Database, new_id, now, storable

Row = dict[str, Any]
LEVELS: tuple[Level, ...] = get_args(Level)  # the mildest first
NOT_FOUND = "This reflection is not here. It may have been deleted; open “Mine” to see what there is."


def text_hash(text: str) -> str:
    return hashlib.sha256(storable(text).encode()).hexdigest()


class Reflections:
    def __init__(self, database: Database) -> None:
        self._db = database

    def save(self, owner: str, text: str, reflection: str | None = None) -> str:
        """Store the text, private, new or over the owner's own; return the id."""
        if reflection is None:
            reflection = new_id()
            self._db.run(
                "INSERT INTO reflections (id, owner, text, created, changed) VALUES (?, ?, ?, ?, ?)",
                reflection, owner, text, now(), now(),
            )  # fmt: skip
            return reflection
        with self._of(owner, reflection):
            self._db.run(
                "UPDATE reflections SET text = ?, changed = ? WHERE id = ? AND text <> ?",
                text, now(), reflection, text,
            )  # fmt: skip
        return reflection

    def load(self, owner: str, reflection: str) -> Row:
        """Return one reflection. Raises AccessError alike when it is missing or somebody else's."""
        found = self._db.row("SELECT * FROM reflections WHERE id = ? AND owner = ?", reflection, owner)
        if not found:
            raise AccessError(NOT_FOUND)
        return found

    @contextmanager
    def _of(self, owner: str, reflection: str) -> Iterator[None]:
        """Run a block as one act, after making sure that the reflection is there and the owner's."""
        with self._db.act():
            self.load(owner, reflection)
            yield

    def list(self, owner: str) -> list[Row]:
        """Return the owner's reflections, newest first, each with whether it has a report."""
        return self._db.rows(
            "SELECT reflections.*, reports.reflection IS NOT NULL AS reported FROM reflections "
            "LEFT JOIN reports ON reports.reflection = reflections.id WHERE reflections.owner = ? "
            "ORDER BY reflections.created DESC",
            owner,
        )

    def unfinished(self, owner: str) -> Row | None:
        """Return the owner's newest reflection that has no report yet, if there is one."""
        return next((row for row in self.list(owner) if not row["reported"]), None)

    def raise_level(self, owner: str, reflection: str, level: Level) -> None:
        """Keep the gravest level that a text was ever read as, whatever was changed in it since.

        A grave one is taken out of what other reports quote.
        """
        with self._of(owner, reflection):
            lower = LEVELS[: LEVELS.index(level)]
            if not lower:
                return
            marks = ",".join("?" * len(lower))
            self._db.run(
                f"UPDATE reflections SET level = ? WHERE id = ? AND level IN ({marks})",
                level, reflection, *lower,
            )  # fmt: skip
            self._unquote(owner, reflection)

    def leave_alone(self, owner: str, reflection: str, alone: bool) -> None:
        """Mark a reflection as never to be brought back unasked, or lift the mark."""
        with self._of(owner, reflection):
            self._db.run("UPDATE reflections SET left_alone = ? WHERE id = ?", int(alone), reflection)
            if alone:
                self._unquote(owner, reflection)

    def delete(self, owner: str, reflection: str) -> None:
        """Delete a reflection, its report, vectors, answers and picks; erase what was shared of it."""
        with self._of(owner, reflection):
            self._db.erase_shares_of(owner, reflection)
            self._unquote(owner, reflection)
            self._db.run("DELETE FROM reflections WHERE id = ?", reflection)
            self._db.forget()

    # Reports

    def save_report(self, owner: str, reflection: str, text: str, payload: Row) -> None:
        """Store what the assistant said about this very text, over any earlier report."""
        with self._of(owner, reflection):
            self._db.run(
                "INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?, ?)",
                reflection, owner, text_hash(text), json.dumps(payload, ensure_ascii=False), now(),
            )  # fmt: skip

    def report(self, owner: str, reflection: str) -> tuple[Row, bool] | None:
        """Return the stored report and whether it still is about the text as it stands, or None."""
        text = self.load(owner, reflection)["text"]
        found = self._db.row("SELECT payload, text_hash FROM reports WHERE reflection = ?", reflection)
        return (json.loads(found["payload"]), found["text_hash"] == text_hash(text)) if found else None

    def _unquote(self, owner: str, reflection: str) -> None:
        """Take what was quoted from a reflection out of the reports about the owner's other texts."""
        quoting = self._db.rows(
            "SELECT reflection, payload FROM reports WHERE owner = ? AND reflection <> ? "
            "AND instr(payload, ?)",
            owner, reflection, reflection,
        )  # fmt: skip
        for row in quoting:
            payload = json.dumps(_without(json.loads(row["payload"]), reflection), ensure_ascii=False)
            self._db.run("UPDATE reports SET payload = ? WHERE reflection = ?", payload, row["reflection"])

    def change_report(self, owner: str, reflection: str, change: Callable[[Row], Row]) -> None:
        """Change a stored report in one act; nothing happens where there is none."""
        with self._db.act():
            found = self.report(owner, reflection)
            if found:
                self._db.run(
                    "UPDATE reports SET payload = ? WHERE reflection = ? AND owner = ?",
                    json.dumps(change(found[0])), reflection, owner,
                )  # fmt: skip

    # Vectors: the key is (owner, model, text), so nothing is shared between writers

    def vectors(self, owner: str, model: str, hashes: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the owner's stored vectors among ``hashes``; each float32 of the model's length."""
        found: dict[str, np.ndarray] = {}
        for start in range(0, len(hashes), 500):
            part = hashes[start : start + 500]
            marks = ",".join("?" * len(part))
            for row in self._db.rows(
                f"SELECT text_hash, vector FROM vectors WHERE owner = ? AND model = ? AND text_hash IN ({marks})",
                owner, model, *part,
            ):  # fmt: skip
                found[row["text_hash"]] = np.frombuffer(row["vector"], np.float32)
        return found

    def save_vectors(self, owner: str, reflection: str, model: str, vectors: dict[str, np.ndarray]) -> None:
        """Make ``vectors`` (by text hash) the ones this reflection has; earlier ones go."""
        with self._of(owner, reflection):
            self._db.run("DELETE FROM vectors WHERE reflection = ?", reflection)
            for key, vector in vectors.items():
                self._db.run(
                    "INSERT INTO vectors (owner, reflection, model, text_hash, vector) VALUES (?, ?, ?, ?, ?)",
                    owner, reflection, model, key, np.asarray(vector, np.float32).tobytes(),
                )  # fmt: skip

    # What the writer said: answers to questions, verdicts on themes

    def save_answer(self, owner: str, reflection: str, question: str, text: str, level: str) -> None:
        with self._of(owner, reflection):
            self._db.run(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reflection, question) "
                "DO UPDATE SET text = excluded.text, level = excluded.level, changed = excluded.changed",
                new_id(), owner, reflection, question, text, level, now(),
            )  # fmt: skip

    def answers(self, owner: str, reflection: str) -> dict[str, str]:
        self.load(owner, reflection)
        rows = self._db.rows("SELECT question, text FROM answers WHERE reflection = ?", reflection)
        return {row["question"]: row["text"] for row in rows}

    def answers_of_concern(self, owner: str, reflection: str) -> Sequence[tuple[str, str]]:
        """Return level and text of the answers that carry a notice."""
        self.load(owner, reflection)
        rows = self._db.rows(
            "SELECT level, text FROM answers WHERE owner = ? AND reflection = ? AND level <> 'none'",
            owner, reflection,
        )  # fmt: skip
        return [(row["level"], row["text"]) for row in rows]

    def save_verdict(
        self, owner: str, reflection: str, theme: str, verdict: str, wording: str | None = None
    ) -> None:
        """Remember ``not_me`` or ``reworded`` on a theme of one reflection; ``lifted`` takes it back."""
        with self._of(owner, reflection):
            # Words of the writer's own for a theme stay, whatever else is said of it, until they are changed.
            self._db.run(
                "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (reflection, theme) DO UPDATE SET "
                "verdict = excluded.verdict, changed = excluded.changed, wording = "
                "CASE excluded.verdict WHEN 'reworded' THEN excluded.wording ELSE verdicts.wording END",
                owner, reflection, theme, verdict, wording or None, now(),
            )  # fmt: skip

    def verdicts(self, owner: str, reflection: str) -> dict[str, Row]:
        self.load(owner, reflection)
        rows = self._db.rows("SELECT * FROM verdicts WHERE reflection = ?", reflection)
        return {row["theme"]: row for row in rows}

    def dismiss(self, owner: str, theme: str, reflections: Sequence[str]) -> None:
        """Remember of several reflections at once that a theme is not it."""
        with self._db.act():
            for reflection in reflections:
                self.save_verdict(owner, reflection, theme, "not_me")

    def lift(self, owner: str, theme: str) -> None:
        """Take back every "that is not it" that the owner ever said of a theme."""
        self._db.run(
            "UPDATE verdicts SET verdict = iif(wording IS NULL, 'lifted', 'reworded'), changed = ? "
            "WHERE owner = ? AND theme = ? AND verdict = 'not_me'",
            now(), owner, theme,
        )  # fmt: skip

    def wordings(self, owner: str) -> dict[str, str]:
        """Return the owner's own wording of each theme that has one, the newest."""
        rows = self._db.rows(
            "SELECT theme, wording FROM verdicts WHERE owner = ? AND wording IS NOT NULL ORDER BY changed",
            owner,
        )
        return {row["theme"]: row["wording"] for row in rows}

    def dismissed(self, owner: str) -> dict[str, set[str]]:
        """Return for each reflection the themes of which its writer said that they are not it."""
        found: dict[str, set[str]] = {}
        for row in self._db.rows(
            "SELECT reflection, theme FROM verdicts WHERE owner = ? AND verdict = 'not_me'", owner
        ):
            found.setdefault(row["reflection"], set()).add(row["theme"])
        return found

    def read_ones(self, owner: str) -> Sequence[tuple[Row, Row]]:
        """Return the owner's reflections that may be brought back unasked, oldest first, with their reports.

        Those once read as urgent or support, those to be left alone, and those changed since they were
        read are not among them.
        """
        rows = self._db.rows(
            "SELECT reflections.*, reports.payload, reports.text_hash FROM reflections "
            "JOIN reports ON reports.reflection = reflections.id WHERE reflections.owner = ? "
            "AND reflections.level = 'none' AND NOT reflections.left_alone ORDER BY reflections.created",
            owner,
        )
        return [
            (row, json.loads(row["payload"])) for row in rows if row["text_hash"] == text_hash(row["text"])
        ]


def _without(value: Any, reflection: str) -> Any:
    """Return a report's payload without the entries that name ``reflection``."""
    if isinstance(value, dict):
        return {key: _without(item, reflection) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, reflection) for item in value if not _names(item, reflection)]
    return value


def _names(item: Any, reflection: str) -> bool:
    return isinstance(item, dict) and reflection in item.values()
