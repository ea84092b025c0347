"""The different texts of a Collection with their vectors: what duplicates are looked for among.

The same body (what stands in the document) under two headings is embedded as two texts, with two vectors.
Duplicates are looked for among bodies: the likeness of two is the best cosine of their texts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector
from searchkit.errors import LibraryError
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.duplicates import bodies, placed
from searchkit.library.vectors import CollectionVectors

IN_MEMORY = 512 << 20  # bytes of vectors; more of them are mapped from a file without a name
MOST_HEADINGS = 16  # of one body under which it is compared, the oldest; a footer may stand under thousands


@dataclass(frozen=True)
class Texts:
    """Texts by the first passage that has each: row i is one text as it was embedded.

    vectors: (n, dim) float32, of length 1, or 0 where the stored one is no direction; bodies: (n,) the first
    row with the same body, which stands for all of them; hashes: of the body, by that row; passage_ids,
    document_ids, rows: (p,) of the passages, by id, and the row of the text of each.
    """

    vectors: Float32Matrix
    bodies: Int64Vector
    hashes: dict[bytes, int]
    passage_ids: Int64Vector
    document_ids: Int64Vector
    rows: Int64Vector

    def passages_by_row(self) -> list[Int64Vector]:
        """For each row the places of its passages in `passage_ids`, the oldest first."""
        order = np.argsort(self.rows, kind="stable")
        return np.split(order, np.searchsorted(self.rows[order], np.arange(1, len(self.vectors))))

    @cached_property
    def firsts(self) -> Int64Vector:
        """The rows that stand for bodies."""
        return np.flatnonzero(self.bodies == np.arange(len(self.bodies)))

    @cached_property
    def passages(self) -> dict[int, list[int]]:
        """The passages of each body, the oldest first."""
        return _by(self.bodies[self.rows], self.passage_ids)

    @cached_property
    def headings(self) -> dict[int, Int64Vector]:
        """Rows of each body that has several."""
        rows = np.flatnonzero(np.bincount(self.bodies, minlength=len(self.bodies))[self.bodies] > 1)
        return {body: np.array(held[:MOST_HEADINGS]) for body, held in _by(self.bodies[rows], rows).items()}

    def cosines(self, body: int, others: Sequence[int]) -> Float32Vector:
        """The likeness of a body to others. Returns: (len(others),) float32."""
        if not self.headings:
            found: Float32Vector = self.vectors[list(others)] @ self.vectors[body]
            return found
        mine = self.vectors[self.headings.get(body, [body])]
        held = [self.headings.get(other, [other]) for other in others]
        starts = np.cumsum([0, *map(len, held[:-1])])
        best = (self.vectors[np.concatenate(held)] @ mine.T).max(axis=1)
        return np.maximum.reduceat(best, starts)

    def cosine(self, body: int, other: int) -> float:
        """The likeness of two bodies."""
        return float(self.cosines(body, [other])[0])


def _by(keys: Int64Vector, values: Int64Vector) -> dict[int, list[int]]:
    """Values by key, in their order."""
    if not len(keys):
        return {}
    order = np.argsort(keys, kind="stable")
    different, starts = np.unique(keys[order], return_index=True)
    parts = np.split(values[order], starts[1:])
    return {int(key): part.tolist() for key, part in zip(different, parts, strict=True)}


def texts_of(db: Database, collection: StoredCollection) -> Texts:
    """Read them; one pass over the vectors of record, of which those of a repeated text are read once.

    Passages that lack a vector, as in a damaged Library, are left out. To be used within db.one_state().
    Raises: LibraryDamaged. LibraryError: there is no room for the vectors.
    """
    held = placed(db, collection.collection_id)
    record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
    kept = np.isin(held.passage_ids, record.ids())
    passage_ids, text_ids = held.passage_ids[kept], held.text_ids[kept]
    ids, first, rows = np.unique(text_ids, return_index=True, return_inverse=True)
    order = np.argsort(first)  # by the first passage, whose texts are then read in the order of the file
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    firsts = passage_ids[first[order]]
    vectors = _room(len(ids), collection.dim)
    for block_ids, block in record.blocks():
        at = np.searchsorted(firsts, block_ids).clip(max=len(firsts) - 1)
        mine = firsts[at] == block_ids
        vectors[at[mine]] = block[mine]
    body_of = bodies(db, collection.collection_id)
    return _texts(
        vectors,
        [body_of[text_id] for text_id in ids[order].tolist()],
        passage_ids,
        held.document_ids[kept],
        place[rows.ravel()],
    )


def texts_not_stored(vectors: Float32Matrix, hashes: Sequence[bytes]) -> Texts:
    """Texts that are in no Library; each is one passage, whose id is its row.

    vectors: (n, dim) float32; hashes: (n,) of the bodies.
    """
    every = np.arange(len(hashes))
    return _texts(vectors.copy(), hashes, every, every, every)


def _texts(
    vectors: Float32Matrix,
    hashes: Sequence[bytes],
    passage_ids: Int64Vector,
    document_ids: Int64Vector,
    rows: Int64Vector,
) -> Texts:
    for start in range(0, len(vectors), 8_192):
        block = vectors[start : start + 8_192]  # a damaged vector is near to nothing
        block[~np.isfinite(block).all(axis=1)] = 0.0
    first: dict[bytes, int] = {}
    same = np.array([first.setdefault(one, row) for row, one in enumerate(hashes)], dtype=np.int64)
    return Texts(vectors, same, first, passage_ids, document_ids, rows)


def _room(rows: int, dim: int) -> Float32Matrix:
    """Zeros, in memory or in a file that goes with them."""
    if rows * dim * 4 <= IN_MEMORY:
        return np.zeros((rows, dim), dtype=np.float32)
    with tempfile.TemporaryFile() as file:  # lives as long as it is mapped
        _require_room(file, rows * dim * 4)
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, dim))


def _require_room(file: IO[bytes], size: int) -> None:
    """Take the room now: to find the disk full while a mapping is written ends the process."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        full = shutil.disk_usage(tempfile.gettempdir()).free < size
    except OSError:
        full = True
    if full:
        raise LibraryError(
            f"the vectors need {size / 2**30:.1f} GiB for a while, {tempfile.gettempdir()} has less",
            remedy="name a folder that has, in TMPDIR",
        )
