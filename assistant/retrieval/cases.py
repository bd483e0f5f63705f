"""Finds the questions asked in cases like the one at hand: invented texts, with what was asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from assistant.domain import Case, QuestionKind
from assistant.retrieval.vectors import Encode, VectorIndex

KINDS: tuple[QuestionKind, ...] = get_args(QuestionKind)


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
        """Return, for each kind of question, the ``count`` nearest cases of a theme that have one, nearest first."""
        rows = [at for at, case in enumerate(self._cases) if case.theme == theme]
        if not rows:
            return {kind: [] for kind in KINDS}
        near = self._index.vectors[rows] @ self._encode([quote])[0]
        order = [self._cases[rows[at]] for at in np.argsort(-near, kind="stable")]
        return {kind: [case for case in order if kind in case.questions][:count] for kind in KINDS}
