"""The cases: invented texts' telling words and the questions asked about them, read from ``cases.jsonl``."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable

from assistant.domain import KINDS, Case, QuestionKind
from assistant.errors import KnowledgeError


def load(folder: Traversable | None = None) -> tuple[Case, ...]:
    """Return all cases. Raises KnowledgeError naming the line that cannot be read."""
    found = []
    try:
        lines = (folder or files("knowledge")).joinpath("cases.jsonl").read_text("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise KnowledgeError(f"knowledge/cases.jsonl cannot be read ({error}). Fetch it again.") from error
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
            questions: dict[QuestionKind, str] = {kind: row[kind] for kind in KINDS if kind in row}
            if not all(isinstance(text, str) for text in (row["theme"], row["quote"], *questions.values())):
                raise TypeError("something in it is no text")
            worth: dict[QuestionKind, float] = {kind: float(row["worth"][kind]) for kind in questions}
            found.append(Case(row["theme"], row["quote"], questions, worth))
        except (ValueError, KeyError, TypeError) as error:
            raise KnowledgeError(
                f"knowledge/cases.jsonl, line {number} is no case ({error!r}). Fetch the file again."
            ) from error
    return tuple(found)
