"""Exact search over a matrix in memory: the judge of every other index, and the tail of a snapshot."""

from __future__ import annotations

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector, top_k
from searchkit.vector_index.protocol import Neighbours


class ExactIndex:
    """Scans all rows. ids: (n,) int64; vectors: (n, dim) float32."""

    kind = "exact"
    promised_recall = 1.0

    def __init__(self, ids: Int64Vector, vectors: Float32Matrix) -> None:
        self._ids = ids
        self._vectors = vectors

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return len(self._ids)

    def search(self, queries: Float32Matrix, k: int, *, without: Int64Vector) -> list[Neighbours]:
        """See VectorIndex.search."""
        kept = ~np.isin(self._ids, without)
        ids, vectors = self._ids[kept], self._vectors[kept]
        found = []
        for scores in queries @ vectors.T:
            best = top_k(scores, k)
            found.append(Neighbours(ids[best], scores[best]))
        return found
