"""People, one-time codes, sign-ins and pairs. Secrets are stored as hashes only."""

from __future__ import annotations

from typing import Any

from assistant.store.database import Database, new_id, now

Row = dict[str, Any]


class People:
    """Reads and writes who there is; decides nothing."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, name: str, password_hash: str, keeper: bool) -> str:
        """Store a person; return the id. The name must be free (StoreError otherwise)."""
        person = new_id()
        self._db.run(
            "INSERT INTO people (id, name, password, keeper, created) VALUES (?, ?, ?, ?, ?)",
            person, name, password_hash, int(keeper), now(),
        )  # fmt: skip
        return person

    def by_name(self, name: str) -> Row | None:
        return self._db.row("SELECT * FROM people WHERE name = ?", name)

    def by_id(self, person: str) -> Row | None:
        return self._db.row("SELECT * FROM people WHERE id = ?", person)

    def names(self) -> list[str]:
        return [row["name"] for row in self._db.rows("SELECT name FROM people ORDER BY name")]

    def count(self) -> int:
        return int(self._db.rows("SELECT count(*) AS n FROM people")[0]["n"])

    def keepers(self) -> int:
        return int(self._db.rows("SELECT count(*) AS n FROM people WHERE keeper = 1")[0]["n"])

    def set_password(self, person: str, password_hash: str) -> None:
        """Replace the password and end every sign-in of the person."""
        with self._db.act():
            self._db.run("UPDATE people SET password = ? WHERE id = ?", password_hash, person)
            self._db.run("DELETE FROM sign_ins WHERE owner = ?", person)

    def welcome(self, person: str) -> None:
        self._db.run("UPDATE people SET welcomed = 1 WHERE id = ?", person)

    def delete(self, person: str) -> None:
        """Delete a person with everything they own, from every table, for good.

        What others wrote themselves (their notes, their replies) stays theirs.
        """
        with self._db.act():
            self._db.run("DELETE FROM people WHERE id = ?", person)
            self._db.run("DELETE FROM pairs WHERE mentee IS NULL AND mentor IS NULL")
            self._db.forget()

    # Sign-ins

    def sign_in(self, person: str, token_hash: str, before: str) -> None:
        """Store a sign-in and drop everybody's made before ``before``, which have ended."""
        with self._db.act():
            self._db.run("DELETE FROM sign_ins WHERE created < ?", before)
            self._db.run("INSERT INTO sign_ins VALUES (?, ?, ?, ?)", token_hash, person, now(), now())

    def signed_in(self, token_hash: str, used_after: str, created_after: str) -> Row | None:
        """Return the person behind a token that is neither idle nor old, else None."""
        return self._db.row(
            "SELECT people.*, sign_ins.used AS used FROM sign_ins JOIN people ON people.id = owner "
            "WHERE token_hash = ? AND used > ? AND sign_ins.created > ?",
            token_hash, used_after, created_after,
        )  # fmt: skip

    def touch_sign_in(self, token_hash: str) -> None:
        self._db.run("UPDATE sign_ins SET used = ? WHERE token_hash = ?", now(), token_hash)

    def sign_out(self, token_hash: str) -> None:
        self._db.run("DELETE FROM sign_ins WHERE token_hash = ?", token_hash)

    # Failed attempts, for the throttle

    def attempts(self, subject: str, since: str) -> int:
        found = self._db.rows(
            "SELECT count(*) AS n FROM attempts WHERE subject = ? AND at > ?", subject, since
        )
        return int(found[0]["n"])

    def failed(self, subject: str, before: str) -> None:
        """Remember a failed attempt and drop those older than ``before``."""
        with self._db.act():
            self._db.run("DELETE FROM attempts WHERE at < ?", before)
            self._db.run("INSERT INTO attempts VALUES (?, ?)", subject, now())

    # One-time codes

    def add_code(
        self, code_hash: str, purpose: str, owner: str | None, role: str | None, expires: str
    ) -> None:
        """Store a code and drop those that were never used in time."""
        with self._db.act():
            self._db.run("DELETE FROM codes WHERE expires < ?", now())
            self._db.run(
                "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?)", code_hash, purpose, owner, role, now(), expires
            )

    def drop_codes(self, purpose: str) -> None:
        self._db.run("DELETE FROM codes WHERE purpose = ?", purpose)

    def has_code(self, code_hash: str, purpose: str) -> bool:
        return self._db.row(
            "SELECT 1 FROM codes WHERE code_hash = ? AND purpose = ? AND expires > ?", code_hash, purpose, now()
        ) is not None  # fmt: skip

    def use_code(self, code_hash: str, purpose: str) -> Row | None:
        """Return and delete a valid code, in one act; None when it is wrong, used or too old."""
        with self._db.act():
            found = self._db.row(
                "SELECT * FROM codes WHERE code_hash = ? AND purpose = ? AND expires > ?",
                code_hash, purpose, now(),
            )  # fmt: skip
            if found:
                self._db.run("DELETE FROM codes WHERE code_hash = ?", code_hash)
            return found

    # Pairs

    def add_pair(self, mentee: str, mentor: str) -> str:
        """Store a pair, or reopen it; return its id."""
        with self._db.act():
            found = self._db.row("SELECT id FROM pairs WHERE mentee = ? AND mentor = ?", mentee, mentor)
            if found:
                self._db.run("UPDATE pairs SET ended = NULL WHERE id = ?", found["id"])
                return str(found["id"])
            pair = new_id()
            self._db.run(
                "INSERT INTO pairs (id, mentee, mentor, created) VALUES (?, ?, ?, ?)",
                pair, mentee, mentor, now(),
            )  # fmt: skip
            return pair

    def pairs(self, person: str, ended: bool = False) -> list[Row]:
        """Return a person's pairs, open unless ``ended`` asks for all, with the other's name and their own role."""
        return self._db.rows(
            "SELECT pairs.id, pairs.created, CASE WHEN mentee = ?1 THEN 'mentee' ELSE 'mentor' END AS role, "
            "other.name AS other, other.id AS other_id FROM pairs JOIN people AS other "
            "ON other.id = CASE WHEN mentee = ?1 THEN mentor ELSE mentee END "
            "WHERE ?1 IN (mentee, mentor) AND (ended IS NULL OR ?2) ORDER BY pairs.created",
            person, ended,
        )  # fmt: skip

    def end_pair(self, pair: str) -> None:
        """End a pair and erase what either shared in it, so that joining again starts from nothing."""
        with self._db.act():
            self._db.run("UPDATE pairs SET ended = ? WHERE id = ?", now(), pair)
            self._db.run(
                "UPDATE shares SET payload = NULL, part = '', withdrawn = coalesce(withdrawn, ?) WHERE pair = ?",
                now(), pair,
            )  # fmt: skip
            self._db.forget()
