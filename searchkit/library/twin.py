"""A copy of a Library to experiment on: its files copied, its passages given other texts."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from searchkit.errors import LibraryNotWritable
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library.collections import StoredCollection
from searchkit.library.database import FILE_NAME, Database, Transaction

ROOM = 1.2  # times the database's size that must be free


def copy(db: Database, collection: StoredCollection, folder: Path) -> None:
    """Copy the database, as it was last committed, and the snapshot of one Collection into an empty folder.

    Raises: LibraryNotWritable: there is no room for it.
    """
    path = db.folder / FILE_NAME
    needed, free = int(path.stat().st_size * ROOM), shutil.disk_usage(folder).free
    if free < needed:
        raise LibraryNotWritable(
            f"a copy of the Library needs {needed >> 20:,} MB in {folder.parent}, {free >> 20:,} MB are free",
            remedy="free space there, or name another folder for temporary files: TMPDIR=DIR searchkit ...",
        )
    with (
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(folder / FILE_NAME)) as new,
    ):
        old.backup(new)
    published = catalogue.snapshot(db, collection.collection_id)
    if published is not None and (db.folder / published.file).exists():
        shutil.copyfile(db.folder / published.file, folder / published.file)


def change_texts(
    tx: Transaction, collection: StoredCollection, changed: Sequence[tuple[int, bytes | None]]
) -> None:
    """Give passages another text; those without one go.

    changed: (passage id, hash of a text that is stored with its vector, or None). Passages get new ids, for a
    snapshot holds the old ones.
    """
    ids = [(passage_id,) for passage_id, _ in changed]
    tx.run_many(
        "INSERT INTO removals SELECT collection_id, passage_id FROM passages WHERE passage_id = ?", ids
    )
    tx.run_many("DELETE FROM cluster_passages WHERE passage_id = ?", ids)
    tx.run_many(
        "INSERT OR IGNORE INTO loose_texts SELECT collection_id, text_id FROM passages WHERE passage_id = ?",
        ids,
    )
    new = tx.rows("SELECT max(seq) FROM sqlite_sequence WHERE name = 'passages'")[0][0] or 0
    for passage_id, text_hash in changed:
        if text_hash is None:
            tx.run("DELETE FROM passages WHERE passage_id = ?", (passage_id,))
            continue
        new += 1
        tx.run(
            """UPDATE passages SET passage_id = ?, text_id = (SELECT text_id FROM texts WHERE hash = ?)
               WHERE passage_id = ?""",
            (new, text_hash, passage_id),
        )
    store.collect_garbage(tx, collection.collection_id)
