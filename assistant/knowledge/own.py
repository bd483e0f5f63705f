"""An organisation's own documents: what the library makes of them, and the folder they are kept in."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml
from pydantic import ValidationError

from assistant.domain import Passage
from assistant.errors import KnowledgeError
from assistant.knowledge import passages
from assistant.knowledge.reading import Misfit, fault, front_matter

PASSAGES = "passages"  # the folder of documents inside an organisation's folder


def read(name: str, text: str, known: passages.Known, taken: Collection[str]) -> list[Passage]:
    """Return the passages of a document called ``name``, one or more under each heading.

    ``taken`` are the ids of other passages. Raises KnowledgeError: one line with file, line and reason.
    """
    try:
        found = list(passages.documents(name, text, known))
        for passage in found:
            if passage.id in taken:
                raise Misfit(f"a passage with the id {passage.id} exists already; rename the file", line=1)
        return found
    except (ValidationError, yaml.YAMLError, KnowledgeError, ValueError) as error:
        raise KnowledgeError(fault(name, error, *front_of(text))) from error


def front_of(text: str) -> tuple[str, int]:
    """Return a file's front matter, for naming lines in it, and how many lines stand above it."""
    try:
        return front_matter(text)[0], 1
    except KnowledgeError:
        return "", 0


def add(folder: Path, source: Path, known: passages.Known, library: Collection[str]) -> list[Passage]:
    """Copy a document into ``folder``, in place of one of the same name, and return its passages.

    ``library`` are the ids of the shipped passages. A document with a fault is not copied. Raises KnowledgeError.
    """
    if source.suffix.lower() != ".md":
        raise KnowledgeError(f"{source} is no Markdown file. Give one whose name ends in .md.")
    text = _text(source)
    others = {
        item.id for path in files(folder) if path.name != source.name for item in _readable(path, known)
    }
    found = read(source.name, text, known, {*library, *others})
    place = folder / PASSAGES / source.name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.absolute() != place.absolute():
            place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KnowledgeError(
            f"{place} cannot be written ({error.strerror}). Choose another folder with the setting organisation."
        ) from error
    return found


def remove(folder: Path, name: str) -> Path:
    """Delete the document called ``name``, and return where it was. Raises KnowledgeError when there is none."""
    for path in files(folder):
        if path.name == name:
            path.unlink()
            return path
    known = ", ".join(path.name for path in files(folder)) or "there is none"
    raise KnowledgeError(f"{folder} has no document called {name}. Documents: {known}.")


def files(folder: Path) -> list[Path]:
    """Return the documents in an organisation's folder, by name."""
    return sorted((folder / PASSAGES).glob("**/*.md")) if folder.is_dir() else []


def _readable(path: Path, known: passages.Known) -> list[Passage]:
    try:
        return read(path.name, _text(path), known, ())
    except KnowledgeError:  # named when the library is loaded
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise KnowledgeError(f"{path} cannot be read ({error.strerror}). Check the name.") from error
    except ValueError as error:
        raise KnowledgeError(
            f"{path.name}: not a text in UTF-8. Save it as UTF-8 and add it again."
        ) from error
