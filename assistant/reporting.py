"""One shape for a report: the line of docs/cli.md, which is also what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from assistant.domain import (
    GoalReading,
    PassageMatch,
    Question,
    Report,
    SafetyFinding,
    Span,
    Theme,
    ThemeReading,
)
from assistant.knowledge import Knowledge
from assistant.prompting import Prompt

Row = dict[str, Any]


def safety_row(finding: SafetyFinding) -> Row:
    return {
        "level": finding.level,
        "kind": finding.kind,
        "spans": [[span.start, span.end] for span in finding.spans],
    }


def analysis_row(report: Report, text: str) -> Row:
    """Return the output line of ``mentoring analyse`` without its id."""
    finding = report.safety
    return {
        "understood": finding.understood,
        "language": finding.language,
        "safety": safety_row(finding),
        "themes": [_theme_row(theme, text) for theme in report.reading.themes],
        "ranked": [{"id": item.id, "score": round(item.score, 4)} for item in report.reading.ranked],
        "passages": [
            {"id": match.passage.id, "score": round(match.score, 4), "theme": match.theme}
            for match in report.passages
        ],
        "questions": [question_row(question) for question in report.questions],
        "abstained": report.abstained,
        "provenance": asdict(report.provenance),
        "seconds": {step: round(value, 4) for step, value in report.seconds.items()},
    }


def stored_row(report: Report, text: str) -> Row:
    """Return the report as stored: the line with what the page needs besides."""
    row = analysis_row(report, text)
    del row["ranked"], row["seconds"]  # never on a page
    for passage, match in zip(row["passages"], report.passages, strict=True):
        passage["sentence"] = _span_row(match.sentence)
    for question, source in zip(row["questions"], report.questions, strict=True):
        question["focus"] = source.focus
    row["earlier"] = [asdict(match) for match in report.earlier]
    row["safety"]["rules_only"] = report.safety.rules_only
    return row


def report_of(row: Row, knowledge: Knowledge) -> Report:
    """Return the report that a stored row tells of, as far as drafting questions needs it."""
    themes = tuple(
        Theme(item["id"], item["score"], tuple(Span(part["start"], part["end"]) for part in item["evidence"]))
        for item in row["themes"]
    )
    matches = tuple(
        PassageMatch(knowledge.passages[item["id"]], item["score"], item["theme"])
        for item in row["passages"]
        if item["id"] in knowledge.passages
    )
    safety = row["safety"]
    finding = SafetyFinding(safety["level"], safety["kind"], (), row["language"], row["understood"])
    return Report(finding, ThemeReading(themes), passages=matches)


def question_row(question: Question) -> Row:
    return {
        "kind": question.kind,
        "text": question.text,
        "theme": question.theme,
        "origin": question.origin,
        "evidence": _span_row(question.evidence),
        "passages": list(question.passages),
    }


def given_row(model: str, model_hash: str, prompts: Sequence[Prompt]) -> Row:
    """Return what a text model was given, word for word, and which model it was."""
    return {
        "model": model,
        "hash": model_hash,
        "prompts": [
            {
                "name": prompt.name,
                "hash": prompt.hash,
                "messages": [list(message) for message in prompt.messages],
                "choices": list(prompt.choices),
            }
            for prompt in prompts
        ],
    }


def goal_row(finding: SafetyFinding, reading: GoalReading) -> Row:
    """Return the output line of ``mentoring refine-goal`` without its id."""
    return {
        "safety": safety_row(finding),
        "missing": list(reading.missing),
        "frame": reading.frame,
        "type": reading.type,
        "refined": reading.refined,
        "first_step": reading.first_step,
        "check": reading.check,
        "origin": reading.origin,
        "abstained": reading.abstained,
    }


def _theme_row(theme: Theme, text: str) -> Row:
    return {
        "id": theme.id,
        "score": round(theme.score, 4),
        "evidence": [
            {"start": span.start, "end": span.end, "text": span.of(text)} for span in theme.evidence
        ],
    }


def _span_row(span: Span | None) -> Row | None:
    return {"start": span.start, "end": span.end} if span else None
