"""An index of codes made as good as its promise: its best candidates are compared by their real vectors."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from searchkit.arrays import BoolVector, Float32Matrix, Float32Vector, Int64Vector
from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.protocol import PROMISED_AT, IndexPlan, Neighbours, Tuning, VectorRecord

# So few allowed rows are read from the record and compared exactly: 6 ms, no more than a pass over codes.
FEW_ALLOWED = 500
# Where rows are masked, this many times the candidates are asked for unmasked: if enough of them may stay,
# they are the best of all that may.
WIDER = 4
# The farther rows of a long answer lie in more lists than the ten for which the effort was tuned: so many
# are looked at for each that is wanted (of a million, 0.968 of 300 found at 310 each, 0.975 of 1,000 at 190).
ROWS_PER_ANSWER = 250
# A walk or probe that should return more of the rows than this is slower than one pass over all codes.
WIDEST_SHARE = 0.02
NOT_WIDE = 200  # rows, however few there are in all


class Codes(Protocol):
    """Vectors in few bits each, whose order is roughly that of the real ones. Rows are 0 to n - 1."""

    @property
    def ids(self) -> Int64Vector:
        """(rows,) int64, ascending: the id of each row."""

    @property
    def plan(self) -> IndexPlan:
        """What it was built as."""

    def nearest(self, query: Float32Vector, n: int, effort: int) -> Int64Vector:
        """Look where the near ones should be. Returns: at most n rows, roughly best first."""

    def scan(self, query: Float32Vector, n: int, kept: BoolVector | None) -> Int64Vector:
        """Compare every code. kept: (rows,) the rows that may be returned. Returns: at most n rows."""


class RescoredIndex:
    """Searches codes, then the vectors of record of what they propose. Scores are those of the record."""

    def __init__(self, codes: Codes, tuning: Tuning, record: VectorRecord) -> None:
        self._codes = codes
        self._tuning = tuning
        self._record = record
        self.kind = codes.plan.kind
        self.promised_recall = codes.plan.promised_recall

    @property
    def rows(self) -> int:
        """How many vectors the codes hold."""
        return len(self._codes.ids)

    def search(
        self, queries: Float32Matrix, k: int, *, without: Int64Vector, allowed: Int64Vector | None = None
    ) -> list[Neighbours]:
        """See VectorIndex.search."""
        kept = self._kept(without, allowed)
        left = self.rows if kept is None else int(np.count_nonzero(kept))
        k = min(k, left)
        if k <= 0:
            return [Neighbours(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        if kept is not None and left <= FEW_ALLOWED:
            return self._exactly(queries, k, self._codes.ids[kept])
        n = min(left, math.ceil(max(k, PROMISED_AT) * self._tuning.oversampling))
        effort = self._effort(k)
        return [
            self._exactly(query[None, :], k, self._codes.ids[self._candidates(query, n, effort, kept)])[0]
            for query in queries
        ]

    def _kept(self, without: Int64Vector, allowed: Int64Vector | None) -> BoolVector | None:
        """The rows that may be returned, None for all."""
        removed = self._rows_of(without)
        if allowed is None and not len(removed):
            return None
        kept = np.full(self.rows, allowed is None)
        if allowed is not None:
            kept[self._rows_of(allowed)] = True
        kept[removed] = False
        return kept

    def _rows_of(self, ids: Int64Vector) -> Int64Vector:
        """Rows of those ids that the index holds."""
        held = self._codes.ids
        if not len(ids) or not len(held):
            return np.empty(0, dtype=np.int64)
        rows = np.searchsorted(held, ids).clip(max=len(held) - 1)
        found: Int64Vector = rows[held[rows] == ids]
        return found

    def _effort(self, k: int) -> int:
        """How hard to look for an answer of k rows."""
        plan = self._codes.plan
        lists = math.ceil(k * ROWS_PER_ANSWER * plan.lists / self.rows)  # none in a graph, which sees n rows
        return max(self._tuning.effort, lists)

    def _candidates(self, query: Float32Vector, n: int, effort: int, kept: BoolVector | None) -> Int64Vector:
        wanted = n
        if kept is not None:
            wanted, effort = n * WIDER, effort * WIDER
        likely = kept is None or np.count_nonzero(kept) * WIDER >= self.rows  # that enough may stay
        if likely and wanted <= max(self.rows * WIDEST_SHARE, NOT_WIDE):
            rows = self._codes.nearest(query, wanted, effort)
            if kept is not None:
                rows = rows[kept[rows]]
            if len(rows) >= n:
                return rows[:n]
        # Too few came back, or too few of them may stay, which says nothing of the others. Where a filter or
        # a long answer leads, scores lie closer together than near the query, where the tuning was measured.
        return self._codes.scan(query, n * WIDER, kept)

    def _exactly(self, queries: Float32Matrix, k: int, ids: Int64Vector) -> list[Neighbours]:
        found = ExactIndex(*self._record.of(ids))
        return found.search(queries, k, without=np.empty(0, dtype=np.int64))
