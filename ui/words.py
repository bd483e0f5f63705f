"""The words on screen and the templates that place them. Jinja escapes every value it is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape


@cache
def strings() -> dict[str, Any]:
    """Return every word on screen, by page."""
    return yaml.safe_load((files("ui") / "strings.yaml").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


class _WordsFirst(Environment):
    """Jinja, but ``s.copy`` is the word called copy, not the method of dict."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def marking(text: str, names: Sequence[str]) -> Markup:
    """Return ``text`` escaped, with each of ``names`` marked."""
    if not names:
        return escape(text)
    found = re.compile(
        "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(names, key=len, reverse=True))
    )
    pieces, at = [], 0
    for match in found.finditer(text):
        pieces += [
            escape(text[at : match.start()]),
            Markup("<mark>"),
            escape(match.group()),
            Markup("</mark>"),
        ]
        at = match.end()
    return Markup("").join([*pieces, escape(text[at:])])


@cache
def _environment() -> Environment:
    def source(name: str) -> str:
        return (files("ui") / "templates" / name).read_text(encoding="utf-8")

    made = _WordsFirst(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["marking"] = marking
    return made


def render(template: str, page: str, **values: Any) -> str:
    """Return a template filled with values and the page's words (``s``) and the common ones (``c``)."""
    words = strings()
    return (
        _environment()
        .get_template(template)
        .render(s=words.get(page, {}), c=words["common"], page=page, **values)
    )
