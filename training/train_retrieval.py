"""Trains the map that brings what people say closer to the passage for them: ``python -m training.train_retrieval``.

Reads the situations and texts of the library (knowledge/passages), never benchmarks/evals, and writes
assistant/weights/retrieval.safetensors: one 384 x 384 matrix for the frozen sentence vectors. A situation
should be nearer to its own passage, and to that passage's other situations, than to any other. The pull
towards the identity keeps what the encoder knows. Half a minute on two cores.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from assistant import knowledge
from assistant.embedding import MiniLM

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "assistant" / "weights" / "retrieval.safetensors"
DATE, SEED = "2026-11-28", 20261128
STEPS, BATCH, RATE, TEMPERATURE = 300, 512, 1e-3, 0.05
PULL = 0.05  # towards the identity, on the sum of squares


def train(bodies: torch.Tensor, situations: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """Return the map, (384, 384). ``owner`` holds the place in ``bodies`` of each situation's passage."""
    torch.manual_seed(SEED)
    identity = torch.eye(bodies.shape[1])
    change = identity.clone().requires_grad_()
    optimiser = torch.optim.Adam([change], RATE)
    for _ in range(STEPS):
        drawn = torch.randperm(len(situations))[:BATCH]
        loss = _contrast(change, bodies, situations, owner, drawn) + PULL * ((change - identity) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return change.detach()


def _contrast(
    change: torch.Tensor,
    bodies: torch.Tensor,
    situations: torch.Tensor,
    owner: torch.Tensor,
    drawn: torch.Tensor,
) -> torch.Tensor:
    """Return the cross-entropy of naming each drawn situation's passage among all; its own line is left out."""
    body, line = (torch.nn.functional.normalize(rows @ change, dim=1) for rows in (bodies, situations))
    query = line[drawn]
    near = query @ line.T
    near = near.scatter(1, drawn[:, None], -9.0)
    best = torch.full((len(drawn), len(body)), -9.0)
    best = best.scatter_reduce(1, owner.expand(len(drawn), -1), near, "amax")
    return torch.nn.functional.cross_entropy((best + query @ body.T) / 2 / TEMPERATURE, owner[drawn])


def main() -> int:
    passages = list(knowledge.load().passages.values())
    encode = MiniLM().encode
    lines = [line for item in passages for line in item.situations]
    owner = torch.tensor([at for at, item in enumerate(passages) for _ in item.situations])
    bodies = torch.from_numpy(encode([f"{item.title}. {item.text}" for item in passages]))
    change = train(bodies, torch.from_numpy(encode(lines)), owner)
    about = {
        "embedding": MiniLM.name,
        "date": DATE,
        "seed": str(SEED),
        "data_hash": hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
    }
    save_file({"map": change.numpy().astype(np.float16)}, WEIGHTS, about)
    print(f"{len(passages)} passages, {len(lines)} situations -> {WEIGHTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
