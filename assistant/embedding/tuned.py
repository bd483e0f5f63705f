"""all-MiniLM-L6-v2 with upper layers tuned to read reflections word by word, twice: for themes and for danger.

One pass gives, for each word piece, how much it says for each theme and for danger or strain, and from
that what the whole text says. Of danger it is the mean of both readings; where it shows and of what kind it is, the
second says. They share the lowest layers, which are as they came. Made by ``training/train_reader.py`` and
``training/train_safety.py``; figures in training/results.md.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
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
    """Reads a text word by word."""

    @property
    def hash(self) -> str:
        """Changes whenever its reading would."""

    def read(self, text: str) -> WordReading:
        """Return what the text says, or raise EmbeddingError."""


def shipped() -> TunedEncoder:
    """Return the encoder with the weights that come with the application. Raises ModelError."""
    weights = Path(__file__).resolve().parent.parent / "weights"
    return TunedEncoder(weights / "reader.safetensors", weights / "safety.safetensors")


class TunedEncoder:
    """Reads one text at a time on the CPU; loaded on first use, safe to call from several threads."""

    def __init__(self, themes: Path, safety: Path, folder: Path | None = None) -> None:
        """Look at the heading of both weights. Raises ModelError when they are missing or not the expected ones."""
        _check(themes, "train_reader", themed=True)
        _check(safety, "train_safety", themed=False)
        self._weights, self._folder = (themes, safety), folder or bundled_model_path()

    @cached_property
    def hash(self) -> str:
        """The hash of both weights, which are read whole for it; made when the first report is."""
        return hashlib.sha256(b"".join(path.read_bytes() for path in self._weights)).hexdigest()[:16]

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


def _check(weights: Path, made_by: str, themed: bool) -> None:
    """Raise ModelError unless the weights' heading names themes or, if not ``themed``, none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "np") as file:
            about = file.metadata() or {}
        if bool(json.loads(about["themes"])) is not themed or not json.loads(about["kinds"]):
            raise ValueError(f"they read {'no themes' if themed else 'themes too'} or no kinds")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            f"The reader's weights {weights} cannot be used ({error}). Fetch them again or run "
            f"`python -m training.{made_by}`."
        ) from error


def _read(weights: tuple[Path, Path], folder: Path, ids: list[int], places: list[Span]) -> WordReading:
    import torch

    net = _tuned(weights, folder)
    row = torch.tensor([[net.tokenizer.cls_token_id, *ids, net.tokenizer.sep_token_id]])
    with torch.inference_mode():
        whole = net.encoder(input_ids=row, attention_mask=torch.ones_like(row), output_hidden_states=True)
        danger = net.danger(whole.hidden_states[net.shared]).last_hidden_state[0]
        said, looks, _ = _said(net.heads[0], whole.last_hidden_state[0])
        levels, rests, kinds = _said(net.heads[1], danger)
    # Of danger both know something, and their mean more than either (training/results.md).
    urgent, raised = (said[-2:] + levels) / 2
    count = len(ids) + 1
    looks = np.hstack([looks[1:count, :-2], rests[1:count]])
    return WordReading(said[:-2], float(urgent), float(raised), kinds, places, looks)


def _said(heads: dict[str, Any], hidden: Any) -> tuple[Floats, Floats, Floats]:
    """Return logits of the whole, the attention that led to them (pieces, columns), and logits of kinds."""
    look = heads["look"](hidden).softmax(0)
    whole = (look * heads["tok"](hidden)).sum(0) + heads["pool"](hidden.mean(0))
    return whole.numpy(), look.numpy(), heads["kind"](look[:, -1] @ hidden).numpy()


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


@dataclass(frozen=True, slots=True)
class _Net:
    """Both readers' engines: the second, ``danger``, goes on from the first's state after ``shared`` layers."""

    tokenizer: Any
    encoder: Any
    danger: Any
    shared: int
    heads: tuple[dict[str, Any], dict[str, Any]]


@lru_cache(maxsize=2)
def _tuned(weights: tuple[Path, Path], folder: Path) -> _Net:
    """Return the engines, loaded once a process."""
    from safetensors.torch import load_file

    engine = _engine(folder)
    encoder = copy.deepcopy(engine[0].auto_model).eval()
    danger = copy.deepcopy(encoder.encoder)
    layers, heads = [], []
    for module, path in ((encoder.encoder, weights[0]), (danger, weights[1])):
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        layers.append(_put(tensors, module, path))
        heads.append(_heads(tensors))
    shared = min(min(each) for each in layers)
    danger.layer = danger.layer[shared : max(layers[1]) + 1]  # what lies below is the same, above unused
    return _Net(engine.tokenizer, encoder, danger, shared, (heads[0], heads[1]))


def _put(tensors: dict[str, Any], encoder: Any, weights: Path) -> set[int]:
    """Put tuned layers in the place of the encoder's own and return their numbers."""
    start = "enc.encoder."
    own = {name.removeprefix(start): v for name, v in tensors.items() if name.startswith(start)}
    unknown = set(own) - set(encoder.state_dict())
    if unknown or not own:
        raise ModelError(f"The reader's weights {weights} fit another encoder ({min(unknown, default='-')}).")
    encoder.load_state_dict(own, strict=False)
    return {int(name.split(".")[1]) for name in own}


def _heads(tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    heads = {}
    for name in ("look", "tok", "pool", "kind"):
        rows, columns = tensors[f"{name}.weight"].shape
        heads[name] = torch.nn.Linear(columns, rows)
        heads[name].load_state_dict({part: tensors[f"{name}.{part}"] for part in ("weight", "bias")})
    return heads
