"""The tuned encoder: two readings of a text in one pass, and what becomes of weights that do not fit."""

import copy
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

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
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "bare", {"themes": "[]", "kinds": "[]"})
    with pytest.raises(ModelError, match="data_hash"):
        tuned.TunedEncoder(THEMES, tmp_path / "bare")


@pytest.mark.models
def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    with safe_open(SAFETY, "np") as file:
        about = file.metadata()
    save_file({"enc.encoder.layer.9.output.dense.bias": np.zeros(384, np.float32)}, tmp_path / "other", about)
    with pytest.raises(ModelError, match="fit another encoder"):
        tuned.TunedEncoder(THEMES, tmp_path / "other").read(TEXT)


@pytest.mark.models
def test_shared_layers_change_nothing() -> None:
    """The second reading goes on from the first's state; read from the start it must say the same."""
    import torch
    from safetensors.torch import load_file as load

    reading = tuned.shipped().read(TEXT)
    net = tuned._tuned((THEMES, SAFETY), tuned.bundled_model_path())
    assert 0 < net.shared < 6
    alone = copy.deepcopy(tuned._engine(tuned.bundled_model_path())[0].auto_model).eval()
    own = {k.removeprefix("enc."): v.float() for k, v in load(SAFETY).items() if k.startswith("enc.")}
    alone.load_state_dict(own, strict=False)
    alone.encoder.layer = alone.encoder.layer[: net.shared + len(net.danger.layer)]
    with torch.inference_mode():
        row = net.tokenizer(TEXT, return_tensors="pt")
        said, looks, kinds = tuned._said(net.heads[1], alone(**row).last_hidden_state[0])
        first, *_ = tuned._said(net.heads[0], net.encoder(**row).last_hidden_state[0])
    assert reading.urgent == pytest.approx((said[0] + first[-2]) / 2, abs=1e-4)
    assert reading.raised == pytest.approx((said[1] + first[-1]) / 2, abs=1e-4)
    assert np.allclose(reading.looks[:, -2:], looks[1:-1], atol=1e-5)
    assert np.allclose(reading.kinds, kinds, atol=1e-4) and np.allclose(reading.themes, first[:-2], atol=1e-4)


def test_the_words_and_the_lowest_layers_are_as_they_came() -> None:
    for path in (THEMES, SAFETY):
        with safe_open(path, "np") as file:
            names = " ".join(file.keys())
        assert "enc.encoder.layer.2." in names
        assert not any(part in names for part in ("embeddings", ".layer.0.", ".layer.1."))
