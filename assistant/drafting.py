"""Has a text model draft questions about a writer's own words, in the way that suits what it can do.

A tuned model reads the text once and writes each draft after a lead: for whom it is, and mostly a question
asked in a like case, which it fits to this text. A plain one follows examples, a strong one instructions,
and answers in a structure that is checked. Drafts are trimmed to their question and never reworded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assistant import prompting
from assistant.domain import (
    Case,
    Passage,
    PassageMatch,
    Question,
    QuestionKind,
    SafetyFinding,
    Span,
    Theme,
)
from assistant.model import Style, TextModel
from assistant.prompting import Prompt
from assistant.questions import KINDS, first_sentence, trim, whole
from assistant.sentences import split

# Like cases by kind of question: of a theme, near a quote; so many at most.
Cases = Callable[[str, str, int], Mapping[QuestionKind, Sequence[Case]]]

AROUND = 90  # words of the text that a tuned model reads around the words quoted
FREE, LIKE = 2, 4  # drafts of each kind that a tuned model writes freely, and after a question of a like case
PLAIN = 8  # drafts of each kind of a plain model
STRONG = 2  # answers of a strong model, each with several questions
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {kind: {"type": "array", "items": {"type": "string"}} for kind in KINDS},
    "required": list(KINDS),
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A question as drafted, the case it was fitted from, and how likely it was to the model.

    ``likelihood``: mean log-likelihood of its tokens, where the engine tells.
    """

    question: Question
    case: Case | None = None
    likelihood: float | None = None


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


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model: the prompt, and for each answer its kind (None: it holds both) and case, if any."""

    prompt: Prompt
    kinds: tuple[QuestionKind | None, ...]
    cases: tuple[Case | None, ...]


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
    number = seed
    for theme in themes:
        if not theme.evidence:
            continue
        context = Context(text, theme, describe[theme.id], _passage_for(theme, passages))
        for request in requests(model.style, context, cases):
            if on_prompt:
                on_prompt(request.prompt)
            likely: dict[int, float] = {}
            answers = model.generate(
                request.prompt,
                len(request.kinds),
                request.prompt.max_tokens,
                number,
                None,
                likely.__setitem__,
            )
            number += 1
            passed: dict[str, Draft] = {}
            for found in _read(request, answers, likely, context):
                if found.question.text not in passed and not check(found):
                    passed[found.question.text] = found
            for kind in KINDS:
                own = [found for found in passed.values() if found.question.kind == kind]
                yield from (found.question for found in (rank(own) if rank and own else own))


def requests(style: Style, context: Context, cases: Cases) -> Iterator[Request]:
    """Yield the calls that draft questions about one theme."""
    if style == "tuned":
        yield _tuned(context, cases)
    elif style == "strong":
        yield _strong(context)
    else:
        quote = " … ".join(span.of(context.text) for span in context.theme.evidence[:2])
        for kind in KINDS:
            prompt = prompting.load(f"question-{kind}").fill(
                theme=context.means, quote=quote, idea=context.idea
            )
            yield Request(prompt, (kind,) * PLAIN, (None,) * PLAIN)


def lead_of(kind: QuestionKind, like: str | None = None) -> str:
    """Return what a tuned model's answer begins with: a question asked elsewhere, to be fitted, and for whom.

    >>> lead_of("reflect")
    'For me:'
    """
    label = {"reflect": "For me:", "ask": "For my mentor:"}[kind]
    return f"Like: {prompting.neutralise(like, 300)}\n{label}" if like else label


def around(text: str, quote: Span, words: int = AROUND) -> str:
    """Return whole sentences of ``text`` around ``quote``, about ``words`` long, the quote's own first of all."""
    sentences = split(text)
    inside = [at for at, span in enumerate(sentences) if span.start < quote.end and quote.start < span.end]
    if not inside:
        return quote.of(text)
    first, last = inside[0], inside[-1]

    def size(a: int, b: int) -> int:
        return len(text[sentences[a].start : sentences[b].end].split())

    while True:
        grown = [
            (a, b)
            for a, b in ((first - 1, last), (first, last + 1))
            if a >= 0 and b < len(sentences) and size(a, b) <= words
        ]
        if not grown:
            return text[sentences[first].start : sentences[last].end]
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


def _tuned(context: Context, cases: Cases) -> Request:
    quote = context.quote.of(context.text)
    prompt = prompting.load("question-tuned").fill(
        theme=context.means, idea=context.idea, text=around(context.text, context.quote), quote=quote
    )
    like = cases(context.theme.id, quote, LIKE)
    places: list[tuple[QuestionKind, Case | None]] = []
    for kind in KINDS:
        places += [(kind, None)] * FREE + [(kind, case) for case in like[kind]]
    leads = tuple(lead_of(kind, case.questions[kind] if case else None) for kind, case in places)
    kinds, used = zip(*places, strict=True)
    return Request(replace(prompt, leads=leads), kinds, used)


def _strong(context: Context) -> Request:
    quotes = " … ".join(span.of(context.text) for span in context.theme.evidence)
    prompt = prompting.load("question-strong").fill(
        theme=context.means,
        idea=context.passage.text if context.passage else context.means,
        text=context.text,
        quote=quotes,
    )
    return Request(replace(prompt, schema=SCHEMA), (None,) * STRONG, (None,) * STRONG)


def _read(
    request: Request, answers: Sequence[str], likely: Mapping[int, float], context: Context
) -> Iterator[Draft]:
    """Yield the drafts that some answers hold."""
    passages = (context.passage.id,) if context.passage else ()
    places = zip(request.kinds, request.cases, answers, strict=False)
    for number, (kind, case, answer) in enumerate(places):
        if kind is None:
            pairs: list[tuple[QuestionKind, str | None]] = [(k, whole(text)) for k, text in parsed(answer)]
        else:
            pairs = [(kind, whole(answer) if request.prompt.leads else trim(answer))]
        for named, text in pairs:
            if text:
                question = Question(named, text, context.theme.id, "model", None, context.quote, passages)
                yield Draft(question, case, likely.get(number))


def _passage_for(theme: Theme, passages: Sequence[PassageMatch]) -> Passage | None:
    found = [m for m in passages if theme.id == m.theme or theme.id in m.passage.themes]
    return max(found, key=lambda m: m.score).passage if found else None
