"""Compares the ways of finding passages: ``python -m benchmarks.retrieval``; writes benchmarks/retrieval.md.

The queries and what a mentor would hand over stand in benchmarks/evals/retrieval.jsonl. A grade is the mean
of two people's, 0 to 3, who knew the whole library and saw no system's answer; a passage is relevant from 1.5.
Themes come from the shipped theme reader, whose training never saw these texts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from sklearn.metrics import ndcg_score

from assistant import assemble, settings
from assistant.domain import Passage
from assistant.pipeline import Pipeline
from assistant.retrieval import KnowledgeIndex, Method
from assistant.sentences import split

ROOT = Path(__file__).resolve().parent.parent
LABELLED = ROOT / "benchmarks" / "evals" / "retrieval.jsonl"
RESULTS = ROOT / "benchmarks" / "retrieval.md"
DATE, SEED, ROUNDS = "2026-11-28", 20261128, 1000
TOP, RELEVANT = 5, 1.5
KINDS = ("reflection", "goal", "search")
Array = npt.NDArray[np.float64]


def read() -> list[dict[str, Any]]:
    """Return the labelled queries."""
    return [json.loads(line) for line in LABELLED.read_text("utf-8").split("\n") if line.strip()]


def grades(rows: Sequence[dict[str, Any]], passages: Sequence[Passage]) -> Array:
    """Return the grade of each passage for each query, (queries, passages)."""
    place = {item.id: at for at, item in enumerate(passages)}
    table = np.zeros((len(rows), len(passages)))
    for number, row in enumerate(rows):
        for name, grade in row["passages"].items():
            table[number, place[name]] = grade
    return table


def answers(lines: Pipeline, index: KnowledgeIndex, rows: Sequence[dict[str, Any]], method: Method) -> Array:
    """Return what one method scores each passage for each query; what the writer may not see gets -inf."""
    found = []
    for row in rows:
        sentences = split(row["text"])
        vectors = lines.embedder.encode([span.of(row["text"]) for span in sentences])
        likely = {}
        if row["kind"] != "search":  # a search knows of no themes
            likely = {
                item.id: item.score
                for item in lines.theme_reader.read(
                    row["text"], sentences, lines.encoder.read(row["text"])
                ).ranked
            }
        allowed = [
            item.level == "none" and (row["who"] == "mentor" or item.audience != "mentor")
            for item in index.passages
        ]
        found.append(
            index.scores(row["text"], vectors, likely, method, np.array(allowed), row["who"] == "mentor")
        )
    return np.array(found)


def measure(truth: Array, scores: Array) -> Array:
    """Return nDCG@5 and recall@5 of each query, (queries, 2)."""
    out = np.zeros((len(truth), 2))
    for number, (wanted, given) in enumerate(
        zip(truth, np.where(np.isinf(scores), -1e9, scores), strict=True)
    ):
        relevant = wanted >= RELEVANT
        best = np.argsort(-given, kind="stable")[:TOP]
        out[number] = (
            ndcg_score([wanted], [given], k=TOP),
            relevant[best].sum() / min(TOP, max(1, relevant.sum())),
        )
    return out


def page(rows: Sequence[dict[str, Any]], found: dict[str, Array], passages: int) -> str:
    """Return the results as Markdown."""
    half = np.arange(len(rows)) % 2 == 1
    parts: list[tuple[str, npt.NDArray[np.bool_]]] = [
        *((kind, np.array([row["kind"] == kind for row in rows])) for kind in KINDS),
        ("odd half", half),
        ("all", np.ones(len(rows), bool)),
    ]
    lines = [
        "# Finding passages: what was compared",
        "",
        f"{DATE}, 2 processor cores, seed {SEED}, `python -m benchmarks.retrieval`. {len(rows)} queries, {passages} "
        f"passages. nDCG@{TOP} / recall@{TOP} (of at most {TOP}), each query alike; in brackets a 95 % bootstrap interval "
        "of nDCG. The numbers of the fusion were chosen on the even half.",
        "",
        f"| method | {' | '.join(name for name, _ in parts)} |",
        "| --- " * (len(parts) + 1) + "|",
    ]
    for method, values in found.items():
        cells = [_cell(values[chosen], name == "all") for name, chosen in parts]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n" + NOTES


def _cell(values: Array, interval: bool) -> str:
    ndcg, recall = values.mean(axis=0)
    if not interval:
        return f"{ndcg:.2f} / {recall:.2f}"
    drawn = np.random.default_rng(SEED).integers(0, len(values), (ROUNDS, len(values)))
    low, high = np.quantile(values[drawn, 0].mean(axis=1), [0.025, 0.975])
    return f"{ndcg:.3f} / {recall:.3f} ({low:.2f} to {high:.2f})"


NOTES = """- *lexical*: SQLite FTS5, Porter stems, BM25 over title, text and situations.
- *dense, plain*: all-MiniLM-L6-v2 as it comes, over text and situations, in FAISS.
- *dense*: the same after the trained map (`training/train_retrieval.py`).
- *fusion*: dense and lexical added in standard deviations, the words with 0.3.
- *steered*, the default: fusion, and 4 for a theme that is certain. A search knows of no themes and is fused only.
- Two people judged every query, without any system's answer: F1 0.85 over the passages they graded 2 or 3; they share a
  first choice in every query.
- Reciprocal rank fusion did a little worse than adding standard deviations (0.32 against 0.33 before the map).
- Without situations, texts alone: dense 0.21, lexical 0.14, their best fusion 0.22. What people would say is what makes
  a passage findable; the lines were written by people who had not seen the queries.
"""


def main() -> int:
    settings.go_offline()
    rows = read()
    with tempfile.TemporaryDirectory() as folder:
        lines = assemble.pipeline(settings.load({"data": folder}), use_model=False)
        index = lines.index
        plain = KnowledgeIndex(
            index.passages, lines.embedder.encode, lines.embedder.hash, Path(folder) / "plain"
        )
        truth = grades(rows, index.passages)
        tries: dict[str, Callable[[], Array]] = {"dense, plain": lambda: answers(lines, plain, rows, "dense")}
        for method in get_args(Method):
            tries[method] = lambda method=method: answers(lines, index, rows, method)  # type: ignore[misc]
        found = {name: measure(truth, act()) for name, act in tries.items()}
    RESULTS.write_text(page(rows, found, len(index.passages)), "utf-8")
    print(RESULTS.read_text("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
