"""Scores the command line on the development sets: ``python -m benchmarks.evaluate [--out FILE]``.

Runs ``analyse`` and ``refine-goal`` as any caller would, in a process of their own, over inputs
stripped of their annotations, and writes a dated Markdown section.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks import scoring as sc

ROOT = Path(__file__).resolve().parent.parent
EVALS = ROOT / "benchmarks" / "evals"
SEED = 20261121
ROUNDS = 1000
TIMEOUT = 1800  # seconds for one file; a stuck model must not hold the evaluation for ever
Line = dict[str, Any]
Runner = Callable[[list[str], list[Line]], list[Line]]


class EvaluationError(Exception):
    """The command under test could not be scored; the message says why."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The annotated lines beside the answers to them, in the same order."""

    reflections: list[tuple[Line, Line]]
    safety: list[tuple[Line, Line]]
    goals: list[tuple[Line, Line]]
    held_out: list[tuple[Line, Line]]  # safety texts that no weights learn from


def read_lines(path: Path) -> list[Line]:
    """Return the records of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def theme_ids() -> list[str]:
    """Return the ids of knowledge/themes.yaml in its order."""
    groups = yaml.safe_load((ROOT / "knowledge" / "themes.yaml").read_text("utf-8"))
    return [theme for group in groups.values() for theme in group]


def run_command(options: list[str], inputs: list[Line]) -> list[Line]:
    """Give ``inputs`` to ``python -m assistant`` and return its lines.

    Raises EvaluationError when it fails, runs too long or answers another number of lines.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "input.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in inputs), "utf-8")
        call = [sys.executable, "-m", "assistant", *options, str(file)]
        try:
            done = subprocess.run(call, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise EvaluationError(f"{options[0]} ran longer than {TIMEOUT} seconds.") from error
    if done.returncode:
        raise EvaluationError(f"{options[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    lines = [json.loads(line) for line in done.stdout.split("\n") if line.strip()]
    if len(lines) != len(inputs):
        raise EvaluationError(f"{options[0]} answered {len(lines)} lines to {len(inputs)}.")
    return lines


def collect(run: Runner = run_command, evals: Path = EVALS) -> Answers:
    """Ask for every development text; annotations stay here."""
    options = ["analyse", "--no-model", "--no-questions"]
    sets = {name: read_lines(evals / f"{name}.dev.jsonl") for name in ("reflections", "safety", "goals")}
    sets["held_out"] = read_lines(evals / "safety.heldout3.jsonl")
    asked = {
        "reflections": run(options, [_only(line, "id", "text") for line in sets["reflections"]]),
        "safety": run(options, [_only(line, "id", "text") for line in sets["safety"]]),
        "held_out": run(options, [_only(line, "id", "text") for line in sets["held_out"]]),
        "goals": run(["refine-goal"], [_only(line, "id", "goal", "context") for line in sets["goals"]]),
    }
    return Answers(**{name: list(zip(sets[name], asked[name], strict=True)) for name in sets})


def _only(line: Line, *names: str) -> Line:
    return {name: line.get(name) for name in names}


def theme_cases(pairs: Sequence[tuple[Line, Line]]) -> list[sc.ThemeCase]:
    """Return the cases to score for themes: every text but the urgent ones."""
    return [
        sc.ThemeCase(
            text=gold["text"],
            gold=tuple(gold["labels"]),
            named=tuple(t["id"] for t in line.get("themes", ())),
            ranked=tuple(t["id"] for t in line.get("ranked", ())),
            quotes=gold["evidence"],
            spans={t["id"]: [(e["start"], e["end"]) for e in t["evidence"]] for t in line.get("themes", ())},
        )
        for gold, line in pairs
        if gold["safety"] != "urgent"
    ]


def level_cases(pairs: Sequence[tuple[Line, Line]], field: str) -> list[sc.LevelCase]:
    """Return (annotated, answered) levels; an answer without a level counts as ``none``."""
    return [sc.LevelCase(gold[field], line.get("safety", {}).get("level", "none")) for gold, line in pairs]


def goal_cases(pairs: Sequence[tuple[Line, Line]]) -> list[sc.GoalCase]:
    return [
        sc.GoalCase(
            missing=(frozenset(gold["missing"]), frozenset(line.get("missing", ()))),
            frame=(gold["frame"], line.get("frame", "")),
            type=(gold["type"], line.get("type", "")),
        )
        for gold, line in pairs
    ]


# --- the report


def rate(value: float | None) -> str:
    """Return a rate with two decimals, a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def _row(name: str, cases: Sequence[Any], statistic: Callable[[Sequence[Any]], float | None]) -> str:
    interval = sc.bootstrap(cases, statistic, ROUNDS, SEED)
    shown = "–" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
    return f"| {name} | {rate(statistic(cases))} | {shown} |"


def _table(rows: Sequence[str]) -> list[str]:
    return ["| measure | value | 95% interval |", "| --- | --- | --- |", *rows, ""]


def _counts_table(title: str, counts: Mapping[str, sc.Counts]) -> list[str]:
    lines = [
        f"| {title} | annotated | answered | precision | recall | F1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, c in counts.items():
        sizes = f"{c.hits + c.missed} | {c.hits + c.false}"
        lines.append(f"| {name} | {sizes} | {rate(c.precision)} | {rate(c.recall)} | {rate(c.f1)} |")
    return [*lines, ""]


def theme_section(cases: Sequence[sc.ThemeCase], ids: Sequence[str]) -> list[str]:
    """Return the lines about themes and their evidence."""
    measures: dict[str, Callable[[Sequence[sc.ThemeCase]], float | None]] = {
        "micro-F1": sc.micro_f1,
        "micro precision": lambda c: sc.theme_counts(c).precision,
        "micro recall": lambda c: sc.theme_counts(c).recall,
        "macro-F1": sc.macro_f1,
        "recall@3 of `ranked`": sc.recall_at,
        "first named theme annotated": sc.first_right,
        "a theme named, of texts with one": sc.coverage,
        "none named, of texts without one": sc.no_theme_accuracy,
        "precision of the personal themes": sc.personal_precision,
        "evidence covers half of the quote, of right themes": sc.evidence_share,
    }
    rows = [_row(name, cases, statistic) for name, statistic in measures.items()]
    head = ["### Themes", "", f"{len(cases)} reflections, urgent ones left out.", ""]
    return head + _table(rows) + _counts_table("theme", sc.per_theme(cases, ids))


def safety_section(name: str, cases: Sequence[sc.LevelCase]) -> list[str]:
    """Return the lines about the safety levels of one set."""
    rows = [_row(f"recall of {v}", cases, partial(sc.level_recall, level=v)) for v in sc.LEVELS]
    rows += [
        _row(f"false alarms: {v}, of lower levels", cases, partial(sc.level_false_alarms, level=v))
        for v in ("support", "urgent")
    ]
    table = sc.confusion(cases)
    grid = ["| annotated \\ answered | none | support | urgent |", "| --- | --- | --- | --- |"]
    grid += [f"| {g} | " + " | ".join(str(table.get((g, a), 0)) for a in sc.LEVELS) + " |" for g in sc.LEVELS]
    return [f"### Safety: {name}", "", f"{len(cases)} texts.", "", *_table(rows), *grid, ""]


def goal_section(cases: Sequence[sc.GoalCase]) -> list[str]:
    """Return the lines about goals."""
    rows = [
        _row("mean F1 of the parts", cases, sc.goal_mean_f1),
        _row("micro-F1 of the parts", cases, sc.goal_micro_f1),
        _row("frame right", cases, sc.frame_accuracy),
        _row("type right", cases, sc.type_accuracy),
    ]
    head = ["### Goals", "", f"{len(cases)} goals.", ""]
    return head + _table(rows) + _counts_table("missing", sc.part_counts(cases))


def fault_section(answers: Answers, ids: Sequence[str]) -> list[str]:
    """Return the lines about answers that break the contract."""
    faults = [
        f"- {gold['id']}: {fault}"
        for gold, line in answers.reflections + answers.safety + answers.held_out
        for fault in sc.analysis_faults(line, gold["text"], ids)
    ]
    faults += [f"- {gold['id']}: {fault}" for gold, line in answers.goals for fault in sc.goal_faults(line)]
    total = sum(map(len, (answers.reflections, answers.safety, answers.held_out, answers.goals)))
    return ["### Validity", "", f"{len(faults)} faults in {total} answers.", *faults[:40], ""]


def report(answers: Answers, date: datetime.date) -> str:
    """Return the dated Markdown section over all three sets."""
    ids = theme_ids()
    lines = [
        f"## Development sets, {date.isoformat()}",
        "",
        "Texts that may be tuned on: a guide for work in progress, no proof of quality. Intervals: "
        f"bootstrap over texts, {ROUNDS} rounds, seed {SEED}. Without a text model, questions off.",
        "",
        *theme_section(theme_cases(answers.reflections), ids),
        *safety_section("reflections", level_cases(answers.reflections, "safety")),
        *safety_section("short texts", level_cases(answers.safety, "level")),
        *safety_section("held out, third set", level_cases(answers.held_out, "level")),
        *goal_section(goal_cases(answers.goals)),
        *fault_section(answers, ids),
    ]
    return "\n".join(lines)


def put_first(path: Path, section: str) -> None:
    """Put a section first below the title of a results file, which is made where there is none."""
    earlier = path.read_text("utf-8") if path.is_file() else ""
    earlier = earlier.removeprefix("# Results\n\n")
    path.write_text(f"# Results\n\n{section.rstrip()}\n\n{earlier}", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section, and put it first below the title of ``--out`` where given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluate", description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file that keeps the sections, newest first")
    options = parser.parse_args(arguments)
    try:
        section = report(collect(), datetime.date.today())
    except (EvaluationError, OSError, ValueError) as error:
        print(f"The evaluation could not be made: {error}", file=sys.stderr)
        return 1
    if options.out:
        put_first(options.out, section)
    print(section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
