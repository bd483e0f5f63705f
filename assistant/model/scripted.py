"""A text model that says what a test told it to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from assistant.errors import ModelError
from assistant.model import OnText, Prompt, Style, Weight, checked_count, cut, short_hash


class ScriptedModel:
    """Gives queued replies in order, one entry a call; keeps every prompt in ``prompts``.

    An entry is the list of answers to one call, or an exception to raise instead. With ``repeat``
    the last entry serves for ever; without it a call too many is a ModelError.

    >>> ScriptedModel([["What now?"]], repeat=True).name
    'scripted'
    """

    name = "scripted"

    def __init__(
        self,
        replies: Iterable[Sequence[str] | Exception],
        repeat: bool = False,
        style: Style = "plain",
        weigh: Callable[[str, str], float] | None = None,
    ) -> None:
        """``weigh`` gives the weight of an answer after its lead; without it all weigh alike."""
        self.style = style
        self._weigh = weigh or (lambda lead, answer: 0.0)
        self.replies = list(replies)
        self.repeat = repeat
        self.prompts: list[Prompt] = []
        self.seeds: list[int] = []
        self.hash = short_hash(self.name, repr(self.replies))

    def generate(
        self,
        prompt: Prompt,
        count: int,
        max_tokens: int,
        seed: int,
        on_text: OnText | None = None,
    ) -> list[str]:
        """Return the first ``count`` answers of the next entry, cut at the prompt's stop marks."""
        checked_count(count, max_tokens)
        self.prompts.append(prompt)
        self.seeds.append(seed)
        if not self.replies:
            raise ModelError("The scripted model has no reply left. Queue one for each call.")
        reply = self.replies[0] if self.repeat and len(self.replies) == 1 else self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        answers = [cut(text, prompt.stop)[0] for text in reply[:count]]
        for number, text in enumerate(answers):
            if on_text:
                on_text(number, text)
        return answers

    def weigh(self, prompt: Prompt, answers: Sequence[tuple[str, str]]) -> list[Weight]:
        """Return what the test's function says of each answer, as likelihood and as fit."""
        self.prompts.append(prompt)
        return [Weight(value, 1, value) for value in (self._weigh(*answer) for answer in answers)]
