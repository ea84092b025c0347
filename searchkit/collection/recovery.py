"""Keeps snapshots in step with the truth: publishes, opens, rebuilds and checks them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.collection.kept import Kept
from searchkit.errors import LibraryDamaged, LibraryNotWritable
from searchkit.library import collections as catalogue
from searchkit.library import vectors
from searchkit.library.collections import StoredCollection, StoredSnapshot
from searchkit.library.database import Database, temporary_folder
from searchkit.library.vectors import CollectionVectors
from searchkit.vector_index import snapshot as snapshots
from searchkit.vector_index.choose import choose_index, snapshot_is_due
from searchkit.vector_index.container import Checks, checks_of, open_container
from searchkit.vector_index.protocol import FLAT, DamagedIndex, IndexPlan, Tuning, VectorIndex
from searchkit.vector_index.snapshot import Snapshot

if TYPE_CHECKING:
    from searchkit.vector_index.build import Built

UNIT_TOLERANCE = 1e-3  # of a stored vector's length around 1
FEW = 5  # examples shown of each kind of problem

# Of this process's memory, what one open index may hold, or several that are kept; where that cannot be
# asked, of 8 GiB.
MEMORY_SHARE = 0.25
USUAL_MEMORY = 8 << 30

# Opened snapshots, so that a second query pays neither for checking nor for reading them again.
_opened: Kept[Snapshot] = Kept(most=4, most_bytes=lambda: memory_budget())


def open_snapshot(db: Database, collection: StoredCollection) -> VectorIndex | None:
    """Open the published snapshot; None where there is none, or none that can be used.

    A query works without it: the vectors of record are scanned instead, and the next run makes it anew.
    The index reads vectors of record through `db`: it is of no use after that is closed.
    """
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return None
    path = db.folder / published.file
    try:
        plan, tuning = plan_of(published)
        held = _opened.get(path, published.checksum, lambda: _open(path, published, plan))
    except (OSError, DamagedIndex):
        return None
    return held.index(tuning, _record(db, collection))


def plan_of(published: StoredSnapshot) -> tuple[IndexPlan, Tuning]:
    """What a snapshot was built as and how it is searched. Raises: DamagedIndex: the Library does not say."""
    try:
        plan, tuning = published.search["plan"], published.search["tuning"]
        return IndexPlan(kind=published.kind, **plan), Tuning(**tuning)
    except (KeyError, TypeError) as error:
        raise DamagedIndex(f"the Library does not say how it is searched: {error}") from error


def _open(path: Path, published: StoredSnapshot, plan: IndexPlan) -> Snapshot:
    return snapshots.open_snapshot(path, plan, size=published.size, checksum=published.checksum)


def _record(db: Database, collection: StoredCollection) -> CollectionVectors:
    return CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)


def publish_if_due(db: Database, collection: StoredCollection) -> bool:
    """Write a new snapshot where the published one is missing, damaged or too far behind."""
    published = None if is_damaged(db, collection) else catalogue.snapshot(db, collection.collection_id)
    rows = catalogue.count_passages(db, collection.collection_id)
    removed, tail = lag(db, collection, published) if published else (0, 0)
    if not snapshot_is_due(
        rows=rows, in_snapshot=published.rows if published else None, tail=tail, removed=removed
    ):
        return False
    publish(db, collection)
    return True


def lag(db: Database, collection: StoredCollection, published: StoredSnapshot) -> tuple[int, int]:
    """How many rows of a snapshot have been removed since, and how many passages it does not hold yet."""
    gone = vectors.removed_passages(db, collection.collection_id)
    removed = int((gone <= published.last_passage_id).sum())
    return removed, catalogue.count_passages(db, collection.collection_id) - (published.rows - removed)


def is_damaged(db: Database, collection: StoredCollection) -> bool:
    """Whether there should be a snapshot, and queries cannot use it."""
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return False
    try:
        _require_usable(db.folder / published.file, published)
    except DamagedIndex:
        return True
    return False


def _require_usable(path: Path, published: StoredSnapshot) -> None:
    """Raise DamagedIndex unless queries can use a snapshot. Codes are opened only where FAISS is another."""
    plan, _ = plan_of(published)
    made_with = published.search.get("faiss", "")
    if made_with and made_with != snapshots.faiss_version():
        _open(path, published, plan)
        return
    snapshots.check(path, size=published.size, checksum=published.checksum)
    open_container(path)


def publish(db: Database, collection: StoredCollection) -> None:
    """Write a snapshot of all the Collection's vectors of record and make it the one that queries use.

    Raises: LibraryNotWritable: the file cannot be written; the truth is not touched by that.
    """
    from searchkit.vector_index.build import build  # a query needs nothing of it

    current = catalogue.collection_named(db, collection.name) or collection
    rows = catalogue.count_passages(db, current.collection_id)
    plan = choose_index(rows, current.dim, memory_budget())
    built: Built | None = None

    def write(path: Path) -> None:
        nonlocal built
        built = build(plan, _record(db, current), path)

    generation = current.generation + 1  # a snapshot of the same state has another name than the one before
    name = snapshots.file_name(current.collection_id, current.recipe_id, generation)
    _opened.forget(db.folder / name)
    try:
        size, checksum = snapshots.publish(db.folder / name, write)
    except OSError as error:
        raise LibraryNotWritable(
            f"the snapshot of '{current.name}' cannot be written: {error}; all its passages are stored",
            remedy="free space, then: searchkit rebuild; until then queries scan the stored vectors",
        ) from error
    assert built is not None
    published = StoredSnapshot(
        file=name,
        kind=built.plan.kind,
        generation=generation,
        rows=built.rows,
        last_passage_id=built.last_id,
        size=size,
        checksum=checksum,
        search=_described(built),
    )
    with db.transaction() as tx:
        catalogue.advance(tx, current.collection_id)
        catalogue.put_snapshot(tx, current.collection_id, published)


def _described(built: Built) -> Mapping[str, Any]:
    plan = asdict(built.plan)
    del plan["kind"]
    described = {"plan": plan, "tuning": asdict(built.tuning)}
    return described if built.plan.kind == FLAT else {**described, "faiss": snapshots.faiss_version()}


def memory_budget() -> int:
    """Bytes of RAM that one open index may hold."""
    memory, limit = _machine_memory(), memory_limit()
    return int(min(memory, limit or memory) * MEMORY_SHARE)


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return USUAL_MEMORY


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that this process's control groups allow it, versions 1 and 2; None outside of Linux.

    root: the folder that holds `proc` and `sys`.
    """
    limits = []
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            name = "memory.limit_in_bytes" if controllers else "memory.max"
            top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
            # A container sees its own group at the top, whatever that is called outside.
            inner = top / group.lstrip("/")
            for folder in (inner, *inner.parents[: 1 - len(top.parts)]):
                with suppress(OSError, ValueError):  # not there; "max"
                    limits.append(int((folder / name).read_text()))
    return min(limits, default=None)


def sweep(db: Database) -> None:
    """Delete what killed runs left, copies of Collections among it, and superseded snapshots."""
    from searchkit.library import twin  # of no use to a query

    for folder in (db.folder, temporary_folder()):
        twin.sweep(folder)
    snapshots.sweep(db.folder, catalogue.snapshot_files(db))


# -------------------------------------------------------------------- verify


def problems(db: Database, collection: StoredCollection) -> list[str]:
    """Check one Collection's database rows and snapshot against each other. Empty when all is well."""
    try:
        return _problems(db, collection)
    except LibraryDamaged as error:
        return [error.message]


def _problems(db: Database, collection: StoredCollection) -> list[str]:
    found = []
    missing = vectors.passages_without_vector(db, collection.collection_id, collection.recipe_id)
    if missing:
        found.append(f"{missing:,} passages have no vector")
    ids, checks, wrong = _rows_of(db, collection)
    if wrong:
        found.append(f"{len(wrong):,} vectors are not of length 1, passages {wrong[:FEW]}")
    found += _text_problems(db, collection)
    found += _snapshot_problems(db, collection, ids, checks)
    return found


def _rows_of(db: Database, collection: StoredCollection) -> tuple[Int64Vector, Checks, list[int]]:
    """Ids and checks of the vectors of record, and the ids of those that are not of length 1."""
    wrong: list[int] = []
    ids, checks = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
    for some, matrix in _record(db, collection).blocks():
        lengths = np.linalg.norm(matrix, axis=1)
        wrong += some[~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)].tolist()  # NaN counts as wrong
        ids.append(some)
        checks.append(checks_of(matrix))
    return np.concatenate(ids), np.concatenate(checks), wrong


def _text_problems(db: Database, collection: StoredCollection) -> list[str]:
    from searchkit.collection.reading import hash_of  # of no use to a query

    wrong = [
        text_id
        for text_id, text_hash, context, text in db.scan(
            # ids are told apart, not texts: those SQLite would write to a temporary file, forgotten ones too
            """SELECT text_id, hash, context, text FROM texts
               WHERE text_id IN (SELECT text_id FROM passages WHERE collection_id = ?)""",
            (collection.collection_id,),
        )
        if hash_of(f"{context}\n{text}" if context else text) != text_hash
    ]
    return [f"{len(wrong):,} texts differ from their hash, texts {wrong[:FEW]}"] if wrong else []


def _snapshot_problems(
    db: Database, collection: StoredCollection, ids: Int64Vector, checks: Checks
) -> list[str]:
    """Compare ids, and what each row was made from; its codes are as written if the file's checksum is."""
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return []
    path: Path = db.folder / published.file
    try:
        plan, _ = plan_of(published)
        held = snapshots.open_snapshot(
            path, plan, size=published.size, checksum=published.checksum, full=True
        ).held
    except DamagedIndex as error:
        problem = f"snapshot {published.file}: {error}"
        return _problems_of_the_next(db.folder, collection, published, problem)
    kept = ~np.isin(held.ids, vectors.removed_passages(db, collection.collection_id))
    expected = ids <= published.last_passage_id
    if not np.array_equal(held.ids[kept], ids[expected]):
        return [f"snapshot {published.file} does not hold the passages it should"]
    if not np.array_equal(held.checks[kept], checks[expected]):
        return [f"snapshot {published.file} was made from other vectors than the database holds"]
    return []


def _problems_of_the_next(
    folder: Path, collection: StoredCollection, published: StoredSnapshot, problem: str
) -> list[str]:
    """Check the snapshot that another process has published in the meantime; if there is none, `problem`.

    A check sees one state of the database for minutes; the file of that state may be deleted meanwhile.
    """
    with Database.read(folder) as db, db.one_state():
        now = catalogue.collection_named(db, collection.name)
        if now is None or now.collection_id != collection.collection_id:
            return []
        latest = catalogue.snapshot(db, now.collection_id)
        if latest is None or latest.file == published.file:
            return [problem]
        ids, checks, _ = _rows_of(db, now)
        return _snapshot_problems(db, now, ids, checks)
