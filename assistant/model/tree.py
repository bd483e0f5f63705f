"""Several continuations of a text side by side in one line, so that what they share is read once.

The question writer learns from such lines and weighs answers in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


class Tree:
    """Runs of tokens; each follows another one, or nothing, and sees what it follows and itself up to each token."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.depths: list[int] = []  # of each token: how many it sees before it
        self.bounds: list[tuple[int, int]] = []  # of each run: where it starts and ends in the line
        self.follows: list[int] = []  # of each run: the run before it, -1 for none

    def add(self, pieces: Sequence[int], follows: int = -1) -> int:
        """Add a run, perhaps an empty one; return its number."""
        start, before = len(self.pieces), self.last_of(follows)
        depth = self.depths[before] + 1 if before >= 0 else 0
        self.pieces += pieces
        self.depths += range(depth, depth + len(pieces))
        self.bounds.append((start, len(self.pieces)))
        self.follows.append(follows)
        return len(self.follows) - 1

    def last_of(self, run: int) -> int:
        """Return the place of the last token up to the end of a run, -1 where there is none."""
        for start, end in (self.bounds[at] for at in self._back(run)):
            if end > start:
                return end - 1
        return -1

    def foretold_from(self, run: int) -> list[int]:
        """Return, for each token of a run, the place of the token before it."""
        start, end = self.bounds[run]
        return [self.last_of(self.follows[run]), *range(start, end - 1)][: end - start]

    def sees(self) -> npt.NDArray[np.bool_]:
        """Return which tokens each token sees, (tokens, tokens)."""
        seen = np.zeros((len(self.pieces), len(self.pieces)), np.bool_)
        for run, (start, end) in enumerate(self.bounds):
            for before in self._back(run):
                seen[start:end, slice(*self.bounds[before])] = True
        return np.tril(seen)

    def _back(self, run: int) -> Iterator[int]:
        """Yield a run, the one it follows, and so on."""
        while run >= 0:
            yield run
            run = self.follows[run]
