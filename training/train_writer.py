"""Tunes the small text model to quote and to ask: ``python -m training.train_writer``.

LoRA on the prepared copy of SmolLM2-135M-Instruct. Of a text and a theme it first learns which words to quote and
which question to ask behind them, word by word, and with a head on the last word's state which of several questions
fits: the one written for the text beside some of other texts. Then it learns from questions that people judged. All
questions about one text stand in one row, each seeing the prompt, its quotation and itself. Writes the adapter into
.cache/writer as it goes, in the end assistant/weights/writer.safetensors and knowledge/cases.jsonl, and its figures to
training/results-writer.md. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch.nn import functional as f
from transformers import AutoModelForCausalLM, AutoTokenizer

from assistant import settings
from assistant.domain import KINDS, Span
from assistant.drafting import lead_of, prompt_of
from assistant.model import prepare
from assistant.model.tree import Tree
from training import writer_data as data

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "training" / "results-writer.md"
WEIGHTS = ROOT / "assistant" / "weights" / "writer.safetensors"
CASES = ROOT / "knowledge" / "cases.jsonl"
DATE, SEED = "2026-11-29", 20261128
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PIECES, RATE, HEAD_RATE, WARM = 2000, 4e-4, 1e-3, 0.05
SAID = 25  # batches after which it is said how far it is, and what is learnt so far is kept
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class Row:
    """A prompt and all that may follow it, as a tree laid out in a line; told and judged by place in it.

    ``told``: for each piece to be learned, the place of the piece before it and its own. ``ends``: for each
    option the place of its last piece, its kind of question and whether it fits.
    """

    tree: Tree = field(default_factory=Tree)
    told: list[tuple[int, int]] = field(default_factory=list)
    ends: list[tuple[int, str, bool]] = field(default_factory=list)

    def add(self, pieces: Sequence[int], follows: int, learned: bool) -> int:
        """Add a run after another one; return its number."""
        run = self.tree.add(pieces, follows)
        if learned:
            self.told += zip(self.tree.foretold_from(run), range(*self.tree.bounds[run]), strict=True)
        return run

    def __len__(self) -> int:
        return len(self.tree.pieces)


def row_of(example: data.Example, tokenizer: Any, theme: str) -> Row:
    """Return an example as word pieces."""

    def coded(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    start = max(0, example.text.find(example.evidence))
    filled = prompt_of(example.text, Span(start, start + len(example.evidence)), theme, example.idea)
    chat = [{"role": role, "content": content} for role, content in filled.messages]
    row = Row()
    prompt = row.add(
        coded(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)), -1, False
    )
    for kind in KINDS:
        if kind not in example.options:
            continue
        quotation = row.add(coded(lead_of(kind, example.quote)), prompt, example.written)
        for option in example.options[kind]:
            row.add(coded(f" {option.text}\n"), quotation, example.written and option.fits)
            row.ends.append((len(row) - 1, kind, option.fits))
    return row


def batches(rows: Sequence[Row], draw: random.Random) -> list[list[Row]]:
    """Return rows of like length, at most PIECES word pieces a batch with padding, shuffled."""
    order = sorted(rows, key=lambda row: len(row) + draw.random() * 20)
    found: list[list[Row]] = [[]]
    for row in order:
        if found[-1] and len(row) * (len(found[-1]) + 1) > PIECES:
            found.append([])
        found[-1].append(row)
    draw.shuffle(found)
    return found


@dataclass
class Read:
    """What the model makes of a batch: summed cross-entropy, how many pieces, and each row's scores of its options."""

    wrong: torch.Tensor
    count: int
    scores: list[torch.Tensor]


def read(model: Any, head: torch.nn.Linear, rows: Sequence[Row]) -> Read:
    """Read a batch of rows."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    places = torch.zeros_like(ids)
    seen = torch.eye(longest, dtype=torch.bool).repeat(len(rows), 1, 1)
    for at, row in enumerate(rows):
        size = len(row)
        ids[at, :size], places[at, :size] = torch.tensor(row.tree.pieces), torch.tensor(row.tree.depths)
        seen[at, :size, :size] = torch.from_numpy(row.tree.sees())
    mask = torch.where(seen, 0.0, torch.finfo(torch.bfloat16).min).to(torch.bfloat16)[:, None]
    hidden = model.base_model.model.model(
        input_ids=ids.to(DEVICE),
        attention_mask=mask.to(DEVICE),
        position_ids=places.to(DEVICE),
        use_cache=False,
    ).last_hidden_state
    wanted = [
        (at, before, row.tree.pieces[place]) for at, row in enumerate(rows) for before, place in row.told
    ]
    wrong = torch.zeros((), device=DEVICE)
    if wanted:  # the vocabulary is large: score only what is learnt
        at, before, pieces = (torch.tensor(part, device=DEVICE) for part in zip(*wanted, strict=True))
        logits = model.base_model.model.lm_head(hidden[at, before]).float()
        wrong = f.cross_entropy(logits, pieces, reduction="sum")
    scores = [
        head(hidden[at, [place for place, _, _ in row.ends]].float())[:, 0] for at, row in enumerate(rows)
    ]
    return Read(wrong, len(wanted), scores)


def judging(rows: Sequence[Row], scores: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return what is wrong about which options fit: each alone where judged, else against those beside it."""
    parts = []
    for row, own in zip(rows, scores, strict=True):
        fits = torch.tensor([float(fit) for _, _, fit in row.ends], device=DEVICE)
        if not row.told:
            parts.append(f.binary_cross_entropy_with_logits(own, fits))
            continue
        for kind in {kind for _, kind, _ in row.ends}:
            beside = torch.tensor([named == kind for _, named, _ in row.ends], device=DEVICE)
            parts.append(f.cross_entropy(own[beside][None], fits[beside].argmax()[None]))
    return torch.stack(parts).mean()


@dataclass(frozen=True)
class Plan:
    """One way of tuning."""

    epochs: int  # of what was written
    judged: int  # epochs of what was judged, after that
    rank: int
    lowest: int  # the first layer that is tuned
    choosing: float  # how much telling fitting questions counts beside writing them


@dataclass(frozen=True)
class Phase:
    """What is learned at a time, how often and how fast."""

    name: str
    rows: Sequence[Row]
    epochs: int
    rate: float


def train(
    model: Any,
    head: torch.nn.Linear,
    phase: Phase,
    tests: Sequence[Sequence[Row]],
    choosing: float,
    out: Path,
) -> list[str]:
    """Tune ``model`` and ``head`` in place; return a row of figures an epoch."""
    torch.manual_seed(SEED)
    draw = random.Random(SEED)
    tuned = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": tuned, "lr": phase.rate}, {"params": head.parameters(), "lr": HEAD_RATE}],
        weight_decay=0.01,
    )
    epochs = [batches(phase.rows, draw) for _ in range(phase.epochs)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [phase.rate, HEAD_RATE], total_steps=1 + sum(map(len, epochs)), pct_start=WARM
    )
    figures, start = [], time.monotonic()
    for number, epoch in enumerate(epochs, 1):
        model.train()
        total, pieces = 0.0, 0
        for at, rows in enumerate(epoch, 1):
            with torch.autocast(DEVICE, torch.bfloat16):
                found = read(model, head, rows)
            loss = found.wrong / max(1, found.count) + choosing * judging(rows, found.scores)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned, 1.0)
            optimiser.step()
            schedule.step()
            total, pieces = total + found.wrong.item(), pieces + found.count
            if at % SAID == 0:
                print(
                    f"{phase.name} {number}: {at} of {len(epoch)}, {total / max(1, pieces):.3f}, {time.monotonic() - start:.0f} s",
                    flush=True,
                )
                keep(model, head, out)
        seen = " | ".join(_tested(model, head, part) for part in tests)
        figures.append(
            f"| {phase.name} {number} | {total / max(1, pieces):.3f} | {seen} | {time.monotonic() - start:.0f} |"
        )
        print(figures[-1], flush=True)
        keep(model, head, out)
    return figures


def _tested(model: Any, head: torch.nn.Linear, rows: Sequence[Row]) -> str:
    """Return the mean cross-entropy of what would be learnt, and how well fitting options are told from others."""
    model.eval()
    total, pieces = 0.0, 0
    fits: list[bool] = []
    scores: list[float] = []
    with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
        for batch in batches(rows, random.Random(SEED)) if rows else ():
            found = read(model, head, batch)
            total, pieces = total + found.wrong.item(), pieces + found.count
            for row, own in zip(batch, found.scores, strict=True):
                fits += [fit for _, _, fit in row.ends]
                scores += own.tolist()
    told = roc_auc_score(fits, scores) if len(set(fits)) == 2 else np.nan
    return f"{total / pieces if pieces else np.nan:.3f} | {told:.3f}"


def keep(model: Any, head: torch.nn.Linear, out: Path) -> None:
    model.save_pretrained(out)
    save_file(
        {"head.weight": head.weight.detach(), "head.bias": head.bias.detach()}, out / "head.safetensors"
    )


def untuned(plan: Plan, start: Path | None) -> tuple[Any, torch.nn.Linear, Any]:
    """Return the prepared model with an adapter and a head, fresh or as kept in ``start``, and the tokenizer."""
    folder = prepare.prepare(settings.load({}).models)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # For texts of this length plain attention is the faster one on a processor.
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation="eager", local_files_only=True
    )
    layers = list(range(plan.lowest, model.config.num_hidden_layers))
    adapter = LoraConfig(
        r=plan.rank,
        lora_alpha=2 * plan.rank,
        lora_dropout=0.0,  # drawing what to drop takes as long as all the rest on a processor
        target_modules=MODULES,
        layers_to_transform=layers,
    )
    head = torch.nn.Linear(model.config.hidden_size, 1)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    if start:
        kept = load_file(start / "head.safetensors")
        head.load_state_dict({name.removeprefix("head."): tensor for name, tensor in kept.items()})
        return (
            PeftModel.from_pretrained(model.to(DEVICE), start, is_trainable=True),
            head.to(DEVICE),
            tokenizer,
        )
    return get_peft_model(model.to(DEVICE), adapter), head.to(DEVICE), tokenizer


def ship(trained: Path) -> None:
    """Write what the application needs: the adapter as it is worked in at set-up, the head, and the cases."""
    about = json.loads((trained / "adapter_config.json").read_text("utf-8"))
    found = load_file(trained / "adapter_model.safetensors")
    parts = {
        name.removeprefix("base_model.model.")
        .replace(".lora_A.weight", ".A")
        .replace(".lora_B.weight", ".B"): tensor.to(torch.bfloat16)
        for name, tensor in found.items()
    }
    parts |= load_file(trained / "head.safetensors")
    scale = about["lora_alpha"] / about["r"]
    save_file(parts, WEIGHTS, {"scale": str(scale), "data_hash": data.data_hash(), "date": DATE})
    CASES.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in data.cases()), encoding="utf-8"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, help="learn from so many of each sort, drawn by the seed")
    parser.add_argument("--held", type=int, default=100, help="test on so many")
    parser.add_argument("--epochs", type=int, default=2, help="of what was written")
    parser.add_argument("--judged", type=int, default=3, help="epochs of what was judged, after that")
    parser.add_argument("--start", type=Path, help="begin with what was trained into this folder before")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lowest", type=int, default=8, help="the first layer that is tuned")
    parser.add_argument("--choosing", type=float, default=0.5, help="weight of telling which questions fit")
    parser.add_argument("--ship", action="store_true", help="train nothing; ship what was trained before")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "writer")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.ship:
        ship(given.out)
        return
    plan = Plan(given.epochs, given.judged, given.rank, given.lowest, given.choosing)
    model, head, tokenizer = untuned(plan, given.start)
    themes = {key: info.means for key, info in data.knowledge.load().themes.items()}

    def rows_of(examples: Sequence[data.Example]) -> list[Row]:
        return [row_of(example, tokenizer, themes[example.theme]) for example in examples]

    written = data.written()
    judged, held = data.judged()
    for part in (written, judged):
        random.Random(SEED).shuffle(part)
    tests = [rows_of(part) for part in (written[: given.held], held)]
    lessons = rows_of(written[given.held :][: given.examples])
    opinions = rows_of(judged[: given.examples])
    # Some of what was written stands beside what was judged, so that it is not forgotten.
    phases = [
        Phase("written", lessons, plan.epochs, RATE),
        Phase("judged", [*opinions, *lessons[: len(opinions) // 2]], plan.judged, RATE / 2),
    ]
    print(f"{len(lessons)} written, {len(opinions)} judged, on {DEVICE}, {plan}", flush=True)
    figures = [
        row
        for phase in phases
        if phase.epochs and phase.rows
        for row in train(model, head, phase, tests, plan.choosing, given.out)
    ]
    if not given.examples:
        ship(given.out)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(
            f"\n## {DATE}, {len(lessons)} written, {len(opinions)} judged, {plan}"
            f"{', begun with an earlier run' if given.start else ''}, seed {SEED}, data {data.data_hash()}\n\n"
            "| epoch | loss learned | loss held out | told there | loss judged | told, judged and held out | seconds |\n"
            "| --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(figures) + "\n"
        )


if __name__ == "__main__":
    main()
