"""Text models behind one protocol: local weights, a server on this machine, or a script for tests.

The protocol says nothing about where words come from, only what a caller may rely on. No engine
is imported here; ``assistant.model.local`` imports transformers when the first text is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from assistant.errors import ModelError

OnText = Callable[[int, str], None]  # (number of the hypothesis, its text so far)


class Prompt(Protocol):
    """What a model is asked: chat messages, and the marks after which an answer is complete."""

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Pairs of role (system, user or assistant) and content, oldest first."""

    @property
    def stop(self) -> tuple[str, ...]:
        """An answer ends with the first of these; a line break is left out, a "?" stays in."""

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON that an answer should be; an engine that can hold a model to it does, others leave it to the words."""


# What a model can do decides which prompts it is given: one tuned for this task, one that follows examples,
# one that follows instructions and answers in a structure.
Style = Literal["tuned", "plain", "strong"]


class TextModel(Protocol):
    """Writes texts for a prompt. ``hash`` changes whenever the weights, or the server, would."""

    @property
    def style(self) -> Style:
        """Which prompts it is given."""

    @property
    def name(self) -> str:
        """The name that a report's provenance carries."""

    @property
    def hash(self) -> str:
        """Sixteen hex digits."""

    def generate(
        self,
        prompt: Prompt,
        count: int,
        max_tokens: int,
        seed: int,
        on_text: OnText | None = None,
    ) -> list[str]:
        """Return ``count`` sampled answers, stripped, some perhaps empty or alike.

        Each answer is as sampled: cut at a stop mark or at ``max_tokens``, otherwise untouched.
        The same seed gives the same answers on the same machine where the engine can promise it.
        ``on_text`` hears of every answer as it grows, or once when it is whole.

        Raises ModelError when the model cannot be loaded, reached or read.
        """


class Weight(NamedTuple):
    """What a model makes of an answer: the log-likelihood of all its tokens together, how many they are, and what its
    judging head says (0 without one).
    """

    total: float
    tokens: int
    fit: float

    @property
    def mean(self) -> float:
        """The log-likelihood a token."""
        return self.total / self.tokens


@runtime_checkable
class Chooser(TextModel, Protocol):
    """A model that can also weigh answers written by others."""

    def weigh(self, prompt: Prompt, answers: Sequence[tuple[str, str]]) -> list[Weight]:
        """Return a weight for each answer: a lead that is taken as said, and the words after it that are weighed.

        The same arguments give the same weights. Raises ModelError.
        """


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    r"""Return ``text`` up to its first stop mark, stripped, and whether there was one.

    A mark that is white space is left out, any other stays; white space before the first word
    ends nothing.

    >>> cut("\nWhat now? Because", ("\n", "?"))
    ('What now?', True)
    """
    text = text.lstrip()
    ends = []
    for mark in stop:
        at = text.find(mark)
        if at >= 0:
            ends.append(at if mark.isspace() else at + len(mark))
    return (text[: min(ends)].rstrip(), True) if ends else (text.rstrip(), False)


def short_hash(*parts: str | bytes) -> str:
    """Return sixteen hex digits over ``parts``; moving a boundary between parts changes them."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def checked_count(count: int, max_tokens: int) -> None:
    """Raise ModelError unless one answer of one token or more is asked for."""
    if count < 1 or max_tokens < 1:
        raise ModelError(
            f"The text model was asked for {count} answers of {max_tokens} tokens. Ask for at least one of each."
        )
