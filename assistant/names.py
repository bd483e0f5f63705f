"""Finds what may be other people's names in a text, so that its writer can put initials instead.

A rule of thumb, and said to be one on the page: a capitalised word inside a sentence, or one after a
title, that is no ordinary word.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from assistant.domain import Span

_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’-][^\W\d_]+)*(?!\w)")
_ENDING = re.compile(r"['’](?:s|d|m|ll|re|ve)?$", re.IGNORECASE)  # of "Priya's", "she'll"; not of "O'Brien"
_NOT = re.compile(r"n['’]t$", re.IGNORECASE)
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sister|Brother|Chef|Aunt|Uncle|Auntie)\.?\s+$")
_SENTENCE_START = re.compile(r"(?:^|[.!?…:\n][\"'”’)\]]*)[\s\"'“‘(\[•*–-]*$")
_ORDINARY = frozenset(
    "i i'm i've i'll i'd monday tuesday wednesday thursday friday saturday sunday january february march april "
    "may june july august september october november december english french german spanish polish turkish "
    "arabic hindi chinese japanese african asian european american british indian christmas easter ramadan "
    "diwali eid god ok okay excel word powerpoint teams slack zoom python java linkedin google whatsapp phd "
    "mr mrs ms miss mx dr prof professor sister brother chef aunt uncle auntie mba kpi okr ceo cto cfo hr it uk us usa eu north south east west mum mom dad grandma grandpa".split()
)


def other_names(text: str, ordinary: Collection[str] = frozenset()) -> list[Span]:
    """Return the spans that look like names, in order, without a following ’s.

    ``ordinary`` holds lower-case words that are no names even at the start of a sentence.

    >>> [s.of("Then Priya left.") for s in other_names("Then Priya left.", {"then"})]
    ['Priya']
    """
    inside = {
        _stem(found.group())
        for found in _WORD.finditer(text)
        if _looks(_stem(found.group()))
        and not _SENTENCE_START.search(text[max(0, found.start() - 40) : found.start()])
    }
    spans = []
    for found in _WORD.finditer(text):
        word = _stem(found.group())
        before = text[max(0, found.start() - 40) : found.start()]
        titled = bool(_TITLE.search(before)) and word[0].isupper()
        starts = bool(_SENTENCE_START.search(before))
        if titled or (_looks(word) and (not starts or word in inside or word.lower() not in ordinary)):
            spans.append(Span(found.start(), found.start() + len(word)))
    return spans


def with_initials(text: str, names: Collection[str]) -> str:
    """Return ``text`` with each of ``names`` as its first letter and a full stop.

    >>> with_initials("Priya told Priya's boss. I met Priya.", ["Priya"])
    "P. told P.'s boss. I met P."
    """
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)\.?", f"{name[0]}.", text)
    return text


def _stem(word: str) -> str:
    return _ENDING.sub("", word)


def _looks(word: str) -> bool:
    if len(word) < 2 or not word[0].isupper() or word.isupper() or _NOT.search(word):
        return False
    return word.lower() not in _ORDINARY
