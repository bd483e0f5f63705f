"""Fits what decides whether a chosen question is shown: ``python -m training.train_choice``.

The questions that people judged about texts which taught the writer nothing are weighed as the application does, and
a regression on four numbers (``verify.fitting``) says how likely one is usable. Prints its weights, to be written into
assistant/verify.py, and what share of those it would show is usable, each text left out in turn; writes both to
training/results-choice.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from assistant import knowledge, settings
from assistant.assemble import WRITER
from assistant.domain import KINDS, Span
from assistant.drafting import lead_of, prompt_of
from assistant.embedding import MiniLM
from assistant.model import prepare
from assistant.model.local import LocalModel
from training import writer_data as data

RESULTS = Path(__file__).resolve().parent / "results-choice.md"
DATE, SEED, PARTS = "2026-11-29", 20261128, 10
NAMES = ("FIT", "LIKELY", "ALIKE", "WORTH")
BOUNDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85)
Rows = npt.NDArray[np.float64]


def weighed(tests: Sequence[data.Example]) -> tuple[Rows, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return a row of four numbers a question, whether it was found usable, and the number of its text and kind."""
    model = LocalModel(prepare.prepare(settings.load({}).models, adapter=WRITER), style="tuned")
    embedder, themes = MiniLM(), knowledge.load().themes
    worth = data.worth([example.id for example in tests])
    rows: list[list[float]] = []
    usable: list[bool] = []
    groups: list[int] = []
    for number, example in enumerate(tests):
        start = max(0, example.text.find(example.evidence))
        shown = Span(start, start + len(example.evidence))
        prompt = prompt_of(example.text, shown, themes[example.theme].means, example.idea)
        asked = [(kind, option) for kind in KINDS for option in example.options.get(kind, ())]
        pairs = [(lead_of(kind, example.quote), f" {option.text}\n") for kind, option in asked]
        vectors = embedder.encode([example.quote, *(option.text for _, option in asked)])
        for (kind, option), weight, near in zip(
            asked, model.weigh(prompt, pairs), vectors[1:] @ vectors[0], strict=True
        ):
            rows.append([weight.fit, weight.mean, float(near), worth(example.theme, kind, option.text)])
            usable.append(option.fits)
            groups.append(2 * number + KINDS.index(kind))
    return np.array(rows), np.array(usable), np.array(groups)


def left_out(rows: Rows, usable: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> Rows:
    """Return how likely each question is usable, by weights that its text had no part in."""
    found = np.zeros(len(rows))
    for rest, part in GroupKFold(PARTS).split(rows, usable, groups // 2):
        found[part] = _regression().fit(rows[rest], usable[rest]).predict_proba(rows[part])[:, 1]
    return found


def report(rows: Rows, usable: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> str:
    """Return the weights and what they are worth, as Markdown."""
    fitted = _regression().fit(rows, usable)
    likely = left_out(rows, usable, groups)
    first = [max(np.flatnonzero(groups == group), key=lambda at: likely[at]) for group in np.unique(groups)]
    lines = [
        "# Which chosen questions are shown",
        "",
        f"`python -m training.train_choice`, {DATE}, seed {SEED}: {len(rows)} judged questions of {len(set(groups // 2))} texts",
        f"that taught the writer nothing, {usable.mean():.2f} usable; a question's worth counted without these texts.",
        "",
        f"BASE {fitted.intercept_[0]:.2f}, "
        + ", ".join(f"{name} {value:.2f}" for name, value in zip(NAMES, fitted.coef_[0], strict=True)),
        "",
        "Area under the curve: "
        + ", ".join(f"{name} {roc_auc_score(usable, rows[:, at]):.2f}" for at, name in enumerate(NAMES))
        + f", together {roc_auc_score(usable, likely):.2f} (each text left out in turn).",
        "",
        "| shown from | questions | usable | first of a text and kind | usable |",
        "| --- | --- | --- | --- | --- |",
    ]
    for bound in BOUNDS:
        shown = np.flatnonzero(likely >= bound)
        best = [at for at in first if likely[at] >= bound]
        parts = [
            f"{len(part)} | {usable[part].mean() if len(part) else np.nan:.2f}" for part in (shown, best)
        ]
        lines.append(f"| {bound:.2f} | {' | '.join(parts)} |")
    return "\n".join(lines) + "\n"


def _regression() -> LogisticRegression:
    return LogisticRegression(C=3.0)


def main() -> None:
    _, tests = data.judged()
    text = report(*weighed(tests))
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
