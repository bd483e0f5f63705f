"""Tunes a second copy of all-MiniLM-L6-v2 to read danger and strain alone: ``python -m training.train_safety``.

Beside 25 themes the reader of train_reader has little room for what is said between the lines; a copy that learns
nothing else finds more (training/results.md). It has the same heads and loss, without themes,
uses five of the six layers and shares the two lowest, which stay as they come, with the other. About 40 minutes on two
idle cores. ``train_judge`` afterwards.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import torch
from transformers import AutoTokenizer

from assistant.embedding import bundled_model_path
from training import reader_data as data
from training import train_reader

WEIGHTS = train_reader.ROOT / "assistant" / "weights" / "safety.safetensors"
KEPT = train_reader.KEPT.with_stem("train_safety")
EPOCHS, LAYERS = 5, 5
ORDINARY = 5  # every fifth reflection is learned beside the safety texts, in each epoch others
# Share of the usual rates in a last epoch, which has all reflections: danger is often told in a terse voice, and not
# every terse voice tells of it.
SLOWER = 0.4


def main() -> int:
    torch.manual_seed(train_reader.SEED)
    draw = random.Random(train_reader.SEED)
    tokenizer = AutoTokenizer.from_pretrained(str(bundled_model_path()))
    hands = [hand for hand in data.HANDS if hand not in data.HELD_OUT]
    plain = [replace(text, columns=(), known=()) for text in data.reflections(hands)]
    reflections = data.coded(plain, tokenizer)
    safety = data.coded(data.safety_texts()[0], tokenizer)
    ordinary = [text for text in reflections if text.level == "none"]
    print(f"{len(safety)} safety texts, {len(reflections)} reflections, on {train_reader.DEVICE}")
    epochs = []
    for epoch in range(EPOCHS + 1):
        passed = [data.told_in_passing(text, ordinary, draw) for text in safety[epoch % 2 :: 2]]
        beside = reflections[epoch % ORDINARY :: ORDINARY] if epoch < EPOCHS else reflections
        epochs.append([*safety, *beside, *data.coded(passed, tokenizer)])
    net = train_reader.train(train_reader.Reader(0, LAYERS), epochs[:EPOCHS], KEPT)
    net = train_reader.train(net, epochs[EPOCHS:], KEPT, SLOWER)
    train_reader.save(net, WEIGHTS, data.SAFETY_FILES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
