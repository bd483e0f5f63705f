"""What the first screen says about a reflection, and in which order. Pure: no page code, no engine.

Personal matters come before professional steps; where someone may be treated unequally, the setting
comes before the person. The command line keeps the order of centrality instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from assistant.history import Recurrence, Words
from assistant.knowledge import Knowledge
from assistant.themes import too_short

Row = dict[str, Any]
FIRST_SIDES = {"setting": 0, "personal": 1}
MOST_THEMES = 2
MOST_QUESTIONS = 5
CLEAR = 0.8  # probability from which nine in ten themes were right (training/results-themes.md)


def first_screen(
    row: Row,
    text: str,
    knowledge: Knowledge,
    verdicts: Mapping[str, Row] | None = None,
    answers: Mapping[str, str] | None = None,
    taken: Sequence[str] = (),
    dropped: Collection[str] = (),
) -> Row:
    """Return what a page draws from a stored report ``row`` about ``text``.

    Keys: ``notice`` (or None), ``segments`` of the text with the number of the theme they show,
    ``themes`` in the order to show, ``questions`` from no theme, ``passages``, ``earlier``. A question that
    the writer ``dropped`` is replaced by the next of its theme and kind.
    """
    verdicts, answers = verdicts or {}, answers or {}
    dropped = {text for text in dropped if not answers.get(text, "").strip()}  # what was answered stays
    themes = [theme for theme in row["themes"] if verdicts.get(theme["id"], {}).get("verdict") != "not_me"]
    # Under a notice nothing is said about the person: the notice, few questions and passages stand alone.
    themes = in_order(themes, knowledge)[:MOST_THEMES] if row["safety"]["level"] == "none" else []

    def drawn(items: Sequence[Row]) -> list[Row]:
        return [
            item | {"answer": answers.get(item["text"], ""), "taken": item["text"] in taken}
            for item in items
            if item["text"] not in dropped
        ]

    dismissed = row["themes"] and not themes and row["safety"]["level"] == "none"
    offered = row.get("any", []) if dismissed else row["questions"]
    offered, more = _replaced(offered[:MOST_QUESTIONS], row.get("more", []), dropped)
    questions = drawn(offered)
    shown = {theme["id"] for theme in themes}
    drafts = row.get("drafts")
    page = {
        "notice": _notice(row, knowledge),
        "understood": row["understood"],
        "too_short": too_short(text) and not row["themes"] and not row["safety"].get("rules_only"),
        "segments": segments(text, themes),
        "themes": [
            _theme(number, theme, verdicts, questions, row, text, knowledge)
            for number, theme in enumerate(themes, 1)
        ],
        "steps_after": _steps_after(themes, knowledge),
        "questions": [item for item in questions if item["theme"] not in shown and item["theme"] is None],
        "passages": [_found(item, text, knowledge) for item in row["passages"] if item["theme"] not in shown],
        "earlier": row.get("earlier", []),
        "more": drawn([item for item in more if item["theme"] in shown | {None}]),
        "drafts": None if drafts is None else drawn([item for item in drafts if item["theme"] in shown]),
        "drafted": bool(drafts),
        "given": row.get("given"),
        "rules_only": row["safety"].get("rules_only", False),
    }
    return page | _aside(row, page, answers, dropped)


def _aside(row: Row, page: Row, answers: Mapping[str, str], dropped: Collection[str]) -> Row:
    """Return the dropped questions of this reading, and the answers to questions that stand there no more."""
    offered = [
        item
        for key in ("questions", "any", "more", "drafts")
        for item in row.get(key) or ()
        if item["text"] in dropped
    ]
    standing = {item["text"] for theme in page["themes"] for item in theme["questions"]} | {
        item["text"] for key in ("questions", "more", "drafts") for item in page[key] or ()
    }
    return {
        "dropped": list({item["text"]: item for item in offered}.values()),
        "answered": [
            {"text": question, "answer": answer}
            for question, answer in answers.items()
            if question not in standing and answer.strip()
        ],
    }


def _replaced(
    offered: Sequence[Row], more: Sequence[Row], dropped: Collection[str]
) -> tuple[list[Row], list[Row]]:
    """Return the questions with the dropped ones replaced as far as there are others, and what is left."""
    left = [item for item in more if item["text"] not in dropped]
    found = []
    for item in offered:
        if item["text"] in dropped:
            like = [
                other for other in left if (other["theme"], other["kind"]) == (item["theme"], item["kind"])
            ]
            if not like:
                continue
            item = like[0]
            left.remove(item)
        found.append(item)
    return found, left


def in_order(themes: Sequence[Row], knowledge: Knowledge) -> list[Row]:
    """Return the themes with the setting first, then the person, then the rest as central as they were."""
    return sorted(themes, key=lambda theme: FIRST_SIDES.get(knowledge.guidance[theme["id"]].side, 2))


def segments(text: str, themes: Sequence[Row]) -> list[Row]:
    """Cut the text where evidence starts and ends; each piece knows the number of its theme, or 0.

    >>> [s["text"] for s in segments("abc", [{"evidence": [{"start": 1, "end": 2}]}])]
    ['a', 'b', 'c']
    """
    spans = sorted(
        (part["start"], part["end"], number)
        for number, theme in enumerate(themes, 1)
        for part in theme["evidence"]
    )
    pieces: list[Row] = []
    at = 0
    for start, end, number in spans:
        start = max(start, at)
        if start >= end:
            continue
        pieces.append({"text": text[at:start], "number": 0})
        pieces.append({"text": text[start:end], "number": number})
        at = end
    pieces.append({"text": text[at:], "number": 0})
    return [piece for piece in pieces if piece["text"]]


def _steps_after(themes: Sequence[Row], knowledge: Knowledge) -> bool:
    """Say whether something personal stands before a professional step on this screen."""
    sides = [knowledge.guidance[theme["id"]].side for theme in themes]
    return len(sides) > 1 and sides[0] in FIRST_SIDES and sides[1] == "professional"


def _theme(
    number: int,
    theme: Row,
    verdicts: Mapping[str, Row],
    questions: Sequence[Row],
    row: Row,
    text: str,
    knowledge: Knowledge,
) -> Row:
    guidance = knowledge.guidance[theme["id"]]
    said = verdicts.get(theme["id"], {})
    return {
        "number": number,
        "id": theme["id"],
        "says": guidance.says,
        "reworded": said.get("wording") or guidance.reworded,
        "own_words": bool(said.get("wording")),
        "clear": theme["score"] >= CLEAR,
        "quotes": [part["text"] for part in theme["evidence"]],
        "questions": [item for item in questions if item["theme"] == theme["id"]],
        "passages": [
            _found(item, text, knowledge) for item in row["passages"] if item["theme"] == theme["id"]
        ],
    }


def over_time(
    recurrences: Sequence[Recurrence], knowledge: Knowledge, wordings: Mapping[str, str]
) -> list[Row]:
    """Return what the page says about themes that come back, the person's own before professional ones.

    ``wordings``: the writer's own for a theme, where there are some.
    """
    rows = [
        {
            "id": item.theme,
            "says": wordings.get(item.theme) or knowledge.guidance[item.theme].says,
            "state": item.state,
            "found": item.found,
            "among": item.among,
            "speaks_for": [_words_row(words) for words in item.speaks_for],
            # What went well says something of a doubt about oneself, little of a choice or of somebody else.
            "went_well": [_words_row(words) for words in item.went_well]
            if knowledge.guidance[item.theme].side == "personal"
            else [],
            "without": [_words_row(words) for words in item.without],
        }
        for item in recurrences
        if item.theme in knowledge.guidance
    ]
    return in_order(rows, knowledge)


def _words_row(words: Words) -> Row:
    return {"reflection": words.reflection, "day": words.day[:10], "quotes": words.quotes}


def _found(item: Row, text: str, knowledge: Knowledge) -> Row:
    """Return a passage that a reading found, with the writer's own words that led to it."""
    span = item.get("sentence")
    return passage_row(item["id"], knowledge) | {"because": text[span["start"] : span["end"]] if span else ""}


def passage_row(passage_id: str, knowledge: Knowledge) -> Row:
    """Return a passage with its sources in words; one that left the library is named so."""
    passage = knowledge.passages.get(passage_id)
    empty = {"strength": "", "audience": "", "provenance": "", "because": ""}
    if not passage:
        return empty | {"id": passage_id, "title": passage_id, "text": "", "sources": []}
    return empty | {
        "id": passage.id,
        "title": passage.title,
        "text": passage.text,
        "strength": passage.strength if passage.sources else "",
        "audience": passage.audience,
        "provenance": passage.provenance or "",
        "sources": [
            {
                "citation": knowledge.sources[key].citation,
                "doi": knowledge.sources[key].doi,
                "checked": knowledge.sources[key].checked == "seen",
            }
            for key in passage.sources
        ],
    }


def _notice(row: Row, knowledge: Knowledge) -> Row | None:
    level, kind = row["safety"]["level"], row["safety"]["kind"]
    if not row["understood"] and level == "none":
        level, kind = "none", "other-language"
    elif level == "none":
        return None
    return notice_row(level, kind, knowledge)


def notice_row(level: str, kind: str | None, knowledge: Knowledge) -> Row:
    """Return the fixed notice for a finding with the people and services it points to."""
    notice = knowledge.notice(level, kind)
    return {
        "level": level,
        "title": notice.title,
        "paragraphs": [part.strip() for part in notice.body.split("\n\n") if part.strip()],
        "reviewed_by": notice.reviewed_by,
        "pointers": [knowledge.pointers[key] for key in notice.pointers],
    }
