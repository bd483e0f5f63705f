"""Finds texts by their words: SQLite's FTS5 with Porter stems and BM25, held in memory.

The texts are the library's, the same for everybody; nobody's writing is kept here.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FIELDS = ("title", "body", "situations")
WEIGHTS = (3.0, 1.0, 2.0)  # of a word in each field
_WORD = re.compile(r"[^\W_]+")
# Words of almost every sentence: they cost time and find nothing.
STOP = frozenset(
    """a about all also am an and any are as at be because been but by can could did do does for from had has have
    he her him his how i if in into is it its just me more most much my no not now of on one only or other our out
    over own said say she so some than that the their them then there these they this those to too up us very was
    we were what when where which who why will with would you your""".split()
)


class WordIndex:
    """Texts by the order they were given in; safe to share between threads."""

    def __init__(self, texts: Sequence[tuple[str, str, str]]) -> None:
        """``texts``: title, body and situations of each."""
        self._size = len(texts)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(
            f"create virtual table texts using fts5({', '.join(FIELDS)}, tokenize = 'porter unicode61')"
        )
        self._database.executemany(
            "insert into texts (rowid, title, body, situations) values (?, ?, ?, ?)",
            ((number, *text) for number, text in enumerate(texts)),
        )

    def scores(self, words: str) -> npt.NDArray[np.float64]:
        """Return the BM25 of each text for ``words``, (texts,): higher is nearer, 0 where no word is shared."""
        found = np.zeros(self._size)
        wanted = dict.fromkeys(word for word in _WORD.findall(words.lower()) if word not in STOP)
        if not wanted:
            return found
        # Quoted, a word is only a word: nothing in a text can be read as an operator.
        query = " OR ".join(f'"{word}"' for word in wanted)
        with self._lock:
            rows = self._database.execute(
                "select rowid, bm25(texts, ?, ?, ?) from texts where texts match ?", (*WEIGHTS, query)
            ).fetchall()
        for number, score in rows:
            found[number] = -score
        return found
