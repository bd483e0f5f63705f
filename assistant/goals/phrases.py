"""Takes a goal apart: which grammatical form it has, and the words that can stand in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from assistant.goals.rules import Pattern, Rules

Form = Literal["act", "noun", "clause", "that", "whether", "gerund", "against", "thing", "quoted", "kept"]
_SPACES = re.compile(r"\s+")
_EDGES = re.compile(r"^[^\w(]+|[^\w)%.!?…]+$")
_END = re.compile(r"[\s.!;,:…–-]+$")
_WHEN = re.compile(
    r"^(?P<when>(?:by|until|till|before|from|in|within|for|this|next|over|during|on|at|every|each|starting)\b"
    r"[^:]{2,70}?)(?:\s*[,:]\s*|\s+)"
    r"(?=(?:i\b|to (?!the|a)|(?:an? )?(?:better|good|new|stronger|healthier|closer)\b|more\b|be\b|get\b|no more\b))",
    re.IGNORECASE,
)
_WHEN_COLON = re.compile(r"^(?P<when>(?:by|until|before|in|this|next|for) [^:,]{2,40})[:,]\s+", re.IGNORECASE)
_OFTEN = re.compile(r"(?:every|each) \w+,? i\b", re.IGNORECASE)
_LESS_OF = re.compile(r"^of (?=an? )", re.IGNORECASE)
_STARTED = re.compile(r"\band (?:instead )?(?P<aim>(?:start|begin) \w.+)$", re.IGNORECASE)
_JOINED = re.compile(r"\b(?:and|or|then) (\w+)")
# What cannot follow once the word before it has been exchanged.
_HANGING = re.compile(r"^\W*(?:that|which|who|to|by \d|and|or|from|than)\b", re.IGNORECASE)
_LOWERING = frozenset(("reduce", "cut", "cut down", "cut back", "limit", "decrease", "minimise", "minimize"))
_NUMBER_OF = re.compile(r"^(?:the |my )?(?:number|amount) of ", re.IGNORECASE)
_LONE_I = re.compile(r"(?<![\w.'’])i(?=[\s,;'’]|$)(?!\.e)")
_CAN = re.compile(r"^can (?=[a-z])", re.IGNORECASE)  # "I would like to can speak": a learner's English
_THAT = re.compile(
    r"^(?:i (?:really )?(?:want|wish|hope|need|would like)|my (?:goal|aim|wish|hope) is|^) ?that (?P<aim>.+)",
    re.IGNORECASE,
)
_FOR_TO = re.compile(
    r"^(?P<who>(?:my|our|the|all|every\w*|people|others)\b(?: [\w’'-]+){0,5}?) to (?P<do>\w.+)$", re.I
)
_ADVERB = re.compile(r"^(?:\w{3,}ly|finally|just|also|really|always|again)$", re.IGNORECASE)
_ING = re.compile(r"^[a-z]{2,}ing$", re.IGNORECASE)
_DOUBLED = frozenset(
    (
        "run get stop plan begin cut let put set sit win swim quit chat submit commit refer admit step "
        "drop hit shop map skip cap log tap dig trim hug jog travel model label cancel control bid beg "
        "slip nag snap"
    ).split()
)


# Signs and short forms of typing, written out.
_TYPED = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r",? (?:pls|plz|please|thx|thanks|lol|haha)\b[\s.!]*$", ""),
        (r"^(?:honestly|ok|okay|well|so|hm+)[?!.,… ]+(?:just )?(?=to |i )", ""),
        (r"\bw/ ", "with "),
        (r"\bdont\b", "don't"),
        (r"\bid (?=like|love)", "I'd "),
        (r"\b(?<![\w'])im\b", "I'm"),
        (r"\bcant\b", "can't"),
        (r"\btil\b", "till"),
    )
)
_NOUN = re.compile(r"(?:an?|some|more|better|less|my own) \w", re.IGNORECASE)
_MUST = re.compile(
    r"^(?P<who>(?:my|our|the|an?|every|all|each|both)\b(?: [\w’'-]+){1,5}?) (?:finally )?"
    r"(?:must|should|needs? to|ha(?:s|ve) to|ought to) (?:finally )?(?P<do>\w.*)$",
    re.IGNORECASE,
)
_HAVE_DONE = re.compile(
    r"^(?:my|our|the) (?:(?!has\b|have\b|had\b|is\b|was\b)[\w’'-]+ ){1,3}?(?:\w{2,}[^e\W]ed|done|made|seen|heard|known|taken seriously)\b(?! \w+s\b)",
    re.IGNORECASE,
)


# A second sentence with something to say, and one without ("I mean it").
_SEVERAL = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bProf)(?<!\be\.g)(?<!\bi\.e)[.!?…;]+ +(?:\S+ +){4,}\S"
)
_AFTERTHOUGHT = re.compile(r"(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bProf)[.!?…]+ +(?:[^\W\d]\S* *){1,4}$")
# Two sentences with a comma between them.
_SPLICED = re.compile(
    r", (?:i|it|we|they|he|she) (?:always|never|often|just|still|don't|can't|am|is)\b", re.I
)
_LOOSE = re.compile(r" [-–—/] |[.;:!?] |\.\.")
_TIME = re.compile(
    r"(?:by|until|till|before|from|in|within|for|this|next|over|during|starting) ", re.IGNORECASE
)
_TO = re.compile(r"^to (?!the )", re.IGNORECASE)
LONGEST_QUOTE = 20  # words
LONGEST_TIME = 10  # words of a time that stands before the aim


@dataclass(frozen=True, slots=True)
class Aim:
    """The person's aim: ``text`` fits the place its ``form`` has in a sentence; ``when`` stood before it."""

    form: Form
    text: str
    when: str = ""
    ours: bool = False  # turned from what should stop into the doing in its place


class Phrases:
    """Parses goals by the word lists of ``knowledge/goals.yaml``."""

    def __init__(self, rules: Rules) -> None:
        self._verbs = frozenset(str(rules.entry("verbs")).split())
        self._nouns_first = frozenset(rules.entry("nouns_first"))
        self._not_verbs = rules.compile(rules.entry("not_verbs"))
        self._articles = rules.compile(rules.entry("articles"))
        self._lead = rules.compile(rules.entry("lead_in"))
        self._borrowed = rules.compile(rules.entry("borrowed"))
        self._more_than_noun = rules.compile(rules.entry("more_than_noun"))
        self._remark = rules.compile(rules.entry("remark"))
        self._no_time = rules.compile(rules.entry("no_time"))
        self._proper = rules.compile(rules.entry("proper"))
        self._said_by = rules.compile(rules.entry("said_by"))
        self._ought = rules.compile(rules.entry("ought"))
        self._negation = rules.compile(rules.entry("negation"))
        self._down_to = rules.compile(rules.entry("down_to"))
        self._tail = rules.compile(rules.entry("tail_words"))
        self._dated = rules.patterns("dated")
        self._approach = [
            (rules.compile(f"^(?:{e['of']})$"), _swap(rules, e), e)
            for e in [*rules.entry("approach"), *_states(rules)]
        ]

    def aim(self, goal: str, avoidance: bool) -> Aim:
        """Return the aim of ``goal``, framed as a doing where ``avoidance`` says that it is not."""
        line = self.tidy(goal)
        line = _AFTERTHOUGHT.sub("", line)
        for pattern in (self._borrowed, self._no_time):
            line = _END.sub("", pattern.sub("", line)) or line
        line, whole = self._without_remark(line), line
        if line != whole and self._dates(whole[len(line) :]):
            return self._kept_whole(_TO.sub("", whole))
        line = self._proper.sub(lambda found: _capital_last(found.group()), line)
        if _SEVERAL.search(line):
            return self._kept_whole(line)
        line, when = self._when(line)
        wish = self._wish(line)
        if wish:
            return replace(wish, when=when)
        lead = self._lead.match(line)
        led = bool(lead and lead.end() and re.search(r"(?:\bto|will|.ll) $", lead.group(), re.IGNORECASE))
        core = _CAN.sub("", line[lead.end() :] if lead else line)
        if avoidance:
            turned = self._turn(core)
            if turned:
                return _timed(turned, when)
        return _timed(self._form(core, led), when)

    def _wish(self, line: str) -> Aim | None:
        """What somebody else wants, what may only be thought of, and what is wished of others."""
        for pattern in (self._said_by, self._ought):
            found = pattern.match(line)
            if found and self._is_verb(found["aim"]):
                return Aim("whether", f"to {_lower_first(found['aim'])}")
            if found and _NOUN.match(found["aim"]):
                return Aim("whether", _lower_first(found["aim"]))
        found = _THAT.match(line)
        if found:
            return Aim("that", found["aim"])
        found = _MUST.match(line)
        if found and self._is_verb(found["do"]):
            return Aim("clause", f"{_lower_first(found['who'])} to {found['do']}")
        return None

    def tidy(self, goal: str) -> str:
        """Return the goal on one printable line, with no square brackets and a capital I."""
        kept = "".join(char if char.isprintable() else " " for char in goal)
        kept = kept.replace("[", "(").replace("]", ")")
        line = _END.sub("", _EDGES.sub("", _SPACES.sub(" ", kept)))
        if line.count('"') % 2:  # its partner has been stripped, or was never typed
            line = line.replace('"', "")
        if line.isupper() and " " in line:
            line = line.lower()
        for pattern, word in _TYPED:
            line = pattern.sub(word, line)
        return _LONE_I.sub("I", _END.sub("", line))

    def _without_remark(self, line: str) -> str:
        """Leave out a remark behind a comma."""
        found = self._remark.search(line)
        kept = line[: found.start()] if found else line
        core = self._lead.sub("", kept)
        whole = self._is_verb(core) or self._base(core.split(" ", 1)[0]) or _MUST.match(kept)
        return kept if whole else line

    def _dates(self, text: str) -> bool:
        """Whether the text says how much or by when, which is not to be lost."""
        return bool(re.search(r"\d", text)) or self._is_day(text)

    def gerund(self, phrase: str) -> str | None:
        """Return "ask my team" as "asking my team"; None where a joined verb would be left behind."""
        words = phrase.split()
        at = 1 if len(words) > 1 and _ADVERB.match(words[0]) else 0
        if self._joins(phrase):
            return None
        return " ".join([*words[:at], _ing(words[at]), *words[at + 1 :]])

    def _joins(self, phrase: str) -> bool:
        return any(word.lower() in self._verbs for word in _JOINED.findall(phrase))

    def _when(self, line: str) -> tuple[str, str]:
        found = _WHEN.match(line) or _WHEN_COLON.match(line)
        if found and (_OFTEN.match(line) or self._is_day(found["when"])):
            return line[found.end() :], found["when"]
        words = line.split()
        for end in range(2, min(len(words), LONGEST_TIME)):
            when, rest = " ".join(words[:end]).rstrip(","), " ".join(words[end:])
            if _TIME.match(when) and self._is_verb(rest) and self._is_day(when):
                return rest, when
        return line, ""

    def _is_day(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._dated)

    def _form(self, core: str, led: bool) -> Aim:
        wish = _FOR_TO.match(core)
        if wish and not self._is_verb(core):
            return Aim("clause", _lower_first(core))
        if _HAVE_DONE.match(core):
            return Aim("act", f"have {_lower_first(core)}")
        if _SPLICED.search(core):
            return self._quoted(core)
        base = self._base(core.split(" ", 1)[0])
        if base:
            return Aim("act", " ".join([base, *core.split(" ")[1:]]))
        if (led and core) or self._is_verb(core):
            return Aim("act", _lower_first(core))
        if _LOOSE.search(core):
            return self._quoted(core)
        if self._more_than_noun.match(core):
            return Aim("quoted", core) if "," in core else Aim("act", f"be {_lower_first(core)}")
        first = core.split(" ", 1)[0].lower()
        if first in self._nouns_first and "," not in core and not _STATEMENT.search(core):
            noun = _lower_first(core)
            return Aim("noun", f"a {noun}" if self._articles.match(noun) else noun)
        return self._quoted(core)

    def _quoted(self, core: str) -> Aim:
        core = core.replace('"', "'")
        return Aim("quoted", core) if len(core.split()) <= LONGEST_QUOTE else self._kept_whole(core)

    def _kept_whole(self, line: str) -> Aim:
        """Several sentences, or too many words to quote: kept as they are, in the first person."""
        line = line[:1].upper() + line[1:]
        return Aim("kept", f"I will {_lower_first(line)}" if self._is_verb(line) else line)

    def _is_verb(self, core: str) -> bool:
        words = core.split()
        if words and _ADVERB.match(words[0]) and words[0].lower() not in self._verbs:
            words = words[1:]
        if not words or self._not_verbs.match(" ".join(words)):
            return False
        return words[0].lower() in self._verbs

    def _base(self, word: str) -> str | None:
        if not _ING.match(word):
            return None
        stem = word.lower()[:-3]
        for form in (stem, stem + "e", stem[:-1]):
            if form in self._verbs and _ing(form) == word.lower():
                return form
        return None

    def _turn(self, core: str) -> Aim | None:
        found = self._negation.match(core)
        if not found:
            return None
        negative, thing = found["neg"].lower(), self._tail.sub("", found["of"])
        if negative.startswith(("i ", "we ")):
            negative = "not be" if negative.endswith(" be") else "not"
        thing = _LESS_OF.sub("", _NUMBER_OF.sub("", thing))
        started = _STARTED.search(thing)
        if started:
            return Aim("act", started["aim"])
        down = self._down_to.match(thing)
        if down and negative in _LOWERING:
            return Aim("act", f"keep {down['what']} to {down['level']}", ours=True)
        if thing.startswith("like "):  # "feel less like a guest"
            return Aim("against", f"{negative} {thing}")
        if negative.endswith(" be") or negative.startswith(("be ", "feel ", "become ", "get less")):
            thing = f"be {thing}"
        if negative == "worry less":
            thing = f"worry {thing}"
        turned = self._turned(thing)
        if turned:
            return Aim("act", turned, ours=True)
        return self._kept(negative, thing)

    def _turned(self, thing: str) -> str | None:
        for pattern, (swap, to), entry in self._approach:
            found = pattern.match(thing)
            if not found or ("not" in entry and re.search(entry["not"], thing)):
                continue
            if _HANGING.match(found.groupdict().get("rest") or ""):
                continue
            aim = _SPACES.sub(" ", found.expand(entry["aim"])).strip()
            return (swap.sub(to, aim) if swap else aim).strip() or None
        return None

    def _kept(self, negative: str, thing: str) -> Aim:
        """The fallback: what should stop stays named, and the doing is about what takes its place."""
        first = thing.split(" ", 1)[0]
        if _ING.match(first):
            return Aim("quoted", f"{negative} {thing}") if self._joins(thing) else Aim("gerund", thing)
        if self._is_verb(thing) and negative not in _BEFORE_NOUNS:
            gerund = self.gerund(thing)
            return Aim("gerund", gerund) if gerund else Aim("quoted", f"{negative} {thing}")
        if negative in _VERBAL:  # an unknown word after "not" is no noun
            return Aim("quoted", f"{negative} {thing}")
        if negative in _AMOUNTS and ", " in thing:
            return Aim("quoted", f"{negative} {thing}")
        if negative in ("less", "fewer"):
            return Aim("thing", f"{negative} {thing}")
        if negative in ("no", "no more"):
            return Aim("against", f"do without {thing}")
        if negative.endswith((" less", " fewer")) and _MORE.search(thing):
            return Aim("act", f"{negative} {thing}")
        return Aim("against", f"{negative} {thing}")


_BEFORE_NOUNS = _LOWERING | {
    "less",
    "fewer",
    "eliminate",
    "get rid of",
    "cut down on",
    "cut back on",
    "lower",
    "no",
    "no more",
}
_MORE = re.compile(r"\band \w* ?more\b|\bmore\b", re.IGNORECASE)
_AMOUNTS = ("less", "fewer", "no", "no more")
_VERBAL = frozenset(
    ("not", "don't", "don’t", "dont", "do not", "never", "never again", "no longer", "not to", "be not")
)
_STATEMENT = re.compile(
    r"\b(?:is|are|was|were|has|have|does|says?|wants?|must|should) \w+|^time to\b", re.IGNORECASE
)


def _states(rules: Rules) -> list[dict[str, str]]:
    """The states of the file as entries like those under ``approach``."""
    return [
        {"of": rf"{{state}}(?:{words})(?: one)?\b(?P<rest>.*)", "aim": rf"{aim}\g<rest>"}
        for words, aim in rules.entry("states").items()
    ]


def _swap(rules: Rules, entry: Mapping[str, Any]) -> tuple[Pattern | None, str]:
    return (rules.compile(entry["swap"]), entry["to"]) if "swap" in entry else (None, "")


def _timed(aim: Aim, when: str) -> Aim:
    """Put a time that stood before the aim beside it, or behind it where it only says how often."""
    if when and _OFTEN.match(f"{when} I"):
        return replace(aim, text=f"{aim.text} {when[:1].lower()}{when[1:]}")
    return replace(aim, when=when)


def _lower_first(text: str) -> str:
    """Lower the first letter of an ordinary word; leave I, PMP, iOS and LinkedIn alone."""
    first = text.split(" ", 1)[0]
    if first in {"I", "I'm", "I’m"} or not first[:1].isupper() or any(char.isupper() for char in first[1:]):
        return text
    return text[:1].lower() + text[1:]


def _ing(verb: str) -> str:
    lower = verb.lower()
    if lower in ("lie", "die", "tie"):
        return lower[:-2] + "ying"
    if lower in _DOUBLED:
        return f"{lower}{lower[-1]}ing"
    if lower.endswith("e") and not lower.endswith(("ee", "oe", "ye")) and lower != "be":
        return lower[:-1] + "ing"
    return lower + "ing"


def _capital_last(words: str) -> str:
    before, last = words.rsplit(" ", 1)
    return f"{before} {last[:1].upper()}{last[1:]}"
