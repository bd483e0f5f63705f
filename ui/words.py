"""The words on screen and the templates that place them. Jinja escapes every value it is given."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined


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


@cache
def _environment() -> Environment:
    def source(name: str) -> str:
        return (files("ui") / "templates" / name).read_text(encoding="utf-8")

    return _WordsFirst(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, page: str, **values: Any) -> str:
    """Return a template filled with values and the page's words (``s``) and the common ones (``c``)."""
    words = strings()
    return (
        _environment()
        .get_template(template)
        .render(s=words.get(page, {}), c=words["common"], page=page, **values)
    )
