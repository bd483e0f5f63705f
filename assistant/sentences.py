"""Splits a text into sentences and short lines, keeping exact offsets."""

from __future__ import annotations

import re

from assistant.domain import Span

# A stop ends a sentence when white space and something that can open a sentence follow, and what
# stands before it is no common abbreviation or single initial.
_BREAK = re.compile(r"""(?<=[.!?…])["'”’)\]]*\s+(?=["'“‘(\[]?[^\s])|\s*\n\s*""")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|approx|No|Sr|Jr)|\b[A-Z])\.$")
_BULLET = re.compile(r"(?:[-*•–]|\d{1,2}[.)])\s+")
MAX_CHARS = 600  # a run-on longer than this is cut at a clause or a space


def split(text: str) -> list[Span]:
    """Return the sentences of ``text`` in order; white space and bullets stay outside the spans.

    >>> [s.of("I wait. Then I go!") for s in split("I wait. Then I go!")]
    ['I wait.', 'Then I go!']
    """
    spans: list[Span] = []
    start = 0
    for found in _BREAK.finditer(text):
        if "\n" not in found.group() and _ABBREVIATION.search(text[max(0, start) : found.start()]):
            continue
        closing = len(found.group()) - len(found.group().lstrip("\"'”’)]"))
        _add(spans, text, start, found.start() + closing)
        start = found.end()
    _add(spans, text, start, len(text))
    return spans


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    bullet = _BULLET.match(text, start, end)
    if bullet:
        start = bullet.end()
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > MAX_CHARS:
        cut = max(text.rfind(mark, start, start + MAX_CHARS) for mark in ("; ", ", ", " "))
        cut = cut + 1 if cut > start else start + MAX_CHARS
        spans.append(Span(start, cut))
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if any(ch.isalnum() for ch in text[start:end]):
        spans.append(Span(start, end))
