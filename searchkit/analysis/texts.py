"""The different texts of a Collection with their vectors: what duplicates are looked for among."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.duplicates import placed
from searchkit.library.vectors import CollectionVectors

IN_MEMORY = 512 << 20  # bytes of vectors; more of them are mapped from a file without a name


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts by the first passage that has each: row i is one text.

    ids: (n,) of the texts; vectors: (n, dim) float32; passage_ids, document_ids, rows: (p,) of the passages,
    by id, and the row of the text of each.
    """

    ids: Int64Vector
    vectors: Float32Matrix
    passage_ids: Int64Vector
    document_ids: Int64Vector
    rows: Int64Vector

    def passages_by_row(self) -> list[Int64Vector]:
        """For each row the places of its passages, the oldest first."""
        order = np.argsort(self.rows, kind="stable")
        return np.split(order, np.searchsorted(self.rows[order], np.arange(1, len(self.ids))))


def texts_of(db: Database, collection: StoredCollection) -> Texts:
    """Read them; one pass over the vectors of record, of which those of a repeated text are read once.

    Passages that lack a vector, as in a damaged Library, are left out. Raises: LibraryDamaged.
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
    return Texts(ids[order], vectors, passage_ids, held.document_ids[kept], place[rows.ravel()])


def _room(rows: int, dim: int) -> Float32Matrix:
    if rows * dim * 4 <= IN_MEMORY:
        return np.zeros((rows, dim), dtype=np.float32)
    with tempfile.TemporaryFile() as file:  # lives as long as it is mapped
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, dim))
