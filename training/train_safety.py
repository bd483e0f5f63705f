"""Fits the safety classifier and writes assistant/weights/safety.safetensors and the results.

Run `python -m training.train_safety` after any change to the rules: they are features. It learns
from training/data alone, never from benchmarks/. Twin texts, which share their words, always stand
on the same side of a split.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression

from assistant.domain import SafetyFinding, Span
from assistant.embedding import MiniLM
from assistant.safety import KINDS, Lexicon, SafetyReader, Weights, columns, features, load_lexicon
from assistant.sentences import split

ROOT = Path(__file__).parent
DATA = ROOT / "data"
WEIGHTS = ROOT.parent / "assistant" / "weights" / "safety.safetensors"
RULES = ROOT.parent / "knowledge" / "safety_rules.yaml"
RESULTS = ROOT / "results-safety.md"
DATE = "2026-11-21"
SEED = 20261121
WRITTEN = "written"  # the pair of every example in the rules' file
FOLDS = 5
STRENGTH = {"urgent": 0.3, "raised": 0.3, "kinds": 3.0}  # inverse of the L2 penalty; best of 0.1 to 10
BACKGROUND_WEIGHT = 0.3  # of a reflection's sentence beside a safety text's: there are ten times more
DECIDING_WEIGHT = 3.0  # of a sentence that decided: there are ten times fewer
# Thresholds: as low as these shares of texts, called so by the classifier alone in cross-validation, allow.
MOST_FALSE_URGENT = 0.05  # of harmless safety texts, nearly all of them twins of alarming ones
MOST_FALSE_SUPPORT = 0.10  # of the same
MOST_BACKGROUND = 0.03  # of ordinary reflections, either level
LEVELS = ("none", "support", "urgent")

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Example:
    """A labelled text with everything the heads see; ``pair`` is shared by twins."""

    text: str
    level: str
    kind: str | None
    deciding: Span | None
    pair: str
    background: bool
    sentences: list[Span]
    vectors: Floats
    rows: Floats

    def decides(self, i: int) -> bool:
        span, sentence = self.deciding, self.sentences[i]
        return span is not None and sentence.start < span.end and span.start < sentence.end


def main() -> None:
    """Cross-validate, fit on everything, write weights and results."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    lexicon = load_lexicon()
    examples = load_examples(lexicon)
    scores = cross_validated(examples)
    urgent_from, raised_from = thresholds(examples, scores)
    print(f"thresholds: urgent {urgent_from:.3f}, raised {raised_from:.3f}")
    whole = fit(examples, lexicon, urgent_from, raised_from)
    write_weights(whole)
    report = results(examples, lexicon, urgent_from, raised_from)
    RESULTS.write_text(report, encoding="utf-8")
    print(report)


def load_examples(lexicon: Lexicon) -> list[Example]:
    """Return the safety texts, the written examples of the rules' file, then the reflections."""
    embedder = MiniLM()
    examples = [_example(row, lexicon) for row in _rows()]
    sentences = sorted({span.of(e.text) for e in examples for span in e.sentences}, key=len)
    print(f"{len(examples)} texts, {len(sentences)} sentences")
    vectors = dict(zip(sentences, embedder.encode(sentences).astype(np.float64), strict=True))
    for example in examples:
        example.vectors = np.array([vectors[span.of(example.text)] for span in example.sentences])
        hits = lexicon.hits(example.text, example.sentences)
        example.rows = features(lexicon, example.text, example.sentences, hits, example.vectors)
    return examples


def _rows() -> Iterable[dict[str, object]]:
    for name in ("safety1", "safety2"):
        pair = 0
        for row in _read(DATA / f"{name}.jsonl"):
            pair += row["level"] != "none"  # a harmless twin follows its original
            yield {**row, "pair": f"{name}:{pair}", "background": False}
    yield from _written_examples()
    for path in sorted(DATA.glob("batch*.jsonl")):
        for row in _read(path):
            level = str(row.get("safety", "none"))
            yield {"text": row["text"], "level": level, "pair": f"b:{row['id']}", "background": True}


def _written_examples() -> Iterable[dict[str, object]]:
    """Yield the examples of the rules' file; they are learned from in every fold, never scored."""
    examples = yaml.safe_load(RULES.read_text(encoding="utf-8"))["examples"]
    base = {"pair": WRITTEN, "background": False}
    for level in ("urgent", "support"):
        for kind, texts in examples[level].items():
            for text in texts:
                yield {**base, "text": text, "level": level, "kind": kind, "span": text}
    for text in examples["none"]:
        yield {**base, "text": text, "level": "none"}


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _example(row: dict[str, object], lexicon: Lexicon) -> Example:
    text = str(row["text"])
    quote = row.get("span")
    start = text.find(str(quote)) if quote else -1
    deciding = Span(start, start + len(str(quote))) if start >= 0 else None
    kind = str(row["kind"]) if row.get("kind") else None
    empty = np.zeros((0, 0))
    return Example(
        text,
        str(row["level"]),
        kind,
        deciding,
        str(row["pair"]),
        bool(row["background"]),
        split(text),
        empty,
        empty,
    )


def fit(examples: Sequence[Example], lexicon: Lexicon, urgent_from: float, raised_from: float) -> Weights:
    """Return the three heads fitted to ``examples``."""
    return Weights(
        urgent=_head(examples, ("urgent",), STRENGTH["urgent"]),
        raised=_head(examples, ("support", "urgent"), STRENGTH["raised"]),
        kinds=_kind_head(examples),
        urgent_from=urgent_from,
        raised_from=raised_from,
        columns=columns(lexicon),
    )


def _head(examples: Sequence[Example], levels: tuple[str, ...], strength: float) -> Floats:
    """Fit deciding sentences against all sentences of the texts of other levels.

    The other sentences of an alarming text are left out: nobody said that they are harmless.
    """
    rows, labels, weights = [], [], []
    for example in examples:
        alarming = example.level in levels
        for i, row in enumerate(example.rows):
            if alarming and not example.decides(i):
                continue
            rows.append(row)
            labels.append(alarming)
            weights.append(DECIDING_WEIGHT if alarming else BACKGROUND_WEIGHT if example.background else 1.0)
    model = LogisticRegression(C=strength, max_iter=500, random_state=SEED)
    model.fit(np.array(rows, np.float32), labels, sample_weight=weights)
    return np.append(model.coef_[0], model.intercept_).astype(np.float64)


def _kind_head(examples: Sequence[Example]) -> Floats:
    rows, labels = [], []
    for example in examples:
        for i, row in enumerate(example.rows):
            if example.kind and example.decides(i):
                rows.append(row)
                labels.append(KINDS.index(example.kind))
    model = LogisticRegression(C=STRENGTH["kinds"], max_iter=500, class_weight="balanced", random_state=SEED)
    model.fit(np.array(rows), labels)
    return np.hstack([model.coef_, model.intercept_[:, None]]).astype(np.float64)


def fold_of(example: Example) -> int:
    """Return the fold of an example's pair, the same on every machine; -1 for the written ones."""
    if example.pair == WRITTEN:
        return -1
    return int(hashlib.sha256(f"{SEED}:{example.pair}".encode()).hexdigest(), 16) % FOLDS


def cross_validated(examples: Sequence[Example]) -> Floats:
    """Return, per text, the highest score of either head in a model that never saw its pair."""
    scores = np.zeros((len(examples), 2))
    for fold in range(FOLDS):
        seen = [e for e in examples if fold_of(e) != fold]
        heads = [
            _head(seen, ("urgent",), STRENGTH["urgent"]),
            _head(seen, ("support", "urgent"), STRENGTH["raised"]),
        ]
        for n, example in enumerate(examples):
            if fold_of(example) == fold and len(example.rows):
                scores[n] = [_best(example.rows, head) for head in heads]
    return scores


def _best(rows: Floats, head: Floats) -> float:
    return float(1 / (1 + np.exp(-(rows @ head[:-1] + head[-1]).max())))


def thresholds(examples: Sequence[Example], scores: Floats) -> tuple[float, float]:
    """Return the lowest thresholds that the shares named above allow."""
    harmless = np.array([e.level == "none" and fold_of(e) >= 0 and not e.background for e in examples])
    ordinary = np.array([e.level == "none" and e.background for e in examples])
    urgent = max(
        _allowing(scores[harmless, 0], MOST_FALSE_URGENT), _allowing(scores[ordinary, 0], MOST_BACKGROUND / 3)
    )
    either = np.maximum(scores[:, 0], scores[:, 1])
    raised = max(
        _allowing(either[harmless], MOST_FALSE_SUPPORT), _allowing(either[ordinary], MOST_BACKGROUND)
    )
    return urgent, raised


def _allowing(scores: Floats, share: float) -> float:
    return float(np.quantile(scores, 1 - share)) + 1e-6


def write_weights(weights: Weights) -> None:
    """Write the heads as float32 with what made them."""
    digest = hashlib.sha256()
    for path in sorted(DATA.glob("*.jsonl")):
        if path.name.startswith(("safety", "batch")):
            digest.update(path.read_bytes())
    WEIGHTS.parent.mkdir(exist_ok=True)
    save_file(
        {name: getattr(weights, name).astype(np.float32) for name in ("urgent", "raised", "kinds")},
        WEIGHTS,
        metadata={
            "urgent_from": repr(weights.urgent_from),
            "raised_from": repr(weights.raised_from),
            "columns": weights.columns,
            "data": digest.hexdigest()[:16],
            "date": DATE,
            "seed": str(SEED),
        },
    )


def results(examples: Sequence[Example], lexicon: Lexicon, urgent_from: float, raised_from: float) -> str:
    """Return the results as Markdown: every text read by a model that never saw its pair."""
    found: dict[str, list[tuple[Example, SafetyFinding]]] = {"rules": [], "both": []}
    for fold in range(FOLDS):
        seen = [e for e in examples if fold_of(e) != fold]
        reader = SafetyReader(lexicon, fit(seen, lexicon, urgent_from, raised_from))
        for example in (e for e in examples if fold_of(e) == fold):
            both = reader.read(example.text, example.sentences, example.vectors)
            found["both"].append((example, both))
            found["rules"].append((example, reader.read(example.text, example.sentences, None)))
    held_out = [pair for pair in found["both"] if fold_of(pair[0]) == 0]
    parts = [_HEADING.format(date=DATE, seed=SEED, urgent=urgent_from, raised=raised_from, folds=FOLDS)]
    parts += [_table("Rules and classifier, cross-validated by pairs", found["both"])]
    parts += [_table("One fold of pairs held out (a fifth)", held_out)]
    parts += [_table("Rules alone (not cross-validated: see above)", found["rules"])]
    return "\n".join(parts)


_HEADING = """# The safety classifier: what it catches and what it misses

{date}, 2 processor cores, seed {seed}, `python -m training.train_safety`. Thresholds: urgent
{urgent:.3f}, raised {raised:.3f}. All texts are synthetic and in English; most harmless ones are twins of an
alarming text and share its words, which makes them much harder than ordinary writing.

**Read these figures as too good.** The classifier is cross-validated over {folds} folds of pairs, but the
written rules were made by people who had read these texts, the rules' matches are features, and the
thresholds come from the same folds. Figures on unseen texts will be lower. They are no evidence that
the check is safe to rely on.
"""


def _table(title: str, found: Sequence[tuple[Example, SafetyFinding]]) -> str:
    lines = [
        f"\n## {title}\n",
        "| texts labelled | n | read none | read support | read urgent |",
        "|---|---|---|---|---|",
    ]
    for background, name in ((False, "safety texts"), (True, "reflections")):
        for level in LEVELS:
            read: list[str] = [f.level for e, f in found if e.level == level and e.background == background]
            if read:
                counts = " | ".join(str(read.count(other)) for other in LEVELS)
                lines.append(f"| {name}, {level} | {len(read)} | {counts} |")
    safety = [(e, f) for e, f in found if not e.background]
    lines.append(f"\n- Urgent read as urgent: {_share(safety, ('urgent',), ('urgent',))}")
    lines.append(f"- Urgent raised (urgent or support): {_share(safety, ('urgent',), ('urgent', 'support'))}")
    lines.append(f"- Support noticed: {_share(safety, ('support',), ('urgent', 'support'))}")
    lines.append(f"- Harmless twins raised: {_share(safety, ('none',), ('urgent', 'support'))}")
    ordinary = [(e, f) for e, f in found if e.background]
    lines.append(f"- Ordinary reflections raised: {_share(ordinary, ('none',), ('urgent', 'support'))}")
    right = [e.kind == f.kind for e, f in safety if e.kind and f.kind]
    lines.append(f"- Kind right where noticed: {100 * float(np.mean(right)):.1f}%\n")
    return "\n".join(lines)


def _share(
    found: Sequence[tuple[Example, SafetyFinding]], levels: tuple[str, ...], read: tuple[str, ...]
) -> str:
    chosen = [f.level in read for e, f in found if e.level in levels]
    return f"{sum(chosen)} of {len(chosen)} ({100 * float(np.mean(chosen)):.1f}%)"


if __name__ == "__main__":
    main()
