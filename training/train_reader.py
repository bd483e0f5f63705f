"""Tunes the upper layers of all-MiniLM-L6-v2 to read themes and evidence: ``python -m training.train_reader``.

One encoder learns everything at once: which themes a text has and which words show them,
and, since that teaches it about people too, whether it tells of danger or strain, in which words; in use this is weighed
with what the encoder of train_safety says. Every word piece gets a score for each of these, and an attention
says which pieces speak for the whole. Hands named in ``reader_data.HELD_OUT`` are never learned from. About
25 minutes on two idle cores with bfloat16, a checkpoint each epoch in .cache; a GPU is used where there is one.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import save_file
from torch.nn import functional as f
from transformers import AutoModel, AutoTokenizer

from assistant.embedding import MiniLM, bundled_model_path
from training import reader_data as data

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "assistant" / "weights" / "reader.safetensors"
KEPT = ROOT / ".cache" / "train_reader.safetensors"
SEED = 20261128
EPOCHS, PIECES = 4, 1800
FROZEN = 2  # lower layers, which stay as they come
RATE, HEAD_RATE, WARM, DECAY = 1e-4, 1e-3, 0.1, 0.01
# Each safety text is learned alone each epoch and every other one in the middle of somebody's reflection.
MASKED = 0.1  # word pieces hidden at random, in place of dropout in the encoder
SLOW = 0.998  # of the moving average of the weights that is kept in the end
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Reader(torch.nn.Module):
    """The encoder and its four heads; ``assistant.embedding.tuned`` reads with them.

    ``columns``: how many themes it reads besides danger and strain; ``layers``: how many of the encoder's are used.
    """

    def __init__(self, columns: int, layers: int | None = None) -> None:
        super().__init__()
        self.columns = columns
        self.enc = AutoModel.from_pretrained(
            str(bundled_model_path()),
            attn_implementation="eager",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            add_pooling_layer=False,
        )
        self.enc.encoder.layer = self.enc.encoder.layer[:layers]
        width, count = self.enc.config.hidden_size, columns + 2
        self.look, self.tok, self.pool = (torch.nn.Linear(width, count) for _ in range(3))
        self.kind = torch.nn.Linear(width, len(data.KINDS))
        self.drop = torch.nn.Dropout(0.2)
        with torch.no_grad():  # most texts have most themes not
            self.pool.bias.fill_(-2.0)
            self.tok.bias.fill_(-1.0)
        self.enc.embeddings.requires_grad_(False)
        for layer in self.enc.encoder.layer[:FROZEN]:
            layer.requires_grad_(False)

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return logits of the text (b, t + 2), attention and word logits (b, n, t + 2), kinds (b, k); t columns."""
        hidden = self.drop(self.enc(input_ids=ids, attention_mask=real).last_hidden_state)
        look = self.look(hidden).float().masked_fill(real[..., None] == 0, -1e4)
        words = self.tok(hidden).float()
        share = torch.softmax(look, 1)
        mean = (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        whole = (share * words).sum(1) + self.pool(mean).float()
        kinds = self.kind(torch.einsum("bn,bnd->bd", share[..., -1], hidden.float())).float()
        return whole, look, words, kinds


def loss(net: Reader, batch: data.Batch) -> torch.Tensor:
    """Return what is wrong about themes, quotes, levels, spans and kinds, weighed."""
    whole, look, words, kinds = net(batch.ids, batch.real)
    count = batch.columns.shape[1]
    bce = f.binary_cross_entropy_with_logits
    known = batch.known.sum().clamp(min=1)
    themes = (bce(whole[:, :count], batch.columns, reduction="none") * batch.known).sum()
    themes = themes * count / known
    aim = batch.quotes / batch.quotes.sum(1, keepdim=True).clamp(min=1)
    looks = -(aim * torch.log_softmax(look[..., :count], 1)).sum() / batch.columns.sum().clamp(min=1)
    # Which words carry a theme is asked where the text has it, and a little where it has not.
    asked = batch.real[..., None] * (batch.known * (batch.columns + 0.04))[:, None, :]
    carried = (bce(words[..., :count], batch.quotes, reduction="none") * asked).sum() / asked.sum().clamp(
        min=1
    )
    levels = (bce(whole[:, count:], batch.levels, reduction="none") * batch.sure[:, None]).mean() * 2
    spans = batch.spans / batch.spans.sum(1, keepdim=True).clamp(min=1)
    told = (batch.spans.sum(1) > 0).sum().clamp(min=1)
    deciding = -(spans[..., None] * torch.log_softmax(look[..., count:], 1)).sum() / told / 2
    total = themes + 0.4 * looks + carried + levels + 0.2 * deciding
    if (batch.kinds >= 0).any():
        total = total + 0.3 * f.cross_entropy(kinds, batch.kinds, ignore_index=-1)
    return total


def train(net: Reader, epochs: Sequence[Sequence[data.Text]], kept: Path, slower: float = 1.0) -> Reader:
    """Train on the texts of each epoch and return the moving average of the weights, saying how far it is.

    ``kept``: where the average is put after each epoch; ``slower``: share of the usual rates.
    """
    draw = random.Random(SEED)
    net = net.to(DEVICE).train()
    tuned = {name: p for name, p in net.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for name, p in tuned.items() if name.startswith("enc.") is encoder], "lr": rate}
        for encoder, rate in ((True, RATE * slower), (False, HEAD_RATE * slower))
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=DECAY)
    plans = [data.batches(texts, PIECES, draw) for texts in epochs]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in groups], total_steps=sum(map(len, plans)) + 1, pct_start=WARM
    )
    average = {name: p.detach().clone() for name, p in tuned.items()}
    step, start = 0, time.monotonic()
    for number, (texts, plan) in enumerate(zip(epochs, plans, strict=True), 1):
        total = 0.0
        for places in plan:
            step += 1
            total += _step(net, data.batch([texts[at] for at in places], net.columns), optimiser)
            schedule.step()
            slow = min(SLOW, (1 + step) / (10 + step))
            for name, p in tuned.items():
                average[name].lerp_(p.detach(), 1 - slow)
        print(f"epoch {number}: loss {total / len(plan):.3f}, {time.monotonic() - start:.0f} s", flush=True)
        kept.parent.mkdir(exist_ok=True)
        save_file({name: p.contiguous() for name, p in average.items()}, kept)
    with torch.no_grad():
        for name, p in tuned.items():
            p.copy_(average[name])
    return net.eval()


def _step(net: Reader, batch: data.Batch, optimiser: torch.optim.Optimizer) -> float:
    batch = data.Batch(**{name: tensor.to(DEVICE) for name, tensor in vars(batch).items()})
    hidden = (torch.rand(batch.ids.shape, device=DEVICE) < MASKED) & (batch.ids > 200) & (batch.real > 0)
    batch.ids = torch.where(hidden, 103, batch.ids)  # [MASK]; ids up to 200 are marks of the tokenizer
    with torch.autocast(DEVICE, torch.bfloat16):
        wrong = loss(net, batch)
    optimiser.zero_grad()
    wrong.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    return wrong.item()


def save(net: Reader, weights: Path, names: Sequence[str]) -> None:
    """Write what was tuned, in bfloat16, with what made it: the data files ``names``."""
    tensors = {
        name: p.detach().cpu().bfloat16().contiguous()
        for name, p in net.named_parameters()
        if p.requires_grad
    }
    about = {
        "themes": json.dumps(data.THEMES[: net.columns]),
        "kinds": json.dumps(data.KINDS),
        "embedding": MiniLM.name,
        "data_hash": data.data_hash(names),
        "held_out": json.dumps(data.HELD_OUT),
        "date": datetime.date.today().isoformat(),
        "seed": str(SEED),
    }
    save_file(tensors, weights, about)
    print(f"{weights.relative_to(ROOT)}: {weights.stat().st_size / 1e6:.1f} MB")


def main() -> int:
    torch.manual_seed(SEED)
    draw = random.Random(SEED)
    tokenizer = AutoTokenizer.from_pretrained(str(bundled_model_path()))
    hands = [hand for hand in data.HANDS if hand not in data.HELD_OUT]
    reflections = data.coded(data.reflections(hands), tokenizer)
    safety = data.coded(data.safety_texts(data.EARLIER_SAFETY)[0], tokenizer)
    stances = data.coded(data.stances()[0], tokenizer)
    print(
        f"{len(reflections)} reflections, {len(safety)} safety texts, {len(stances)} sentences, on {DEVICE}"
    )
    ordinary = [text for text in reflections if text.level == "none"]
    epochs = []
    for epoch in range(EPOCHS):
        half = [*safety[epoch % 2 :: 2], *(text for text in stances if text.columns)]
        passed = [data.told_in_passing(text, ordinary, draw) for text in half]
        epochs.append([*reflections, *safety, *stances, *data.coded(passed, tokenizer)])
    net = train(Reader(len(data.THEMES)), epochs, KEPT)
    save(net, WEIGHTS, data.THEME_FILES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
