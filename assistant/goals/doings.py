"""Chooses the doing that a refinement proposes, by what the aim is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assistant.goals.phrases import Aim
from assistant.goals.rules import Rules

NEAR = 9  # words of an aim: what comes later is seldom what it is about
_PLACE = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Doing:
    """What is proposed: ``text`` stands after "I will", ``once`` says that it is done by a day."""

    id: str
    text: str
    step: str
    note: str
    once: bool = False
    concrete: bool = False


class Doings:
    """Finds doings in ``knowledge/goals.yaml``."""

    def __init__(self, rules: Rules) -> None:
        self._topics = [(rules.compile(entry["match"]), entry) for entry in rules.entry("topics")]
        self._kinds = [(rules.compile(entry["match"]), entry) for entry in rules.entry("kinds")]
        self._around = [(rules.compile(e["context"]), e) for e in rules.entry("topics") if "context" in e]
        self._stops = [(rules.compile(entry["match"]), entry) for entry in rules.entry("stops")]
        self._people = rules.compile(rules.entry("people"))
        self._generic: Mapping[str, Any] = rules.entry("generic")
        self._note = str(rules.entry("frames", "note"))
        self._aside = rules.compile(rules.entry("aside"))
        self._befalls = rules.compile(rules.entry("befalls"))
        self._of_others = rules.compile(rules.entry("of_others"))
        self._worn = rules.compile(rules.entry("worn"))
        self._meeting: Mapping[str, str] = rules.entry("meeting")
        self._meetings = rules.compile(self._meeting["match"])

    def choose(self, aim: Aim, goal: str, context: str) -> Doing:
        """Return the doing for ``aim``; the goal and its context lend a setting where one is named."""
        if self._worn.search(goal) or self._worn.search(context):
            return self._doing(self._generic["gentle"], {}, goal, context)
        if aim.form in ("gerund", "against", "thing"):
            return self._doing(self._stop(aim), {}, goal, context)
        if aim.form == "kept" and self._of_others.match(aim.text):
            return self._doing(self._generic["theirs"], {}, goal, context)
        head = " ".join((self._aside.split(aim.text, maxsplit=1)[0] or aim.text).split()[:NEAR])
        entry, words = self._topic(head, context) or self._kind(head, aim) or (self._general(aim), {})
        return self._doing(entry, words, goal, context)

    def knows(self, word: str) -> bool:
        """Return whether there is a doing to propose for ``word`` on its own."""
        return self._topic(word, "") is not None

    def _topic(self, head: str, context: str) -> tuple[Mapping[str, Any], dict[str, str]] | None:
        """The topic that is named first, as the beginning of an aim says what it is about."""
        matches = ((pattern.search(head), entry) for pattern, entry in self._topics)
        found = [(match, entry) for match, entry in matches if match]
        if not found:
            return None
        match, entry = min(found, key=lambda pair: pair[0].start())
        return self._nearer(entry, context), match.groupdict()

    def _kind(self, head: str, aim: Aim) -> tuple[Mapping[str, Any], dict[str, str]] | None:
        if aim.form in ("clause", "that"):
            return None
        for pattern, entry in self._kinds:
            match = pattern.search(head)
            if match:
                return entry, match.groupdict()
        return None

    def _stop(self, aim: Aim) -> Mapping[str, Any]:
        for pattern, entry in self._stops:
            if pattern.search(aim.text):
                return entry
        chosen = aim.form == "gerund" and not self._befalls.search(aim.text)
        default: Mapping[str, Any] = self._generic["moment" if chosen else "causes"]
        return default

    def _general(self, aim: Aim) -> Mapping[str, Any]:
        place = {"quoted": "quoted", "kept": "quoted", "noun": "noun"}.get(aim.form, "act")
        if aim.form in ("clause", "that") and self._people.search(aim.text):
            place = "people"
        entry: Mapping[str, Any] = self._generic[place]
        return entry

    def _nearer(self, entry: Mapping[str, Any], context: str) -> Mapping[str, Any]:
        """A wish for confidence is about speaking up where the context speaks of quiet meetings."""
        if entry["id"] == "confidence":
            for around, other in self._around:
                if around.search(context):
                    return other
        return entry

    def _doing(self, entry: Mapping[str, Any], words: dict[str, str], goal: str, context: str) -> Doing:
        places = {**words, "meeting": self._setting(goal, context)}
        text = _PLACE.sub(lambda place: str(places[place.group(1)]), str(entry["do"]))
        return Doing(
            entry["id"], text, str(entry["step"]), str(entry.get("note", self._note)), "once" in entry,
            "concrete" in entry,
        )  # fmt: skip

    def _setting(self, goal: str, context: str) -> str:
        found = self._meetings.search(goal) or self._meetings.search(context)
        plain, wide = self._meeting["plain"], self._meeting["with"]
        return wide.format(setting=found.group(1).lower()) if found else plain
