"""Fits the small judgement of whether a goal is specific, on ``training/data/goals.seed.jsonl`` alone.

Logistic regression on eleven countable features, by full-batch Newton steps: no randomness, the
same weights on every machine. Run ``python -m training.train_goals``; ``--check`` only prints figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assistant.goals.reading import FEATURES, Reader
from assistant.goals.rules import load

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "training" / "data" / "goals.seed.jsonl"
WEIGHTS = ROOT / "assistant" / "weights" / "goals.json"
PENALTY = 3.0
FOLDS = 10
SEED = 20261121
Array = npt.NDArray[np.float64]


def fit(features: Array, labels: Array) -> Array:
    """Return the weights that minimise the penalised log loss (the constant is not penalised)."""
    penalty = np.full(features.shape[1], PENALTY)
    penalty[0] = 1e-6
    weights = np.zeros(features.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (chance - labels) + penalty * weights
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(penalty)
        weights -= np.linalg.solve(curve, slope)
    return weights


def cross_validate(features: Array, labels: Array) -> float:
    """Return F1 over FOLDS folds, shuffled with SEED."""
    order = np.random.default_rng(SEED).permutation(len(labels))
    guessed = np.zeros(len(labels), dtype=bool)
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        kept = np.setdiff1d(order, held)
        guessed[held] = features[held] @ fit(features[kept], labels[kept]) > 0
    wrong = float((guessed != labels.astype(bool)).sum())
    right = float((guessed & labels.astype(bool)).sum())
    return 2 * right / (2 * right + wrong)


def main() -> None:
    """Fit, print the cross-validated F1 and, without ``--check``, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="print figures, write nothing")
    check = parser.parse_args().check
    raw = DATA.read_bytes()
    goals = [json.loads(line) for line in raw.decode("utf-8").split("\n") if line]
    reader = Reader(load(), weights=(0.0,) * len(FEATURES))
    features = np.array([reader.features(goal["goal"]) for goal in goals])
    labels = np.array([float("specific" in goal["missing"]) for goal in goals])
    print(f"specific: F1 {cross_validate(features, labels):.3f} over {FOLDS} folds of {len(goals)} goals")
    if check:
        return
    weights = {name: round(float(w), 4) for name, w in zip(FEATURES, fit(features, labels), strict=True)}
    record = {"data": hashlib.sha256(raw).hexdigest(), "penalty": PENALTY, "specific": weights}
    WEIGHTS.parent.mkdir(exist_ok=True)
    WEIGHTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
