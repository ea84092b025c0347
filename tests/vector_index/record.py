"""Vectors of record without a database, and indexes made of them as the product makes them."""

from __future__ import annotations

from itertools import count

import faiss
import numpy as np

from searchkit.vector_index.build import build
from searchkit.vector_index.protocol import HNSW, IVF, IndexPlan
from searchkit.vector_index.snapshot import open_snapshot, publish

# Threads that wait for each other in ten thousand small steps take ten times as long beside other work.
faiss.omp_set_num_threads(1)

BLOCK = 700
NONE = np.empty(0, dtype=np.int64)
PLANS = {
    IVF: IndexPlan(kind=IVF, lists=16, promised_recall=0.95),
    HNSW: IndexPlan(kind=HNSW, links=16, promised_recall=0.95),
}
_numbers = count(1)


class MemoryRecord:
    """Follows VectorRecord. ids: (n,) in any order; counts how many rows it is asked for one by one."""

    def __init__(self, ids, vectors):
        order = np.argsort(ids)
        self._ids, self._vectors = ids[order], vectors[order]
        self.dim = vectors.shape[1]
        self.looked_up = 0

    def ids(self):
        return self._ids

    def blocks(self):
        for i in range(0, len(self._ids), BLOCK):
            yield self._ids[i : i + BLOCK], self._vectors[i : i + BLOCK]

    def of(self, ids):
        kept = np.isin(self._ids, ids)
        self.looked_up += int(kept.sum())
        return self._ids[kept], self._vectors[kept]


def published(plan, record, folder):
    """Build, publish and open a snapshot. Returns: the index and what was built."""
    built = []
    path = folder / f"{next(_numbers)}.snapshot"
    size, checksum = publish(path, lambda part: built.append(build(plan, record, part)))
    opened = open_snapshot(path, built[0].plan, size=size, checksum=checksum, full=True)
    return opened.index(built[0].tuning, record), built[0]


def clustered(rows, dim, seed=7):
    """Unit vectors around centres, as texts lie: twenty rows a centre."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, rows // 20), dim))
    matrix = centres[rng.integers(len(centres), size=rows)] + 0.8 * rng.standard_normal((rows, dim))
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
