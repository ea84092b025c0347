"""What every vector index answers, whatever is inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector

FLAT = "flat"  # a snapshot that compares every row: exact at any size, one pass over memory-mapped vectors


class DamagedIndex(Exception):
    """The file is not the readable index that it should be."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Rows nearest to one query, best first.

    ids: (n,) int64; scores: (n,) float32 inner products, descending; n ≤ the k asked for, never padded.
    """

    ids: Int64Vector
    scores: Float32Vector


class VectorIndex(Protocol):
    """Finds the rows with the largest inner product."""

    @property
    def kind(self) -> str:
        """'exact' (in memory) or 'flat' (a snapshot file)."""

    @property
    def rows(self) -> int:
        """How many vectors it holds, removed ones included."""

    @property
    def promised_recall(self) -> float:
        """Share of the true nearest rows that a search returns at least, on average; 1.0 when exact."""

    def search(self, queries: Float32Matrix, k: int, *, without: Int64Vector) -> list[Neighbours]:
        """The k best rows for each query.

        queries: (n, dim) float32 rows of length 1; without: (m,) int64 ids that must not be returned.
        Returns: n Neighbours; fewer than k rows only when fewer are left.
        """
