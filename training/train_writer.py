"""Tunes the small text model to write questions: ``python -m training.train_writer [--examples N] [--out FOLDER]``.

LoRA on the prepared copy of SmolLM2-135M-Instruct: of a text, a theme, the words that show it and an idea of
the library, both questions, in either order. The loss counts the questions alone. Writes the adapter each epoch
into .cache/writer, and its figures to training/results-writer.md. Not run in full yet. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as f
from transformers import AutoModelForCausalLM, AutoTokenizer

from assistant import settings
from assistant.domain import Span
from assistant.model import prepare
from assistant.prompting import load as load_prompt
from training import reader_data
from training import writer_data as data

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "training" / "results-writer.md"
DATE, SEED = "2026-11-28", 20261128
RANK, ALPHA, DROPOUT = 16, 32, 0.05
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
EPOCHS, PIECES, RATE, WARM = 3, 2000, 4e-4, 0.05
KINDS = ("reflect", "ask")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Coded:
    """Word pieces of a prompt and its answer; those of the answer start at ``begins``."""

    pieces: list[int]
    begins: int


def prompt_of(example: data.Example, theme: str) -> Any:
    """Return the filled prompt of one example."""
    start = max(0, example.text.find(example.quote))
    quote = Span(start, start + len(example.quote))
    return load_prompt("question-pair").fill(
        theme=theme, idea=example.idea, text=data.around(example.text, quote), quote=example.quote
    )


def answer_of(example: data.Example, order: Sequence[str]) -> str:
    """Return the questions as the model should write them, a line each, the kinds in this order."""
    labels = {"reflect": "For me:", "ask": "For my mentor:"}
    return "\n".join(
        f"{labels[kind]} {example.questions[kind]}" for kind in order if kind in example.questions
    )


def coded(
    examples: Sequence[data.Example], tokenizer: Any, themes: dict[str, str], draw: random.Random
) -> list[Coded]:
    """Return the examples as word pieces, each with its questions in an order drawn anew."""
    found = []
    for example in examples:
        filled = prompt_of(example, themes[example.theme])
        chat = [{"role": role, "content": content} for role, content in filled.messages]
        before = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        answer = answer_of(example, draw.sample(KINDS, 2)) + tokenizer.eos_token
        first = tokenizer(before, add_special_tokens=False).input_ids
        found.append(Coded(first + tokenizer(answer, add_special_tokens=False).input_ids, len(first)))
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
        asked[at, row.begins : len(row.pieces)] = True
    ids, real, asked = ids.to(DEVICE), real.to(DEVICE), asked.to(DEVICE)
    hidden = model.base_model.model.model(input_ids=ids, attention_mask=real).last_hidden_state
    kept = hidden[:, :-1][asked[:, 1:]]  # the vocabulary is large: score only what is asked
    logits = model.base_model.model.lm_head(kept).float()
    return f.cross_entropy(logits, ids[:, 1:][asked[:, 1:]], reduction="sum"), int(asked.sum())


def train(
    model: Any, examples: Sequence[data.Example], held: Sequence[data.Example], tokenizer: Any, out: Path
) -> list[str]:
    """Tune ``model`` in place; return a row of figures an epoch."""
    themes = {key: info.means for key, info in data.knowledge.load().themes.items()}
    draw = random.Random(SEED)
    torch.manual_seed(SEED)
    tuned = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(tuned, RATE, weight_decay=0.01)
    # The batches of another epoch may be a few more or less.
    steps = EPOCHS * (2 + len(batches(coded(examples, tokenizer, themes, draw), draw)) * 6 // 5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=WARM)
    tests = batches(coded(held, tokenizer, themes, random.Random(SEED)), random.Random(SEED))
    rows, start = [], time.monotonic()
    for epoch in range(EPOCHS):
        model.train()
        total, pieces = 0.0, 0
        for rows_of_batch in batches(coded(examples, tokenizer, themes, draw), draw):
            with torch.autocast(DEVICE, torch.bfloat16):
                wrong, count = loss(model, rows_of_batch)
            optimiser.zero_grad()
            (wrong / count).backward()
            torch.nn.utils.clip_grad_norm_(tuned, 1.0)
            optimiser.step()
            schedule.step()
            total, pieces = total + wrong.item(), pieces + count
        seen = _tested(model, tests)
        rows.append(f"| {epoch + 1} | {total / pieces:.3f} | {seen:.3f} | {time.monotonic() - start:.0f} |")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, help="learn from so many, drawn by the seed")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "writer")
    arguments = parser.parse_args()
    folder = prepare.prepare(settings.load({}).models)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).to(
        DEVICE
    )
    model = get_peft_model(
        model, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=MODULES)
    )
    hands = [hand for hand in reader_data.HANDS if hand not in data.HELD_OUT]
    examples, held = data.examples(hands), data.examples(data.HELD_OUT)
    random.Random(SEED).shuffle(examples)
    examples = examples[: arguments.examples]
    print(f"{len(examples)} examples, {len(held)} held out, on {DEVICE}", flush=True)
    rows = train(model, examples, held, tokenizer, arguments.out)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(
            f"\n## {DATE}, {len(examples)} examples, rank {RANK}, seed {SEED}, data {data.data_hash()}\n\n"
            "| epoch | loss learned | loss on unseen hands | seconds |\n| --- | --- | --- | --- |\n"
            + "\n".join(rows)
            + "\n"
        )


if __name__ == "__main__":
    main()
