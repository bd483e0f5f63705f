"""Says what is wrong with a drafted question, by rule; orders what is left by closeness to the quote.

The rules are tables, so that a mentor can read what is refused and why. They see words, not
meaning: a draft that passes may still misread the text, which is why people choose and why drafts
come after the bank. Each reason is one of ``REASONS``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from assistant.domain import Question, QuestionKind

MAX_WORDS = 25
MIN_WORDS = 4
NEAR_COPY = 0.75  # shared words over all words of two questions
REASONS = {
    "not_a_question": "does not end in one question",
    "several_questions": "asks more than one thing",
    "too_long": f"has more than {MAX_WORDS} words",
    "fragment": f"has fewer than {MIN_WORDS} words",
    "yes_no": "can be answered with yes or no",
    "advice": "tells what to do",
    "leading": "holds its own answer",
    "diagnosis": "uses the name of an illness or a label",
    "feeling_given": "names a feeling that the text does not name",
    "why_not": "asks why something was not done",
    "about_others": "asks to explain another person",
    "invented": "names somebody or something that the text does not",
    "wrong_addressee": "speaks to the wrong person",
    "near_copy": "repeats an earlier question or the text itself",
    "generic": "uses no word of the text",
    "chat_debris": "carries marks or phrases of a chat",
    "second_language": "is not in English",
}

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)‘([^’]+)’(?!\w)|(?<!\w)'([^']+)'(?!\w)")

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
# These belong to some people's work: allowed where the text has them.
CLINICAL = frozenset(
    "addiction clinical diagnosis diagnoses illness insomnia patient pathology psychological symptom symptoms "
    "therapist therapy trauma traumatic".split()
)
# A feeling is the writer's to name.
FEELINGS = frozenset(
    """afraid anger angry anxiety anxious ashamed bitter bitterness despair desperate devastated disappointed
    disappointment embarrassed envious envy fear fears frustrated frustrating frustration furious grief guilt
    guilty helpless hopeless humiliated hurt insecure insecurities insecurity jealous jealousy loneliness lonely
    miserable overwhelmed overwhelming resentful resentment sadness scared shame stressed stress stressful
    terrified unhappy upset worthless""".split()
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

ALLOWED_NAMES = frozenset("i i'm i'd i'll i've ok mr mrs ms miss dr prof sir".split())  # pronoun and titles
_NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split(),
        3,
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "hundred": "100", "thousand": "1000"}

# Words that say nothing about this text in particular, however often it uses them.
COMMON = frozenset(
    """the and are but am able about above across actual actually after again against ago all almost alone along already also although
    always among another any anyone anything anyway around ask away back because become been before behind being
    below beside best better between beyond both believe better bring came can cannot career choose colleague colleagues come could day days decide decided decision decisions develop did different
    difficult does doing done down during each either else end enough even ever every everyone everything exactly
    experience far feel feeling feelings feels felt few find first for from gave get getting give given goal goals
    goes going good got great had hard has have having hear help helped her here hers herself him himself his how
    idea ideas important into it its itself job jobs just keep kind knew know known last later lead leader leaders leadership learn learned least left less let life
    like little long look looking lot made make makes making many matter may maybe me mean meeting meetings mentee
    mentor mentoring might mind moment more most much must my myself need needs never new next nice no nobody none
    nor not nothing now of off often old on once one only onto or other others our out over own part people perhaps
    person place point put quite rather real really reason right said same saw say saying says see seem seems seen
    self she should show side since situation skill skills small so some somebody someone something sometimes soon still such
    sure take taken talk team teams tell than that the their them themselves then there these they thing things think thinking
    this those though thought through time times to today together told too took toward try trying turn two under
    understand until up upon us use used very want wanted wants was way ways we week weeks well went were what when
    where whether which while who whole whom whose why will with within without work working works world would
    write writing wrote yes yet you your yours yourself year years conversation question questions answer""".split()
)
# Common words of other languages that are no English words.
FOREIGN = frozenset(
    """que qué cómo como para una los las por pero está usted muy con del más der das und nicht ist ich sie wie
    mit für auf ein eine dich dein wann warum les des est vous pour dans une avec comment quand votre quoi je tu
    sur qui pas che di il cosa perché quando della sono ti não você uma seu em het een niet wat hoe jij och att
    det är som nie jak czy się""".split()
)


def reasons(text: str, question: str, kind: QuestionKind, others: Collection[str] = ()) -> list[str]:
    """Return what is wrong with ``question`` about ``text``, most basic first; empty when nothing is.

    ``others`` are the questions it must differ from: the bank's, and those asked before.
    """
    plain = _straight(question).strip()
    lower = plain.lower()
    found = [
        *_shape(plain, lower),
        *(reason for reason, pattern in _PATTERNS if pattern.search(_unquoted(lower))),
        *_words(plain, _straight(text)),
        *_addressee(_unquoted(lower), _straight(text).lower(), kind),
        *_copies(lower, _straight(text).lower(), others),
    ]
    return list(dict.fromkeys(found))


def check(text: str, question: Question, others: Collection[str] = ()) -> list[str]:
    """Return ``reasons`` for a drafted question."""
    return reasons(text, question.text, question.kind, others)


def rank(
    drafts: Sequence[Question],
    vectors: npt.NDArray[np.float32],
    evidence: npt.NDArray[np.float32],
    least: float = 0.15,
) -> list[Question]:
    """Return the drafts closest to any quoted sentence first; those below ``least`` are left out.

    ``vectors`` has a unit row a draft, ``evidence`` a unit row a quoted sentence.
    """
    if not len(drafts) or not len(evidence):
        return list(drafts)
    grounding = (vectors @ evidence.T).max(axis=1)
    order = sorted(range(len(drafts)), key=lambda number: (-float(grounding[number]), number))
    return [drafts[number] for number in order if grounding[number] >= least]


def _shape(plain: str, lower: str) -> Iterable[str]:
    bare = _unquoted(lower)
    words = _WORD.findall(plain)
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


def _words(plain: str, text: str) -> Iterable[str]:
    known = _stems(text)
    listed = [word.lower() for word in _WORD.findall(plain)]
    joined = {
        "-".join(pair) for size in (1, 2, 3) for pair in zip(*(listed[n:] for n in range(size)), strict=False)
    }
    if joined & LABELS or any(_stem(word) not in known for word in joined & CLINICAL):
        yield "diagnosis"
    if any(_stem(word) not in known for word in joined & FEELINGS):
        yield "feeling_given"
    if _invented(plain, text, known):
        yield "invented"
    if not any(_stem(word) in known and _tells(word) for word in listed):
        yield "generic"
    if len(set(listed) & FOREIGN - set(_WORD.findall(text.lower()))) >= 2 or any(
        letter.isalpha() and ord(letter) > 0x24F and letter not in text for letter in plain
    ):
        yield "second_language"


def _invented(plain: str, text: str, known: set[str]) -> bool:
    low = " ".join(text.lower().split())
    quotes = ["".join(groups).lower().strip(" .,!?…") for groups in _QUOTED.findall(plain)]
    if any(" ".join(quote.split()) not in low for quote in quotes):
        return True
    for found in _WORD.finditer(plain):
        word, before = found.group(), plain[: found.start()].rstrip(" \"'(")
        number = word.lower() if word[0].isdigit() else _NUMBERS.get(word.lower())
        if number and not _number_known(number, low):
            return True
        opens = not before or before[-1] in ".!?:;…"
        name = word.lower().removesuffix("'s")
        if word[0].isupper() and not opens and name not in ALLOWED_NAMES and _stem(name) not in known:
            return True
    return False


def _number_known(number: str, low: str) -> bool:
    names = {number, *(word for word, digits in _NUMBERS.items() if digits == number)}
    return any(re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", low) for name in names)


def _addressee(bare: str, text: str, kind: QuestionKind) -> Iterable[str]:
    words = set(_WORD.findall(bare))
    first = words & {"i", "my", "me", "mine", "myself", "i'm", "i'd", "i've", "i'll"}
    both = words & {"we", "our", "ours", "us"}
    second = words & {"you", "your", "yours", "yourself", "you're", "you've", "you'd", "you'll"}
    elsewhere = re.search(
        r"\byour mentor\b|(?<!be )\bmy mentor\b|\byou (?:wrote that|mentioned that)\b", bare
    )
    if kind == "reflect" and (first or not second):
        yield "wrong_addressee"
    if kind == "ask" and (elsewhere or not (first or both)):  # the writer asks, so the writer is in it
        yield "wrong_addressee"
    if re.search(r"\byour mentees?\b", bare) and "mentee" not in text:  # who writes of no mentee has none
        yield "wrong_addressee"


def _copies(lower: str, text: str, others: Collection[str]) -> Iterable[str]:
    own = _bag(lower)
    if lower.rstrip("? ") in text or any(_shared(own, _bag(_straight(other).lower())) for other in others):
        yield "near_copy"


def _shared(one: frozenset[str], two: frozenset[str]) -> bool:
    return bool(one) and len(one & two) / len(one | two) >= NEAR_COPY


def _bag(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in _WORD.findall(text))


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in _WORD.findall(text.lower())}


def _stem(word: str) -> str:
    """Return a rough root, the same for "wait", "waits", "waited" and "waiting".

    >>> _stem("waiting") == _stem("waited") == _stem("waits")
    True
    """
    word = word.removesuffix("'s").removesuffix("n't")
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    for ending in ("ing", "ed", "ly", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _tells(word: str) -> bool:
    """Return whether a word of question and text ties the two together."""
    return (len(word) > 2 or word.isdigit()) and _stem(word) not in _COMMON_STEMS


_COMMON_STEMS = frozenset(_stem(word) for word in COMMON)


def _straight(text: str) -> str:
    return text.translate({0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"'})


def _unquoted(text: str) -> str:
    """Return the draft without what it quotes: the writer's words are not the draft's own."""
    return _QUOTED.sub('"…"', text)
