"""The checklist for questions, as rules that look at a question alone; docs/knowledge.md says why each stands.

The bank is held to them when it is loaded, a model's drafts before they are shown. They are tables, so
that a mentor can read what is refused. They see words, not meaning. Each reason is one of ``REASONS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_WORDS = 25
MIN_WORDS = 4
REASONS = {
    "not_a_question": "does not end in one question",
    "several_questions": "asks more than one thing",
    "too_long": f"has more than {MAX_WORDS} words",
    "fragment": f"has fewer than {MIN_WORDS} words",
    "yes_no": "can be answered with yes or no",
    "advice": "tells what to do",
    "leading": "holds its own answer",
    "diagnosis": "uses the name of an illness or a label",
    "why_not": "asks why something was not done",
    "about_others": "asks to explain another person",
    "wrong_addressee": "speaks to the wrong person",
    "chat_debris": "carries marks or phrases of a chat",
}

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)‘([^’]+)’(?!\w)|(?<!\w)'([^']+)'(?!\w)")

FIRST = frozenset("i my me mine myself i'm i'd i've i'll we our ours us".split())
SECOND = frozenset("you your yours yourself you're you've you'd you'll".split())

# One table of patterns, searched in the draft in lower case with straight quotes.
PATTERNS: tuple[tuple[str, str], ...] = (
    # advice: take the question mark away and an instruction remains
    ("advice", r"\bhave you (?:ever )?(?:tried|considered|thought (?:about|of))\b"),
    (
        "advice",
        r"\b(?:why not|why don't (?:you|i|we)|what if (?:you|i|we)|how about)\b|(?:^|[.:;,] )what about \w+ing\b",
    ),
    ("advice", r"\b(?:you|i) (?:should|must|ought to|need to|have to|had better)\b(?! have)(?=.*[.!;])"),
    (
        "advice",
        r"(?:^|[.:;,] )(?:try to|make sure|be sure|remember to|don't forget|consider|take a deep breath)\b",
    ),
    ("advice", r"(?:^|[.!:;,] )(?:perhaps|maybe) (?:you|i|it|that)\b"),
    ("advice", r"\b(?:i|we) (?:suggest|recommend|advise)|\bmy (?:advice|suggestion)\b"),
    (
        "advice",
        r"^(?:ask|tell (?!me)|talk to|speak to|write|start|stop|go|find|set|use|focus on|think about)\b",
    ),
    ("advice", r"\bwhat steps (?:should|must|do) (?:you|i) (?:need|have)?\b"),
    # leading: the answer is inside
    (
        "leading",
        r"(?:^|[.:;,] )(?:do|does|did|is|are|was|were|would|should|could|has|have|can|won|isn|wouldn)n't "
        r"(?:you|it|that|this|there|he|she|they|we|i|the|your|my)\b",
    ),
    (
        "leading",
        r"\b(?:don't you (?:think|agree|feel)|wouldn't you (?:say|agree)|isn't it|wasn't it|wouldn't it)\b",
    ),
    ("leading", r", (?:right|no|yes|correct|okay|ok|or not|don't you|isn't it|aren't you)\?$"),
    ("leading", r"\b(?:surely|obviously|of course|admit that|wouldn't you)\b"),
    ("leading", r"\bwould it (?:be|not be) (?:better|best|easier|wise)\b"),
    # why-didn't
    (
        "why_not",
        r"\bwhy (?:did|do|have|had|are|were|can|could|would|will|won|should|is|was|has)(?:n't|'t| (?:you|i|we) (?:not|never))",
    ),
    (
        "why_not",
        r"\b(?:what(?:'s| is) wrong with|what stopped you from even|how come you (?:did|do|have)n't)\b",
    ),
    # diagnosing people who are not in the room
    (
        "about_others",
        r"\bwhy (?:do|does|did|is|are|was|were|would|has) (?!you\b|i\b|it\b|we\b|that\b|this\b)",
    ),
    (
        "about_others",
        r"\bwhat (?:makes|made) (?:him|her|them|people|(?:your|my|the) (?:\w+ )?"
        r"(?:boss|manager|mother|father|colleagues?|team|director|supervisor)\b)",
    ),
    ("about_others", r"\bwhat is it (?:in|about) .{2,40} that (?:makes|made)|\bwhat is going on in \w+'s\b"),
    (
        "about_others",
        r"\b(?:his|her|their|'s) (?:character|personality|past|childhood|true reason|problem)\b",
    ),
    # chat debris
    ("chat_debris", r"[<>{}\[\]|*#`_~‹›\\]|https?:|\n"),
    (
        "chat_debris",
        r"\b(?:as an ai|ai assistant|language model|chatbot|system prompt|smollm)\b|^(?:assistant|user|system)\b",
    ),
    (
        "chat_debris",
        r"^(?:sure|certainly|of course|absolutely|great|okay|ok|yes|no|hello|hi|dear|thank you|"
        r"thanks|i'm sorry|sorry|i understand|i'm glad|here(?:'s| is| are))\b[,.!: ]",
    ),
    (
        "chat_debris",
        r"\b(?:question|theme|idea|answer|mentor|mentee|example|they wrote|i wrote)\s*(?:\d+\s*)?:",
    ),
    (
        "chat_debris",
        r"\bthe (?:following|above|given|provided) (?:text|passage|question|statement)\b|\bthe (?:writer|"
        r"author|speaker|mentee)\b",
    ),
)
_PATTERNS = tuple((reason, re.compile(pattern)) for reason, pattern in PATTERNS)

# No label is put on a person, not even one that they used for themselves.
LABELS = frozenset(
    """adhd addict addicted alcoholic anorexia asperger autism autistic bipolar borderline burnout burned-out
    burnt-out codependent compassion-fatigue delusional depressed depression depressive diagnosed disorder
    dysfunctional gaslighting hysterical impostor-syndrome imposter-syndrome low-self-worth mental-illness
    narcissism narcissist narcissistic neurodivergent neurosis neurotic obsessive ocd panic-attack paranoia
    paranoid pathological phobia psychopath ptsd schizophrenia social-anxiety sociopath syndrome toxic
    traumatised traumatized low-self-esteem panic-disorder""".split()
)
_WH = r"(?:what|how|which|who|whom|whose|why)"
_AUX = r"(?:do|does|did|is|are|am|was|were|have|has|had|can|could|will|would|shall|should|may|might|must)"
_OPEN = re.compile(
    rf"^(?:and |but |so |then |now |or |please )?(?:(?:in|at|on|of|for|to|from|with|by|about|since|until|under|over|after"
    rf"|before|through|between|during|if not|other than) (?:the )?)?(?:{_WH}(?:'s|'d|'ll)?\b|(?:when|where)(?:'s|'d)?"
    rf" (?:and how )?(?:(?:else|exactly|first|last|in|on|at|with|during|from|among|along|outside)\b.{{0,45}}? )?{_AUX}\b)"
)
# "Could you tell me about …" asks for a story, not for a yes.
_INVITES = re.compile(
    r"^(?:and |but |so |please )?(?:could|can|would|will|may) (?:you|we|i) (?:please )?(?:tell|describe|walk|talk|share|show|explain|"
    r"say|take|give|help|listen|look|try|go through|think|name|read|let)\b"
)
_CLOSED = re.compile(
    rf"^(?:and |but |so |then |or |also )?(?:{_AUX})(?:n't)?\b|^(?:ever|really|sure|possible)\b"
)
_CLAUSE = re.compile(r"\s*[,:;–—]\s+|\s+[–—-]\s+|(?<=[.!?…])[\"']?\s+")
_TWO = re.compile(
    rf"[,;] (?:and|or) (?:{_WH}|when|where)\b| (?:and|or|but) (?:{_WH}|when|where) (?:{_AUX}|\w+ {_AUX}|else|part|of|would|can)\b"
)


def faults(question: str, kind: str) -> list[str]:
    """Return which of ``REASONS`` speak against a question of a kind, most basic first; none: it passes.

    >>> faults("Have you told her about the plan?", "reflect")
    ['yes_no']
    """
    plain = straight(question).strip()
    lower = plain.lower()
    found = [
        *_shape(plain, lower),
        *(reason for reason, pattern in _PATTERNS if pattern.search(unquoted(lower))),
        *(["diagnosis"] if joined(plain) & LABELS else []),
        *_addressee(unquoted(lower), kind),
    ]
    return list(dict.fromkeys(found))


def joined(plain: str) -> set[str]:
    """Return the lower-case words of a question, alone and joined in twos and threes by hyphens."""
    listed = [word.lower() for word in WORD.findall(plain)]
    return {
        "-".join(run) for size in (1, 2, 3) for run in zip(*(listed[n:] for n in range(size)), strict=False)
    }


def _shape(plain: str, lower: str) -> Iterable[str]:
    bare = unquoted(lower)
    words = WORD.findall(plain)
    if not bare.rstrip("\"' )").endswith("?"):
        yield "not_a_question"
    if bare.count("?") > 1 or _TWO.search(bare):
        yield "several_questions"
    if len(words) > MAX_WORDS:
        yield "too_long"
    if len(words) < MIN_WORDS:
        yield "fragment"
    opening = _opening(bare)
    if opening and "?" in bare:
        yield opening


def _opening(bare: str) -> str | None:
    """Return yes_no or not_a_question unless some clause opens as an open question does."""
    clauses = [clause.strip(" \"'(") for clause in _CLAUSE.split(bare)]
    if any(_OPEN.match(clause) or _INVITES.match(clause) for clause in clauses):
        return None
    if any(_CLOSED.match(clause) for clause in clauses):
        return "yes_no"
    return "not_a_question"


def _addressee(bare: str, kind: str) -> Iterable[str]:
    words = set(WORD.findall(bare))
    first = words & FIRST
    second = words & SECOND
    elsewhere = re.search(
        r"\byour mentor\b|(?<!be )(?<!as )\bmy mentor\b|\byou (?:wrote that|mentioned that)\b", bare
    )
    if kind == "reflect" and first - {"we", "our", "ours", "us"}:
        yield "wrong_addressee"
    if kind == "ask" and (elsewhere or not (first or second)):  # it is said to somebody
        yield "wrong_addressee"


def straight(text: str) -> str:
    """Return the text with straight quotes, as long as before."""
    return text.translate({0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"'})


def unquoted(text: str) -> str:
    """Return the draft without what it quotes: the writer's words are not the draft's own."""
    return QUOTED.sub('"…"', text)
