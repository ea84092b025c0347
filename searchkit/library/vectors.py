"""Vectors of record: one per text and recipe, float32, as the model gave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from searchkit.arrays import BoolVector, Float32Matrix, Int64Vector
from searchkit.errors import LibraryDamaged
from searchkit.library.database import Database, Row, Transaction


def hashes_with_vector(db: Database, recipe_id: int, hashes: Sequence[bytes]) -> set[bytes]:
    """Those of `hashes` whose text already has a vector under the recipe."""
    rows = db.rows_among(
        """SELECT t.hash FROM texts t JOIN vectors v ON v.recipe_id = ? AND v.text_id = t.text_id
           WHERE t.hash IN ({})""",
        hashes,
        before=(recipe_id,),
    )
    return {row[0] for row in rows}


def put_vectors(
    tx: Transaction, recipe_id: int, hashes: Sequence[bytes], vectors: Float32Matrix, truncated: BoolVector
) -> None:
    """Store the vectors of texts that are already stored.

    hashes: (n,); vectors: (n, dim) float32; truncated: (n,) whether the model saw only a part.
    """
    tx.run_many(
        """INSERT OR REPLACE INTO vectors (recipe_id, text_id, truncated, vector)
           VALUES (?, (SELECT text_id FROM texts WHERE hash = ?), ?, ?)""",
        (
            (recipe_id, text_hash, int(cut), vector.astype("<f4", copy=False).tobytes())
            for text_hash, vector, cut in zip(hashes, vectors, truncated, strict=True)
        ),
    )


# CROSS JOIN keeps SQLite from starting at the vectors, of which it would read all: it has no statistics.
_OF_COLLECTION = """
    FROM passages p CROSS JOIN vectors v ON v.recipe_id = ? AND v.text_id = p.text_id
    WHERE p.collection_id = ? AND p.passage_id > ? ORDER BY p.passage_id
"""

BLOCK_ROWS = 8_192  # vectors held at a time: 12 MB at 384 dimensions


class CollectionVectors:
    """The vectors of a Collection's passages, read as they are asked for.

    after: only of passages with a larger id. Belongs to the connection it was made with.
    """

    def __init__(self, db: Database, collection_id: int, recipe_id: int, dim: int, *, after: int = 0) -> None:
        self.dim = dim
        self._db = db
        self._collection_id = collection_id
        self._recipe_id = recipe_id
        self._parameters = (recipe_id, collection_id, after)

    def ids(self) -> Int64Vector:
        """Ids of the passages that have a vector. Returns: (n,) int64, ascending."""
        rows = self._db.scan("SELECT p.passage_id" + _OF_COLLECTION, self._parameters)
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def blocks(self) -> Iterator[tuple[Int64Vector, Float32Matrix]]:
        """All of them by passage id, in blocks of (b,) int64 and (b, dim) float32.

        Raises: LibraryDamaged: a stored vector has another length.
        """
        rows = self._db.scan("SELECT p.passage_id, v.vector" + _OF_COLLECTION, self._parameters)
        while block := list(islice(rows, BLOCK_ROWS)):
            yield _matrix(block, self.dim)

    def of(self, ids: Int64Vector) -> tuple[Int64Vector, Float32Matrix]:
        """Those of given passages; ids of other Collections are left out.

        Returns: ids (n,) int64, ascending, and vectors (n, dim) float32.
        Raises: LibraryDamaged: a stored vector has another length.
        """
        rows = self._db.rows_among(
            """SELECT p.passage_id, v.vector FROM passages p
               CROSS JOIN vectors v ON v.recipe_id = ? AND v.text_id = p.text_id
               WHERE p.collection_id = ? AND p.passage_id IN ({})""",
            sorted(set(ids.tolist())),  # np.unique imports 30 ms of numpy that nothing else needs
            before=(self._recipe_id, self._collection_id),
        )
        return _matrix(sorted(rows), self.dim)


def removed_passages(db: Database, collection_id: int) -> Int64Vector:
    """Ids of passages removed since the snapshot. Returns: (n,) int64, ascending."""
    rows = db.rows(
        "SELECT passage_id FROM removals WHERE collection_id = ? ORDER BY passage_id", (collection_id,)
    )
    return np.array([row[0] for row in rows], dtype=np.int64)


def passages_without_vector(db: Database, collection_id: int, recipe_id: int) -> int:
    """How many passages of a Collection lack a vector: 0 unless the database was damaged."""
    return int(
        db.rows(
            """SELECT count(*) FROM passages p WHERE p.collection_id = ? AND NOT EXISTS (
                 SELECT 1 FROM vectors v WHERE v.recipe_id = ? AND v.text_id = p.text_id)""",
            (collection_id, recipe_id),
        )[0][0]
    )


def _matrix(rows: Sequence[Row], dim: int) -> tuple[Int64Vector, Float32Matrix]:
    for passage_id, vector in rows:
        if len(vector) != dim * 4:
            raise LibraryDamaged(
                f"the vector of passage {passage_id} has {len(vector)} bytes, expected {dim * 4}",
                remedy="move the Library away and index again; sources are never changed by searchkit",
            )
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    joined = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
    return ids, joined.reshape(len(rows), dim).astype(np.float32, copy=False)
