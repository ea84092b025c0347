"""Vector spaces over the same passages: where the vectors of each come from, and what each ranks first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Float32Vector, Float64Vector, Int64Vector
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors

DEPTH = 100  # of each ranking that is compared: beyond, a passage counts as not found
SCORE_DECIMALS = 6  # float32 inner products are not reproducible beyond
FEW = 8  # times as many stored as wanted: then the wanted are looked up one by one
BLOCK_ROWS = 8_192

Rows = npt.NDArray[np.int64]  # (queries, depth)


@dataclass(frozen=True, slots=True)
class Stored:
    """Vectors of record of passages, by their place in the comparison. ids: (n,) int64, in any order."""

    collection: StoredCollection
    ids: Int64Vector

    def blocks(self, db: Database) -> Iterator[tuple[Int64Vector, Float32Matrix]]:
        """Places, (b,), and vectors, (b, dim), of all passages that have one."""
        record = self._record(db)
        everything = record.ids()
        order = np.argsort(self.ids, kind="stable")
        if len(everything) > FEW * len(self.ids):
            for start in range(0, len(order), BLOCK_ROWS):
                yield self._placed(order, *record.of(self.ids[order[start : start + BLOCK_ROWS]]))
            return
        for ids, block in record.blocks():
            wanted = np.isin(ids, self.ids)
            yield self._placed(order, ids[wanted], block[wanted])

    def of(self, db: Database, places: Int64Vector) -> Float32Matrix:
        """(len(places), dim) vectors; nan where a passage has none."""
        found, matrix = self._record(db).of(self.ids[places])
        made = np.full((len(places), self.collection.dim), np.nan, dtype=np.float32)
        for row, one in enumerate(self.ids[places]):
            at = int(np.searchsorted(found, one))
            if at < len(found) and found[at] == one:
                made[row] = matrix[at]
        return made

    def _placed(
        self, order: Int64Vector, ids: Int64Vector, block: Float32Matrix
    ) -> tuple[Int64Vector, Float32Matrix]:
        return order[np.searchsorted(self.ids, ids, sorter=order)], block

    def _record(self, db: Database) -> CollectionVectors:
        one = self.collection
        return CollectionVectors(db, one.collection_id, one.recipe_id, one.dim)


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors made for this comparison. vectors: (n, dim) float32."""

    vectors: Float32Matrix

    def blocks(self, db: Database) -> Iterator[tuple[Int64Vector, Float32Matrix]]:
        """All at once."""
        yield np.arange(len(self.vectors)), self.vectors

    def of(self, db: Database, places: Int64Vector) -> Float32Matrix:
        """(len(places), dim)."""
        return self.vectors[places]


Vectors = Stored | Embedded


def ranked(db: Database, vectors: Vectors, queries: Float32Matrix) -> list[Int64Vector]:
    """For each query the places of the DEPTH nearest passages, the best first; of equals the first placed."""
    rows = np.empty((len(queries), 0), dtype=np.int64)
    scores = np.empty((len(queries), 0), dtype=np.float64)
    for places, block in vectors.blocks(db):
        new = np.round((queries @ block.T).astype(np.float64), SCORE_DECIMALS)
        rows = np.concatenate([rows, np.broadcast_to(places, new.shape)], axis=1)
        scores = np.concatenate([scores, new], axis=1)
        order = np.lexsort((rows, -scores), axis=1)[:, :DEPTH]
        rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
    return list(rows)


def cosines(db: Database, vectors: Vectors, query: Float32Vector, places: Int64Vector) -> Float64Vector:
    """(len(places),) cosines of one query, (dim,), as they are shown."""
    exact = vectors.of(db, places).astype(np.float64) @ query.astype(np.float64)
    found: Float64Vector = np.round(exact, SCORE_DECIMALS)
    return found
