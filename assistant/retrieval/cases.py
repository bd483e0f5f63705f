"""Finds the questions asked in cases like the one at hand: invented texts, with what was asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assistant.domain import KINDS, Case, QuestionKind
from assistant.retrieval.vectors import Encode, VectorIndex

WORTH = 0.3  # what a unit of worth counts beside the cosine of two quotations


class CaseIndex:
    """The cases by the words quoted in them; safe to share between threads."""

    def __init__(self, cases: Sequence[Case], encode: Encode, model: str, folder: Path) -> None:
        """``encode`` and ``model`` (its hash) make the vectors, kept under ``folder`` for the next start."""
        self._cases = list(cases)
        self._encode = encode
        self._index = VectorIndex([case.quote for case in self._cases], encode, model, folder, "cases")
        self.path = self._index.path

    def refresh(self) -> int:
        """Bring the kept vectors up to date; return how many quotes had to be embedded for it."""
        _ = self._index.vectors
        return self._index.embedded

    def near(self, theme: str, quote: str, count: int) -> dict[QuestionKind, list[Case]]:
        """Return, for each kind of question, at most ``count`` cases of a theme, near in words and worth most.

        Each question comes once, with the quotation that is nearest of those it was asked behind.
        """
        rows = [at for at, case in enumerate(self._cases) if case.theme == theme]
        if not rows:
            return {kind: [] for kind in KINDS}
        near = (self._index.vectors[rows] @ self._encode([quote])[0]).tolist()
        fit = {at: cosine + WORTH * self._cases[at].worth for at, cosine in zip(rows, near, strict=True)}
        best: dict[QuestionKind, dict[str, Case]] = {kind: {} for kind in KINDS}
        for at in sorted(fit, key=lambda at: -fit[at]):
            case = self._cases[at]
            best[case.kind].setdefault(case.question, case)
        return {kind: list(found.values())[:count] for kind, found in best.items()}
