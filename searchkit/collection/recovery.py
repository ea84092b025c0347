"""Keeps snapshots in step with the truth: publishes, opens, rebuilds and checks them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchkit.collection.index_pipeline import hash_of
from searchkit.errors import LibraryDamaged, LibraryNotWritable
from searchkit.library import collections as catalogue
from searchkit.library import vectors
from searchkit.library.collections import StoredCollection, StoredSnapshot
from searchkit.library.database import Database
from searchkit.vector_index import snapshot as snapshots
from searchkit.vector_index.choose import snapshot_is_due
from searchkit.vector_index.protocol import FLAT, DamagedIndex

if TYPE_CHECKING:
    from searchkit.arrays import Float32Matrix, Int64Vector
    from searchkit.vector_index.faiss_index import FaissIndex

UNIT_TOLERANCE = 1e-3  # of a stored vector's length around 1
FEW = 5  # examples shown of each kind of problem


def open_snapshot(db: Database, collection: StoredCollection) -> FaissIndex | None:
    """Open the published snapshot; None where there is none, or none that can be used.

    A query works without it: the vectors of record are scanned instead, and the next run makes it anew.
    """
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return None
    try:
        path = db.folder / published.file
        return snapshots.open_snapshot(path, size=published.size, checksum=published.checksum)
    except DamagedIndex:
        return None


def publish_if_due(db: Database, collection: StoredCollection) -> bool:
    """Write a new snapshot where the published one is missing, damaged or too far behind."""
    published = catalogue.snapshot(db, collection.collection_id)
    if published is not None:
        try:
            snapshots.check(db.folder / published.file, size=published.size, checksum=published.checksum)
        except DamagedIndex:
            published = None
    rows = catalogue.count_passages(db, collection.collection_id)
    gone = vectors.removed_passages(db, collection.collection_id)
    removed = int((gone <= published.last_passage_id).sum()) if published else 0
    tail = rows - (published.rows - removed) if published else 0
    if not snapshot_is_due(
        rows=rows, in_snapshot=published.rows if published else None, tail=tail, removed=removed
    ):
        return False
    publish(db, collection)
    return True


def publish(db: Database, collection: StoredCollection) -> None:
    """Write a snapshot of all the Collection's vectors of record and make it the one that queries use.

    Raises: LibraryNotWritable: the file cannot be written; the truth is not touched by that.
    """
    from searchkit.vector_index.faiss_index import write_index

    current = catalogue.collection_named(db, collection.name) or collection
    ids, matrix = vectors.collection_vectors(db, current.collection_id, current.recipe_id, current.dim)
    name = snapshots.file_name(current.collection_id, current.recipe_id, current.generation)
    try:
        size, checksum = snapshots.publish(db.folder / name, lambda path: write_index(ids, matrix, path))
    except OSError as error:
        raise LibraryNotWritable(
            f"the snapshot of '{current.name}' cannot be written: {error}; all its passages are stored",
            remedy="free space, then: searchkit rebuild; until then queries scan the stored vectors",
        ) from error
    published = StoredSnapshot(
        file=name,
        kind=FLAT,
        generation=current.generation,
        rows=len(ids),
        last_passage_id=int(ids[-1]) if len(ids) else 0,
        size=size,
        checksum=checksum,
    )
    with db.transaction() as tx:
        catalogue.put_snapshot(tx, current.collection_id, published)


def sweep(db: Database) -> None:
    """Delete snapshot files that nothing refers to: what a killed run left, and superseded ones."""
    snapshots.sweep(db.folder, catalogue.snapshot_files(db))


# -------------------------------------------------------------------- verify


def problems(db: Database, collection: StoredCollection) -> list[str]:
    """Check one Collection's database rows and snapshot against each other. Empty when all is well."""
    try:
        found = _problems(db, collection)
    except LibraryDamaged as error:
        found = [error.message]
    return [f"collection '{collection.name}': {problem}" for problem in found]


def _problems(db: Database, collection: StoredCollection) -> list[str]:
    found = []
    missing = vectors.passages_without_vector(db, collection.collection_id, collection.recipe_id)
    if missing:
        found.append(f"{missing} passages have no vector")
    ids, matrix = vectors.collection_vectors(
        db, collection.collection_id, collection.recipe_id, collection.dim
    )
    lengths = np.linalg.norm(matrix, axis=1)
    wrong = ids[~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)]  # written so that NaN counts as wrong
    if len(wrong):
        found.append(f"{len(wrong)} vectors are not of length 1, passages {wrong[:FEW].tolist()}")
    found += _text_problems(db, collection)
    found += _snapshot_problems(db, collection, ids, matrix)
    return found


def _text_problems(db: Database, collection: StoredCollection) -> list[str]:
    wrong = [
        text_id
        for text_id, text_hash, context, text in db.scan(
            """SELECT DISTINCT t.text_id, t.hash, t.context, t.text
               FROM passages p JOIN texts t USING (text_id) WHERE p.collection_id = ?""",
            (collection.collection_id,),
        )
        if hash_of(f"{context}\n{text}" if context else text) != text_hash
    ]
    return [f"{len(wrong)} texts differ from their hash, texts {wrong[:FEW]}"] if wrong else []


def _snapshot_problems(
    db: Database, collection: StoredCollection, ids: Int64Vector, matrix: Float32Matrix
) -> list[str]:
    published = catalogue.snapshot(db, collection.collection_id)
    if published is None:
        return []
    path: Path = db.folder / published.file
    try:
        opened = snapshots.open_snapshot(path, size=published.size, checksum=published.checksum, full=True)
    except DamagedIndex as error:
        return [f"snapshot {published.file}: {error}"]
    held, held_matrix = opened.vectors()
    removed = vectors.removed_passages(db, collection.collection_id)
    kept = ~np.isin(held, removed)
    expected = ids <= published.last_passage_id
    if not np.array_equal(np.sort(held[kept]), ids[expected]):
        return [f"snapshot {published.file} does not hold the passages it should"]
    if not np.array_equal(held_matrix[kept][np.argsort(held[kept])], matrix[expected]):
        return [f"snapshot {published.file} holds other vectors than the database"]
    return []
