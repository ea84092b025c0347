"""What every vector index answers, whatever is inside, and what the vectors of record answer it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector

EXACT = "exact"  # a matrix in memory
FLAT = "flat"  # a file of float32 rows, memory-mapped and compared whole: exact
IVF = "ivf"  # RaBitQ codes of 2 bits a dimension, in lists around centroids
HNSW = "hnsw"  # a graph over scalar codes of 4 bits a dimension
KINDS = (FLAT, IVF, HNSW)  # of snapshot files
PROMISED_AT = 10  # rows of an answer for which a recall is promised and measured


class DamagedIndex(Exception):
    """The file is not the readable index that it should be."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Rows nearest to one query, best first.

    ids: (n,) int64; scores: (n,) float32 inner products, descending; n ≤ the k asked for, never padded.
    """

    ids: Int64Vector
    scores: Float32Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPlan:
    """A kind of snapshot with the numbers that shape its file."""

    kind: str
    promised_recall: float  # share of the ten nearest rows that a search returns at least, on average
    lists: int = 0  # ivf: centroids
    links: int = 0  # hnsw: links of a row to others (twice as many on the lowest level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How a finished index is searched to keep its promise, and what was measured so."""

    effort: int = 0  # ivf: lists looked into; hnsw: rows kept in sight on the walk; flat: of no meaning
    oversampling: float = 1.0  # candidates that are compared exactly for each row asked for
    measured_recall: float = 1.0
    sample: int = 0  # queries that it was measured with


class VectorIndex(Protocol):
    """Finds the rows with the largest inner product."""

    @property
    def kind(self) -> str:
        """'exact' for a matrix in memory, else the kind of the snapshot."""

    @property
    def rows(self) -> int:
        """How many vectors it holds, removed ones included."""

    @property
    def promised_recall(self) -> float:
        """Share of the ten nearest rows that a search returns at least, on average; 1.0 when exact."""

    def search(
        self, queries: Float32Matrix, k: int, *, without: Int64Vector, allowed: Int64Vector | None = None
    ) -> list[Neighbours]:
        """The k best rows for each query.

        queries: (n, dim) float32 rows of length 1; without: (m,) int64 ids that must not be returned;
        allowed: (a,) int64, the only ids that may be, or None for all.
        Returns: n Neighbours; fewer than k rows only when fewer are left.
        """


class VectorRecord(Protocol):
    """The vectors of record that an index is built from and rescored with: the truth, never in memory whole.

    Passed in by whoever holds the database; nothing here knows where the vectors lie.
    """

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def ids(self) -> Int64Vector:
        """All ids. Returns: (n,) int64, ascending, unique."""

    def blocks(self) -> Iterator[tuple[Int64Vector, Float32Matrix]]:
        """All rows in the order of `ids`, in blocks of (b,) int64 and (b, dim) float32."""

    def of(self, ids: Int64Vector) -> tuple[Int64Vector, Float32Matrix]:
        """Rows of given ids. Returns: those that exist, (m,) int64 ascending and (m, dim) float32."""
