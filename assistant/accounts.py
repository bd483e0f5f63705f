"""People, one-time codes, sign-ins and pairs: who may come in, and as whom."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from assistant.errors import AccessError, InputError
from assistant.store import Store, storable

Purpose = Literal["first", "signup", "pair", "reset"]
PASSWORD_AT_LEAST = 10
CODE_DAYS = {"first": 365, "signup": 14, "pair": 14, "reset": 1}
ATTEMPTS = 8  # wrong passwords for one name from one address, and
ATTEMPTS_ADDRESS = 40  # from one address in all, within
ATTEMPT_MINUTES = 15
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # without letters that look alike
WRONG = "Name and password do not match. Check both, or ask the keeper of this installation for a reset code."
NO_CODE = "This code is not valid: it was used already, is too old, or has a typing slip."


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    keeper: bool
    welcomed: bool


class Accounts:
    """Decides who may sign in, sign up and be paired. Knows nothing of pages."""

    def __init__(
        self,
        store: Store,
        idle_hours: int = 12,
        session_days: int = 14,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._people = store.people
        self._act = store.database.act
        self._idle = timedelta(hours=idle_hours)
        self._lifetime = timedelta(days=session_days)
        self._hasher = hasher or PasswordHasher()
        # Checked when the name is unknown, so that an answer takes as long either way.
        self._nobody = self._hasher.hash(secrets.token_hex())

    # Coming in

    def sign_up(self, code: str, name: str, password: str) -> Person:
        """Make an account with a one-time code; the first one becomes the keeper.

        Raises InputError naming what to change; the code is spent only when the account is made.
        """
        name = self._free_name(name)
        _check_password(password)
        key = _hash_of_code(code)
        for purpose in ("first", "signup"):
            if self._people.has_code(key, purpose):
                secret = self._hash(password)  # slow, so not while others wait for the database
                with self._act():
                    if not self._people.use_code(key, purpose):
                        break
                    self._free_name(name)
                    return self.person(self._people.add(name, secret, purpose == "first"))
        raise InputError(NO_CODE)

    def sign_in(self, name: str, password: str, address: str) -> str:
        """Return a new secret token. Raises InputError when wrong, or after too many wrong tries."""
        since = _iso(datetime.now(UTC) - timedelta(minutes=ATTEMPT_MINUTES))
        name = _one_line(name)
        # Hashed, because people type passwords into the wrong field.
        subjects = {
            _hash(f"{name.lower()}@{address}"): ATTEMPTS,
            _hash(f"@{address}"): ATTEMPTS_ADDRESS,
            _hash(f"{name.lower()}@"): ATTEMPTS_ADDRESS,  # whoever tries, and from wherever they say
        }
        if any(self._people.attempts(who, since) >= most for who, most in subjects.items()):
            raise InputError(f"Too many wrong tries. Wait {ATTEMPT_MINUTES} minutes, then try again.")
        row = self._people.by_name(name)
        if not self._matches(row["password"] if row else self._nobody, password) or not row:
            for who in subjects:
                self._people.failed(who, since)
            raise InputError(WRONG)
        token = secrets.token_urlsafe(32)
        self._people.sign_in(row["id"], _hash(token), _iso(datetime.now(UTC) - self._lifetime))
        return token

    def who(self, token: str | None) -> Person | None:
        """Return the person behind a sign-in that is neither idle nor too old."""
        if not token:
            return None
        now = datetime.now(UTC)
        row = self._people.signed_in(_hash(token), _iso(now - self._idle), _iso(now - self._lifetime))
        if not row:
            return None
        if row["used"] < _iso(now - timedelta(minutes=1)):  # a write a minute is enough to know idleness
            self._people.touch_sign_in(_hash(token))
        return _person(row)

    def sign_out(self, token: str) -> None:
        self._people.sign_out(_hash(token))

    def person(self, person: str) -> Person:
        row = self._people.by_id(person)
        if not row:
            raise AccessError("This account does not exist any more.")
        return _person(row)

    def welcome(self, person: str) -> None:
        """Remember that the person has read who can see what."""
        self._people.welcome(person)

    def delete(self, person: str, password: str) -> None:
        """Delete the account with everything in it, after the password was given once more."""
        row = self._people.by_id(person)
        if not row or not self._matches(row["password"], password):
            raise InputError("This is not your password, so nothing was deleted.")
        self._people.delete(person)

    # The keeper's acts

    def first_code(self) -> str | None:
        """Return a fresh code for the keeper's account while there is none; earlier ones stop working."""
        if self._people.keepers():
            return None
        self._people.drop_codes("first")
        return self._code("first")

    def signup_code(self, role: str) -> str:
        return self._code("signup", role=role)

    def names(self) -> list[str]:
        """Return everybody's name, for the keeper."""
        return self._people.names()

    def add_person(self, name: str) -> str:
        """Make an account without a usable password; return the code with which its owner sets one."""
        person = self._people.add(self._free_name(name), self._hash(secrets.token_hex()), False)
        return self._code("reset", owner=person)

    def reset_code(self, name: str) -> str:
        """Return a one-day code with which this person can choose a new password."""
        row = self._people.by_name(_one_line(name))
        if not row:
            raise InputError(f"There is no account named {name!r}. Check the spelling.")
        return self._code("reset", owner=row["id"])

    def reset_password(self, code: str, password: str) -> None:
        """Set a new password with a reset code; every sign-in of the person ends."""
        _check_password(password)
        key = _hash_of_code(code)
        if not self._people.has_code(key, "reset"):
            raise InputError(NO_CODE)
        secret = self._hash(password)
        with self._act():
            row = self._people.use_code(key, "reset")
            if not row:
                raise InputError(NO_CODE)
            self._people.set_password(row["owner"], secret)

    # Pairs

    def pair_code(self, person: str, role: Literal["mentee", "mentor"]) -> str:
        """Return a code that joins whoever enters it to ``person``, who takes ``role`` in the pair."""
        return self._code("pair", owner=person, role=role)

    def join_pair(self, person: str, code: str) -> dict[str, Any]:
        """Spend a pair code; return the pair (id, role, other)."""
        with self._act():
            row = self._people.use_code(_hash_of_code(code), "pair")
            if not row:
                raise InputError(NO_CODE)
            if row["owner"] == person:  # raised within the act, so the code is not spent
                raise InputError(
                    "This is your own code. Give it to the other person; they enter it on their page."
                )
            mentee, mentor = (row["owner"], person) if row["role"] == "mentee" else (person, row["owner"])
            return self.pair(person, self._people.add_pair(mentee, mentor))

    def pairs(self, person: str) -> list[dict[str, Any]]:
        return self._people.pairs(person)

    def pair(self, person: str, pair: str) -> dict[str, Any]:
        """Return one open pair of this person. Raises AccessError alike when missing or not theirs."""
        for row in self._people.pairs(person):
            if row["id"] == pair:
                return row
        raise AccessError("This pair is not here. It may have ended.")

    def end_pair(self, person: str, pair: str) -> None:
        """End a pair of this person; what either shared in it is erased."""
        self.pair(person, pair)
        self._people.end_pair(pair)

    def _free_name(self, name: str) -> str:
        name = _one_line(name)
        if not 2 <= len(name) <= 60 or not name.isprintable():
            raise InputError("Choose a name of 2 to 60 letters.")
        if self._people.by_name(name):
            raise InputError(f"The name {name} is taken. Choose another.")
        return name

    def _code(self, purpose: Purpose, owner: str | None = None, role: str | None = None) -> str:
        plain = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        expires = _iso(datetime.now(UTC) + timedelta(days=CODE_DAYS[purpose]))
        self._people.add_code(_hash(plain), purpose, owner, role, expires)
        return "-".join((plain[:4], plain[4:8], plain[8:]))

    def _hash(self, password: str) -> str:
        return self._hasher.hash(storable(password))

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, storable(password))
        except (Argon2Error, InvalidHashError):
            return False


def _check_password(password: str) -> None:
    if len(password) < PASSWORD_AT_LEAST:
        raise InputError(
            f"Choose a password of at least {PASSWORD_AT_LEAST} characters; three words do well."
        )
    if len(password) > 500:
        raise InputError("Choose a password of at most 500 characters.")


def _person(row: dict[str, Any]) -> Person:
    return Person(row["id"], row["name"], bool(row["keeper"]), bool(row["welcomed"]))


def _hash(secret: str) -> str:
    return hashlib.sha256(storable(secret).encode()).hexdigest()


def _hash_of_code(code: str) -> str:
    return _hash("".join(ch for ch in code.upper() if ch.isalnum()))


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
