"""Exact search over a matrix: the judge of every other index, the tail of a snapshot, and a flat one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector, top_k
from searchkit.vector_index.protocol import EXACT, Neighbours

PICKED_SHARE = 4  # up to a quarter of the rows


class ExactIndex:
    """Scans all rows. ids: (n,) int64; vectors: (n, dim) float32, in memory or mapped from a file."""

    promised_recall = 1.0

    def __init__(self, ids: Int64Vector, vectors: Float32Matrix, kind: str = EXACT) -> None:
        self.kind = kind
        self._ids = ids
        self._vectors = vectors

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return len(self._ids)

    def search(
        self, queries: Float32Matrix, k: int, *, without: Int64Vector, allowed: Int64Vector | None = None
    ) -> list[Neighbours]:
        """See VectorIndex.search."""
        ids, vectors = self._ids, self._vectors
        if not len(without) and allowed is None:
            all_scores = queries @ vectors.T
        else:
            kept = ~np.isin(ids, without) if len(without) else np.ones(len(ids), dtype=np.bool_)
            if allowed is not None:
                kept &= np.isin(ids, allowed)
            rows = np.flatnonzero(kept)
            # Rows that are picked out are copied: of most of them that costs more than comparing the others.
            if len(rows) * PICKED_SHARE < len(ids):
                all_scores = queries @ vectors[rows].T
            else:
                all_scores = (queries @ vectors.T)[:, rows]
            ids = ids[rows]
        found = []
        for scores in all_scores:
            best = top_k(scores, k)
            found.append(Neighbours(ids[best], scores[best]))
        return found


def best_of(found: Sequence[Neighbours], k: int) -> Neighbours:
    """The k best of several answers to one query; of equal scores the one with the smaller id."""
    ids = np.concatenate([np.empty(0, np.int64), *(one.ids for one in found)])
    scores = np.concatenate([np.empty(0, np.float32), *(one.scores for one in found)])
    best = np.lexsort((ids, -scores))[:k]
    return Neighbours(ids[best], scores[best])
