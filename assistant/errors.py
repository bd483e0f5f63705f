"""The error tree. Every message says what happened, to which thing, and what to do next;
a page or the command line shows that sentence unchanged.

MentoringError
├── SettingsError     a setting cannot be used
├── KnowledgeError    a knowledge file is wrong; names the file
├── PromptError       a prompt file is wrong or a variable is missing
├── EmbeddingError    the embedding model cannot be loaded or fails
├── ModelError        the text model cannot be loaded, reached or trusted
├── StoreError        the database is locked, broken or from a newer version
├── AccessError       missing or not yours: both say the same, on purpose
└── InputError        what was given cannot be used as it is
"""

from __future__ import annotations


class MentoringError(Exception):
    """Base of everything the application raises on purpose."""


class SettingsError(MentoringError):
    """A setting cannot be used."""


class KnowledgeError(MentoringError):
    """A knowledge file is wrong."""


class PromptError(MentoringError):
    """A prompt file is wrong or a variable is missing."""


class EmbeddingError(MentoringError):
    """The embedding model cannot be loaded or failed."""


class ModelError(MentoringError):
    """The text model cannot be loaded, reached or trusted."""


class StoreError(MentoringError):
    """The database cannot be read or written."""


class AccessError(MentoringError):
    """The thing asked for is missing or not the caller's: one answer for both."""


class InputError(MentoringError):
    """What was given cannot be used as it is."""
