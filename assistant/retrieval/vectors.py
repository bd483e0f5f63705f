"""The vectors of the library's texts in one FAISS file; what has not changed is never embedded again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from assistant.embedding import Encode, Vectors


class VectorIndex:
    """A flat inner-product index, exact, since there are only thousands; made on first use.

    Each vector is kept under the hash of its text, so a file made for other texts still gives those it
    shares with these. A missing, stale or broken file is made again.
    """

    def __init__(
        self, texts: Sequence[str], encode: Encode, model: str, folder: Path, name: str = "knowledge"
    ) -> None:
        """``encode`` and ``model`` (its hash) make the vectors, kept under ``folder`` by ``name`` for the next start."""
        self._texts = list(texts)
        self._ids = np.array([_id(text) for text in self._texts], np.int64)
        self._encode = encode
        self._lock = threading.Lock()
        self._index: faiss.IndexIDMap2 | None = None
        self._rows: Vectors | None = None
        self.embedded = 0  # texts that had to be embedded by this object
        self._name = name
        self.path = folder / f"{name}-{hashlib.sha256(model.encode()).hexdigest()[:16]}.faiss"

    @property
    def vectors(self) -> Vectors:
        """The texts' unit vectors, shape (n, dimensions), in their order."""
        with self._lock:
            if self._rows is None:
                self._index = self._current()
                rows = [self._index.reconstruct(int(key)) for key in self._ids]
                self._rows = np.stack(rows) if rows else np.zeros((0, 1), np.float32)
            return self._rows

    def cosines(self, queries: Vectors) -> Vectors:
        """Return the cosine of each text with each unit vector of ``queries``, shape (n, len(queries))."""
        found = np.zeros((len(self.vectors), len(queries)), np.float32)
        if not found.size:
            return found
        assert self._index is not None
        scores, ids = self._index.search(np.ascontiguousarray(queries, np.float32), self._index.ntotal)
        order = np.argsort(ids, axis=1)
        for column in range(len(queries)):
            by_id, values = ids[column][order[column]], scores[column][order[column]]
            found[:, column] = values[np.searchsorted(by_id, self._ids)]
        return found

    def _current(self) -> faiss.IndexIDMap2:
        """Return an index of exactly these texts, embedding those that the kept one lacks."""
        kept = self._load()
        known = set() if kept is None else set(faiss.vector_to_array(kept.id_map).tolist())
        wanted = dict(zip(self._ids.tolist(), self._texts, strict=True))
        if kept is not None and known == set(wanted):
            return kept
        missing = [key for key in wanted if key not in known]
        rows = dict(zip(missing, self._encode([wanted[key] for key in missing]), strict=True))
        self.embedded += len(missing)
        if kept is not None:
            rows |= {key: kept.reconstruct(key) for key in wanted if key in known}
        table = np.stack(list(rows.values())) if rows else np.zeros((0, 1), np.float32)
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(table.shape[1]))
        index.add_with_ids(np.ascontiguousarray(table, np.float32), np.array(list(rows), np.int64))
        with contextlib.suppress(OSError, RuntimeError):  # what cannot be kept is made again next time
            self._keep(index)
        return index

    def _load(self) -> faiss.IndexIDMap2 | None:
        try:
            index = faiss.read_index(str(self.path))
        except (RuntimeError, MemoryError):  # missing, cut short or not an index
            return None
        if not isinstance(index, faiss.IndexIDMap2) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            return None
        ids = faiss.vector_to_array(index.id_map)
        if len(ids) != index.ntotal or len(set(ids.tolist())) != len(ids) or not len(ids):
            return None
        lengths = np.linalg.norm(np.stack([index.reconstruct(int(key)) for key in ids]), axis=1)
        return index if np.allclose(lengths, 1, atol=1e-3) else None

    def _keep(self, index: faiss.IndexIDMap2) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        faiss.write_index(index, str(part))
        part.replace(self.path)
        for old in self.path.parent.glob(f"{self._name}-*"):
            if old != self.path:
                old.unlink(missing_ok=True)


def _id(text: str) -> int:
    """Return 62 bits of the text's hash: a FAISS id is a signed number, and -1 has a meaning."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 2
