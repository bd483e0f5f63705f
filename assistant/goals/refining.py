"""Words a refinement, a first step and a question, from templates that fit the form of the goal."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.goals.phrases import Aim, Phrases
from assistant.goals.rules import Pattern, Rules

LONG_AIM = 10  # words: behind a longer aim, the person's own time goes to the front of the sentence
_COUNT = re.compile(
    r"(?<![\w.,:])\d[\d.,]*\d(?![\w:%])(?= [a-z]+)"
    r"(?! ?(?:per ?cent|points|euros?|dollars|pounds|kg|km|years?|months?|weeks?|days?|hours?|minutes?)\b)"
)
# Behind one of these, "until next month" would seem to belong to the wrong verb.
_APART = re.compile(r"\b(?:before|when|that|what|whom|who|whoever|which|look forward|like to)\b|,")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is offered for a goal."""

    refined: str
    first_step: str
    check: str


@dataclass(frozen=True, slots=True)
class _Work:
    """One goal on its way through the templates; ``pick`` chooses among equal wordings."""

    aim: Aim
    goal: str
    context: str
    missing: tuple[str, ...]
    avoidance: bool
    others: bool
    pick: int
    topic: Mapping[str, Any]

    def lacks(self, part: str) -> bool:
        return part in self.missing


class Refiner:
    """Builds drafts by the templates of ``knowledge/goals.yaml``."""

    def __init__(self, rules: Rules) -> None:
        self._phrases = Phrases(rules)
        self._frames: Mapping[str, Any] = rules.entry("frames")
        self._checks: Mapping[str, list[str]] = rules.entry("checks")
        self._topics: list[tuple[Pattern, Pattern | None, dict[str, Any]]] = [
            (rules.compile(t["match"]), rules.compile(t["context"]) if "context" in t else None, t)
            for t in rules.entry("topics")
        ]
        self._generic: dict[str, Any] = rules.entry("generic")
        self._others = rules.compile(rules.entry("others"))
        self._people = rules.compile(rules.entry("people"))
        self._aside = rules.compile(rules.entry("aside"))
        self._one_person = rules.compile(rules.entry("one_person"))
        self._steps = [(rules.compile(pattern), step) for pattern, step in self._frames["step_with"]]
        self._recurrent = rules.compile(rules.entry("recurrent"))
        self._meeting: Mapping[str, str] = rules.entry("meeting")
        self._meetings = rules.compile(self._meeting["match"])
        self._known_day = rules.compile(rules.entry("known_day"))

    def draft(self, goal: str, context: str, missing: tuple[str, ...], avoidance: bool) -> Draft:
        """Return the draft for a goal that has something in ``missing``."""
        aim = self._phrases.aim(goal, avoidance)
        others = self._with_others(aim)
        pick = zlib.crc32(goal.encode("utf-8", "replace"))
        topic = self._topic(aim, context)
        work = _Work(aim, goal, context, missing, avoidance, others, pick, topic)
        refined = self._refined(work)
        if "relevant" in missing and aim.form != "whether":
            refined += self._frames["reason"]
        return Draft(_sentence(refined), self._step(work), self._check(work))

    def knows(self, word: str) -> bool:
        """Return whether there is a doing to propose for ``word`` on its own."""
        return self._topic(Aim("noun", word), "") is not self._generic

    def _with_others(self, aim: Aim) -> bool:
        if aim.form in ("clause", "that"):
            return bool(self._people.search(aim.text))
        return aim.form == "act" and bool(self._others.search(aim.text))

    def _refined(self, work: _Work) -> str:
        if work.aim.form == "kept":
            return self._keep(work)
        if work.aim.form in ("gerund", "thing"):
            return self._in_its_place(work)
        if work.lacks("achievable"):
            return self._smaller(work)
        if self._says_what_to_do(work):
            return self._act(work)
        return self._towards(work)

    def _says_what_to_do(self, work: _Work) -> bool:
        if work.aim.form != "act" or work.others:
            return False
        return not work.lacks("specific") or bool(_COUNT.search(work.aim.text))

    def _act(self, work: _Work) -> str:
        """The aim is a doing already: keep it as it stands and add what is open."""
        again = work.aim.ours or bool(self._recurrent.search(work.aim.text))
        extra = self._frames["narrower"] if work.lacks("specific") else ""
        if work.lacks("measurable"):
            extra += self._frames["measure_again" if again else "measure_result"]
        front = work.aim.when
        if not front and work.lacks("time_bound"):
            front = self._known(work, "Until" if again else "Before")
            front = front or _choose(self._frames["front_until" if again else "front_by"], work.pick)
        if not front:
            return f"I will {work.aim.text}{extra}."
        return str(self._frames["act"]).format(front=front, aim=work.aim.text, extra=extra)

    def _towards(self, work: _Work) -> str:
        """The aim is a state, a thing or in others' hands: name a doing that leads there."""
        frame = {"noun": "noun_to", "clause": "clause_for", "that": "clause_that", "quoted": "quoted",
                 "whether": "look_whether"}.get(work.aim.form, "plain")  # fmt: skip
        if work.aim.form == "act" and work.others:
            frame = "own_part"
        person = self._one_person.search(work.aim.text if frame == "own_part" else f"for {work.aim.text}")
        if person and frame in ("own_part", "clause_for") and work.lacks("achievable"):
            return self._fill("own_side", work, self._doing(work), self._note(work), aim=person["who"])
        if work.aim.form == "noun" and re.match(r"(?:a )?(?:more|better|less|\w+er)\b", work.aim.text):
            frame = "noun_for"
        if frame == "look_whether":
            return self._fill(frame, work, self._frames["look_doing"], self._frames["look_note"], once=True)
        return self._fill(frame, work, self._doing(work), self._note(work))

    def _smaller(self, work: _Work) -> str:
        if work.aim.form not in ("act", "whether") or self._one_person.search(work.aim.text):
            return self._towards(work)
        if work.topic is not self._generic and (work.others or work.lacks("specific")):
            return self._fill("smaller", work, self._doing(work), self._note(work))
        counted = _COUNT.search(work.aim.text)
        part = self._frames["smaller_part"]
        if counted:
            many = len(re.sub(r"\D", "", counted.group())) > 2
            part = self._frames["smaller_many" if many else "smaller_few"]
        return self._fill("smaller", work, part, self._frames["then_look"], once=True)

    def _keep(self, work: _Work) -> str:
        """Several sentences: leave them as they are and add what is open."""
        parts: Mapping[str, str] = self._frames["kept"]
        added = [parts["avoidance"]] if work.avoidance else []
        added += [parts[part] for part in work.missing if part in parts]
        return f"{work.aim.text}." + "".join(added)

    def _in_its_place(self, work: _Work) -> str:
        frame = "instead" if work.aim.form == "gerund" else "in_place"
        return self._fill(frame, work, "", f", {self._frames['note']}", once=False)

    def _fill(
        self, frame: str, work: _Work, doing: str, note: str, once: bool | None = None, aim: str | None = None
    ) -> str:
        when = work.aim.when
        aim, front = aim or work.aim.text, ""
        if when and (frame in ("quoted", "own_side", "instead", "in_place") or len(aim.split()) > LONG_AIM):
            front = f"{when}, "
        elif when:
            aim = f"{aim} {when[:1].lower()}{when[1:]}"
        once = "once" in work.topic if once is None else once
        time, look = self._time(work, once), ""
        if time and (frame == "instead" or _APART.search(doing)):
            look = str(self._frames["look_done" if once else "look_back"]).format(time=time.strip())
            time = ""
        text = str(self._frames[frame]).format(
            aim=aim, doing=doing.rstrip(","), time=time, note=note, look=look
        )
        return front + (text[:1].lower() + text[1:] if front else text)

    def _doing(self, work: _Work) -> str:
        found = self._meetings.search(work.goal) or self._meetings.search(work.context)
        plain, wide = self._meeting["plain"], self._meeting["with"]
        meeting = wide.format(setting=found.group(1).lower()) if found else plain
        return str(work.topic["do"]).replace("{meeting}", meeting)

    def _note(self, work: _Work) -> str:
        return f", {work.topic.get('note', self._frames['note'])}"

    def _time(self, work: _Work, once: bool) -> str:
        if not work.lacks("time_bound") or work.aim.when:
            return ""
        known = self._known(work, "before" if once else "until")
        return f" {known or _choose(self._frames['by' if once else 'until'], work.pick)}"

    def _known(self, work: _Work, word: str) -> str:
        """A day from the context, where just one is named and the words fit as they stand."""
        found = list(self._known_day.finditer(" ".join(work.context.split())))
        if len(found) != 1:
            return ""
        return f"{word} the {found[0]['event']} {found[0]['day']}"

    def _step(self, work: _Work) -> str:
        general = work.topic is self._generic
        if work.aim.form == "whether":
            return str(self._frames["look_step"])
        if work.aim.form in ("gerund", "thing"):
            return str(self._frames["step_instead"])
        if work.lacks("achievable") and (general or not (work.others or work.lacks("specific"))):
            return str(self._frames["step_smaller"])
        if not self._says_what_to_do(work) or work.lacks("achievable") or "concrete" in work.topic:
            return str(work.topic["step"])
        for pattern, step in self._steps:
            if pattern.search(work.aim.text):
                return str(step)
        again = self._recurrent.search(work.aim.text)
        return str(self._frames["step_again" if again else "step_result"])

    def _topic(self, aim: Aim, context: str) -> dict[str, Any]:
        head = self._aside.split(aim.text, maxsplit=1)[0] or aim.text
        for pattern, _, topic in self._topics:
            if pattern.search(head):
                return self._nearer(topic, context)
        return self._generic

    def _nearer(self, topic: dict[str, Any], context: str) -> dict[str, Any]:
        """A wish for confidence is about speaking up where the context speaks of quiet meetings."""
        if topic["id"] == "confidence":
            for _, around, other in self._topics:
                if around and around.search(context):
                    return other
        return topic

    def _check(self, work: _Work) -> str:
        order = (
            ("relevant", work.lacks("relevant") or work.aim.form == "whether"), ("achievable", work.lacks("achievable")),
            ("others", work.others), ("avoidance", work.avoidance and work.pick % 2 == 0),
            *((part, work.lacks(part)) for part in ("specific", "measurable", "time_bound")),
        )  # fmt: skip
        reason = next((name for name, holds in order if holds), "specific")
        return _choose(self._checks[reason], work.pick)


def _choose(wordings: Sequence[str], pick: int) -> str:
    return wordings[pick % len(wordings)]


def _sentence(text: str) -> str:
    """Begin with a capital and leave no doubled stop or comma."""
    text = re.sub(r",\s*,", ",", re.sub(r"\s+", " ", text)).strip()
    text = re.sub(r",\.", ".", re.sub(r"\.\.+", ".", text))
    return text[:1].upper() + text[1:]
