"""Finds how hard an index must be searched to keep its promise, by searching it beside an exact scan.

Questions are not on hand when an index is built, and stored vectors are poor stand-ins: they lie where the
graph is dense and find themselves, so that recall looks better than it is for questions. Stored vectors
turned away in a random direction gave the recall of real questions to within a point (LOG "whose recall is
measured?").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector, top_k
from searchkit.vector_index.protocol import HNSW, IVF, PROMISED_AT, IndexPlan, Tuning
from searchkit.vector_index.rescored import Codes

SAMPLE = 256  # queries: with recalls near 0.98, the mean has a standard error below half a point
# So far turned, lists find as many of the ten as for real questions at 100,000 and 300,000 rows: within a
# point, and fewer at few candidates. A graph they would flatter (same entry).
QUESTION_COSINE = {IVF: 0.8, HNSW: 0.7}
# Above the promise: by so much the stand-ins flattered lists of 100,000 and a graph of 300,000 rows.
MARGIN = {IVF: 0.005, HNSW: 0.01}

OVERSAMPLING = (2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 20.0)
WALKS = (24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
PROBED_SHARES = (1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0)

# What effort costs, in lookups of a vector of record (6 us each at 100,000 rows, 13 us at a million): a row
# in sight on a walk 2 us, a code scanned 0.024 us (LOG "what does a lookup in the record cost?").
WALK_LOOKUPS = 1 / 6
CODE_LOOKUPS = 1 / 550

_TIED = 1e-6  # equal vectors are equally right
_KEPT = 4 * PROMISED_AT  # best rows kept, so that those tied with the tenth are known


def stand_ins(vectors: Float32Matrix, cosine: float, rng: np.random.Generator) -> Float32Matrix:
    """Queries like the questions people ask.

    vectors: (s, dim) float32 stored ones; cosine: of each to its stand-in.
    Returns: (s, dim) float32 rows of length 1.
    """
    noise = rng.standard_normal(vectors.shape)
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True).clip(min=1e-12)
    turned = cosine * vectors + np.sqrt(1 - cosine**2) * noise
    turned /= np.linalg.norm(turned, axis=1, keepdims=True).clip(min=1e-12)
    return np.asarray(turned, dtype=np.float32)


class Truth:
    """The rows nearest to some queries, by an exact scan that is shown all rows block by block."""

    def __init__(self, queries: Float32Matrix) -> None:
        self.queries = queries
        self._rows = np.empty((len(queries), 0), dtype=np.int64)
        self._scores = np.empty((len(queries), 0), dtype=np.float32)

    def see(self, first_row: int, vectors: Float32Matrix) -> None:
        """Compare with one block, whose first row is number `first_row`. vectors: (b, dim)."""
        rows = np.broadcast_to(first_row + np.arange(len(vectors)), (len(self.queries), len(vectors)))
        rows = np.concatenate([self._rows, rows], axis=1)
        scores = np.concatenate([self._scores, self.queries @ vectors.T], axis=1)
        if scores.shape[1] > _KEPT:
            best = np.argpartition(-scores, _KEPT - 1, axis=1)[:, :_KEPT]
            rows, scores = np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)
        self._rows, self._scores = rows, scores

    def right(self) -> list[Int64Vector]:
        """For each query the rows that belong to the best ten; more than ten where some are tied."""
        found = []
        for rows, scores in zip(self._rows, self._scores, strict=True):
            tenth = scores[top_k(scores, PROMISED_AT)[-1]]
            found.append(rows[scores >= tenth - _TIED])
        return found


def tune(codes: Codes, truth: Truth) -> Tuning | None:
    """The cheapest way to search that keeps the promise, or None where none does."""
    plan, rows = codes.plan, len(codes.ids)
    right, best, best_cost = truth.right(), None, float("inf")
    for effort in _efforts(plan):
        if (cost := _cost(plan, effort, rows)) >= best_cost:
            break
        longest = int(max(OVERSAMPLING) * PROMISED_AT)
        if plan.kind == HNSW:
            longest = min(longest, effort)  # a walk keeps no more in sight than its effort
        found = [codes.nearest(query, min(longest, rows), effort) for query in truth.queries]
        for oversampling in OVERSAMPLING:
            n = int(oversampling * PROMISED_AT)
            recall = recall_of([one[:n] for one in found], right)
            if n <= longest and recall >= plan.promised_recall + MARGIN[plan.kind] and cost + n < best_cost:
                best_cost = cost + n
                best = Tuning(
                    effort=effort,
                    oversampling=oversampling,
                    measured_recall=round(recall, 4),
                    sample=len(right),
                )
    return best


def recall_of(found: Sequence[Int64Vector], right: Sequence[Int64Vector]) -> float:
    """Mean share of the best ten (or of all there are) among what was found."""
    shares = [
        min(1.0, len(np.intersect1d(one, wanted)) / min(PROMISED_AT, len(wanted)))
        for one, wanted in zip(found, right, strict=True)
    ]
    return float(np.mean(shares))


def _efforts(plan: IndexPlan) -> Iterator[int]:
    if plan.kind == IVF:
        yield from sorted({max(1, round(plan.lists * share)) for share in PROBED_SHARES})
    else:
        yield from WALKS


def _cost(plan: IndexPlan, effort: int, rows: int) -> float:
    if plan.kind == IVF:
        return rows * effort / plan.lists * CODE_LOOKUPS
    return effort * WALK_LOOKUPS
