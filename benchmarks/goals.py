"""Prepares and counts a blind judging of goals said anew: ``python -m benchmarks.goals sheet|tally FOLDER``.

``sheet`` refines benchmarks/evals/goals.blind.jsonl twice, with the local model and by template alone, and writes
FOLDER/sheet.jsonl with both in an order drawn by the seed, FOLDER/key.json with what is which. Judges write a line
an item: {"item": 1, "usable": [true, false], "best": [0]}. ``tally`` prints the counts over FOLDER/judge*.jsonl.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from assistant import assemble, settings
from assistant.domain import GoalReading
from benchmarks.questions import ROOT, SEED, lines_of, run

GOALS = ROOT / "benchmarks" / "evals" / "goals.blind.jsonl"
Row = dict[str, Any]


def offered(reading: GoalReading) -> Row | None:
    """Return the three parts of a refinement, or None where nothing is offered."""
    if reading.refined is None:
        return None
    return {"refined": reading.refined, "first_step": reading.first_step, "check": reading.check}


def sheet(folder: Path, model: str) -> None:
    """Write the sheet for the judges and the key; ``model`` is one that words goals (``goal_drafting.ABLE``)."""
    lines = assemble.pipeline(settings.load({"model": model}))
    draw, key, shown = random.Random(SEED), [], []
    for number, row in enumerate(lines_of(GOALS), 1):
        finding, plain = lines.refine_goal(row["goal"], row["context"])
        readings = {"template": plain}
        worded = lines.word_goal(row["goal"], row["context"], finding, plain, SEED)
        if worded.origin == "model":
            readings["model"] = worded
        versions = {name: found for name, reading in readings.items() if (found := offered(reading))}
        order = draw.sample(list(versions), len(versions))
        key.append({"item": number, "id": row["id"], "order": order, "versions": versions})
        if order:
            about = {"item": number, "goal": row["goal"], "context": row["context"]}
            shown.append(about | {"versions": [versions[name] for name in order]})
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in shown)
    (folder / "sheet.jsonl").write_text(text, "utf-8")
    (folder / "key.json").write_text(json.dumps(key, ensure_ascii=False, indent=1), "utf-8")


def tally(folder: Path) -> str:
    """Return the counts of all judgings, a line each."""
    key = json.loads((folder / "key.json").read_text("utf-8"))
    found = [f"{sum(not row['order'] for row in key)} of {len(key)} goals were left as they are"]
    for path in sorted(folder.glob("judge*.jsonl")):
        judged = {row["item"]: row for row in lines_of(path)}
        for name in ("model", "template"):
            rows = [row for row in key if name in row["order"]]
            usable = sum(judged[row["item"]]["usable"][row["order"].index(name)] for row in rows)
            found.append(f"{path.stem}, {name}: usable {usable} of {len(rows)}")
        both = [row for row in key if len(row["order"]) == 2]
        won = sum(row["order"].index("model") in judged[row["item"]]["best"] for row in both)
        found.append(f"{path.stem}: model preferred or tied in {won} of {len(both)}")
    return "\n".join(found)


if __name__ == "__main__":
    run(__doc__, sheet, tally)
