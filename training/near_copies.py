"""Looks for training texts that nearly repeat each other or an evaluation text: ``python -m training.near_copies``.

Prints each pair above the bound and exits with 1 where a training text is near an evaluation text. Twins of the
safety files share words on purpose and are compared with the evaluation sets alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from assistant.embedding import MiniLM, Vectors
from training import reader_data as data

EVALS = Path(__file__).resolve().parent.parent / "benchmarks" / "evals"
NAMES = (
    "reflections.dev", "safety.dev", "safety.heldout", "safety.heldout2", "safety.heldout3", "counter.heldout", "retrieval",
    "questions.blind",
)  # fmt: skip
EACH_OTHER, EVALUATION = 0.93, 0.88  # cosines of whole texts
CHARS = 700  # of each text: enough to tell a copy


def texts(path: Path) -> dict[str, str]:
    """Return the texts of a JSON Lines file by id."""
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
    return {f"{path.stem}:{row.get('id', at)}": row["text"][:CHARS] for at, row in enumerate(rows, 1)}


def vectors(texts: dict[str, str], model: MiniLM) -> Vectors:
    """Return the vectors of the texts, in order."""
    return model.encode(list(texts.values()))


def pairs(
    left: dict[str, str], right: dict[str, str], near: Vectors, bound: float
) -> list[tuple[float, str, str]]:
    """Return the pairs above ``bound``, nearest first; a text is no pair with itself. ``near``: their cosines."""
    one, other = list(left), list(right)
    found = [(float(near[i, j]), one[i], other[j]) for i, j in np.argwhere(near > bound)]
    return sorted(
        {(score, a, b) for score, a, b in found if a < b or (left is not right and a != b)}, reverse=True
    )


def main() -> int:
    model = MiniLM()
    reflections = {k: v for name in data.HANDS for k, v in texts(data.DATA / f"{name}.jsonl").items()}
    short = (*data.SAFETY, data.STANCES)
    others = {k: v for name in short for k, v in texts(data.DATA / f"{name}.jsonl").items()}
    evaluation = {k: v for name in NAMES for k, v in texts(EVALS / f"{name}.jsonl").items()}
    written = vectors(reflections, model)
    learned = np.vstack([written, vectors(others, model)])
    among = pairs(reflections, reflections, written @ written.T, EACH_OTHER)
    beside = pairs(reflections | others, evaluation, learned @ vectors(evaluation, model).T, EVALUATION)
    for score, one, other in (*among, *beside):
        print(f"{score:.3f} {one} {other}")
    print(f"{len(reflections)} reflections, {len(others)} safety texts and sentences, {len(evaluation)} evaluation texts: "
          f"{len(among)} near one another, {len(beside)} near an evaluation text")  # fmt: skip
    return 1 if beside else 0


if __name__ == "__main__":
    sys.exit(main())
