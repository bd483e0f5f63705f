"""The tuned encoder: two readings of a text in one pass, and what becomes of weights that do not fit."""

import copy
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from assistant.domain import Span
from assistant.embedding import tuned
from assistant.errors import ModelError

SHIPPED = Path(tuned.__file__).resolve().parent.parent / "weights"
THEMES, SAFETY = SHIPPED / "reader.safetensors", SHIPPED / "safety.safetensors"
TEXT = "I gave the keys back and slept well. On Friday we talk about the rota, as we do each month."


@pytest.mark.parametrize(
    ("themes", "safety", "made_by"), [("gone", SAFETY, "train_reader"), (THEMES, "gone", "train_safety")]
)
def test_missing_weights_are_named_with_what_makes_them(
    themes: str | Path, safety: str | Path, made_by: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=f"gone.*{made_by}"):
        tuned.TunedEncoder(tmp_path / themes, tmp_path / safety)


def test_weights_without_their_heading_are_refused(tmp_path: Path) -> None:
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "bare", {"themes": "[]"})
    with pytest.raises(ModelError, match="kinds"):
        tuned.TunedEncoder(THEMES, tmp_path / "bare")
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "torn", {"themes": "[", "kinds": "["})
    with pytest.raises(ModelError, match=r"torn.*train_safety"):
        tuned.TunedEncoder(THEMES, tmp_path / "torn")


def test_exchanged_weights_are_refused() -> None:
    with pytest.raises(ModelError, match="no themes"):
        tuned.TunedEncoder(SAFETY, THEMES)


def test_the_hash_tells_weights_apart(tmp_path: Path) -> None:
    with safe_open(SAFETY, "np") as file:
        about = file.metadata()
    for name, value in (("one", 0.0), ("other", 1.0)):
        save_file({"a": np.full(1, value, np.float32)}, tmp_path / name, about)
    hashes = {tuned.TunedEncoder(THEMES, tmp_path / name).hash for name in ("one", "other")}
    assert len(hashes) == 2 and tuned.shipped().hash == tuned.shipped().hash


@pytest.mark.models
def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    with safe_open(SAFETY, "np") as file:
        about = file.metadata()
    save_file({"enc.encoder.layer.9.output.dense.bias": np.zeros(384, np.float32)}, tmp_path / "other", about)
    with pytest.raises(ModelError, match="fit another encoder"):
        tuned.TunedEncoder(THEMES, tmp_path / "other").read(TEXT)


@pytest.mark.models
def test_shared_layers_change_nothing() -> None:
    """The second reading goes on from the first's state; each read apart, from the start, must say the same."""
    reading = tuned.shipped().read(TEXT)
    first, *_ = read_apart(THEMES, layers=6)
    said, looks, kinds = read_apart(SAFETY, layers=5)
    assert reading.urgent == pytest.approx((said[0] + first[-2]) / 2, abs=1e-4)
    assert reading.raised == pytest.approx((said[1] + first[-1]) / 2, abs=1e-4)
    assert np.allclose(reading.looks[:, -2:], looks[1:-1], atol=1e-5)
    assert np.allclose(reading.kinds, kinds, atol=1e-4) and np.allclose(reading.themes, first[:-2], atol=1e-4)


def read_apart(weights: Path, layers: int) -> tuple[tuned.Floats, ...]:
    """Return what one encoder says, alone and without sharing anything."""
    import torch
    from safetensors.torch import load_file

    engine = tuned._engine(tuned.bundled_model_path())
    alone = copy.deepcopy(engine[0].auto_model).eval()
    tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
    own = {k.removeprefix("enc."): v for k, v in tensors.items() if k.startswith("enc.")}
    assert not alone.load_state_dict(own, strict=False).unexpected_keys
    alone.encoder.layer = alone.encoder.layer[:layers]
    with torch.inference_mode():
        row = engine.tokenizer(TEXT, return_tensors="pt")
        return tuned._said(tuned._heads(tensors), alone(**row).last_hidden_state[0])


def test_the_words_and_the_lowest_layers_are_as_they_came() -> None:
    for path in (THEMES, SAFETY):
        with safe_open(path, "np") as file:
            names = " ".join(file.keys())
        assert "enc.encoder.layer.2." in names
        assert not any(part in names for part in ("embeddings", ".layer.0.", ".layer.1."))


def window(*pieces: tuple[int, int], theme: float, urgent: float, kind: float) -> tuned.WordReading:
    spans = [Span(start, end) for start, end in pieces]
    looks = np.full((len(spans), 3), 1 / len(spans), np.float32)
    return tuned.WordReading(
        np.array([theme], np.float32), urgent, urgent, np.array([kind], np.float32), spans, looks
    )


def test_of_the_windows_of_a_long_text_the_loudest_counts() -> None:
    early = window((0, 3), (4, 7), (8, 11), theme=2.0, urgent=-3.0, kind=0.1)
    late = window((8, 11), (12, 15), theme=-1.0, urgent=1.5, kind=0.9)
    joined = tuned._joined([early, late])
    assert joined.themes.tolist() == [2.0]
    assert (joined.urgent, joined.raised) == (1.5, 1.5)
    assert joined.kinds.tolist() == pytest.approx([0.9])
    assert joined.pieces == [Span(0, 3), Span(4, 7), Span(8, 11), Span(12, 15)]
    # What a column rests on is what its loudest window saw; a piece in both windows is the first's.
    assert joined.looks[:, 0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert joined.looks[:, 1].tolist() == pytest.approx([0, 0, 0, 1 / 2])
