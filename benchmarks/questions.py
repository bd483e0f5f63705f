"""Prepares and counts a blind comparison of questions: ``python -m benchmarks.questions sheet|tally FOLDER``.

``sheet`` reads benchmarks/evals/questions.blind.jsonl as the application does and writes FOLDER/sheet.jsonl:
for each theme shown, in an order drawn by the seed, the model's best question, the bank's first and one of the
untuned model, of one kind; good and spoiled questions of the preference pairs stand among them unmarked.
FOLDER/key.json says which is which. Judges, who see the sheet alone, write a line an item:
{"item": 1, "usable": [true, false, true], "best": [0, 2]}, ``best`` naming the better ones, several where they
are equally good. ``tally`` reads FOLDER/judge*.jsonl and prints the counts as Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from assistant import assemble, prompting, settings
from assistant.domain import KINDS, Report, Theme
from assistant.model import prepare
from assistant.model.local import LocalModel
from assistant.pipeline import Pipeline
from assistant.questions import first_sentence, trim

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "benchmarks" / "evals" / "questions.blind.jsonl"
PAIRS = ROOT / "training" / "data" / "preferences.jsonl"
SEED = 20261128
CONTROLS = 20  # good ones, and as many spoiled
MOST_SPOILED, MOST_REFUSED = 3, 5  # accepted and refused, beyond which a judging is thrown away
MOST_THEMES = 2  # a text, as the page shows
Row = dict[str, Any]


def lines_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def compared(lines: Pipeline, untuned: LocalModel) -> Iterator[Row]:
    """Yield an item for each theme shown: text, theme, kind, and the three questions by origin."""
    turn = itertools.cycle(KINDS)
    for number, row in enumerate(lines_of(TEXTS)):
        report = lines.analyse(row["text"], SEED, model=False)
        if report.safety.level != "none":
            continue
        drafts = list(lines.draft(row["text"], report, SEED + number))
        for theme in report.reading.themes[:MOST_THEMES]:
            kind = next(turn)
            bank = lines.bank.choose([theme], report.safety, SEED)
            yield {
                "id": row["id"],
                "text": row["text"],
                "theme": theme.id,
                "kind": kind,
                "questions": {
                    "model": next((q.text for q in drafts if (q.theme, q.kind) == (theme.id, kind)), None),
                    "bank": next(q.text for q in bank if q.kind == kind),
                    "untuned": _untuned(lines, untuned, row["text"], report, theme, kind, SEED + number),
                },
            }


def _untuned(
    lines: Pipeline, model: LocalModel, text: str, report: Report, theme: Theme, kind: str, seed: int
) -> str:
    """Return one sample of the untuned model, as it comes."""
    about = lines.knowledge.themes[theme.id].means
    match = next((m.passage for m in report.passages if theme.id in m.passage.themes), None)
    prompt = prompting.load(f"question-{kind}").fill(
        theme=about,
        quote=theme.evidence[0].of(text),
        idea=first_sentence(match.text) if match else about,
    )
    answer = model.generate(prompt, 1, prompt.max_tokens, seed)[0]
    return trim(answer) or answer or "(nothing)"


def controls() -> Iterator[Row]:
    """Yield good and spoiled questions of the preference pairs, one an item, with the text they are about."""
    folder = ROOT / "training" / "data"
    texts = {
        row["id"]: row["text"]
        for path in (*sorted(folder.glob("batch*.jsonl")), folder / "questions.seed.jsonl")
        for row in lines_of(path)
    }
    pairs = [pair for pair in lines_of(PAIRS) if pair["source"] in texts]
    drawn = random.Random(SEED).sample(pairs, 2 * CONTROLS)
    for number, pair in enumerate(drawn):
        spoiled = number % 2 == 1
        bad = next((item["text"] for item in pair["bad"] if item["why"] != "generic"), None)
        yield {
            "id": pair["id"],
            "text": texts[pair["source"]],
            "theme": pair["theme"],
            "kind": pair["kind"],
            "questions": {"spoiled": bad} if spoiled and bad else {"good": pair["good"]},
        }


def sheet(folder: Path, model: str) -> None:
    """Write the sheet for the judges and the key."""
    chosen = settings.load({"model": model})
    lines = assemble.pipeline(chosen)
    untuned = LocalModel(prepare.prepare(chosen.models))
    items = [*compared(lines, untuned), *controls()]
    draw = random.Random(SEED)
    draw.shuffle(items)
    folder.mkdir(parents=True, exist_ok=True)
    key: list[Row] = []
    with (folder / "sheet.jsonl").open("w", encoding="utf-8") as file:
        for number, item in enumerate(items, 1):
            order = draw.sample(
                [origin for origin in item["questions"] if item["questions"][origin]],
                sum(question is not None for question in item["questions"].values()),
            )
            key.append({"item": number, "order": order, **item})
            shown = {
                "item": number,
                "text": item["text"],
                "topic": lines.knowledge.themes[item["theme"]].name,
                "kind": item["kind"],
                "questions": [item["questions"][origin] for origin in order],
            }
            file.write(json.dumps(shown, ensure_ascii=False) + "\n")
    (folder / "key.json").write_text(json.dumps(key, ensure_ascii=False, indent=1), "utf-8")


def tally(folder: Path) -> str:
    """Return the counts of all judgings that stand, and what each judge made of the controls."""
    key = {row["item"]: row for row in json.loads((folder / "key.json").read_text("utf-8"))}
    parts, standing = [], []
    for path in sorted(folder.glob("judge*.jsonl")):
        judged = {row["item"]: row for row in lines_of(path)}
        wrong = _controls_missed(key, judged)
        stands = wrong[0] <= MOST_SPOILED and wrong[1] <= MOST_REFUSED
        parts.append(
            f"{path.stem}: {wrong[0]} spoiled ones accepted, {wrong[1]} good ones refused"
            + ("" if stands else "; thrown away")
        )
        if stands:
            standing.append(judged)
    parts += ["", "| | " + " | ".join(f"judge {n + 1}" for n in range(len(standing))) + " |"]
    parts.append("|---" * (len(standing) + 1) + "|")
    parts += [f"| {name} | {' | '.join(values)} |" for name, values in _rows(key, standing)]
    return "\n".join(parts)


def _controls_missed(key: dict[int, Row], judged: dict[int, Row]) -> tuple[int, int]:
    """Return how many spoiled questions were accepted and how many good ones refused."""
    said = [
        (row["order"][0], judged[item]["usable"][0]) for item, row in key.items() if len(row["order"]) == 1
    ]
    return said.count(("spoiled", True)), said.count(("good", False))


def _rows(key: dict[int, Row], standing: Sequence[dict[int, Row]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each count with one value a judging."""
    items = [row for row in key.values() if "bank" in row["order"]]
    with_model = [row for row in items if "model" in row["order"]]
    yield "themes", [str(len(items))] * len(standing)
    yield "no model question passed the checks", [str(len(items) - len(with_model))] * len(standing)
    for origin in ("model", "bank", "untuned"):
        usable = [
            [_usable(row, judged, origin) for row in items if origin in row["order"]] for judged in standing
        ]
        yield f"usable: {origin}", [_share(values) for values in usable]
    for other in ("bank", "untuned"):
        won = [[_at_least(row, judged, other) for row in with_model] for judged in standing]
        yield f"model preferred or tied against {other}", [_share(values) for values in won]
    if len(standing) == 2:
        same = [
            _usable(row, standing[0], origin) == _usable(row, standing[1], origin)
            for row in items
            for origin in row["order"]
        ]
        yield "same verdict on usable", [_share(same)] * 2


def _usable(row: Row, judged: dict[int, Row], origin: str) -> bool:
    return bool(judged[row["item"]]["usable"][row["order"].index(origin)])


def _at_least(row: Row, judged: dict[int, Row], other: str) -> bool:
    """Return whether the model's question was found as good as the other, or better.

    Where neither is among the best, being usable decides.
    """
    best = {row["order"][place] for place in judged[row["item"]]["best"]}
    if "model" in best or other in best:
        return "model" in best
    return _usable(row, judged, "model") >= _usable(row, judged, other)


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values)} of {len(values)} ({sum(values) / max(1, len(values)):.2f})"


def run(about: str | None, sheet: Callable[[Path, str], None], tally: Callable[[Path], str]) -> None:
    """Do what the command line asks: write a sheet for judges, or count what they said."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("act", choices=["sheet", "tally"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="bundled", help="the text model, as in the settings")
    given = parser.parse_args()
    if given.act == "sheet":
        sheet(given.folder, given.model)
    else:
        print(tally(given.folder))


if __name__ == "__main__":
    run(__doc__, sheet, tally)
