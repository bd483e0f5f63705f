"""The written rules of knowledge/safety_rules.yaml: direct expressions, hints, and what makes both harmless."""

from __future__ import annotations

import importlib.resources
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml

from assistant.domain import Level, Span
from assistant.errors import KnowledgeError

URGENT_KINDS = ("self_harm", "harm_to_others", "danger_from_others")
KINDS = (*URGENT_KINDS, "harassment_discrimination", "acute_distress", "substance", "grief")
NEAR = 2  # sentences on either side that a guard marked ~ looks at
_GAP = r"(?:[^\w']{1,5}[\w']+){0,5}?[^\w']{1,5}"
_CLAUSE_EDGE = re.compile(r"[,;:–—]|\s-\s|\b(?:but|and then|aber|pero|mais)\b")
_WORD = re.compile(r"[\w']+")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'"})
_FAR_SCRIPTS = "\u0370"  # from here on no letter is Latin


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matched in sentence ``sentence``; ``span`` is the clause around the match."""

    sentence: int
    group: str
    level: Level
    kind: str
    hint: bool
    span: Span


@dataclass(frozen=True, slots=True)
class _Group:
    id: str
    level: Level
    kind: str
    hint: bool
    words: frozenset[str]
    pattern: re.Pattern[str]
    unless: tuple[tuple[str, bool], ...]  # name of a guard, and whether it looks around


@dataclass(frozen=True, slots=True)
class _Guard:
    pattern: re.Pattern[str]
    but: re.Pattern[str] | None


class Lexicon:
    """The written rules, compiled once. Raises KnowledgeError where the file is wrong."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        try:
            fragments = data["fragments"]
            self.guards = {name: _guard(body, fragments) for name, body in data["guards"].items()}
            self.groups = tuple(_group(body, fragments) for body in data["groups"])
            self.abroad = tuple(_abroad(data["abroad"]))
        except (KeyError, TypeError, AttributeError, ValueError, re.error) as error:
            raise KnowledgeError(f"knowledge/safety_rules.yaml cannot be used: {error!r}") from error
        for group in self.groups:
            missing = [name for name, _ in group.unless if name not in self.guards]
            if missing:
                raise KnowledgeError(
                    f"knowledge/safety_rules.yaml: {group.id} names no guard {missing[0]!r}."
                )

    @cached_property
    def by_word(self) -> dict[str, list[int]]:
        """From a trigger word to the groups that want to see its sentence."""
        found: dict[str, list[int]] = {}
        for number, group in enumerate((*self.groups, *self.abroad)):
            for word in group.words:
                found.setdefault(word, []).append(number)
        return found

    @cached_property
    def wordless(self) -> tuple[_Group, ...]:
        return tuple(group for group in self.abroad if not group.words)

    def hits(self, text: str, sentences: Sequence[Span]) -> list[Hit]:
        """Return what the rules see, in order of the sentences. Linear in the length of the text."""
        plain = [_plain(span.of(text)) for span in sentences]
        return [hit for i in range(len(plain)) for hit in self._sentence_hits(text, sentences, plain, i)]

    def _sentence_hits(self, text: str, sentences: Sequence[Span], plain: list[str], i: int) -> Iterable[Hit]:
        line = plain[i]
        folded = _fold(line)
        words = {word.replace("'", "") for word in _WORD.findall(folded)}
        numbers = sorted({n for word in words for n in self.by_word.get(word, ())})
        candidates = [(*self.groups, *self.abroad)[n] for n in numbers]
        if line and max(line) >= _FAR_SCRIPTS:
            candidates += self.wordless
        for group in candidates:
            found = group.pattern.search(line if group.unless else folded)
            if found and not self._guarded(group, plain, i):
                span = _clause(text, sentences[i], found.start(), found.end())
                yield Hit(i, group.id, group.level, group.kind, group.hint, span)

    def holds(self, names: Sequence[str], sentence: str) -> bool:
        """Say whether one of the guards of these names holds for a sentence."""
        return any(_holds(self.guards[name], _plain(sentence)) for name in names)

    def _guarded(self, group: _Group, plain: list[str], i: int) -> bool:
        near = " . ".join(plain[max(0, i - NEAR) : i + NEAR + 1])
        return any(_holds(self.guards[name], near if around else plain[i]) for name, around in group.unless)


def load_lexicon(path: Path | None = None) -> Lexicon:
    """Return the rules in ``path``, else those that come with the application."""
    try:
        if path is not None:
            content = path.read_text(encoding="utf-8")
        else:
            content = importlib.resources.files("knowledge").joinpath("safety_rules.yaml").read_text("utf-8")
        data = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ModuleNotFoundError) as error:
        raise KnowledgeError(f"knowledge/safety_rules.yaml cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise KnowledgeError("knowledge/safety_rules.yaml holds no rules.")
    return Lexicon(data)


def _guard(body: Any, fragments: Mapping[str, str]) -> _Guard:
    if isinstance(body, list):
        return _Guard(_compile(body, fragments), None)
    but = _compile(body["but"], fragments) if "but" in body else None
    return _Guard(_compile(body["patterns"], fragments), but)


def _group(body: Mapping[str, Any], fragments: Mapping[str, str]) -> _Group:
    return _Group(
        id=body["id"],
        level=_level(body["level"]),
        kind=_kind(body["kind"]),
        hint=bool(body.get("hint", False)),
        words=_triggers(body["words"]),
        pattern=_compile(body["patterns"], fragments),
        unless=tuple((name.rstrip("~"), name.endswith("~")) for name in body["unless"]),
    )


def _abroad(data: Mapping[str, Mapping[str, Any]]) -> Iterable[_Group]:
    for code, body in data.items():
        for kind in URGENT_KINDS:
            phrases = [_fold(phrase) for phrase in body.get(kind, ())]
            if not phrases:
                continue
            if body.get("script"):  # some of these scripts have no spaces to stand between
                pattern = re.compile("|".join(map(re.escape, phrases)))
            else:
                pattern = _compile(phrases, {})
            words = _triggers(body.get("words", ()))
            yield _Group(f"abroad_{code}_{kind}", "urgent", kind, False, words, pattern, ())


def _triggers(words: Iterable[Any]) -> frozenset[str]:
    return frozenset(_fold(str(word).lower()).replace("'", "") for word in words)


def _level(name: str) -> Level:
    if name == "urgent":
        return "urgent"
    if name == "support":
        return "support"
    raise ValueError(f"no such level: {name}")


def _kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"no such kind: {name}")
    return name


def _compile(patterns: Sequence[str], fragments: Mapping[str, str]) -> re.Pattern[str]:
    """Return one expression for all patterns, written as the head of the rules' file explains."""
    return re.compile(r"(?<!\w)(?:" + "|".join(_expand(p, fragments) for p in patterns) + r")(?!\w)")


def _expand(pattern: str, fragments: Mapping[str, str]) -> str:
    for name, body in fragments.items():
        pattern = pattern.replace(f"<{name}>", re.sub(r"\|\s+", "|", body.strip()))
    pattern = re.sub(r"\|\s+(?=\S)", "|", pattern).replace("_", " ")  # a line broken inside a list
    pattern = pattern.replace("'", "'?").replace(" ... ", "\0").replace(r"\w+", r"[\w']+")
    pattern = re.sub(r" (?![?*+{])", r"[^\\w']{1,5}", pattern).replace(" ?", r"[^\w']{0,5}")
    return pattern.replace("\0", _GAP)


@lru_cache(maxsize=4096)
def _base(letter: str) -> str:
    if letter in "ıłŁ":  # these do not decompose
        return "i" if letter == "ı" else "l"
    return unicodedata.normalize("NFD", letter)[0] if letter < _FAR_SCRIPTS else letter


def _fold(text: str) -> str:
    """Return the text without the accents of Latin letters, as long as before."""
    return text if text.isascii() else "".join(map(_base, text))


def _plain(text: str) -> str:
    """Return the text in lower case with straight apostrophes, as long as before."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals become two characters
        lower = "".join(low if len(low := ch.lower()) == 1 else ch for ch in text)
    return lower.translate(_QUOTES)


def _holds(guard: _Guard, line: str) -> bool:
    return bool(guard.pattern.search(line)) and not (guard.but and guard.but.search(line))


def _clause(text: str, sentence: Span, start: int, end: int) -> Span:
    """Return the clause of ``sentence`` around the match at start:end of it, without white space."""
    line = sentence.of(text)
    left = max((edge.end() for edge in _CLAUSE_EDGE.finditer(line, 0, start)), default=0)
    following = _CLAUSE_EDGE.search(line, end)
    right = following.start() if following else len(line)
    left += len(line[left:right]) - len(line[left:right].lstrip())
    right -= len(line[left:right]) - len(line[left:right].rstrip())
    return Span(sentence.start + left, sentence.start + right)


def sure(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits that count: every direct one, and hints with a different hint near them."""
    hints = [hit for hit in hits if hit.hint]
    backed = {
        one
        for one in hints
        for other in hints
        if one.group != other.group and abs(one.sentence - other.sentence) <= 2 * NEAR
    }
    return [hit for hit in hits if not hit.hint or hit in backed]
