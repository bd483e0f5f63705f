"""The records that the steps exchange. Frozen, without behaviour beyond reading themselves.

Offsets are Python string indices (code points) into the very text given:
``text[span.start:span.end]`` is the quote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Level = Literal["none", "support", "urgent"]
QuestionKind = Literal["reflect", "ask"]
KINDS: tuple[QuestionKind, ...] = get_args(QuestionKind)
Origin = Literal["model", "bank"]
SMART_PARTS = ("specific", "measurable", "achievable", "relevant", "time_bound")


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of a text, in code points."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the quote.

        >>> Span(0, 2).of("I go quiet")
        'I '
        """
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class SafetyFinding:
    """What the safety step noticed, and whether the text could be read at all."""

    level: Level = "none"
    kind: str | None = None
    spans: tuple[Span, ...] = ()
    language: str = "en"
    understood: bool = True
    rules_only: bool = False  # the tuned encoder failed, so only the written rules decided


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme that a text may be about, with the writer's words that show it."""

    id: str
    score: float
    evidence: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class RankedTheme:
    id: str
    score: float


@dataclass(frozen=True, slots=True)
class ThemeReading:
    """``themes``: named, most central first. ``ranked``: all 25, best first, never shown on a page."""

    themes: tuple[Theme, ...] = ()
    ranked: tuple[RankedTheme, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One bibliography entry. ``checked`` is seen, partly or recalled; ``strength`` A, B or C."""

    id: str
    citation: str
    doi: str | None
    checked: str
    strength: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One idea of the knowledge base in 60 to 120 words, or a section of an organisation's document."""

    id: str
    title: str
    text: str
    audience: str
    themes: tuple[str, ...]
    topics: tuple[str, ...]
    sources: tuple[str, ...]
    strength: str
    level: str
    fit: tuple[str, ...]
    reviewed: str
    situations: tuple[str, ...] = ()  # what people it is for would say or look for; never shown
    provenance: str | None = None  # file and line, where it is an organisation's own


@dataclass(frozen=True, slots=True)
class PassageMatch:
    """A passage found for a text: ``score`` in [0, 1] gives the order alone; ``sentence`` made it match."""

    passage: Passage
    score: float
    theme: str | None = None
    sentence: Span | None = None


@dataclass(frozen=True, slots=True)
class EarlierMatch:
    """A sentence of an earlier reflection of the same writer."""

    reflection_id: str
    quote: str
    score: float


@dataclass(frozen=True, slots=True)
class BankQuestion:
    id: str
    theme: str  # a theme id, or "any", "support", or the name of a set for a moment such as "first_meeting"
    kind: QuestionKind
    focus: str  # resource, obstacle, next_step or meaning
    text: str
    fit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question as suggested: who wrote it, for which theme, beside which words."""

    kind: QuestionKind
    text: str
    theme: str | None
    origin: Origin
    focus: str | None = None
    evidence: Span | None = None
    passages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Words of an invented text that show a theme, and a question that fits behind them.

    ``worth``: the log odds that people find the question usable behind other words of the theme.
    """

    theme: str
    quote: str
    kind: QuestionKind
    question: str
    worth: float = 0.0


@dataclass(frozen=True, slots=True)
class GoalReading:
    """A goal read and, where something is open, refined; see docs/cli.md for each field."""

    missing: tuple[str, ...] = ()
    frame: Literal["approach", "avoidance"] = "approach"
    type: Literal["learning", "performance", "mixed"] = "performance"
    refined: str | None = None
    first_step: str | None = None
    check: str | None = None
    origin: Literal["model", "template"] | None = None
    abstained: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a report: names and content hashes."""

    model: str
    embedding: str
    knowledge: str
    prompts: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the assistant says about one text. ``seconds``: wall time per step."""

    safety: SafetyFinding
    reading: ThemeReading = ThemeReading()
    passages: tuple[PassageMatch, ...] = ()
    earlier: tuple[EarlierMatch, ...] = ()
    questions: tuple[Question, ...] = ()
    abstained: str | None = None
    provenance: Provenance = Provenance("none", "none", "", "")
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ThemeInfo:
    """A theme of the contract: ``group`` is its heading in ``knowledge/themes.yaml``."""

    id: str
    name: str
    group: str
    means: str


@dataclass(frozen=True, slots=True)
class Guidance:
    """How a theme is worded on the page, and what a mentor is told about it."""

    theme: str
    says: str
    reworded: str
    side: str  # personal, professional, relationship, mentoring, setting or strength
    helps: str
    avoid: str
    passage: str


@dataclass(frozen=True, slots=True)
class HelpPointer:
    """Somebody to turn to. ``checked``: the day it was last looked over; ``how``: service, copy or general."""

    id: str
    name: str
    what: str
    reach: str
    kinds: tuple[str, ...]
    scope: str
    checked: str
    how: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A fixed text shown before anything else; never generated."""

    level: str
    kind: str
    title: str
    body: str
    reviewed_by: str
    pointers: tuple[str, ...]
