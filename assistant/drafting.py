"""Has a text model draft questions about a writer's own words, in the way that suits what it can do.

A tuned model reads the text once, chooses which of the writer's words to quote and which question, asked before
behind words like them, to ask here. A plain one follows examples, a strong one instructions, and answers in a
structure that is checked. Drafts are trimmed to their question and never reworded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assistant import prompting, verify
from assistant.domain import (
    KINDS,
    Case,
    Passage,
    PassageMatch,
    Question,
    QuestionKind,
    SafetyFinding,
    Span,
    Theme,
)
from assistant.embedding import Encode
from assistant.model import Chooser, TextModel, Weight
from assistant.prompting import Prompt
from assistant.questions import first_sentence, trim, whole
from assistant.quoting import quotable
from assistant.sentences import split

# Like cases by kind of question: of a theme, near a quote; so many at most.
Cases = Callable[[str, str, int], Mapping[QuestionKind, Sequence[Case]]]

AROUND = 65  # words of the text that a tuned model reads around the words that show a theme
QUOTES, LIKE = 2, 10  # quotations that a tuned model chooses, and questions of each kind weighed behind each
PLAIN = 8  # drafts of each kind of a plain model
STRONG = 2  # answers of a strong model, each with several questions
CALLS = 2  # at most, about one theme: each has its own seed
# People's own quotations lie among the words that show a theme two times in three, clauses one time in three: in log odds.
SHOWING = 1.4
QUOTING = 'You wrote "'  # after which the words to quote are chosen
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {kind: {"type": "array", "items": {"type": "string"}} for kind in KINDS},
    "required": list(KINDS),
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A question as drafted. Where a tuned model chose it: ``words``, what it asks behind its quotation, what such
    a question is worth, and what the model makes of it.
    """

    question: Question
    words: str = ""
    worth: float = 0.0
    weight: Weight | None = None


Check = Callable[[Draft], Sequence[str]]  # what is wrong with a draft; nothing: it may be shown
Rank = Callable[[Sequence[Draft]], Sequence[Draft]]  # best first; may leave some out


@dataclass(frozen=True, slots=True)
class Context:
    """What may be said to a model about one theme of a text."""

    text: str
    theme: Theme
    means: str
    passage: Passage | None

    @property
    def quote(self) -> Span:
        return self.theme.evidence[0]

    @property
    def idea(self) -> str:
        return first_sentence(self.passage.text) if self.passage else self.means

    def asked(self, kind: QuestionKind, text: str, quote: Span | None = None) -> Question:
        """Return a question about this theme, beside the words it is about."""
        passages = (self.passage.id,) if self.passage else ()
        return Question(kind, text, self.theme.id, "model", None, quote or self.quote, passages)


@dataclass(frozen=True, slots=True)
class Request:
    """One call for answers: the prompt, how many, and their kind (None: each holds both)."""

    prompt: Prompt
    count: int
    kind: QuestionKind | None


def draft(
    model: TextModel,
    themes: Sequence[Theme],
    text: str,
    passages: Sequence[PassageMatch],
    seed: int,
    *,
    finding: SafetyFinding,
    describe: Mapping[str, str],
    check: Check,
    cases: Cases,
    rank: Rank | None = None,
    on_prompt: Callable[[Prompt], None] | None = None,
) -> Iterator[Question]:
    """Yield checked drafts of ``model`` for each theme, best first within each theme and kind.

    ``describe`` gives a theme id its description; ``on_prompt`` hears of each prompt. Nothing is drafted
    unless the text was understood and the safety level is none. Raises ModelError, PromptError.
    """
    if finding.level != "none" or not finding.understood:
        return
    hear = on_prompt or (lambda prompt: None)
    for number, theme in enumerate(theme for theme in themes if theme.evidence):
        context = Context(text, theme, describe[theme.id], _passage_for(theme, passages))
        if model.style == "tuned" and isinstance(model, Chooser):
            found = _chosen(model, context, cases, check, hear)
        else:
            found = _written(model, context, seed + number * CALLS, check, hear)
        for drafts in found:
            yield from (item.question for item in (rank(drafts) if rank and drafts else drafts))


def _written(
    model: TextModel, context: Context, seed: int, check: Check, hear: Callable[[Prompt], None]
) -> Iterator[list[Draft]]:
    """Yield the checked drafts that a model writes, a kind at a time."""
    for number, request in enumerate(_requests(model, context)):
        hear(request.prompt)
        answers = model.generate(request.prompt, request.count, request.prompt.max_tokens, seed + number)
        passed: dict[str, Draft] = {}
        for found in _read(request, answers, context):
            if found.question.text not in passed and not check(found):
                passed[found.question.text] = found
        for kind in KINDS:
            own = [found for found in passed.values() if found.question.kind == kind]
            if own:
                yield own


def _chosen(
    model: Chooser, context: Context, cases: Cases, check: Check, hear: Callable[[Prompt], None]
) -> Iterator[list[Draft]]:
    """Yield the questions asked before that a model finds fitting behind words that it finds worth quoting."""
    text = context.text
    prompt = prompt_of(text, context.quote, context.means, context.idea)
    own = verify.telling(text)
    rows: list[tuple[Draft, str, str]] = []
    for quote in _quotes(model, prompt, context):
        near = cases(context.theme.id, quote.of(text), LIKE)
        for kind in KINDS:
            lead = lead_of(kind, quote.of(text))
            for case in near[kind]:
                words = case.question
                found = Draft(context.asked(kind, f"{lead} {words}", quote), words, case.worth)
                if not verify.telling(words) & verify.telling(case.quote) - own and not check(found):
                    rows.append((found, lead, f" {words}\n"))
    hear(replace(prompt, choices=tuple(found.question.text for found, _, _ in rows)))
    weights = model.weigh(prompt, [(lead, answer) for _, lead, answer in rows])
    drafts = [replace(found, weight=weight) for (found, _, _), weight in zip(rows, weights, strict=True)]
    for kind in KINDS:
        yield [found for found in drafts if found.question.kind == kind]


def probable(drafts: Sequence[Draft], text: str, themes: Sequence[Theme], encode: Encode) -> list[Draft]:
    """Return the weighed drafts that probably fit behind their quotations, best first, none saying what another does."""
    quotes = [draft.question.evidence.of(text) if draft.question.evidence else "" for draft in drafts]
    said = list(dict.fromkeys([*quotes, *(draft.words for draft in drafts)]))
    vectors = dict(zip(said, encode(said), strict=True))
    pairs = zip(drafts, quotes, strict=True)
    near = [float(vectors[draft.words] @ vectors[quote]) for draft, quote in pairs]
    scores = {theme.id: theme.score for theme in themes}
    places = verify.fitting(
        [draft.weight for draft in drafts if draft.weight],
        near,
        [draft.worth for draft in drafts],
        [scores.get(draft.question.theme or "", 0.0) for draft in drafts],
    )
    return apart([drafts[place] for place in places])


def nearest(drafts: Sequence[Draft], text: str, themes: Sequence[Theme], encode: Encode) -> list[Draft]:
    """Return the drafts near to what shows the themes, nearest first."""
    evidence = encode([span.of(text) for theme in themes for span in theme.evidence])
    vectors = encode([draft.question.text for draft in drafts])
    return [drafts[place] for place in verify.order(vectors, evidence)]


def apart(drafts: Sequence[Draft]) -> list[Draft]:
    """Return the drafts without those that quote, or ask, what an earlier one does."""
    kept: list[Draft] = []
    for draft in drafts:
        if not any(
            draft.words == other.words or draft.question.evidence == other.question.evidence for other in kept
        ):
            kept.append(draft)
    return kept


def _quotes(model: Chooser, prompt: Prompt, context: Context) -> list[Span]:
    """Return the words to quote, of all that the model reads, the likeliest first, none inside another.

    The model says how likely it would quote them; words that show the theme are likelier.
    """
    text, shows = context.text, context.theme.evidence
    spans = quotable(text, [around(text, context.quote)])
    weights = model.weigh(prompt, [(QUOTING, f'{span.of(text)}".') for span in spans])
    likely = {
        span: weight.total + SHOWING * any(_overlap(span, one) for one in shows)
        for span, weight in zip(spans, weights, strict=True)
    }
    kept: list[Span] = []
    for span in sorted(likely, key=lambda span: -likely[span]):
        if not any(_overlap(span, other) for other in kept):
            kept.append(span)
    return kept[:QUOTES]


def _overlap(one: Span, two: Span) -> bool:
    return one.start < two.end and two.start < one.end


def _requests(model: TextModel, context: Context) -> Iterator[Request]:
    """Yield the calls that draft questions about one theme."""
    quotes = " … ".join(span.of(context.text) for span in context.theme.evidence)
    if model.style == "strong":
        prompt = prompting.load("question-strong").fill(
            theme=context.means,
            idea=context.passage.text if context.passage else context.means,
            text=context.text,
            quote=quotes,
        )
        yield Request(replace(prompt, schema=SCHEMA), STRONG, None)
        return
    few = " … ".join(span.of(context.text) for span in context.theme.evidence[:2])
    for kind in KINDS:
        prompt = prompting.load(f"question-{kind}").fill(theme=context.means, quote=few, idea=context.idea)
        yield Request(prompt, PLAIN, kind)


def prompt_of(text: str, quote: Span, theme: str, idea: str) -> Prompt:
    """Return what a tuned model reads: a theme, an idea of the library, and the text around some words of it."""
    return prompting.load("question-tuned").fill(theme=theme, idea=idea, text=around(text, quote).of(text))


def lead_of(kind: QuestionKind, quote: str) -> str:
    """Return what stands before a question about some of the writer's words.

    >>> lead_of("ask", "I go quiet")
    'I wrote "I go quiet".'
    """
    who = {"reflect": "You", "ask": "I"}[kind]
    return f'{who} wrote "{prompting.neutralise(quote, 200)}".'


def around(text: str, quote: Span, words: int = AROUND) -> Span:
    """Return whole sentences of ``text`` around ``quote``, about ``words`` long, the quote's own first of all."""
    sentences = split(text)
    inside = [at for at, span in enumerate(sentences) if span.start < quote.end and quote.start < span.end]
    if not inside:
        return quote
    first, last = inside[0], inside[-1]

    def span(a: int, b: int) -> Span:
        return Span(sentences[a].start, sentences[b].end)

    while True:
        grown = [
            (a, b)
            for a, b in ((first - 1, last), (first, last + 1))
            if a >= 0 and b < len(sentences) and len(span(a, b).of(text).split()) <= words
        ]
        if not grown:
            return span(first, last)
        first, last = grown[0]


def parsed(answer: str) -> list[tuple[QuestionKind, str]]:
    """Return the questions of a structured answer; none when it is not of the structure asked for."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        found = json.loads(answer[start : end + 1])
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    lists = [(kind, found.get(kind)) for kind in KINDS]
    return [
        (kind, item)
        for kind, items in lists
        if isinstance(items, list)
        for item in items
        if isinstance(item, str) and prompting.plain(item)
    ]


def _read(request: Request, answers: Sequence[str], context: Context) -> Iterator[Draft]:
    """Yield the drafts that some answers hold."""
    for answer in answers:
        if request.kind is None:
            pairs: list[tuple[QuestionKind, str | None]] = [(k, whole(text)) for k, text in parsed(answer)]
        else:
            pairs = [(request.kind, trim(answer))]
        for kind, text in pairs:
            if text:
                yield Draft(context.asked(kind, text))


def _passage_for(theme: Theme, passages: Sequence[PassageMatch]) -> Passage | None:
    found = [m for m in passages if theme.id == m.theme or theme.id in m.passage.themes]
    return max(found, key=lambda m: m.score).passage if found else None
