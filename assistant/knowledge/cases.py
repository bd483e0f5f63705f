"""The cases: invented texts' telling words and questions that fit behind them, read from ``cases.jsonl``."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable

from assistant.domain import KINDS, Case
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
            theme, quote, kind, question = (row[key] for key in ("theme", "quote", "kind", "question"))
            if kind not in KINDS or not all(isinstance(text, str) for text in (theme, quote, question)):
                raise TypeError("something in it is no text, or not a kind of question")
            found.append(Case(theme, quote, kind, question, float(row["worth"])))
        except (ValueError, KeyError, TypeError) as error:
            raise KnowledgeError(
                f"knowledge/cases.jsonl, line {number} is no case ({error!r}). Fetch the file again."
            ) from error
    return tuple(found)
