"""Finds the words of a text that a question may quote: whole clauses, short enough to be said aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assistant.checklist import WORD
from assistant.domain import Span

FEWEST, MOST = 4, 11  # words
# A clause begins after a mark or before a word that joins clauses.
_CUT = re.compile(
    r"(?:[,;:–—]|\s-)\s+|(?<=[.!?…])[\"'”’)]?\s+"
    r"|\s+(?=(?:and|but|because|so|when|if|while|although|though|that|which|who|then|until|before|after|since|or)\s)",
    re.I,
)
# These join a clause to the one before and are left out where a quotation begins.
_JOINS = re.compile(r"(?:and|but|so|because|then|or|also|that|which|though)\s+", re.I)
_LEADING = re.compile(r"[\s,;:–—.\-(]+")
_TRAILING = re.compile(
    r"[\s,;:–—.\-!?…(]*(?:\s(?:and|but|so|because|then|or|also|that|which|though))?[\s,;:–—.\-!?…(]*$", re.I
)
# Nobody would begin or stop there: what belongs to it is cut away.
_FIRST = re.compile(r"(?:is|are|was|were|has|had|of|than|which|what|whom|whose)\b", re.I)
_LAST = re.compile(
    r"\b(?:a|about|after|an|and|as|at|because|been|before|but|by|for|from|had|has|her|his|i|i'm|if|in|into|is|it's"
    r"|its|my|of|on|or|our|since|so|than|that|the|their|then|there's|though|till|to|until|was|what|when|where"
    r"|whether|which|while|who|with|without|your)$",
    re.I,
)
_MARKS = re.compile(r"[\"“”„«»\n\r\[\]{}<>|`]")


def quotable(text: str, evidence: Sequence[Span]) -> list[Span]:
    """Return runs of whole clauses inside ``evidence``, FEWEST to MOST words each, in order, without repeats.

    >>> text = "I held the pen, and then I went to get towels."
    >>> [span.of(text) for span in quotable(text, [Span(0, len(text))])]
    ['I held the pen', 'I held the pen, and then I went to get towels', 'I went to get towels']
    """
    found = dict.fromkeys(run for span in evidence for run in _runs(text, span))
    return [run for run in found if _said(text, run)]


def _runs(text: str, span: Span) -> Iterator[Span]:
    cuts = [found.span() for found in _CUT.finditer(text, span.start, span.end)]
    starts = [span.start, *(end for _, end in cuts)]
    ends = [*(start for start, _ in cuts), span.end]
    for first, start in enumerate(starts):
        for end in ends[first:]:
            yield _bare(text, start, end)


def _bare(text: str, start: int, end: int) -> Span:
    """Return the run without joining words before it and marks around it."""
    for lead in (_LEADING, _JOINS, _JOINS):
        found = lead.match(text, start, end)
        start = found.end() if found else start
    trailing = _TRAILING.search(text[start:end])
    return Span(start, start + trailing.start() if trailing else end)


def _said(text: str, run: Span) -> bool:
    words = run.of(text)
    cut = _FIRST.match(words) or _LAST.search(words.replace("’", "'")) or _MARKS.search(words)
    return FEWEST <= len(WORD.findall(words)) <= MOST and not cut
