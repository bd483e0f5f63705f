"""Tunes the small text model to write questions: ``python -m training.train_writer``.

LoRA on the prepared copy of SmolLM2-135M-Instruct: of a text, a theme, the words that show it and an idea of
the library, both questions, in either order; most of them after a question asked of another text, which is to be
fitted to this one, some freely. And of a goal with what is open in it: the goal said anew, a first step, a
question to check it. The loss counts these answers alone. Writes the adapter each epoch into
.cache/writer, in the end assistant/weights/writer.safetensors and knowledge/cases.jsonl, and its figures to
training/results-writer.md. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.nn import functional as f
from transformers import AutoModelForCausalLM, AutoTokenizer

from assistant import settings
from assistant.domain import Span
from assistant.drafting import around, lead_of
from assistant.model import prepare
from assistant.prompting import Prompt
from assistant.prompting import load as load_prompt
from assistant.prompting import parse as parse_prompt
from assistant.questions import KINDS
from training import reader_data
from training import writer_data as data

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "training" / "results-writer.md"
WEIGHTS = ROOT / "assistant" / "weights" / "writer.safetensors"
GOAL_PROMPT = ROOT / "training" / "goal-tuned.md"
CASES = ROOT / "knowledge" / "cases.jsonl"
DATE, SEED = "2026-11-28", 20261128
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PIECES, RATE, WARM = 2000, 4e-4, 0.05
SAID = 50  # batches after which it is said how far it is, and what is learnt so far is kept
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Coded:
    """Word pieces of a prompt and its answer; ``asked`` is true for the pieces of the questions themselves."""

    pieces: list[int]
    asked: list[bool]


def prompt_of(example: data.Example, theme: str) -> Prompt:
    """Return the filled prompt of one example."""
    start = max(0, example.text.find(example.quote))
    quote = Span(start, start + len(example.quote))
    return load_prompt("question-tuned").fill(
        theme=theme, idea=example.idea, text=around(example.text, quote), quote=example.quote
    )


def coded(
    examples: Sequence[data.Example], tokenizer: Any, themes: dict[str, str], draw: random.Random
) -> list[Coded]:
    """Return the examples as word pieces, each with its questions in an order drawn anew."""
    found = []
    for example in examples:
        chat = [
            {"role": role, "content": content}
            for role, content in prompt_of(example, themes[example.theme]).messages
        ]
        before = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        pieces = tokenizer(before, add_special_tokens=False).input_ids
        asked = [False] * len(pieces)
        for kind in draw.sample(KINDS, 2):
            if kind not in example.questions:
                continue
            lead = tokenizer(lead_of(kind, example.likes.get(kind)), add_special_tokens=False).input_ids
            own = tokenizer(f" {example.questions[kind]}\n", add_special_tokens=False).input_ids
            pieces += lead + own
            asked += [False] * len(lead) + [True] * len(own)
        found.append(Coded(pieces, asked))
    return found


def coded_goals(goals: Sequence[data.Goal], tokenizer: Any) -> list[Coded]:
    """Return goals as word pieces; their prompt is no part of the application, which does not ask the model for goals."""
    template = parse_prompt("goal-tuned", GOAL_PROMPT.read_text("utf-8"))
    found = []
    for goal in goals:
        filled = template.fill(
            goal=goal.goal, context=goal.context or "-", open=", ".join(goal.open).replace("_", " ")
        )
        chat = [{"role": role, "content": content} for role, content in filled.messages]
        before = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        pieces = tokenizer(before, add_special_tokens=False).input_ids
        own = tokenizer(goal.answer + tokenizer.eos_token, add_special_tokens=False).input_ids
        found.append(Coded(pieces + own, [False] * len(pieces) + [True] * len(own)))
    return found


def batches(rows: Sequence[Coded], draw: random.Random) -> list[list[Coded]]:
    """Return rows of like length, at most PIECES word pieces a batch with padding, shuffled."""
    order = sorted(rows, key=lambda row: len(row.pieces) + draw.random() * 20)
    found: list[list[Coded]] = [[]]
    for row in order:
        if found[-1] and len(row.pieces) * (len(found[-1]) + 1) > PIECES:
            found.append([])
        found[-1].append(row)
    draw.shuffle(found)
    return found


def loss(model: Any, rows: Sequence[Coded]) -> tuple[torch.Tensor, int]:
    """Return the summed cross-entropy of the answers' pieces, and how many there are."""
    longest = max(len(row.pieces) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    real, asked = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : len(row.pieces)] = torch.tensor(row.pieces)
        real[at, : len(row.pieces)] = 1
        asked[at, : len(row.pieces)] = torch.tensor(row.asked)
    ids, real, asked = ids.to(DEVICE), real.to(DEVICE), asked.to(DEVICE)
    hidden = model.base_model.model.model(
        input_ids=ids, attention_mask=real, use_cache=False
    ).last_hidden_state
    kept = hidden[:, :-1][asked[:, 1:]]  # the vocabulary is large: score only what is asked
    logits = model.base_model.model.lm_head(kept).float()
    return f.cross_entropy(logits, ids[:, 1:][asked[:, 1:]], reduction="sum"), int(asked.sum())


@dataclass(frozen=True)
class Plan:
    """One way of tuning."""

    epochs: int
    rank: int
    lowest: int  # the first layer that is tuned
    free: bool  # no question of another text is given


Epoch = list[list[Coded]]  # batches


@dataclass(frozen=True)
class Lessons:
    """What is learnt from, and what tests."""

    examples: Sequence[data.Example]
    held: Sequence[data.Example]
    goals: Sequence[data.Goal]
    held_goals: Sequence[data.Goal]

    def epochs(self, plan: Plan, tokenizer: Any) -> list[Epoch]:
        """Return the batches of each epoch: all questions, in orders drawn anew, and all goals."""
        draw, themes = random.Random(SEED), meanings()
        goals = coded_goals(self.goals, tokenizer)
        return [
            batches(coded(self.examples, tokenizer, themes, draw) + goals, draw) for _ in range(plan.epochs)
        ]

    def tests(self, tokenizer: Any) -> list[Epoch]:
        """Return the held-out questions written freely, after another text's, and the held-out goals."""
        free = [replace(example, likes={}) for example in self.held]
        return [
            *(
                batches(coded(part, tokenizer, meanings(), random.Random(SEED)), random.Random(SEED))
                for part in (free, self.held)
            ),
            batches(coded_goals(self.held_goals, tokenizer), random.Random(SEED)),
        ]


def meanings() -> dict[str, str]:
    return {key: info.means for key, info in data.knowledge.load().themes.items()}


def train(model: Any, epochs: Sequence[Epoch], tests: Sequence[Epoch], out: Path) -> list[str]:
    """Tune ``model`` in place; return a row of figures an epoch."""
    torch.manual_seed(SEED)
    tuned = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(tuned, RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=1 + sum(map(len, epochs)), pct_start=WARM
    )
    rows, start = [], time.monotonic()
    for number, epoch in enumerate(epochs, 1):
        model.train()
        total, pieces = 0.0, 0
        for at, rows_of_batch in enumerate(epoch, 1):
            with torch.autocast(DEVICE, torch.bfloat16):
                wrong, count = loss(model, rows_of_batch)
            optimiser.zero_grad()
            (wrong / count).backward()
            torch.nn.utils.clip_grad_norm_(tuned, 1.0)
            optimiser.step()
            schedule.step()
            total, pieces = total + wrong.item(), pieces + count
            if at % SAID == 0:
                print(
                    f"epoch {number}: {at} of {len(epoch)}, {total / pieces:.3f}, {time.monotonic() - start:.0f} s",
                    flush=True,
                )
                model.save_pretrained(out)
        seen = " | ".join(f"{_tested(model, part):.3f}" for part in tests)
        rows.append(f"| {number} | {total / pieces:.3f} | {seen} | {time.monotonic() - start:.0f} |")
        print(rows[-1], flush=True)
        model.save_pretrained(out)
    return rows


def _tested(model: Any, tests: Sequence[Sequence[Coded]]) -> float:
    """Return the mean cross-entropy of questions of hands that taught nothing."""
    model.eval()
    total, pieces = 0.0, 0
    with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
        for rows in tests:
            wrong, count = loss(model, rows)
            total, pieces = total + wrong.item(), pieces + count
    return total / pieces if pieces else math.nan


def untuned(plan: Plan) -> tuple[Any, Any]:
    """Return the prepared model with a fresh adapter, and its tokenizer."""
    folder = prepare.prepare(settings.load({}).models)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # For texts of this length plain attention is the faster one on a processor.
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation="eager", local_files_only=True
    )
    model = model.to(DEVICE)
    layers = list(range(plan.lowest, model.config.num_hidden_layers))
    adapter = LoraConfig(
        r=plan.rank,
        lora_alpha=2 * plan.rank,
        lora_dropout=0.0,  # drawing what to drop takes as long as all the rest on a processor
        target_modules=MODULES,
        layers_to_transform=layers,
    )
    return get_peft_model(model, adapter), tokenizer


def ship(trained: Path, pool: Sequence[data.Example]) -> None:
    """Write what the application needs: the adapter as it is worked in at set-up, and the cases to fit."""
    about = json.loads((trained / "adapter_config.json").read_text("utf-8"))
    found = load_file(trained / "adapter_model.safetensors")
    parts = {
        name.removeprefix("base_model.model.")
        .replace(".lora_A.weight", ".A")
        .replace(".lora_B.weight", ".B"): tensor.to(torch.bfloat16)
        for name, tensor in found.items()
    }
    scale = about["lora_alpha"] / about["r"]
    save_file(parts, WEIGHTS, {"scale": str(scale), "data_hash": data.data_hash(), "date": DATE})
    rows = [{"theme": e.theme, "quote": e.quote, **e.questions} for e in pool]
    CASES.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, help="learn from so many, drawn by the seed")
    parser.add_argument("--held", type=int, default=100, help="test on so many")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lowest", type=int, default=8, help="the first layer that is tuned")
    parser.add_argument("--free", action="store_true", help="give no question of another text")
    parser.add_argument("--ship", action="store_true", help="train nothing; ship what was trained before")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "writer")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    plan = Plan(given.epochs, given.rank, given.lowest, given.free)
    pool = data.examples([hand for hand in reader_data.HANDS if hand not in data.HELD_OUT])
    if given.ship:
        ship(given.out, pool)
        return
    random.Random(SEED).shuffle(pool)
    examples = pool[: given.examples]
    unseen = data.examples(data.HELD_OUT)
    random.Random(SEED).shuffle(unseen)
    held = data.with_likes(unseen[: given.held], pool)
    goals, held_goals = data.goals()
    lessons = Lessons(
        examples if plan.free else data.with_likes(examples, pool), held, goals[: given.examples], held_goals
    )
    print(f"{len(examples)} examples, {len(held)} held out, on {DEVICE}, {plan}", flush=True)
    model, tokenizer = untuned(plan)
    rows = train(model, lessons.epochs(plan, tokenizer), lessons.tests(tokenizer), given.out)
    if not given.examples:
        ship(given.out, pool)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(
            f"\n## {DATE}, {len(examples)} examples, {len(lessons.goals)} goals, {plan}, seed {SEED}, "
            f"data {data.data_hash()}\n\n"
            "| epoch | loss learned | unseen hands, written freely | after a question of another text "
            "| goals | seconds |\n| --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
        )


if __name__ == "__main__":
    main()
