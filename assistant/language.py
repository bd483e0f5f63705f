"""Says which language a text is in, and whether it is one that the models know.

English is recognised by its small words, because they are there in second-language English, slang
and notes alike, where letter statistics go wrong; only what has too few of them is handed to
py3langid. A text is judged by the larger share of its words, so that one foreign sentence does not
turn an English text away, and one English sentence does not let a foreign one through.
"""

from __future__ import annotations

import re
import threading
from typing import Any

KNOWN = ("en",)
UNKNOWN = "unknown"

_ENGLISH_SHARE = 0.2  # of a piece's words; second-language English and slang stay above it
_LEAST_WORDS = 4  # fewer tell no language in the Latin alphabet
_LEAST_LETTERS = 4  # the same for other scripts, some of which write without spaces
_CONFIDENCE = 0.4  # py3langid, probabilities over its 97 languages
_SAMPLE = 4000  # characters handed to py3langid; more change nothing

# Words that no other large language written in Latin letters uses often; "me", "a", "in", "no",
# "so", "on", "he", "was" and "die" are left out for that reason. The last lines are English as it
# is typed, and West African and Indian English.
_SMALL_WORDS = frozenset(
    """the and of to is it for that you with are this have from not but they she her his him my our your
    their we us what which who whom how why when where there here been being were had has having did does
    doing would could should will can cannot may might must shall if then than because while about into
    over after before again only very just more most some any every each both few other such own same too
    now also still never always ever often maybe perhaps yes please thanks thank i'm i've i'll i'd don't
    didn't doesn't can't won't isn't wasn't it's that's there's what's you're they're we're he's she's
    nobody somebody everyone everybody anyone something anything nothing everything work working job boss
    manager meeting week month year years day days today yesterday tomorrow monday tuesday wednesday
    thursday friday saturday sunday want need know think feel like get got make made going go went said
    says tell told ask asked good bad better new first last next time people one two three out up down off
    back much many well even really all i as at by be or an im ive dont didnt cant wont its thats u ur pls
    thx gonna wanna gotta bc cuz tho idk tbh lol omg ok okay yeah nah dey wetin abeg sabi oga lah lor
    kindly sir madam""".split()
)
# Romanised Hindi and Urdu, which py3langid does not know without Devanagari.
_HINDI = frozenset(
    """hai hain hoon hun nahi nahin mein mujhe mera meri mere bahut kya kyun kar raha rahi rahe aur bhi
    jata jaata gaya gayi tha thi ke ki ko se hota karna chahta chahti hum aap tum kuch koi ab zindagi""".split()
)
# Pieces end where a sentence or line may; cutting wrongly does no harm here.
_PIECE_END = re.compile(r"[.!?;\n\r…。！？؟।]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LATIN_END = "\u024f"

_lock = threading.Lock()
_identifier: Any = None


def detect(text: str) -> str:
    """Return "en", another ISO 639-1 code, or "unknown" where there is too little to tell.

    Never raises on any string. Linear in the length of the text.

    >>> detect("I dont know how to tell my boss")
    'en'
    >>> detect("Anna")
    'unknown'
    """
    english, rest = _share_out(text)
    foreign_words = sum(len(words) for words in rest)
    if english and english >= foreign_words:
        return "en"
    flat = [word for words in rest for word in words]
    letters = "".join(flat)
    if not _enough(flat, letters):
        return "en" if english else UNKNOWN
    if _mostly_hindi(flat):
        return "hi"
    code, confidence = _classify(_sample(rest))
    if code == "en":
        return "en"
    if confidence < _CONFIDENCE and _is_latin(letters):
        return "en" if english * 3 >= foreign_words else UNKNOWN
    return code


def understood(text: str) -> bool:
    """Return whether the models know the text's language; too little to tell counts as known."""
    return detect(text) in (*KNOWN, UNKNOWN)


def _share_out(text: str) -> tuple[int, list[list[str]]]:
    """Return how many words stand in English pieces, and the words of every other piece."""
    english = 0
    rest: list[list[str]] = []
    for piece in _PIECE_END.split(text):
        words = [word.replace("’", "'") for word in _WORD.findall(piece.lower())]
        if not words:
            continue
        if sum(word in _SMALL_WORDS for word in words) >= _ENGLISH_SHARE * len(words):
            english += len(words)
        else:
            rest.append(words)
    return english, rest


def _enough(words: list[str], letters: str) -> bool:
    if _is_latin(letters):
        return len(words) >= _LEAST_WORDS
    return len(letters) >= _LEAST_LETTERS


def _is_latin(letters: str) -> bool:
    return 2 * sum(letter <= _LATIN_END for letter in letters) >= len(letters)


def _mostly_hindi(words: list[str]) -> bool:
    return 4 * sum(word in _HINDI for word in words) >= len(words)


def _sample(pieces: list[list[str]]) -> str:
    """Return pieces from the whole text, evenly, up to the sample's length."""
    joined = [" ".join(words) for words in pieces]
    step = 1 + sum(map(len, joined)) // _SAMPLE
    return "\n".join(joined[::step])[:_SAMPLE]


def _classify(text: str) -> tuple[str, float]:
    global _identifier
    with _lock:
        if _identifier is None:
            # Loaded on first use: most texts are English and never need its tables.
            from py3langid.langid import MODEL_FILE, LanguageIdentifier

            _identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        code, confidence = _identifier.classify(text)
    return str(code), float(confidence)
