"""A copy of one Collection to experiment on: where it lies, what is copied, passages given other texts.

A copy lies in a folder of its own within the Library's, where `forget` sees it, and is locked by the process
that works on it. One whose lock is free was left by a killed process; whoever comes next deletes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from searchkit.errors import LibraryNotWritable
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library.collections import StoredCollection
from searchkit.library.database import FILE_NAME, Database, Transaction, temporary_folder

if TYPE_CHECKING:
    import filelock

OnCopied: TypeAlias = Callable[[int, int], None]  # rows copied, of how many

PREFIX = "searchkit-self-"
LOCK_NAME = "copy.lock"
ATTEMPTS = 3  # at a folder that another process sweeps between its making and its locking
ROOM = 1.2  # times its share of the database that must be free
LOG_BYTES = 32 << 20  # SQLite's log, before it is moved into the database
TOGETHER = 2_048  # rows of a transaction

# Each table before those that refer to it, and which of its rows belong to a Collection. What is made of them
# (clusters, classifiers, decisions) changes no answer; of the words there are those of these texts alone.
_TEXTS = "text_id IN (SELECT text_id FROM passages WHERE collection_id = {collection})"
_ROWS = {
    "recipes": "recipe_id = {recipe}",
    "collections": "collection_id = {collection}",
    "calibrations": "collection_id = {collection}",
    "snapshots": "collection_id = {collection}",
    "removals": "collection_id = {collection}",
    "sources": "collection_id = {collection}",
    "files": "source_id IN (SELECT source_id FROM sources WHERE collection_id = {collection})",
    "documents": """file_id IN (SELECT file_id FROM files JOIN sources USING (source_id)
                                WHERE collection_id = {collection})""",
    "texts": _TEXTS,
    "passages": "collection_id = {collection}",
    "vectors": "recipe_id = {recipe} AND " + _TEXTS,
}


# -------------------------------------------------------------------- where copies lie


@contextmanager
def room(library: Path) -> Iterator[Path]:
    """An empty, locked folder for a copy, for its owner's eyes only; gone afterwards.

    In the Library's folder; where nothing can be written there, among temporary files. Copies that killed
    processes left in either are deleted. Raises: LibraryNotWritable: it can be made in neither.
    """
    folder, lock = _made(library)
    try:
        yield folder
    finally:
        _delete(folder, lock)


def sweep(folder: Path) -> list[Path]:
    """Delete the copies in a folder that no process works on. Returns: those that are there still."""
    for path in _copies(folder):
        if (lock := _locked(path)) is not None:
            _delete(path, lock)
    return _copies(folder)


def left_behind(folder: Path) -> list[Path]:
    """The copies in a folder that no process works on."""
    found = []
    for path in _copies(folder):
        if (lock := _locked(path)) is not None:
            lock.release()
            found.append(path)
    return found


def _copies(folder: Path) -> list[Path]:
    # An empty one is just being made, or holds nothing of anybody.
    return sorted(
        path for path in folder.glob(f"{PREFIX}*") if path.is_dir() and not path.is_symlink() and _used(path)
    )


def _used(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:  # another user's, among temporary files
        return False


def _made(library: Path) -> tuple[Path, filelock.BaseFileLock]:
    for parent in (library, temporary_folder()):
        sweep(parent)
        for _ in range(ATTEMPTS):
            try:
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            except OSError:
                break
            if (lock := _locked(folder)) is not None:
                return folder, lock
    raise LibraryNotWritable(
        f"a copy of the Library can be made neither in {library} nor in {temporary_folder()}",
        remedy="name a folder for temporary files that you may write to: TMPDIR=DIR searchkit ...",
    )


def _locked(folder: Path) -> filelock.BaseFileLock | None:
    """The lock of a copy, taken; None where another process holds it, or it cannot be had."""
    import filelock  # of no use to a query

    lock = filelock.FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except (filelock.Timeout, OSError):
        return None
    return lock


def _delete(folder: Path, lock: filelock.BaseFileLock) -> None:
    lock.release()  # Windows deletes no file that is open
    shutil.rmtree(folder, ignore_errors=True)  # nor one that is mapped: what stays is swept by the next


# -------------------------------------------------------------------- what is copied


def copy(db: Database, collection: StoredCollection, folder: Path, on_copied: OnCopied | None = None) -> None:
    """Copy one Collection, as the connection sees it, and its snapshot into an empty folder.

    Raises: LibraryNotWritable: there is no room for it.
    """
    _require_space(db, collection, folder)
    ids = {"collection": collection.collection_id, "recipe": collection.recipe_id}
    wanted = {table: f"{table} WHERE {where.format(**ids)}" for table, where in _ROWS.items()}
    total = sum(db.rows(f"SELECT count(*) FROM {rows}")[0][0] for rows in wanted.values())
    done = 0
    with Database.write(folder) as new:
        new.rows("PRAGMA synchronous = OFF")  # nobody reads it after a power failure
        for table, rows in wanted.items():
            left = db.scan(f"SELECT * FROM {rows}")
            while block := list(islice(left, TOGETHER)):
                with new.transaction() as tx:
                    tx.run_many(f"INSERT INTO {table} VALUES ({', '.join('?' * len(block[0]))})", block)
                done += len(block)
                if on_copied is not None:
                    on_copied(done, total)
        with new.transaction() as tx:  # ids that the snapshot holds, and no passage has, are not given again
            sequence = db.row("SELECT seq FROM sqlite_sequence WHERE name = 'passages'")
            tx.run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'passages'", sequence or (0,))
    _copy_snapshot(db, collection, folder)


def _require_space(db: Database, collection: StoredCollection, folder: Path) -> None:
    files = [db.folder / f"{FILE_NAME}{suffix}" for suffix in ("", "-wal")]
    size = sum(file.stat().st_size for file in files if file.exists())
    passages = db.rows("SELECT count(*) FROM passages")[0][0]
    share = catalogue.count_passages(db, collection.collection_id) / max(1, passages)
    published = catalogue.snapshot(db, collection.collection_id)
    snapshots = 2 * published.size if published else 0  # this one, and one made anew
    needed, free = int(ROOM * share * size) + LOG_BYTES + snapshots, shutil.disk_usage(folder).free
    if free < needed:
        raise LibraryNotWritable(
            f"a copy of collection '{collection.name}' needs {needed / 1e6:,.0f} MB in {folder.parent}, "
            f"where {free / 1e6:,.0f} MB are free",
            remedy="free space there, then run the same command again",
        )


def _copy_snapshot(db: Database, collection: StoredCollection, folder: Path) -> None:
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return
    with suppress(FileNotFoundError):  # just replaced: queries of the copy scan, and a new one is made
        try:
            os.link(db.folder / published.file, folder / published.file)  # what is published never changes
        except OSError:  # another file system, or one without links
            shutil.copyfile(db.folder / published.file, folder / published.file)


# -------------------------------------------------------------------- other texts


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
