"""Reads ``knowledge/goals.yaml``: the patterns and templates that goals are read and refined with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from assistant.errors import KnowledgeError

Pattern = re.Pattern[str]
Weighted = tuple[tuple[int, Pattern], ...]
FILE = "goals.yaml"
_PART = re.compile(r"\{([a-z]+)\}")


class Rules:
    """The compiled file. Raises KnowledgeError naming the entry that cannot be used."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.parts = dict(data.get("parts", {}))

    def compile(self, pattern: str) -> Pattern:
        """Return the pattern with each ``{part}`` filled in."""
        try:
            for _ in range(2):  # a part may itself be made of parts
                pattern = _PART.sub(lambda part: self.parts[part.group(1)], pattern)
            return re.compile(pattern, re.IGNORECASE)
        except (re.error, KeyError, TypeError) as fault:
            raise KnowledgeError(f"{FILE}: the pattern {pattern!r} cannot be read ({fault}).") from fault

    def patterns(self, *keys: str) -> tuple[Pattern, ...]:
        """Return the list of patterns at ``keys``."""
        return tuple(self.compile(pattern) for pattern in self._at(keys))

    def weighted(self, *keys: str) -> Weighted:
        """Return the list of [weight, pattern] at ``keys``."""
        return tuple((int(weight), self.compile(pattern)) for weight, pattern in self._at(keys))

    def entry(self, *keys: str) -> Any:
        """Return what stands at ``keys``, uncompiled."""
        return self._at(keys)

    def _at(self, keys: tuple[str, ...]) -> Any:
        found: Any = self.data
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                raise KnowledgeError(f"{FILE}: the entry {'.'.join(keys)} is missing.")
            found = found[key]
        return found


@cache
def load() -> Rules:
    """Return the rules that come with the application.

    Raises KnowledgeError when the file is missing or is not YAML.
    """
    try:
        text = resources.files("knowledge").joinpath(FILE).read_text(encoding="utf-8")
        data = yaml.safe_load(text)
    except (OSError, ModuleNotFoundError, yaml.YAMLError) as fault:
        raise KnowledgeError(f"{FILE} cannot be read: {fault}. Restore the knowledge folder.") from fault
    if not isinstance(data, Mapping):
        raise KnowledgeError(f"{FILE} is not a list of named entries. Restore the knowledge folder.")
    return Rules(data)
