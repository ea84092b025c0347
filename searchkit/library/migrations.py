"""Named steps from an empty file to the current schema; only ever appended to.

sqlite-utils applies them, each in one transaction with the record that it was applied. Readers compare
names (`KNOWN`) without importing it: a name they do not know was written by a newer searchkit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database as Tables

APPLICATION_ID = 0x53_4B_49_54  # "SKIT", so that `file` and we can tell our databases from others'
SET = "searchkit"
APPLIED = f"SELECT name FROM _sqlite_migrations WHERE migration_set = '{SET}'"

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'"
WORDS = "fulltext_words"  # library/words.py, which every connection that writes must define
DROP_FULL_TEXT = (
    "DROP TRIGGER IF EXISTS texts_into_fulltext",
    "DROP TRIGGER IF EXISTS texts_out_of_fulltext",
    "DROP TABLE IF EXISTS fulltext",
)
FULL_TEXT = (  # marks belong to words: without them Hindi and Thai fall into single letters
    f"""CREATE VIRTUAL TABLE fulltext USING fts5(context, text, content='', tokenize="{TOKENIZER}")""",
    f"""CREATE TRIGGER texts_into_fulltext AFTER INSERT ON texts BEGIN
          INSERT INTO fulltext (rowid, context, text)
          VALUES (new.text_id, {WORDS}(new.context), {WORDS}(new.text));
        END""",
    f"""CREATE TRIGGER texts_out_of_fulltext AFTER DELETE ON texts BEGIN
          INSERT INTO fulltext (fulltext, rowid, context, text)
          VALUES ('delete', old.text_id, {WORDS}(old.context), {WORDS}(old.text));
        END""",
    f"""INSERT INTO fulltext (rowid, context, text)
        SELECT text_id, {WORDS}(context), {WORDS}(text) FROM texts""",
)


def m001_first_schema(tables: Tables) -> None:
    """Sources, documents, texts, passages, vectors of record, snapshots."""
    tables.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    schema = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    for statement in schema.split(";\n"):  # executescript would commit the surrounding transaction
        if statement.strip():
            tables.execute(statement)


def m002_snapshots_are_tuned(tables: Tables) -> None:
    """How each snapshot is searched, beside what it is; files of the earlier format are made anew.

    Until the next run does so, queries scan the vectors of record.
    """
    tables.execute("DELETE FROM snapshots")
    tables.execute("ALTER TABLE snapshots ADD COLUMN search TEXT NOT NULL DEFAULT '{}'")  # JSON object


def m003_full_text(tables: Tables) -> None:
    """An index of the words of all texts, without a copy of them, kept in step by triggers."""
    for statement in FULL_TEXT:
        tables.execute(statement)


def m004_places(tables: Tables) -> None:
    """Where in its file each passage stands.

    Of those already stored only the first page is known. Files with places of another kind are read again by
    the next run; their texts are there, so none is embedded.
    """
    for column in ("unit TEXT", "first INTEGER", "last INTEGER", "sheet TEXT", "last_sheet TEXT"):
        tables.execute(f"ALTER TABLE passages ADD COLUMN place_{column}")
    tables.execute(
        """UPDATE passages SET place_first = page, place_last = page, place_unit =
             (SELECT CASE kind WHEN 'pptx' THEN 'slide' ELSE 'page' END FROM documents d
              WHERE d.document_id = passages.document_id)
           WHERE page IS NOT NULL"""
    )
    tables.execute(  # nobody has read them; size, time and hash stay true, for what compares by them
        """UPDATE files SET reader = '' WHERE file_id IN
             (SELECT file_id FROM documents WHERE kind IN
                ('markdown', 'text', 'code', 'notebook', 'xlsx', 'row'))"""
    )


def m005_forgotten(tables: Tables) -> None:
    """What may not come back, what is still to be erased, and the key under which both are hashed."""
    tables.execute(
        """CREATE TABLE forgotten (
             collection_id INTEGER NOT NULL,  -- 0: the whole Library
             file          BLOB    NOT NULL,  -- keyed hash of a file's place, content or size
             text          BLOB    NOT NULL,  -- keyed hash of a text's hash; empty: the whole file
             PRIMARY KEY (file, text, collection_id)
           ) WITHOUT ROWID"""
    )
    tables.execute(
        """CREATE TABLE forgetting (          -- wishes, from when their rows are gone until it is proven
             forget_id INTEGER PRIMARY KEY,
             traces    BLOB NOT NULL          -- library/traces.py
           )"""
    )
    tables.execute("CREATE TABLE forgotten_key (key BLOB NOT NULL)")
    tables.execute("INSERT INTO forgotten_key VALUES (randomblob(32))")


def m006_calibrations(tables: Tables) -> None:
    """What questions that have nothing to do with a Collection find in it."""
    tables.execute(
        """CREATE TABLE calibrations (
             collection_id INTEGER PRIMARY KEY REFERENCES collections ON DELETE CASCADE,
             profile       TEXT    NOT NULL,   -- as collections.profile was
             instruction   TEXT    NOT NULL,   -- of the questions, as the model read it
             passages      INTEGER NOT NULL,   -- that the Collection had
             last_passage_id INTEGER NOT NULL,
             nearest       REAL    NOT NULL,   -- see collection/relevance.py
             level         REAL    NOT NULL
           )"""
    )


def m007_duplicate_decisions(tables: Tables) -> None:
    """Which two texts a person called the same, or not."""
    tables.execute(
        """CREATE TABLE duplicate_decisions (
             first  BLOB    NOT NULL,          -- keyed hashes of the bodies of two texts, the smaller first
             second BLOB    NOT NULL,
             same   INTEGER NOT NULL,          -- 1: they are duplicates, 0: they are not
             PRIMARY KEY (first, second)
           ) WITHOUT ROWID"""
    )


def m008_clusters(tables: Tables) -> None:
    """Which passages of a Collection belong together, and what they are called."""
    tables.execute(
        """CREATE TABLE cluster_runs (
             collection_id   INTEGER PRIMARY KEY REFERENCES collections ON DELETE CASCADE,
             method          TEXT    NOT NULL,
             asked           TEXT    NOT NULL,  -- 'auto' or a number
             passages        INTEGER NOT NULL,  -- that were clustered
             last_passage_id INTEGER NOT NULL,  -- passages above it came later
             least           INTEGER NOT NULL,  -- passages of a cluster
             study           TEXT    NOT NULL   -- JSON: what was measured of each number of clusters tried
           )"""
    )
    tables.execute(
        """CREATE TABLE clusters (
             collection_id INTEGER NOT NULL REFERENCES cluster_runs ON DELETE CASCADE,
             number        INTEGER NOT NULL,    -- from 1
             name          TEXT    NOT NULL,
             words         TEXT    NOT NULL,    -- JSON list
             theme         INTEGER NOT NULL,
             theme_words   TEXT    NOT NULL,    -- JSON list
             floor         REAL    NOT NULL,    -- cosine below which a passage is an outlier
             centroid      BLOB    NOT NULL,    -- dim float32, little-endian, of length 1
             PRIMARY KEY (collection_id, number)
           )"""
    )
    tables.execute(
        """CREATE TABLE cluster_passages (      -- those that are gone go with their rows
             passage_id INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
             number     INTEGER NOT NULL,       -- 0: of no cluster
             cosine     REAL    NOT NULL        -- to the centroid
           )"""
    )


def m009_classifiers(tables: Tables) -> None:
    """What tells labelled texts apart, and which vectors it reads."""
    tables.execute(
        """CREATE TABLE classifiers (
             classifier_id   INTEGER PRIMARY KEY,
             name            TEXT    NOT NULL UNIQUE,
             collection_id   INTEGER REFERENCES collections ON DELETE CASCADE,  -- NULL: trained from a file
             passages        INTEGER NOT NULL,  -- that the Collection had then
             last_passage_id INTEGER NOT NULL,
             names           TEXT    NOT NULL,  -- JSON list: of its Documents' metadata; empty: their kind
             last_document_id INTEGER NOT NULL,
             labels          BLOB    NOT NULL,  -- hash of the labels of its Documents up to that one
             origin          TEXT    NOT NULL,  -- for people
             profile         TEXT    NOT NULL,  -- JSON of the whole Profile
             model           TEXT    NOT NULL,
             recipe          TEXT    NOT NULL,  -- JSON, as recipes.fields, whose rows may go
             dim             INTEGER NOT NULL,
             classes         TEXT    NOT NULL,  -- JSON list
             decision        TEXT    NOT NULL,  -- JSON: temperature, floor, threshold, precision
             figures         TEXT    NOT NULL,  -- JSON: what was measured; no text
             weights         BLOB    NOT NULL,  -- classes x dim float64, little-endian
             intercepts      BLOB    NOT NULL,  -- classes float64
             means           BLOB    NOT NULL   -- classes x dim float32
           )"""
    )


MIGRATIONS = (
    m001_first_schema,
    m002_snapshots_are_tuned,
    m003_full_text,
    m004_places,
    m005_forgotten,
    m006_calibrations,
    m007_duplicate_decisions,
    m008_clusters,
    m009_classifiers,
)
KNOWN = tuple(step.__name__ for step in MIGRATIONS)


def apply(connection: sqlite3.Connection) -> None:
    """Apply the steps that the file lacks."""
    from sqlite_utils import Database as Tables  # 0.16 s, paid only when there is something to apply
    from sqlite_utils.migrations import Migrations

    steps = Migrations(SET)
    for step in MIGRATIONS:
        steps()(step)
    steps.apply(Tables(connection))
