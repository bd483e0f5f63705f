"""Notices a text that points to danger or serious strain, before anything is suggested.

Two readers look at every sentence, either is enough: written rules (knowledge/safety_rules.yaml) and a
classifier over its vector and what the rules saw around it. It misses some, and assesses no person.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from assistant import language
from assistant.domain import Level, SafetyFinding, Span
from assistant.errors import KnowledgeError

URGENT_KINDS = ("self_harm", "harm_to_others", "danger_from_others")
KINDS = (*URGENT_KINDS, "harassment_discrimination", "acute_distress", "substance", "grief")
NEAR = 2  # sentences on either side that a guard marked ~ and the classifier look at
SILENCING = ("figure", "past", "recovered")  # guards that hold for the classifier as for the rules
MAX_SPANS = 3  # more quotes make no notice clearer
_GAP = r"(?:[^\w']{1,5}[\w']+){0,5}?[^\w']{1,5}"
_CLAUSE_EDGE = re.compile(r"[,;:–—]|\s-\s|\b(?:but|and then|aber|pero|mais)\b")
_WORD = re.compile(r"[\w']+")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'"})
_FAR_SCRIPTS = "\u0370"  # from here on no letter is Latin

Floats = npt.NDArray[np.float64]


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

    def _guarded(self, group: _Group, plain: list[str], i: int) -> bool:
        near = " . ".join(plain[max(0, i - NEAR) : i + NEAR + 1])
        return any(_holds(self.guards[name], near if around else plain[i]) for name, around in group.unless)

    def guard_hits(self, text: str, sentences: Sequence[Span]) -> npt.NDArray[np.bool_]:
        """Return, per sentence and guard (by name, sorted), whether the guard holds there."""
        table = np.zeros((len(sentences), len(self.guards)), np.bool_)
        for i, span in enumerate(sentences):
            line = _plain(span.of(text))
            for j, name in enumerate(sorted(self.guards)):
                table[i, j] = _holds(self.guards[name], line)
        return table


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


@dataclass(frozen=True, slots=True)
class Weights:
    """Three linear heads over ``features`` and the thresholds that were fitted with them."""

    urgent: Floats  # (features + 1,), the last entry is the intercept; so in every head
    raised: Floats  # support or urgent against none
    kinds: Floats  # (len(KINDS), features + 1)
    urgent_from: float
    raised_from: float
    columns: str  # what the features were; see ``columns``


def load_weights(path: Path | None = None) -> Weights | None:
    """Return the weights in ``path``, else those that come with the application, else None."""
    from safetensors.numpy import load

    file = path or importlib.resources.files("assistant").joinpath("weights/safety.safetensors")
    try:
        content = file.read_bytes()
    except OSError:
        return None
    tensors = load(content)
    meta = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    return Weights(
        urgent=tensors["urgent"].astype(np.float64),
        raised=tensors["raised"].astype(np.float64),
        kinds=tensors["kinds"].astype(np.float64),
        urgent_from=float(meta["urgent_from"]),
        raised_from=float(meta["raised_from"]),
        columns=meta["columns"],
    )


def columns(lexicon: Lexicon) -> str:
    """Name the features, so that weights are not used with rules they were not fitted to."""
    return " ".join(["v", "w", *(group.id for group in lexicon.groups), *sorted(lexicon.guards)])


def features(
    lexicon: Lexicon, text: str, sentences: Sequence[Span], hits: Sequence[Hit], vectors: Floats
) -> Floats:
    """Return what the classifier sees, a row per sentence.

    Its vector, the mean vector of the sentences around it, the rules that matched in it (1) or
    around it (0.5), and the guards that hold around it (0.5).
    """
    count = len(sentences)
    names = {group.id: j for j, group in enumerate(lexicon.groups)}
    matched = np.zeros((count, len(names)))
    for hit in hits:
        if hit.group in names:
            matched[hit.sentence, names[hit.group]] = 1.0
    guards = lexicon.guard_hits(text, sentences).astype(np.float64)
    return np.hstack(
        [
            vectors,
            _around(vectors, np.add) / _around(np.ones((count, 1)), np.add),
            np.maximum(matched, _around(matched, np.maximum) / 2),
            _around(guards, np.maximum) / 2,
        ]
    )


def _around(rows: Floats, combine: np.ufunc) -> Floats:
    """Combine every row with the NEAR rows before and after it."""
    out = rows.copy()
    for step in range(1, NEAR + 1):
        out[step:] = combine(out[step:], rows[:-step])
        out[:-step] = combine(out[:-step], rows[step:])
    return out


class SafetyReader:
    """Reads one text at a time; holds no state between texts, safe to call from several threads."""

    def __init__(self, lexicon: Lexicon | None = None, weights: Weights | None = None) -> None:
        self.lexicon = lexicon or load_lexicon()
        if weights is not None and weights.columns != columns(self.lexicon):
            raise KnowledgeError(
                "The safety weights were fitted to other rules. Run `python -m training.train_safety`."
            )
        self.weights = weights

    def read(self, text: str, sentences: Sequence[Span], vectors: npt.NDArray[Any] | None) -> SafetyFinding:
        """Return the level, its kind and the clauses or sentences that decided, worst first.

        ``vectors``: one unit vector per sentence, in order, or None where the embedder failed; then
        the written rules decide alone. Never raises on any string.
        """
        code = language.detect(text)
        known = code in (*language.KNOWN, language.UNKNOWN)
        hits = self.lexicon.hits(text, sentences)
        alone = vectors is None
        urgent = _sure([hit for hit in hits if hit.level == "urgent"])
        if not known:
            return _finding(urgent, code, False, alone)
        if vectors is None or self.weights is None or not sentences:
            return _finding(urgent or [h for h in hits if h.level == "support"], code, True, alone)
        seen = self._classified(text, sentences, hits, vectors)
        urgent += [hit for hit in seen if hit.level == "urgent"]
        support = [hit for hit in (*hits, *seen) if hit.level == "support"]
        return _finding(urgent or support, code, True, alone)

    def _classified(
        self, text: str, sentences: Sequence[Span], hits: Sequence[Hit], vectors: npt.NDArray[Any]
    ) -> list[Hit]:
        """Return the sentences that the classifier notices, the surest first."""
        weights = self.weights
        assert weights is not None
        rows = features(self.lexicon, text, sentences, hits, np.asarray(vectors, np.float64))
        silent = [
            any(_holds(self.lexicon.guards[g], _plain(s.of(text))) for g in SILENCING) for s in sentences
        ]
        urgent = np.where(silent, 0.0, _probability(rows, weights.urgent))
        raised = np.where(silent, 0.0, np.maximum(urgent, _probability(rows, weights.raised)))
        kinds = np.argmax(rows @ weights.kinds[:, :-1].T + weights.kinds[:, -1], axis=1)
        noticed = []
        for i in np.argsort(-raised):
            danger, kind = urgent[i] >= weights.urgent_from, KINDS[int(kinds[i])]
            if danger or raised[i] >= weights.raised_from:
                # Where the heads disagree, danger of a kind that is none, it is not sure enough for urgent.
                level: Level = "urgent" if danger and kind in URGENT_KINDS else "support"
                noticed.append(Hit(int(i), "classifier", level, kind, False, sentences[i]))
        return noticed


def _probability(rows: Floats, head: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-(rows @ head[:-1] + head[-1]))))


def _sure(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits that count: every direct one, and hints with a different hint near them."""
    hints = [hit for hit in hits if hit.hint]
    backed = {
        one
        for one in hints
        for other in hints
        if one.group != other.group and abs(one.sentence - other.sentence) <= 2 * NEAR
    }
    return [hit for hit in hits if not hit.hint or hit in backed]


def _finding(deciding: Sequence[Hit], code: str, understood: bool, alone: bool) -> SafetyFinding:
    if not deciding:
        return SafetyFinding("none", None, (), code, understood, alone)
    spans: list[Span] = []
    for hit in deciding:
        if not any(span.start < hit.span.end and hit.span.start < span.end for span in spans):
            spans.append(hit.span)
    first = deciding[0]
    return SafetyFinding(first.level, first.kind, tuple(spans[:MAX_SPANS]), code, understood, alone)
