"""Words a refinement, a first step and a question, from templates that fit the form of the goal."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assistant.goals.doings import Doing, Doings
from assistant.goals.phrases import Aim, Phrases
from assistant.goals.rules import Rules

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
    context: str
    missing: tuple[str, ...]
    avoidance: bool
    others: bool
    pick: int
    doing: Doing

    def lacks(self, part: str) -> bool:
        return part in self.missing


class Refiner:
    """Builds drafts by the templates of ``knowledge/goals.yaml``."""

    def __init__(self, rules: Rules) -> None:
        self._phrases = Phrases(rules)
        self._doings = Doings(rules)
        self._frames: Mapping[str, Any] = rules.entry("frames")
        self._checks: Mapping[str, list[str]] = rules.entry("checks")
        self._others = rules.compile(rules.entry("others"))
        self._people = rules.compile(rules.entry("people"))
        self._results = rules.compile(rules.entry("results"))
        self._steps = [(rules.compile(pattern), step) for pattern, step in self._frames["step_with"]]
        self._recurrent = rules.compile(rules.entry("recurrent"))
        self._single = rules.compile(rules.entry("single"))
        self._known_day = rules.compile(rules.entry("known_day"))

    def draft(self, goal: str, context: str, missing: tuple[str, ...], avoidance: bool) -> Draft:
        """Return the draft for a goal that has something in ``missing``."""
        aim = self._phrases.aim(goal, avoidance)
        pick = zlib.crc32(goal.encode("utf-8", "replace"))
        doing = self._doings.choose(aim, goal, context)
        work = _Work(aim, context, missing, avoidance, self._with_others(aim), pick, doing)
        refined = self._refined(work)
        if "relevant" in missing and aim.form != "whether":
            refined += self._frames["reason"]
        return Draft(_sentence(refined), self._step(work), self._check(work))

    def knows(self, word: str) -> bool:
        """Return whether there is a doing to propose for ``word`` on its own."""
        return self._doings.knows(word)

    def _with_others(self, aim: Aim) -> bool:
        if aim.form in ("clause", "that"):
            return bool(self._people.search(aim.text))
        return aim.form == "act" and bool(self._others.search(aim.text))

    def _refined(self, work: _Work) -> str:
        if work.aim.form == "kept":
            return self._keep(work)
        if work.lacks("achievable") and work.aim.form == "act":
            return self._smaller(work)
        if self._says_what_to_do(work):
            return self._act(work)
        return self._towards(work)

    def _says_what_to_do(self, work: _Work) -> bool:
        if work.aim.form != "act" or work.others:
            return False
        if self._results.search(work.aim.text) and (work.lacks("time_bound") or work.lacks("measurable")):
            return False  # a result can be wished for a day, not promised for one
        return not work.lacks("specific") or bool(_COUNT.search(work.aim.text))

    def _again(self, work: _Work) -> bool:
        """Whether the doing comes back, so that it goes on until a day instead of being done by it."""
        text = work.aim.text
        return work.aim.ours or bool(self._recurrent.search(text) and not self._single.search(text))

    def _act(self, work: _Work) -> str:
        """The aim is a doing already: keep it as it stands and add what is open."""
        again = self._again(work)
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
        form = work.aim.form
        frame = {"noun": "noun_to", "clause": "noun_for", "that": "clause_that", "quoted": "quoted",
                 "gerund": "instead", "thing": "noun_for", "whether": "look_whether"}.get(form, "plain")  # fmt: skip
        if form == "act" and work.others:
            frame = "own_part"
        if form == "gerund" and work.doing.id == "causes":
            frame = "avoid"
        if form == "noun" and re.match(r"(?:a )?(?:more|better|less|\w+er)\b", work.aim.text):
            frame = "noun_for"
        return self._fill(frame, work)

    def _smaller(self, work: _Work) -> str:
        counted = _COUNT.search(work.aim.text)
        if work.others or not counted:
            return self._fill("smaller", work)
        many = len(re.sub(r"\D", "", counted.group())) > 2
        part = self._frames["smaller_many" if many else "smaller_few"]
        if re.search(r"\bfrom \d", work.aim.text):
            part = self._frames["smaller_way"]
        doing = replace(work.doing, text=part, note=self._frames["then_look"], once=True)
        return self._fill("smaller", replace(work, doing=doing))

    def _keep(self, work: _Work) -> str:
        """Several sentences: leave them as they are and add what is open."""
        text = work.aim.text if work.aim.text.endswith(("!", "?", "…")) else f"{work.aim.text}."
        if work.missing == ("time_bound",):
            return text + str(self._frames["kept_time"])
        return f"{text} {self._fill('kept', work)}" if set(work.missing) != {"relevant"} else text

    def _fill(self, frame: str, work: _Work) -> str:
        doing, when, aim, front = work.doing, work.aim.when, work.aim.text, ""
        if frame == "look_whether":
            doing = replace(doing, text=self._frames["look_doing"], note=self._frames["look_note"], once=True)
        if when and (frame in ("quoted", "instead") or len(aim.split()) > LONG_AIM):
            front = f"{when}, "
        elif when:
            aim = f"{aim} {when[:1].lower()}{when[1:]}"
        time, look = self._time(work, doing.once), ""
        if time and _APART.search(doing.text):
            look = str(self._frames["look_done" if doing.once else "look_back"]).format(time=time.strip())
            time = ""
        text = str(self._frames[frame]).format(
            aim=aim, doing=doing.text.rstrip(","), time=time, note=f", {doing.note}", look=look
        )
        return front + (text[:1].lower() + text[1:] if front else text)

    def _time(self, work: _Work, once: bool) -> str:
        if not work.lacks("time_bound") or work.aim.when:
            return ""
        known = self._known(work, "before" if once else "until")
        return f" {known or _choose(self._frames['by' if once else 'until'], work.pick)}"

    def _known(self, work: _Work, word: str) -> str:
        """A day from the context, where just one is named and the words fit as they stand."""
        found = list(self._known_day.finditer(" ".join(work.context.split())))
        if len(found) != 1 or found[0]["event"].split()[-1] in work.aim.text:
            return ""
        return f"{word} the {found[0]['event']} {found[0]['day']}"

    def _step(self, work: _Work) -> str:
        if work.aim.form == "whether":
            return str(self._frames["look_step"])
        if not self._says_what_to_do(work) or work.lacks("achievable") or work.doing.concrete:
            return work.doing.step
        for pattern, step in self._steps:
            if pattern.search(work.aim.text):
                return str(step)
        return str(self._frames["step_again" if self._again(work) else "step_result"])

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
