"""Vectors of record: one per text and recipe, float32, as the model gave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


_OF_COLLECTION = """
    FROM passages p JOIN vectors v ON v.recipe_id = ? AND v.text_id = p.text_id
    WHERE p.collection_id = ? AND p.passage_id > ?
"""


def collection_vectors(
    db: Database, collection_id: int, recipe_id: int, dim: int, *, after: int = 0
) -> tuple[Int64Vector, Float32Matrix]:
    """Passage ids above `after`, ascending, with their vectors.

    Returns: ids (n,) int64 and vectors (n, dim) float32.
    """
    parameters = (recipe_id, collection_id, after)
    n = int(db.rows("SELECT count(*)" + _OF_COLLECTION, parameters)[0][0])
    return _filled(
        db.scan("SELECT p.passage_id, v.vector" + _OF_COLLECTION + "ORDER BY p.passage_id", parameters),
        n,
        dim,
    )


def passage_vectors(
    db: Database, recipe_id: int, dim: int, passage_ids: Sequence[int]
) -> tuple[Int64Vector, Float32Matrix]:
    """Vectors of given passages. Returns: ids (n,) int64, ascending, and vectors (n, dim) float32."""
    rows = db.rows_among(
        """SELECT p.passage_id, v.vector FROM passages p
           JOIN vectors v ON v.recipe_id = ? AND v.text_id = p.text_id WHERE p.passage_id IN ({})""",
        sorted(set(passage_ids)),
        before=(recipe_id,),
    )
    return _filled(sorted(rows), len(rows), dim)


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


def _filled(rows: Iterable[Row], n: int, dim: int) -> tuple[Int64Vector, Float32Matrix]:
    ids = np.empty(n, dtype=np.int64)
    matrix = np.empty((n, dim), dtype=np.float32)
    for i, (passage_id, vector) in enumerate(rows):
        if len(vector) != dim * 4:
            raise LibraryDamaged(
                f"the vector of passage {passage_id} has {len(vector)} bytes, expected {dim * 4}",
                remedy="move the Library away and index again; sources are never changed by searchkit",
            )
        ids[i] = passage_id
        matrix[i] = np.frombuffer(vector, dtype="<f4")
    return ids, matrix
