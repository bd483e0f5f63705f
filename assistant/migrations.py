"""The history of the database schema, append-only: a landed migration is never edited.

Rules that deletion and export stand on: every table that holds a person's words has a column
``owner`` with ``ON DELETE CASCADE`` to ``people``; ids are random text; times are ISO 8601 in UTC.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

history = Migrations("mentoring")

_FIRST = """
CREATE TABLE people (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, password TEXT NOT NULL,
    keeper INTEGER NOT NULL DEFAULT 0, welcomed INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL);
CREATE TABLE sign_ins (
    token_hash TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    created TEXT NOT NULL, used TEXT NOT NULL);
CREATE TABLE codes (
    code_hash TEXT PRIMARY KEY, purpose TEXT NOT NULL, owner TEXT REFERENCES people(id) ON DELETE CASCADE,
    role TEXT, created TEXT NOT NULL, expires TEXT NOT NULL);
CREATE TABLE attempts (subject TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE pairs (
    id TEXT PRIMARY KEY, mentee TEXT REFERENCES people(id) ON DELETE SET NULL,
    mentor TEXT REFERENCES people(id) ON DELETE SET NULL, created TEXT NOT NULL, ended TEXT,
    UNIQUE (mentee, mentor));

CREATE TABLE reflections (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    text TEXT NOT NULL, level TEXT NOT NULL DEFAULT 'none', left_alone INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL, changed TEXT NOT NULL);
CREATE TABLE reports (
    reflection TEXT PRIMARY KEY REFERENCES reflections(id) ON DELETE CASCADE,
    owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    text_hash TEXT NOT NULL, payload TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE vectors (
    owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, reflection TEXT NOT NULL
    REFERENCES reflections(id) ON DELETE CASCADE, model TEXT NOT NULL, text_hash TEXT NOT NULL,
    vector BLOB NOT NULL, PRIMARY KEY (owner, model, text_hash, reflection));
CREATE TABLE answers (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    reflection TEXT NOT NULL REFERENCES reflections(id) ON DELETE CASCADE,
    question TEXT NOT NULL, text TEXT NOT NULL, level TEXT NOT NULL DEFAULT 'none', changed TEXT NOT NULL,
    UNIQUE (reflection, question));
CREATE TABLE verdicts (
    owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    reflection TEXT NOT NULL REFERENCES reflections(id) ON DELETE CASCADE,
    theme TEXT NOT NULL, verdict TEXT NOT NULL, wording TEXT, changed TEXT NOT NULL,
    PRIMARY KEY (reflection, theme));
CREATE TABLE goals (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    goal TEXT NOT NULL, context TEXT NOT NULL DEFAULT '', reading TEXT, wording TEXT,
    level TEXT NOT NULL DEFAULT 'none', created TEXT NOT NULL, changed TEXT NOT NULL);

CREATE TABLE agreements (
    id TEXT PRIMARY KEY, pair TEXT NOT NULL REFERENCES pairs(id) ON DELETE CASCADE,
    owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, payload TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE meetings (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    pair TEXT REFERENCES pairs(id) ON DELETE SET NULL, wants TEXT NOT NULL DEFAULT '',
    take TEXT NOT NULL DEFAULT '', do TEXT NOT NULL DEFAULT '', due TEXT NOT NULL DEFAULT '', held TEXT,
    created TEXT NOT NULL, changed TEXT NOT NULL);
CREATE TABLE items (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    meeting TEXT NOT NULL REFERENCES meetings(id) ON DELETE CASCADE, kind TEXT NOT NULL,
    text TEXT NOT NULL, quote TEXT NOT NULL DEFAULT '', theme TEXT,
    reflection TEXT REFERENCES reflections(id) ON DELETE CASCADE, origin TEXT NOT NULL DEFAULT 'own',
    position INTEGER NOT NULL, created TEXT NOT NULL);
CREATE TABLE actions (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    meeting TEXT NOT NULL REFERENCES meetings(id) ON DELETE CASCADE, text TEXT NOT NULL,
    due TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT 'open', created TEXT NOT NULL);
CREATE TABLE logs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    pair TEXT REFERENCES pairs(id) ON DELETE SET NULL, held TEXT NOT NULL, minutes INTEGER,
    mode TEXT, topics TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '', created TEXT NOT NULL);

CREATE TABLE shares (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    pair TEXT NOT NULL REFERENCES pairs(id) ON DELETE CASCADE, kind TEXT NOT NULL,
    part TEXT NOT NULL DEFAULT '', payload TEXT, shared TEXT NOT NULL, withdrawn TEXT);
CREATE TABLE share_sources (
    share TEXT NOT NULL REFERENCES shares(id) ON DELETE CASCADE, source TEXT NOT NULL,
    PRIMARY KEY (share, source));
CREATE TABLE replies (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    share TEXT REFERENCES shares(id) ON DELETE SET NULL, text TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE marks (
    owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    share TEXT NOT NULL REFERENCES shares(id) ON DELETE CASCADE, mark TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, share));
CREATE TABLE notes (
    owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE,
    pair TEXT NOT NULL REFERENCES pairs(id) ON DELETE CASCADE, kind TEXT NOT NULL,
    text TEXT NOT NULL, changed TEXT NOT NULL, PRIMARY KEY (owner, pair, kind));

CREATE INDEX reflections_by_owner ON reflections(owner, created);
CREATE INDEX items_by_meeting ON items(meeting, position);
CREATE INDEX meetings_by_owner ON meetings(owner, created);
CREATE INDEX shares_by_source ON share_sources(source);
CREATE INDEX shares_by_pair ON shares(pair, shared);
CREATE INDEX attempts_by_subject ON attempts(subject, at);
"""


@history()
def m001_first(db: Database) -> None:
    """People, their writing and what is derived from it, preparation, sharing in both directions."""
    for statement in _FIRST.split(";"):
        if statement.strip():
            db.execute(statement)


@history()
def m002_feedback(db: Database) -> None:
    """What a person did with a suggested question, and the words an item was suggested in."""
    db.execute(
        "CREATE TABLE feedback (id TEXT PRIMARY KEY, "
        "owner TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, "
        "reflection TEXT REFERENCES reflections(id) ON DELETE CASCADE, question TEXT NOT NULL, "
        "origin TEXT NOT NULL, deed TEXT NOT NULL, changed TEXT NOT NULL, UNIQUE (owner, question))"
    )
    db.execute("ALTER TABLE items ADD COLUMN suggested TEXT NOT NULL DEFAULT ''")


def unknown(db: Database) -> set[str]:
    """Return the migrations that a newer version applied and this one does not know."""
    return {item.name for item in history.applied(db)} - {item.name for item in history._migrations}
