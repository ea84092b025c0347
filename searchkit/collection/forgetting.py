"""Forgets Documents for good: takes them out of the tables, erases every trace of them, and proves it.

One transaction takes out text, title, headings, metadata, vectors and words, and notes the wish with
fingerprints of what has to vanish. From there on the Documents are found no more, and whatever happens, the
next process that writes goes on: new snapshots without the rows, the index of words merged, the database
written anew (VACUUM leaves behind free pages and slack), the write-ahead log cut to nothing, and last every
file of the Library's folder searched for the fingerprints. Only then is the wish struck out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from searchkit.collection import recovery
from searchkit.collection.left_out import content_of
from searchkit.embedding.progress import tell
from searchkit.errors import (
    LibraryBusy,
    LibraryDamaged,
    LibraryError,
    LibraryNotWritable,
    UsageError,
    near_names,
)
from searchkit.library import classifiers, clusters, forgotten, fulltext, lock, twin, vectors
from searchkit.library import collections as catalogue
from searchkit.library.collections import StoredCollection
from searchkit.library.database import BUSY_MS, Database, temporary_folder
from searchkit.library.forgotten import NOTHING, Erased, Held
from searchkit.library.traces import Traces, blocks_of, blocks_of_values
from searchkit.paths import escape_name, names_of, path_of, places
from searchkit.settings import expanded
from searchkit.vector_index.container import open_container
from searchkit.vector_index.protocol import DamagedIndex
from searchkit.vector_index.snapshot import superseded

COMMAND = "searchkit forget"  # as others see it: a command line would name what is forgotten
POLL_S = 0.1
AGAIN = "when it is done, go on with: searchkit forget"
NAMES_COMPARED = 5_000
PAUSE_S = 60.0  # between attempts of one process that writes often: each writes the database anew

_not_before: dict[Path, float] = {}  # Library -> when an interrupted 'forget' is gone on with at the earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was searched for traces, and what for; none was found, or there is an error instead of a proof.

    A piece is a window of 24 bytes, or a value of 8 to 23. What is shorter cannot be told from chance, codes
    of vectors and compressed words hold no bytes of their originals: of snapshots it is checked that they
    hold the remaining passages only, and the index of words is merged. Nothing is said of what lies outside
    the Library's files: blocks that the file system or the disk has given up, copies, backups, swap.
    """

    files: int
    bytes: int
    pieces: int
    elsewhere: int  # of them: pieces that remaining Documents hold too, and that may therefore be found
    snapshots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What `forget` did. `shared` of the passages have a text that other Documents hold, too: it stays.

    clusters: Collections whose clusters were deleted, for their names are words of what was forgotten.
    """

    document: str
    collections: tuple[str, ...]
    documents: int
    passages: int
    shared: int
    clusters: tuple[str, ...]  # Collections whose clusters went with it
    classifiers: tuple[str, ...]  # that were trained from what is gone
    proof: Proof
    took_s: float


def look_up(db: Database, document: str, collection: StoredCollection | None) -> list[Held]:
    """The files and Documents that a name means: a Document's, a file's, or a path.

    Returns: the same file in one Collection or several; nothing where it is not held but was forgotten.
    Raises: UsageError: there is none of that name, or files in different places have it.
    """
    within = collection.collection_id if collection else None
    path = Path(os.path.abspath(expanded(document)))
    name = document.encode("utf-8", "replace").decode()  # as a path it may be no valid UTF-8
    found = forgotten.held(db, name, within) or forgotten.held_at(db, path, within)
    at = sorted({one.places[0] for one in found})
    if len(at) > 1:
        shown = ", ".join(place.decode(errors="replace") for place in at)
        raise UsageError(
            f"{len(at)} files are called '{document}': {shown}",
            remedy="name the one you mean by its path",
        )
    if not (found or _was_forgotten(db, document, path)):
        known = [row[0] for row in db.rows("SELECT DISTINCT name FROM files LIMIT ?", (NAMES_COMPARED,))]
        where = f"collection '{collection.name}'" if collection else f"the Library in {db.folder}"
        raise UsageError(
            f"{where} holds no document '{document}'{near_names(document, known)}",
            remedy="name it as results do, or by its path; "
            + (problems(db) or ["traces of what was removed: searchkit forget"])[0],
        )
    return found


def held(db: Database, document: str, collection: StoredCollection | None) -> tuple[tuple[str, ...], int]:
    """The Collections that hold a Document or file, and its passages. Raises: UsageError: none does."""
    files = look_up(db, document, collection)
    return _names(files), forgotten.passages_of(db, files)


def _names(files: Iterable[Held]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.collection for one in files))


def _was_forgotten(db: Database, document: str, path: Path) -> bool:
    """Whether a file of that name or path was forgotten, or anything of the table that a row's name names."""
    for one in catalogue.collections(db):
        marks = forgotten.marks(db, one.collection_id)
        named = [(path.parent, escape_name(path.name))]
        for source in catalogue.sources(db, one.collection_id):
            named += ((source.root, name) for name in (document, *names_of(source.root, path)))
        for root, name in named:
            if marks.of_places(places(root, name)):
                return True
            table = name.rpartition("#")[0]
            if table and marks.within(places(root, table)):
                return True
    return False


def forget(
    db: Database, document: str | None, collection: StoredCollection | None, wait_s: float
) -> Forgotten:
    """Erase a Document, or without one what was removed before; see the head of this file.

    Raises: UsageError: there is no such Document. LibraryBusy: another process reads an old state for longer
    than `wait_s`. LibraryNotWritable: there is no space to write the database anew. LibraryDamaged: traces
    were found. After the last three the wish is kept.
    """
    started = time.perf_counter()
    files = look_up(db, document, collection) if document is not None else []
    _require_space(db)
    trained = classifiers.names(db)
    clustered = clusters.clustered(db)
    erased = begin(db, files, everywhere=collection is None) if files else NOTHING
    proof = finish(db, wait_s)
    return Forgotten(
        document=document or "",
        collections=_names(files),
        documents=erased.documents,
        passages=erased.passages,
        shared=erased.shared,
        clusters=tuple(name for name in clustered if name not in clusters.clustered(db)),
        classifiers=tuple(sorted({*trained} - {*classifiers.names(db)})),
        proof=proof,
        took_s=round(time.perf_counter() - started, 3),
    )


def begin(db: Database, files: Sequence[Held], *, everywhere: bool) -> Erased:
    """Take Documents out of the tables and note what has to vanish, in one step."""
    files = [replace(one, now=content_of(path_of(one.root, one.name))) if one.whole else one for one in files]
    db.rows("PRAGMA temp_store = MEMORY")  # else old pages of a large statement go to a file outside
    with db.transaction() as tx:
        erased = forgotten.erase(tx, files, everywhere=everywhere)
    db.rows("PRAGMA temp_store = DEFAULT")  # what VACUUM writes there was not forgotten, and may be large
    return erased


def finish(db: Database, wait_s: float) -> Proof:
    """Erase the traces of all wishes, prove it, and strike the wishes out. Raises: as `forget` does."""
    noted = lock.note(db.folder, COMMAND)
    wishes, traces = forgotten.pending(db)
    for one in catalogue.collections(db):
        if len(vectors.removed_passages(db, one.collection_id)) or recovery.is_damaged(db, one):
            recovery.publish(db, one)
    recovery.sweep(db)
    if left := superseded(db.folder, catalogue.snapshot_files(db)):
        raise LibraryBusy(f"another process holds {left[0]} open, an old snapshot", remedy=AGAIN)
    if copies := twin.sweep(db.folder):
        raise LibraryBusy(f"another process measures a copy of what is held, in {copies[0]}", remedy=AGAIN)
    with db.transaction() as tx:
        clusters.delete_outdated(tx)
        classifiers.delete_outdated(tx)
        fulltext.optimize(tx)
    _require_space(db)
    db.rows("VACUUM")
    empty_log(db, wait_s)
    proof = _prove(db, traces, noted)
    if wishes:
        with db.transaction() as tx:
            forgotten.settle(tx, wishes)
        with suppress(LibraryBusy):  # somebody began to read meanwhile; this log holds only that it is done
            empty_log(db, wait_s=0.0)
    return proof


def finish_pending(db: Database) -> None:
    """Go on with what a killed process was to forget; what stands in the way now leaves it for the next.

    Called by everything that writes, first.
    """
    if time.monotonic() < _not_before.get(db.folder, 0.0):
        return
    try:
        empty_log(db, wait_s=0.0)  # while somebody reads an old state all the rest would be in vain
        tell("Going on with an interrupted 'forget': the database is written anew.")
        finish(db, wait_s=0.0)
    except LibraryError as error:  # not even a proof that fails keeps others from writing, and from mending
        _not_before[db.folder] = time.monotonic() + PAUSE_S
        tell(f"An interrupted 'forget' is not finished yet: {error.in_one_line}")
    finally:
        with suppress(LibraryNotWritable):  # who writes will meet that, too
            lock.note(db.folder, shlex.join(sys.argv))


def problems(db: Database) -> list[str]:
    """What was to be forgotten, and may still have traces."""
    if not (wishes := forgotten.wishes(db)):
        return []
    return [f"{wishes} interrupted 'forget' may have left traces; go on with: searchkit forget"]


def empty_log(db: Database, wait_s: float) -> None:
    """Move the write-ahead log into the database and cut it to nothing, once nobody reads old states.

    Raises: LibraryBusy: somebody does so for longer than `wait_s`.
    """
    deadline = time.monotonic() + wait_s
    db.rows("PRAGMA busy_timeout = 0")
    told = False
    try:
        while db.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            if time.monotonic() >= deadline:
                raise LibraryBusy("another process still reads the Library as it was before", remedy=AGAIN)
            if not told:
                tell("Waiting: another process still reads the Library as it was before.")
                told = True
            time.sleep(POLL_S)
    finally:
        db.rows(f"PRAGMA busy_timeout = {BUSY_MS}")


def space_for_forgetting(db: Database) -> list[tuple[list[Path], int, int]]:
    """Folders on each device, the bytes that VACUUM takes there for a while, and those that are free.

    It writes the live pages to a temporary file, and from there into the log.
    """
    (pages,), (free,), (size,) = (
        db.rows(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size")
    )
    needed = (pages - free) * size
    folders = {db.folder.stat().st_dev: [db.folder]}
    temporary = temporary_folder()
    folders.setdefault(temporary.stat().st_dev, []).append(temporary)
    return [(shared, needed * len(shared), shutil.disk_usage(shared[0]).free) for shared in folders.values()]


def _require_space(db: Database) -> None:
    """Raise LibraryNotWritable if there is no room to write the database anew."""
    for shared, wanted, free_there in space_for_forgetting(db):
        if free_there < wanted:
            raise LibraryNotWritable(
                f"to forget, the database is written anew: that takes {wanted / 1e6:,.0f} MB for a while in "
                f"{' and '.join(map(str, shared))}, where {free_there / 1e6:,.0f} MB are free",
                remedy="free space there, then run the same command again",
            )


# -------------------------------------------------------------------- proving


def _prove(db: Database, traces: Traces, noted: bytes) -> Proof:
    """Search every file of the folder. noted: what stands in the note of who writes, and came from nowhere.

    Raises: LibraryDamaged: something is still there.
    """
    paths = sorted(path for path in db.folder.iterdir() if path.is_file())
    found = {path: traces.among(_read(path)) for path in paths}
    all_found = _together(traces, found.values())
    known = blocks_of_values(chain([noted], forgotten.stored_values(db)))
    explained = all_found.among(known) if len(all_found) else all_found
    for path, here in found.items():
        if len(here.without(explained)):
            raise LibraryDamaged(
                f"{path} still holds bytes of what was to be forgotten",
                remedy="go on with: searchkit forget; if it is no file of searchkit's, move it away before",
            )
    return Proof(
        files=len(paths),
        bytes=sum(path.stat().st_size for path in paths),
        pieces=len(traces),
        elsewhere=len(explained),
        snapshots=sum(_check_snapshot(db, one) for one in catalogue.collections(db)),
    )


def _read(path: Path) -> Iterable[bytes]:
    try:
        yield from blocks_of(path)
    except OSError as error:
        raise LibraryError(
            f"{path} cannot be searched for traces: {error.strerror}",
            remedy="mend that, then: searchkit forget",
        ) from error


def _together(traces: Traces, parts: Iterable[Traces]) -> Traces:
    return Traces.stored(traces.key, {part.as_bytes(): None for part in parts})


def _check_snapshot(db: Database, collection: StoredCollection) -> bool:
    """Whether there is a snapshot. Raises: LibraryDamaged: it holds passages that the Collection lacks."""
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return False
    try:
        ids = set(open_container(db.folder / published.file).ids.tolist())
    except DamagedIndex as error:
        raise LibraryDamaged(
            f"snapshot {published.file}: {error}", remedy="make it anew: searchkit rebuild; searchkit forget"
        ) from error
    passages = db.scan("SELECT passage_id FROM passages WHERE collection_id = ?", (collection.collection_id,))
    if ids - {row[0] for row in passages}:
        raise LibraryDamaged(
            f"snapshot {published.file} holds passages that are gone",
            remedy="make it anew: searchkit rebuild; searchkit forget",
        )
    return True
