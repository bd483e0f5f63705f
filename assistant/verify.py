"""Says what is wrong with a drafted question, by rule; orders what is left by closeness to the quote.

To the checklist for any question come rules that hold it against the text. They see words, not
meaning: a draft that passes may still misread the text, which is why people choose and why drafts
come after the bank. Each reason is one of ``REASONS``.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from assistant import checklist
from assistant.checklist import QUOTED, WORD, straight
from assistant.domain import Question, QuestionKind
from assistant.model import Weight

LEAST_NEAR = 0.15  # cosine with a quoted sentence
# Log odds that people find a chosen question usable where its theme is right: from what the tuned model says, nearness
# to the quotation and what the question is worth behind others (training/results-choice.md).
BASE, FIT, LIKELY, ALIKE, WORTH = 0.16, 0.39, 0.16, 0.32, 0.89
LEAST_LIKELY = 0.6  # to be usable, the theme's own likelihood counted; of the first ones eight in ten were
NEAR_COPY = 0.75  # shared words over all words of two questions
REASONS = checklist.REASONS | {
    "feeling_given": "names a feeling that the text does not name",
    "invented": "names somebody or something that the text does not",
    "near_copy": "repeats an earlier question or the text itself",
    "generic": "uses no word of the text",
    "second_language": "is not in English",
}

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

OPENERS = frozenset(
    "during besides despite unlike whose whichever whom".split()
)  # no names, wherever they open
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


def reasons(
    text: str,
    question: str,
    kind: QuestionKind,
    others: Collection[str] = (),
    ordinary: Collection[str] = (),
) -> list[str]:
    """Return what is wrong with ``question`` about ``text``, most basic first; empty when nothing is.

    ``others`` are the questions it must differ from: the bank's, and those asked before. ``ordinary`` are
    lower-case words that may open a sentence without being somebody's name; empty: any may.
    """
    plain = straight(question).strip()
    lower = plain.lower()
    found = [
        *checklist.faults(question, kind),
        *_words(plain, straight(text), ordinary),
        *_addressee(checklist.unquoted(lower), straight(text).lower(), kind),
        *_copies(lower, straight(text).lower(), others),
    ]
    return list(dict.fromkeys(found))


def check(
    text: str, question: Question, others: Collection[str] = (), ordinary: Collection[str] = ()
) -> list[str]:
    """Return ``reasons`` for a drafted question."""
    return reasons(text, question.text, question.kind, others, ordinary)


def order(vectors: npt.NDArray[np.float32], evidence: npt.NDArray[np.float32]) -> list[int]:
    """Return the places of the drafts to show, nearest to a quoted sentence first; those far from all are left out.

    ``vectors`` has a unit row a draft, ``evidence`` a unit row a quoted sentence.
    """
    near = (vectors @ evidence.T).max(axis=1) if len(vectors) and len(evidence) else np.ones(len(vectors))
    return [int(at) for at in np.argsort(-near, kind="stable") if near[at] >= LEAST_NEAR]


def fitting(
    weights: Sequence[Weight], near: Sequence[float], worth: Sequence[float], sure: Sequence[float]
) -> list[int]:
    """Return the places of the questions that probably fit behind their quotations, best first.

    ``near``: the cosine of each question with its quotation; ``worth``: the log odds that it fits behind any of its
    theme; ``sure``: how likely that theme is the text's.
    """
    odds = [
        BASE + FIT * weight.fit + LIKELY * weight.mean + ALIKE * cosine + WORTH * known
        for weight, cosine, known in zip(weights, near, worth, strict=True)
    ]
    likely = [theme / (1 + math.exp(-value)) for theme, value in zip(sure, odds, strict=True)]
    return sorted(
        (at for at, value in enumerate(likely) if value >= LEAST_LIKELY), key=lambda at: -likely[at]
    )


def _words(plain: str, text: str, ordinary: Collection[str]) -> Iterable[str]:
    known = _stems(text)
    listed = [word.lower() for word in WORD.findall(plain)]
    joined = checklist.joined(plain)
    if any(_stem(word) not in known for word in joined & CLINICAL):
        yield "diagnosis"
    if any(_stem(word) not in known for word in joined & FEELINGS):
        yield "feeling_given"
    if invented(plain, text, ordinary):
        yield "invented"
    if not any(_stem(word) in known and _tells(word) for word in listed):
        yield "generic"
    if len(set(listed) & FOREIGN - set(WORD.findall(text.lower()))) >= 2 or any(
        letter.isalpha() and ord(letter) > 0x24F and letter not in text for letter in plain
    ):
        yield "second_language"


def invented(plain: str, text: str, ordinary: Collection[str] = ()) -> bool:
    """Return whether ``plain`` quotes, counts or names what ``text`` does not. Both with straight quotes.

    A word that opens a sentence is a name unless it is in ``ordinary``, where that is given.
    """
    known = _stems(text)
    low = " ".join(text.lower().split())
    quotes = ["".join(groups).lower().strip(" .,!?…") for groups in QUOTED.findall(plain)]
    if any(" ".join(quote.split()) not in low for quote in quotes):
        return True
    for found in WORD.finditer(plain):
        word, before = found.group(), plain[: found.start()].rstrip(" \"'(")
        number = word.lower() if word[0].isdigit() else _NUMBERS.get(word.lower())
        if number and not _number_known(number, low):
            return True
        name = word.lower().removesuffix("'s")
        opens = (not before or before[-1] in ".!?:;…") and (
            not ordinary or name in ordinary or name in OPENERS
        )
        if word[0].isupper() and not opens and name not in ALLOWED_NAMES and _stem(name) not in known:
            return True
    return False


def _number_known(number: str, low: str) -> bool:
    names = {number, *(word for word, digits in _NUMBERS.items() if digits == number)}
    return any(re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", low) for name in names)


def _addressee(bare: str, text: str, kind: QuestionKind) -> Iterable[str]:
    """A draft about somebody's own text has that person in it; the bank's may be more general."""
    words = set(WORD.findall(bare))
    wanted = checklist.SECOND if kind == "reflect" else checklist.FIRST
    if not words & wanted:
        yield "wrong_addressee"
    if re.search(r"\byour mentees?\b", bare) and "mentee" not in text:  # who writes of no mentee has none
        yield "wrong_addressee"


def _copies(lower: str, text: str, others: Collection[str]) -> Iterable[str]:
    own = _bag(lower)
    if lower.rstrip("? ") in text or any(_shared(own, _bag_of_bank(other)) for other in others):
        yield "near_copy"


def _shared(one: frozenset[str], two: frozenset[str]) -> bool:
    return bool(one) and len(one & two) / len(one | two) >= NEAR_COPY


@functools.lru_cache(4096)  # the same questions come again for every draft, which itself is not kept
def _bag_of_bank(question: str) -> frozenset[str]:
    return _bag(straight(question).lower())


def _bag(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in WORD.findall(text))


def unnamed(plain: str, text: str) -> bool:
    """Return whether ``plain`` names a feeling, an illness or a label that ``text`` does not."""
    known = _stems(text)
    named = checklist.joined(plain) & (CLINICAL | FEELINGS | checklist.LABELS)
    return any(_stem(word) not in known for word in named)


def roots(text: str) -> set[str]:
    """Return the roots of all words of ``text``."""
    return _stems(straight(text))


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in WORD.findall(text.lower())}


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


def telling(text: str) -> set[str]:
    """Return the roots of the words of ``text`` that say what it is about."""
    return {_stem(word) for word in WORD.findall(straight(text).lower()) if _tells(word)}


def _tells(word: str) -> bool:
    """Return whether a word of question and text ties the two together."""
    return (len(word) > 2 or word.isdigit()) and _stem(word) not in _COMMON_STEMS


_COMMON_STEMS = frozenset(_stem(word) for word in COMMON)
