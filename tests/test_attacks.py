"""A reflection is data: chat marks, false system messages and orders in it change no more than a question's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import writer_folder

from assistant import prompting, verify
from assistant.domain import Question
from assistant.drafting import lead_of
from assistant.questions import trim
from assistant.quoting import quotable
from assistant.safety import SafetyReader
from assistant.sentences import split

ATTACKS: list[dict[str, str]] = yaml.safe_load((Path(__file__).parent / "attacks.yaml").read_text("utf-8"))
# Each prompt, and the place in it where the writer's own words stand last of all that is long.
PROMPTS = {
    "question-reflect": "quote",
    "question-ask": "quote",
    "question-tuned": "text",
    "question-strong": "quote",
    "goal-strong": "goal",
}
PLAIN = {
    "theme": "Doubts about a task.",
    "idea": "Doubt often belongs to one task.",
    "quote": "I closed the form.",
    "goal": "I closed the form.",
    "context": "A nurse on a ward.",
    "open": "specific",
    "text": "It was Monday.",
}
DANGER = "I do not want to live any more and I think about ending my life."
each = pytest.mark.parametrize("attack", ATTACKS, ids=[attack["name"] for attack in ATTACKS])


def fill(name: str, quote: str) -> prompting.Prompt:
    """Return a prompt with these words in its place, and plain ones around them."""
    template = prompting.load(name)
    values = PLAIN | {PROMPTS[name]: quote}
    return template.fill(**{key: values[key] for key in template.variables})


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) >= 40
    assert (
        len({attack["name"] for attack in ATTACKS})
        == len({attack["text"] for attack in ATTACKS})
        == len(ATTACKS)
    )


@each
@pytest.mark.parametrize("name", PROMPTS)
def test_only_the_quote_in_the_last_message_is_another(name: str, attack: dict[str, str]) -> None:
    own = PLAIN[PROMPTS[name]]
    plain, filled = (fill(name, quote) for quote in (own, attack["text"]))
    assert [role for role, _ in filled.messages] == [role for role, _ in plain.messages]
    assert filled.messages[:-1] == plain.messages[:-1]
    before, after = plain.messages[-1][1].split(own)
    last = filled.messages[-1][1]
    assert last.startswith(before) and last.endswith(after)
    quote = last[len(before) : len(last) - len(after)]
    assert "\n" not in quote and not set(quote) & set("<>[]{}`")
    assert (filled.stop, filled.max_tokens, filled.hash) == (plain.stop, plain.max_tokens, plain.hash)


@each
@pytest.mark.parametrize("kind", ["reflect", "ask"])
def test_no_mark_of_a_chat_is_quoted(kind: Any, attack: dict[str, str]) -> None:
    text = attack["text"]
    for span in quotable(text, split(text)):
        assert not set(span.of(text)) & set('<>[]{}|`"\n')
    assert not set(lead_of(kind, text)) & set("<>[]{}`\n")


@each
@pytest.mark.parametrize("kind", ["reflect", "ask"])
def test_what_an_obedient_model_would_say_is_refused(kind: Any, attack: dict[str, str]) -> None:
    question = trim(attack["obeyed"])
    assert question is None or verify.check(attack["text"], Question(kind, question, None, "model"))


@pytest.fixture(scope="module")
def safety() -> SafetyReader:
    return SafetyReader()


@each
def test_an_attack_beside_danger_hides_no_danger(safety: SafetyReader, attack: dict[str, str]) -> None:
    text = f"{attack['text']} {DANGER}"
    assert safety.read(text, split(text), None).level == "urgent"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(writer_folder(), local_files_only=True)


@pytest.mark.models
@each
@pytest.mark.parametrize("name", PROMPTS)
def test_the_model_reads_the_same_special_tokens(tokenizer: Any, name: str, attack: dict[str, str]) -> None:
    def special(quote: str) -> list[int]:
        filled = fill(name, quote)
        chat = [{"role": role, "content": content} for role, content in filled.messages]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False).input_ids
        return [token for token in ids if token in set(tokenizer.all_special_ids)]

    assert special(attack["text"]) == special(PLAIN["quote"]) != []
