"""The sources: CSL-JSON, put into words by citeproc in the Harvard style that comes with it."""

from __future__ import annotations

import json
import warnings
from functools import lru_cache
from typing import Any

from assistant.domain import Source
from assistant.knowledge.reading import Misfit

CHECKED = ("seen", "partly", "recalled")  # the original was seen; in part; or cited from memory
STYLE = "harvard-cite-them-right"


def source(entry: dict[str, Any], citation: str) -> Source:
    """Return one entry as a source; raises Misfit or KeyError where its marks are missing or unknown."""
    custom = entry["custom"]
    if custom["checked"] not in CHECKED:
        raise Misfit(f"checked is none of {', '.join(CHECKED)}", "custom", "checked")
    if custom["strength"] not in "ABC":
        raise Misfit("strength is none of A, B, C", "custom", "strength")
    return Source(entry["id"], citation, entry.get("DOI"), custom["checked"], custom["strength"])


@lru_cache(maxsize=4)
def citations(content: str) -> dict[str, str]:
    """Return the citation of each entry that can be put into words, by id.

    Kept by content: rendering takes about half a second, and the file seldom changes.
    """
    from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, formatter
    from citeproc.source.json import CiteProcJSON

    entries = [entry for entry in json.loads(content) if isinstance(entry, dict)]
    plain = {str(item["id"]): item["title"] for item in entries if _has_neither(item)}
    rest = [{k: v for k, v in e.items() if k != "custom"} for e in entries if e.get("id") and e.get("type")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # citeproc warns of each field that the style does not print
        style = CitationStylesStyle(STYLE, validate=False)
        listed = CitationStylesBibliography(style, CiteProcJSON(rest), formatter.plain)
        # The style sorts the list; one entry at a time keeps each with its id.
        for entry in rest:
            listed.register(Citation([CitationItem(entry["id"])]))
        found = zip(listed.keys, map(str, listed.bibliography()), strict=True)
        return {key.lower(): _tidy(words) for key, words in found} | {k.lower(): v for k, v in plain.items()}


def _has_neither(entry: dict[str, Any]) -> bool:
    """Say whether an entry is no publication: without author and date its title says all."""
    return (
        bool(entry.get("id") and entry.get("title")) and not entry.get("author") and not entry.get("issued")
    )


def _tidy(words: str) -> str:
    """Leave out the address of a DOI, which is shown apart."""
    return words.partition(" Available at: https://doi.org/")[0]
