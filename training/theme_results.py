"""Calibrates the theme reader and writes its page of figures; used by training/train_themes.py.

Everything here works on what readers say of hands they were not trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from assistant.themes import GUARD, GUARDED, MAX_NAMED, SECOND_AT_LEAST

if TYPE_CHECKING:
    from training.train_themes import Corpus, Unseen

PERSONAL = (
    *GUARDED,
    "setbacks_resilience",
    "motivation_meaning",
    "wellbeing_stress",
    "work_life_balance",
    GUARD,
)
TARGET, PERSONAL_TARGET, SUPPORT, FLOOR = 0.6, 0.75, 12, 0.3
# Logits below the best sentence that still count as evidence: on unseen hands 1 covers half of the
# quote in 0.46 of the labels with 0.24 of the text, 2 in 0.54 with 0.31, 4 in 0.65 with 0.42.
MARGIN = 2.0
UNEQUAL = 0.05  # share of the belonging texts that may wrongly get a guarded theme
Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


def calibrate(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Return the weights of the three readers, the same for all themes, and a bias each theme."""
    n, k, parts = logits.shape
    each = sparse.csr_matrix(np.tile(np.eye(k), (n, 1)))
    x = sparse.hstack([sparse.csr_matrix(logits.reshape(-1, parts)), each]).tocsr()
    fit = LogisticRegression(C=1.0, max_iter=2000).fit(x, labels.ravel())
    return fit.coef_[0][:parts], fit.coef_[0][parts:] + fit.intercept_[0]


def threshold(scores: Array, right: Array, target: float) -> float:
    """Return the lowest score above which ``target`` of at least SUPPORT texts are right.

    One imagined error steadies small counts. Where the target is out of reach, the score of the
    best precision, as long as that is one half; else 2, which names the theme never.
    """
    order = np.argsort(-scores)
    count = np.arange(1, len(order) + 1)
    precision = np.cumsum(right[order]) / (count + 1)
    usable = (count >= SUPPORT) & (scores[order] >= FLOOR)
    reached = np.flatnonzero(usable & (precision >= target))
    if len(reached):
        return float(scores[order[reached[-1]]])
    best = int(np.argmax(np.where(usable, precision, 0)))
    return float(scores[order[best]]) if usable[best] and precision[best] >= 0.5 else 2.0


def thresholds(corpus: Corpus, scores: Array, rows: Mask) -> Array:
    """Return each theme's threshold, chosen on ``rows``; stricter for the personal themes."""
    target = [PERSONAL_TARGET if t in PERSONAL else TARGET for t in corpus.ids]
    return np.array([threshold(scores[rows, k], corpus.labels[rows, k], t) for k, t in enumerate(target)])


def name(corpus: Corpus, scores: Array, limits: Array, guard: float) -> Mask:
    """Return which themes would be named, (n, 25), as ThemeReader does before it looks for evidence."""
    above = scores >= limits
    guarded = scores[:, corpus.ids.index(GUARD)] >= guard
    for theme in GUARDED:
        above[guarded, corpus.ids.index(theme)] = False
    rank = np.argsort(np.argsort(-np.where(above, scores, -1), 1), 1)
    return above & (rank < MAX_NAMED) & ((rank == 0) | (scores >= SECOND_AT_LEAST))


def wrongly_guarded(corpus: Corpus, named: Mask) -> float:
    """Return the share of texts about belonging that wrongly get one of the guarded themes."""
    columns = [corpus.ids.index(t) for t in GUARDED]
    about = corpus.labels[:, corpus.ids.index(GUARD)] > 0
    return float((named & (corpus.labels == 0))[about][:, columns].any(1).mean())


def guard_score(corpus: Corpus, scores: Array, limits: Array) -> float:
    """Return the highest belonging score from which the guarded themes must be held back."""
    for guard in (1.1, *np.arange(0.5, 0.02, -0.02)):
        if wrongly_guarded(corpus, name(corpus, scores, limits, guard)) <= UNEQUAL:
            break
    return float(guard)


def evidence_numbers(corpus: Corpus, found: Unseen) -> tuple[Array, float]:
    """Return (share of words, floor, margin) and how often the best sentence carries the quote."""

    def best(share: float) -> tuple[float, Array]:
        own = [(i, k, found.marks[i][:, k] + share * found.words[i][:, k]) for i, k, _ in corpus.quotes]
        hits = np.mean([corpus.marks[i][int(np.argmax(s)), k] for i, k, s in own])
        return float(hits), np.array([s.max() for _, _, s in own])

    share = max((0.0, 0.1, 0.2, 0.4, 0.8), key=lambda v: best(v)[0])
    hits, tops = best(share)
    return np.array([share, np.percentile(tops, 1), MARGIN]), hits


def held_out_names(corpus: Corpus, found: Unseen) -> Mask:
    """Name each fold with calibration, thresholds and guard chosen on the other folds."""
    named = np.zeros(corpus.labels.shape, bool)
    for fold in np.unique(corpus.fold):
        rows = corpus.fold != fold
        mix, bias = calibrate(found.logits[rows], corpus.labels[rows])
        scores = 1 / (1 + np.exp(-(found.logits @ mix + bias)))
        limits = thresholds(corpus, scores, rows)
        named[~rows] = name(corpus, scores, limits, guard_score(corpus, scores, limits))[~rows]
    return named


def scored(corpus: Corpus, scores: Array) -> str:
    """Return table cells: micro, macro F1 at one threshold for all (best on these folds), recall@3."""
    y, rank = corpus.labels, np.argsort(np.argsort(-scores, 1), 1)
    best = (0.0, 0.0)
    for cut in np.quantile(scores, np.linspace(0.85, 0.99, 57)):
        p = (scores > cut) & (rank < 3)
        both, each = (p * y).sum(0), p.sum(0) + y.sum(0)
        best = max(best, (2 * both.sum() / each.sum(), float(np.mean(2 * both / each))))
    first = np.take_along_axis(y, np.argmax(scores, 1)[:, None], 1)[y.any(1)].mean()
    return f"{best[0]:.3f} | {best[1]:.3f} | {(y * (rank < 3)).sum() / y.sum():.3f} | {first:.3f}"


def page(
    corpus: Corpus,
    named: Mask,
    cells: dict[str, str],
    chosen: dict[str, Array],
    hits: float,
    date: str,
    seed: int,
) -> str:
    """Return training/results-themes.md."""
    y, personal = corpus.labels > 0, [t in PERSONAL for t in corpus.ids]
    right = named & y
    some = y.any(1)
    lines = [
        "# Theme reader: figures of the training run",
        "",
        f"{date}, two processor cores, seed {seed}, {len(corpus.texts)} texts, data {corpus.hash}. Six folds; "
        "each writing hand's file stands on one side, so all figures are for unseen hands.",
        "",
        "F1 with one threshold for all themes, the best on these folds, at most three themes a text.",
        "",
        "| approach | micro-F1 | macro-F1 | recall@3 | first right |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {name} | {row} |" for name, row in cells.items()),
        "",
        f"## Named themes: at most {MAX_NAMED}, calibration and thresholds from the other folds",
        "",
        f"- precision {right.sum() / named.sum():.2f}, recall {right.sum() / y.sum():.2f}, micro-F1 "
        f"{2 * right.sum() / (named.sum() + y.sum()):.2f}",
        f"- personal themes: precision {right[:, personal].sum() / named[:, personal].sum():.2f}, recall "
        f"{right[:, personal].sum() / y[:, personal].sum():.2f}",
        f"- coverage: a theme is named in {named[some].any(1).mean():.2f} of the texts that have one; none "
        f"in {(~named[~some].any(1)).mean():.2f} of those that have none",
        f"- texts about belonging that wrongly get {', '.join(GUARDED)}: {wrongly_guarded(corpus, named):.3f}",
        f"- the best-scored sentence carries the annotated quote in {hits:.2f} of the labels",
        f"- mixture {np.round(chosen['mix.weight'], 2).tolist()} (attention, mean, words), guard "
        f"{chosen['guard'][0]:.2f}, evidence (share of words, floor, margin) "
        f"{np.round(chosen['evidence'], 2).tolist()}",
        "",
        "| theme | labelled | named | precision | recall | threshold |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for k, theme in enumerate(corpus.ids):
        n, hit = named[:, k].sum(), right[:, k].sum()
        shown = f"{hit / n:.2f}" if n else "–"
        lines.append(
            f"| {theme} | {y[:, k].sum()} | {n} | {shown} | {hit / y[:, k].sum():.2f} | "
            f"{chosen['thresholds'][k]:.2f} |"
        )
    return "\n".join([*lines, ""])
