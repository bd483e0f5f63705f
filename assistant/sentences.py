"""Splits a text into sentences and short lines, keeping exact offsets."""

from __future__ import annotations

import re

from assistant.domain import Span

# A stop ends a sentence when white space and something that can open a sentence follow, and what
# stands before it is no common abbreviation or single initial.
_BREAK = re.compile(r"""(?<=[.!?…])["'”’)\]]*\s+(?=["'“‘(\[]?[^\s])|\n\s*""")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|approx|No|Sr|Jr)|\b[A-Z])\.$")
_BULLET = re.compile(r"[-*•–]\s+")
_NUMBER = re.compile(r"\d{1,2}[.)](?=\s)")  # of a list, when it comes first on its line
MAX_CHARS = 600  # a run-on longer than this is cut at a clause or a space


def split(text: str) -> list[Span]:
    """Return the sentences of ``text`` in order; white space, bullets and list numbers stay outside.

    >>> [s.of("1. I wait. Then I go!") for s in split("1. I wait. Then I go!")]
    ['I wait.', 'Then I go!']
    """
    spans: list[Span] = []
    start = 0
    for found in _BREAK.finditer(text):
        if "\n" not in found.group() and _ends_nothing(text, start, found.start()):
            continue
        closing = len(found.group()) - len(found.group().lstrip("\"'”’)]"))
        _add(spans, text, start, found.start() + closing)
        start = found.end()
    _add(spans, text, start, len(text))
    return spans


def _ends_nothing(text: str, start: int, stop: int) -> bool:
    """Say whether the full stop before ``stop`` belongs to an abbreviation or a list number."""
    if _ABBREVIATION.search(text[max(start, stop - 10) : stop]):
        return True
    number = _NUMBER.match(text, start)
    return number is not None and number.end() == stop and _first_on_line(text, start)


def _first_on_line(text: str, at: int) -> bool:
    while at > 0 and text[at - 1].isspace() and text[at - 1] != "\n":
        at -= 1
    return at == 0 or text[at - 1] == "\n"


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    start, end = _stripped(text, start, end)
    bullet = _BULLET.match(text, start, end)
    if not bullet and _first_on_line(text, start):
        bullet = _NUMBER.match(text, start, end)
    if bullet:
        start = bullet.end()
    while end - start > MAX_CHARS:
        cut = _cut(text, start)
        _keep(spans, text, start, cut)
        start, _ = _stripped(text, cut, end)
    _keep(spans, text, start, end)


def _cut(text: str, start: int) -> int:
    """Return where to cut a run-on: after a clause, else at a space, in the second half of what fits."""
    for mark in ("; ", ", ", " "):
        found = text.rfind(mark, start + MAX_CHARS // 2, start + MAX_CHARS)
        if found >= 0:
            return found + len(mark.strip())
    return start + MAX_CHARS


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _keep(spans: list[Span], text: str, start: int, end: int) -> None:
    start, end = _stripped(text, start, end)
    if any(ch.isalnum() for ch in text[start:end]):
        spans.append(Span(start, end))
