"""What one person of a pair lets the other see. Every read for the other person's page is here.

A share is a frozen copy made by the very function that draws its preview; later edits change nothing
until it is shared again. Only the payload travels: no level, no score, no draft, nothing dismissed,
not even that something was withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assistant.accounts import Accounts
from assistant.errors import AccessError, InputError
from assistant.names import other_names, with_initials
from assistant.store import Store

Kind = Literal["theme", "question", "goal", "reflection", "meeting"]
KINDS: tuple[Kind, ...] = ("theme", "question", "goal", "reflection", "meeting")
MARKS = ("", "next", "later", "other")
Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is about to be shared: its payload, what it is made from, and the names found in it."""

    kind: Kind
    part: str
    payload: Payload
    sources: frozenset[str]
    names: tuple[str, ...] = ()


class Sharing:
    def __init__(
        self, store: Store, accounts: Accounts, ordinary_words: frozenset[str] = frozenset()
    ) -> None:
        """``ordinary_words`` helps to tell names from words at the start of a sentence."""
        self._store = store
        self._accounts = accounts
        self._ordinary = ordinary_words

    # The sender's side

    def theme(self, owner: str, reflection: str, theme: str, wording: str, quote: str | None) -> Draft:
        """Return a theme in the writer's own wording, with the quote only when one is given."""
        text = self._store.reflections.load(owner, reflection)["text"]
        if quote is not None and quote not in text:
            raise InputError("The quote is not in the reflection any more. Choose it again before sharing.")
        payload = {"theme": theme, "wording": _said(wording), "quote": quote or None}
        return self._draft("theme", theme, payload, {reflection})

    def question(self, owner: str, item: str) -> Draft:
        """Return a question or topic of the writer's meeting page."""
        row = self._store.meetings.item(owner, item)
        payload = {"text": _said(row["text"]), "quote": row["quote"] or None}
        return self._draft("question", item, payload, {item, *filter(None, [row["reflection"]])})

    def goal(self, owner: str, goal: str) -> Draft:
        """Return a goal in the wording its owner settled on, never its context."""
        row = self._store.goals.load(owner, goal)
        return self._draft("goal", goal, {"text": _said(row["wording"] or row["goal"])}, {goal})

    def reflection(self, owner: str, reflection: str) -> Draft:
        row = self._store.reflections.load(owner, reflection)
        return self._draft("reflection", reflection, {"text": _said(row["text"])}, {reflection})

    def meeting(self, owner: str) -> Draft:
        """Return the open meeting page as it stands."""
        return self._meeting(owner, self._store.meetings.open(owner))

    def _meeting(self, owner: str, meeting: dict[str, Any]) -> Draft:
        items = self._store.meetings.items(owner, meeting["id"])
        if not items:
            raise InputError("Your meeting page is still empty. Put something on it, then share it.")
        points = [{"kind": row["kind"], "text": row["text"], "quote": row["quote"] or None} for row in items]
        sources = {
            meeting["id"],
            *(row["id"] for row in items),
            *(r["reflection"] for r in items if r["reflection"]),
        }
        return self._draft("meeting", meeting["id"], {"wants": meeting["wants"], "points": points}, sources)

    def draft(self, owner: str, kind: str, part: str) -> Draft:
        """Return the draft of a question, goal, reflection or meeting by its id."""
        if kind == "meeting":
            return self.meeting(owner)
        makers = {"question": self.question, "goal": self.goal, "reflection": self.reflection}
        if kind not in makers:
            raise InputError(f"A {kind} cannot be shared from here.")
        return makers[kind](owner, part)

    def with_initials(self, draft: Draft) -> Draft:
        """Return the draft with every name found in it as an initial."""
        payload = _mapped(draft.payload, lambda text: with_initials(text, draft.names))
        return Draft(draft.kind, draft.part, payload, draft.sources)

    def share(self, owner: str, pair: str, draft: Draft) -> str:
        """Share exactly this draft with the other person of the pair; return the share's id.

        Sharing the same thing again replaces what stood there.
        """
        shares = self._store.shares
        with self._store.database.act():
            self._accounts.pair(owner, pair)
            for row in shares.standing(pair, owner):
                if self._same(row, draft):
                    shares.withdraw(owner, row["id"])
            return shares.add(owner, pair, draft.kind, draft.part, draft.payload, draft.sources)

    def _same(self, row: dict[str, Any], draft: Draft) -> bool:
        """Say whether a share is of the same thing; a theme is one per reflection it was read in."""
        if (row["kind"], row["part"]) != (draft.kind, draft.part):
            return False
        return row["kind"] != "theme" or self._store.shares.sources(row["id"]) == draft.sources

    def withdraw(self, owner: str, share: str) -> None:
        """Take a share back: its copy is erased, the ledger line stays. Doing it twice is no fault."""
        row = self._store.shares.by_id(share)
        if not row or row["owner"] != owner:
            raise AccessError("This is not among the things you share.")
        self._store.shares.withdraw(owner, share)

    def ledger(self, owner: str) -> list[dict[str, Any]]:
        """Return all the owner shared, with whom, the replies to it, and whether it changed since."""
        names = {row["id"]: row["other"] for row in self._store.people.pairs(owner, ended=True)}
        return [
            {
                "id": row["id"],
                "kind": row["kind"],
                "payload": row["payload"],
                "with": names.get(row["pair"], "someone who left"),
                "day": row["shared"][:10],
                "withdrawn": bool(row["withdrawn"]),
                "changed": self._changed(owner, row),
                "replies": self._replies(row["id"]),
            }
            for row in self._store.shares.sent(owner)
        ]

    # The other person's side: the only reads their page can make

    def desk(self, viewer: str) -> list[dict[str, Any]]:
        """Return, for each pair of ``viewer``, what the other person shares now: new ones first."""
        return [self._desk_of(viewer, pair) for pair in self._accounts.pairs(viewer)]

    def received(self, viewer: str, share: str) -> dict[str, Any]:
        """Return one share that stands and was made for ``viewer``. Raises AccessError otherwise."""
        row = self._store.shares.by_id(share)
        theirs = {pair["id"] for pair in self._accounts.pairs(viewer)}
        if row and row["payload"] is not None and row["owner"] != viewer and row["pair"] in theirs:
            seen = {key: row[key] for key in ("id", "pair", "kind", "payload")}
            return seen | {"day": row["shared"][:10]}
        raise AccessError("This is not shared with you, or not any more.")

    def reply(self, viewer: str, share: str, text: str) -> None:
        """Answer a share; the text reaches the person who shared it."""
        with self._store.database.act():
            self.received(viewer, share)
            self._store.shares.add_reply(viewer, share, _said(text))

    def mark(self, viewer: str, share: str, mark: str) -> None:
        """Keep for oneself when to come to a share: next, later, other, or nothing."""
        if mark not in MARKS:
            raise InputError("Choose next time, later, or someone else.")
        with self._store.database.act():
            self.received(viewer, share)
            self._store.shares.mark(viewer, share, mark)

    def seen(self, viewer: str, pair: str) -> None:
        """Remember privately that the viewer has looked at all that stands in a pair."""
        row = self._accounts.pair(viewer, pair)
        standing = self._store.shares.standing(pair, row["other_id"])
        self._store.shares.set_seen(viewer, [share["id"] for share in standing])

    def save_note(self, viewer: str, pair: str, kind: Literal["note", "story"], text: str) -> None:
        """Store a private note, or something of one's own one could tell. Nobody else reads it."""
        self._accounts.pair(viewer, pair)
        self._store.shares.save_note(viewer, pair, kind, text)

    def _desk_of(self, viewer: str, pair: dict[str, Any]) -> dict[str, Any]:
        marks = self._store.shares.marks(viewer)
        shares = [
            {
                "id": row["id"],
                "kind": row["kind"],
                "payload": row["payload"],
                "day": row["shared"][:10],
                "new": not marks.get(row["id"], {}).get("seen"),
                "mark": marks.get(row["id"], {}).get("mark", ""),
                "replies": self._replies(row["id"]),
            }
            for row in self._store.shares.standing(pair["id"], pair["other_id"])
        ]
        shares.sort(key=lambda share: (not share["new"], share["kind"] != "meeting"))
        return {
            "pair": pair["id"],
            "name": pair["other"],
            "role": pair["role"],
            "shares": shares,
            "new": sum(share["new"] for share in shares),
            "notes": self._store.shares.notes(viewer, pair["id"]),
        }

    def _replies(self, share: str) -> list[dict[str, Any]]:
        return [
            {"name": reply["name"], "text": reply["text"], "day": reply["created"][:10]}
            for reply in self._store.shares.replies(share)
        ]

    def _draft(self, kind: Kind, part: str, payload: Payload, sources: set[str]) -> Draft:
        found: list[str] = []

        def collect(text: str) -> str:
            for span in other_names(text, self._ordinary):
                if span.of(text) not in found:
                    found.append(span.of(text))
            return text

        _mapped(payload, collect)
        return Draft(kind, part, payload, frozenset(sources), tuple(found))

    def _changed(self, owner: str, row: dict[str, Any]) -> bool:
        """Say whether sharing the same thing today would give another copy."""
        if row["payload"] is None or row["kind"] == "theme":
            return False
        try:
            if row["kind"] == "meeting":
                draft = self._meeting(owner, self._store.meetings.load(owner, row["part"]))
            else:
                draft = self.draft(owner, row["kind"], row["part"])
        except InputError:  # nothing is written there any more
            return True
        return row["payload"] not in (draft.payload, self.with_initials(draft).payload)


def markdown(heading: str, wants: str, points: Sequence[Mapping[str, Any]]) -> str:
    """Return a meeting page as Markdown: what is wanted, then the points with their quotes.

    >>> markdown("Points", "", [{"text": "One", "quote": ""}])
    '# Points\\n\\n1. One\\n'
    """
    lines = [f"# {heading}", ""]
    if wants:
        lines += [wants, ""]
    for number, point in enumerate(points, 1):
        lines.append(f"{number}. " + point["text"].replace("\n", "\n   "))
        if point["quote"]:
            lines.append("   > " + point["quote"].replace("\n", "\n   > "))
    return "\n".join(lines) + "\n"


def _said(text: str) -> str:
    if not text.strip():
        raise InputError("There is nothing written here yet. Write something, then share it.")
    return text


def _mapped(value: Any, change: Any) -> Any:
    """Return the payload with ``change`` applied to each text a person wrote."""
    if isinstance(value, dict):
        fixed = {"theme", "kind", "wants"}
        return {key: item if key in fixed else _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
