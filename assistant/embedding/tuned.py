"""A copy of all-MiniLM-L6-v2 whose upper layers were tuned to read reflections word by word.

One pass gives, for each word piece, how much it says for each theme and for danger or strain, and from
that what the whole text says. Made by ``training/train_reader.py``; figures in training/results.md.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.domain import Span
from assistant.embedding import _engine, _one_at_a_time, bundled_model_path
from assistant.errors import EmbeddingError, ModelError

Floats = npt.NDArray[np.float32]
WINDOW, STRIDE = 384, 288  # word pieces read at once, and how far the next reading of a long text starts


@dataclass(frozen=True, slots=True)
class WordReading:
    """What the tuned encoder says about one text, in logits, and where it looked to say so.

    ``pieces``: where each word piece stands, in order. ``looks`` (pieces, themes + 2): the share of the
    attention that each piece drew for each theme, for urgent, and for urgent or support.
    """

    themes: Floats  # (themes,)
    urgent: float
    raised: float
    kinds: Floats  # (kinds,)
    pieces: list[Span]
    looks: Floats

    def drawn(self, spans: Sequence[Span], column: int) -> npt.NDArray[np.float64]:
        """Return the share of the attention of one column of ``looks`` that each span drew, (spans,)."""
        starts = np.array([piece.start for piece in self.pieces])
        sums = np.concatenate([[0.0], np.cumsum(self.looks[:, column], dtype=np.float64)])
        ends = np.searchsorted(starts, [span.end for span in spans])
        return np.asarray(sums[ends] - sums[np.searchsorted(starts, [span.start for span in spans])])


class WordReader(Protocol):
    """Reads a text word by word; ``hash`` changes whenever its reading would."""

    hash: str

    def read(self, text: str) -> WordReading:
        """Return what the text says, or raise EmbeddingError."""


class TunedEncoder:
    """Reads one text at a time on the CPU; loaded on first use, safe to call from several threads."""

    def __init__(self, weights: Path, folder: Path | None = None) -> None:
        """Look at the weights' heading. Raises ModelError when they are missing or not the expected ones."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(weights, "np") as file:
                about = file.metadata() or {}
            self.themes: tuple[str, ...] = tuple(json.loads(about["themes"]))
            self.kinds: tuple[str, ...] = tuple(json.loads(about["kinds"]))
            self.hash = about["data_hash"]
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(
                f"The reader's weights {weights} cannot be used ({error}). Fetch them again or run "
                "`python -m training.train_reader`."
            ) from error
        self._weights, self._folder = weights, folder or bundled_model_path()

    def read(self, text: str) -> WordReading:
        """Return what the encoder says about ``text``; a long one is read in overlapping windows.

        Of the windows' sayings about the whole the strongest counts, so that a sentence buried in a long
        text weighs as much as one alone. Raises EmbeddingError when the engine fails.
        """
        with _one_at_a_time:  # the tokenizer is the embedder's, and it serves one caller at a time
            try:
                return _joined(
                    [_read(self._weights, self._folder, *window) for window in self._windows(text)]
                )
            except ModelError:
                raise
            except Exception as error:  # the engine's own errors have no common base
                raise EmbeddingError(f"The tuned encoder failed on a text: {error}") from error

    def _windows(self, text: str) -> list[tuple[list[int], list[Span]]]:
        """Return the word pieces of each window with their places, without the marks around them."""
        tokenizer = _engine(self._folder).tokenizer
        coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        ids, places = coded["input_ids"], [Span(*offsets) for offsets in coded["offset_mapping"]]
        inside = WINDOW - 2
        starts = range(0, max(1, len(ids) - inside + STRIDE), STRIDE)
        return [(ids[at : at + inside], places[at : at + inside]) for at in starts]


def _read(weights: Path, folder: Path, ids: list[int], places: list[Span]) -> WordReading:
    import torch

    encoder, heads, tokenizer = _tuned(weights, folder)
    row = torch.tensor([[tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]])
    with torch.inference_mode():
        hidden = encoder(input_ids=row, attention_mask=torch.ones_like(row)).last_hidden_state[0]
        look = torch.softmax(heads["look"](hidden), 0)
        words = heads["tok"](hidden)
        whole = (look * words).sum(0) + heads["pool"](hidden.mean(0))
        kinds = heads["kind"](look[:, -1] @ hidden)
    count = len(ids) + 1
    return WordReading(
        whole[:-2].numpy(), float(whole[-2]), float(whole[-1]), kinds.numpy(), places, look[1:count].numpy()
    )


def _joined(readings: list[WordReading]) -> WordReading:
    """Return one reading of a text from those of its windows.

    Each thing is said, and looked at, by the window that says it loudest; where two overlap, the pieces
    are the first's.
    """
    if len(readings) == 1:
        return readings[0]
    said = np.array([[*reading.themes, reading.urgent, reading.raised] for reading in readings])
    loudest = said.argmax(axis=0)
    pieces: list[Span] = []
    looks = []
    for at, reading in enumerate(readings):
        end = pieces[-1].end if pieces else -1
        new = [place for place, piece in enumerate(reading.pieces) if piece.start >= end]
        pieces += [reading.pieces[place] for place in new]
        looks.append(reading.looks[new] * (loudest == at))
    best = said.max(axis=0)
    kinds = readings[int(loudest[-1])].kinds
    return WordReading(best[:-2], float(best[-2]), float(best[-1]), kinds, pieces, np.concatenate(looks))


@lru_cache(maxsize=2)
def _tuned(weights: Path, folder: Path) -> tuple[Any, dict[str, Any], Any]:
    """Return encoder, heads and tokenizer, loaded once a process."""
    import torch
    from safetensors.torch import load_file

    engine = _engine(folder)
    encoder = copy.deepcopy(engine[0].auto_model).eval()
    tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
    own = {name.removeprefix("enc."): tensor for name, tensor in tensors.items() if name.startswith("enc.")}
    unknown = set(own) - set(encoder.state_dict())
    if unknown:
        raise ModelError(f"The reader's weights {weights} fit another encoder ({sorted(unknown)[0]}).")
    encoder.load_state_dict(own, strict=False)
    heads = {}
    for name in ("look", "tok", "pool", "kind"):
        rows, columns = tensors[f"{name}.weight"].shape
        heads[name] = torch.nn.Linear(columns, rows)
        heads[name].load_state_dict({"weight": tensors[f"{name}.weight"], "bias": tensors[f"{name}.bias"]})
    return encoder, heads, engine.tokenizer
