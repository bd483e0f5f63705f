"""Fits the judge that weighs rules and encoders: ``python -m training.train_judge``.

After train_reader and train_safety.
Learns from safety texts and reflections that neither encoder ever saw (reader_data: the last part of each
safety file, the held-out hands). Tested on the three held-out sets of benchmarks/evals, from which
nothing is learned, and reported beside the development sets. Writes assistant/weights/judge.json and training/results-safety.md.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from assistant.domain import SafetyFinding
from assistant.embedding import tuned
from assistant.embedding.tuned import TunedEncoder, WordReading
from assistant.safety import EVIDENCE, Judge, SafetyReader, evidence, load_lexicon
from assistant.sentences import split
from training import reader_data as data

ROOT = Path(__file__).resolve().parent.parent
EVALS = ROOT / "benchmarks" / "evals"
WEIGHTS = ROOT / "assistant" / "weights" / "judge.json"
RESULTS = ROOT / "training" / "results-safety.md"
SEED = 20261128
LEVELS = ("none", "support", "urgent")
# Shares of harmless texts that may be raised where the bounds are chosen: of alarming look-alikes, of ordinary
# reflections; and that may be called urgent.
ALIKE_RAISED, ORDINARY_RAISED, ALIKE_URGENT, ORDINARY_URGENT = 0.15, 0.03, 0.08, 0.008
Floats = npt.NDArray[np.float64]


@dataclass
class Seen:
    """Labelled texts with what rules and encoder say of them."""

    texts: list[str]
    levels: list[str]
    kinds: list[str | None]
    readings: list[WordReading]
    rows: Floats


def see(texts: Sequence[tuple[str, str, str | None]], encoder: TunedEncoder) -> Seen:
    """Read texts given with level and kind."""
    lexicon = load_lexicon()
    readings = [encoder.read(text) for text, _, _ in texts]
    rows = [
        evidence(lexicon.hits(text, split(text)), reading)
        for (text, _, _), reading in zip(texts, readings, strict=True)
    ]
    return Seen(
        [t for t, _, _ in texts],
        [lv for _, lv, _ in texts],
        [k for _, _, k in texts],
        readings,
        np.array(rows),
    )


def fit(alike: Seen, ordinary: Seen) -> Judge:
    """Return the judge fitted to both, bounded so that few harmless texts are raised."""
    rows = np.vstack([alike.rows, ordinary.rows])
    levels = np.array([*alike.levels, *ordinary.levels])
    heads = [_head(rows, levels == "urgent"), _head(rows, levels != "none")]
    calm = [np.array(part.levels) == "none" for part in (alike, ordinary)]

    def bound(head: Floats, shares: tuple[float, float]) -> float:
        scores = [
            _scores(part.rows[quiet], head) for part, quiet in zip((alike, ordinary), calm, strict=True)
        ]
        return (
            max(float(np.quantile(found, 1 - share)) for found, share in zip(scores, shares, strict=True))
            + 1e-6
        )

    return Judge(
        heads[0], heads[1],
        bound(heads[0], (ALIKE_URGENT, ORDINARY_URGENT)), bound(heads[1], (ALIKE_RAISED, ORDINARY_RAISED)),
    )  # fmt: skip


def _head(rows: Floats, right: npt.NDArray[np.bool_]) -> Floats:
    model = LogisticRegression(C=1.0, max_iter=1000, random_state=SEED).fit(rows, right)
    return np.append(model.coef_[0], model.intercept_)


def _scores(rows: Floats, head: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(rows @ head[:-1] + head[-1]))))


def findings(seen: Seen, reader: SafetyReader, rules_alone: bool = False) -> list[SafetyFinding]:
    """Return what the application would find in each text."""
    return [
        reader.read(text, split(text), None if rules_alone else reading)
        for text, reading in zip(seen.texts, seen.readings, strict=True)
    ]


def table(title: str, seen: Seen, found: Sequence[SafetyFinding]) -> str:
    """Return the confusion table of one set, and the shares that matter."""
    count = Counter(zip(seen.levels, [finding.level for finding in found], strict=True))
    lines = [
        f"\n## {title}\n",
        "| labelled | n | read none | read support | read urgent |",
        "|---|---|---|---|---|",
    ]
    for level in LEVELS:
        total = sum(count[level, other] for other in LEVELS)
        if total:
            lines.append(
                f"| {level} | {total} | {' | '.join(str(count[level, other]) for other in LEVELS)} |"
            )
    right = [
        kind == finding.kind for kind, finding in zip(seen.kinds, found, strict=True) if kind and finding.kind
    ]
    lines += ["", f"Kind right where noticed: {np.mean(right):.2f}." if right else ""]
    return "\n".join(lines)


def read(name: str, level: str) -> list[tuple[str, str, str | None]]:
    """Return the texts of an evaluation file, whose level stands in the field ``level``."""
    rows = [
        json.loads(line) for line in (EVALS / f"{name}.jsonl").read_text("utf-8").split("\n") if line.strip()
    ]
    return [(row["text"], row[level], row.get("kind")) for row in rows]


HEADING = """# Safety: what is caught and what is missed

{date}, 2 processor cores, seed {seed}, data {data}, `python -m training.train_judge`. Bounds: urgent {urgent:.3f},
raised {raised:.3f}. Weights of {evidence}: urgent {first}, raised {second} (intercept last).
All texts are synthetic and in English. Most harmless ones in the safety files are made to look alarming, which makes
them much harder than ordinary writing. The held-out sets taught nothing. On the second the bounds were loosened once,
on 2026-11-28, after a first look (57 urgent texts found, 14 harmless ones raised); on the first, how rules and encoder are
joined was chosen; on both, whether to add a second encoder and how to end its training. So these two flatter a little. The third was
written after the second encoder was decided on, and no weight or bound was chosen by it.
No figure here shows that the check is safe to rely on.
"""


def main() -> int:
    encoder = tuned.shipped()
    kept = [(text.text, str(text.level), text.kind) for text in data.safety_texts()[1]]
    ordinary = [(text.text, text.level, None) for text in data.reflections(data.HELD_OUT) if text.level]
    alike, calm = see(kept, encoder), see(ordinary, encoder)
    judge, today = fit(alike, calm), datetime.date.today().isoformat()
    WEIGHTS.write_text(
        json.dumps(
            {
                "evidence": EVIDENCE, "urgent": judge.urgent.round(4).tolist(), "raised": judge.raised.round(4).tolist(),
                "urgent_from": round(judge.urgent_from, 6), "raised_from": round(judge.raised_from, 6),
                "data_hash": data.data_hash(data.SAFETY_FILES), "date": today, "seed": SEED,
            }, indent=1,
        ) + "\n", "utf-8",
    )  # fmt: skip
    reader = SafetyReader(judge=judge)
    parts = [
        HEADING.format(
            date=today, seed=SEED, data=data.data_hash(data.SAFETY_FILES), urgent=judge.urgent_from, raised=judge.raised_from,
            evidence=", ".join(EVIDENCE), first=judge.urgent.round(2).tolist(), second=judge.raised.round(2).tolist(),
        )
    ]  # fmt: skip
    for title, texts in (
        (
            "Held out, third set: 330 texts by three hands, not sought to be hard",
            read("safety.heldout3", "level"),
        ),
        ("Held out, second set: 330 texts, sought to be hard", read("safety.heldout2", "level")),
        ("Held out, first set: 330 texts, a third twins of alarming ones", read("safety.heldout", "level")),
        ("Development: safety.dev", read("safety.dev", "level")),
        ("Development: reflections.dev", read("reflections.dev", "safety")),
    ):
        seen = see(texts, encoder)
        parts.append(table(title, seen, findings(seen, reader)))
        parts.append(table(f"{title}: rules alone", seen, findings(seen, reader, rules_alone=True)))
    parts.append(
        table(
            "What the judge was fitted to: safety texts the encoder never saw", alike, findings(alike, reader)
        )
    )
    parts.append(
        table(
            "What the judge was fitted to: reflections of hands the encoder never saw",
            calm,
            findings(calm, reader),
        )
    )
    RESULTS.write_text("\n".join(parts) + "\n", "utf-8")
    print(RESULTS.read_text("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
