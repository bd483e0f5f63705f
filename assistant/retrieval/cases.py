"""Finds the questions asked in cases like the one at hand: invented texts, with what was asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assistant.domain import KINDS, Case, QuestionKind
from assistant.embedding import Encode
from assistant.retrieval.vectors import VectorIndex

WORTH = 0.3  # what a unit of worth counts beside the cosine of two quotations


class CaseIndex:
    """The cases by the words quoted in them; safe to share between threads."""

    def __init__(self, cases: Sequence[Case], encode: Encode, model: str, folder: Path) -> None:
        """``encode`` and ``model`` (its hash) make the vectors, kept under ``folder`` for the next start."""
        # Many questions stand behind one quotation, which is kept once.
        self._places = {quote: at for at, quote in enumerate(dict.fromkeys(case.quote for case in cases))}
        self._by_theme: dict[str, list[Case]] = {}
        for case in cases:
            self._by_theme.setdefault(case.theme, []).append(case)
        self._encode = encode
        self._index = VectorIndex(list(self._places), encode, model, folder, "cases")
        self.path = self._index.path

    def refresh(self) -> int:
        """Bring the kept vectors up to date; return how many quotes had to be embedded for it."""
        _ = self._index.vectors
        return self._index.embedded

    def near(self, theme: str, quote: str, count: int) -> dict[QuestionKind, list[Case]]:
        """Return, for each kind of question, at most ``count`` cases of a theme, near in words and worth most.

        Each question comes once, with the quotation that is nearest of those it was asked behind.
        """
        best: dict[QuestionKind, dict[str, Case]] = {kind: {} for kind in KINDS}
        cases = self._by_theme.get(theme, [])
        if cases:
            vectors = self._index.vectors[[self._places[case.quote] for case in cases]]
            near = (vectors @ self._encode([quote])[0]).tolist()
            fit = [cosine + WORTH * case.worth for cosine, case in zip(near, cases, strict=True)]
            for at in sorted(range(len(cases)), key=lambda at: -fit[at]):
                best[cases[at].kind].setdefault(cases[at].question, cases[at])
        return {kind: list(found.values())[:count] for kind, found in best.items()}
