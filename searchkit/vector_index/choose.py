"""Which index to build, and when a new one is worth it: pure functions over sizes."""

from __future__ import annotations

from searchkit.vector_index.protocol import FLAT, HNSW, IVF, IndexPlan

# Rows a query may scan beside the snapshot before a new one is written.
TAIL_ROWS = 1_000
TAIL_SHARE = 0.05

# Up to 21,845 rows of 384 dimensions: one pass over them stays within a few milliseconds, is exact, and
# needs no FAISS, whose import would cost a cold query another 0.04 s (LOG "which index at which size?").
FLAT_BYTES = 32 << 20
# Codes of RaBitQ up to here (1.27 million rows of 384 dimensions) answer within a few milliseconds and are
# built in a minute or two. A graph answers faster but takes five to ten times as long to build, at every 5 %
# of new rows, and at a million rows it did not keep its promise at any effort (same entry).
LISTS_BYTES = 160 << 20
PROMISED_RECALL = 0.97

HNSW_LINKS = 16  # 12 lose a point of recall at equal effort, 24 cost 64 bytes a row more (same entry)
# Finer lists cost more to choose between than they save; more of them, minutes of k-means.
ROWS_PER_LIST = 250
MOST_LISTS = 4096


def snapshot_is_due(*, rows: int, in_snapshot: int | None, tail: int, removed: int) -> bool:
    """Whether to write a new snapshot now.

    rows: passages of the Collection; in_snapshot: rows of the current file, None where there is none;
    tail: passages the file lacks; removed: rows of the file that are gone.
    A late snapshot is never wrong: queries scan the tail exactly and mask what was removed.
    """
    if in_snapshot is None:
        return rows > 0
    return tail + removed > max(TAIL_ROWS, TAIL_SHARE * in_snapshot)


def choose_index(rows: int, dim: int, memory: int) -> IndexPlan:
    """The index for a Collection of `rows` vectors of `dim` dimensions.

    memory: bytes that one open index may hold in RAM. Exact as long as that is fast, then lists of codes,
    then a graph, and lists again where a graph does not fit.
    """
    if rows * dim * 4 <= FLAT_BYTES:
        return exact_plan()
    fits = rows * hnsw_bytes(dim) <= memory
    if rows * ivf_bytes(dim) <= LISTS_BYTES or not fits:
        return _lists_plan(rows)
    return IndexPlan(kind=HNSW, links=HNSW_LINKS, promised_recall=PROMISED_RECALL)


def more_exact(plan: IndexPlan, rows: int) -> IndexPlan:
    """What to build when an index of `plan` does not keep its promise: lists may all be looked into."""
    return _lists_plan(rows) if plan.kind == HNSW else exact_plan()


def exact_plan() -> IndexPlan:
    """The plan that keeps every promise, at the price of a pass over all vectors."""
    return IndexPlan(kind=FLAT, promised_recall=1.0)


def _lists_plan(rows: int) -> IndexPlan:
    lists = 1 << (max(1, rows // ROWS_PER_LIST).bit_length() - 1)  # the power of two below
    return IndexPlan(kind=IVF, lists=min(max(lists, 16), MOST_LISTS), promised_recall=PROMISED_RECALL)


def ivf_bytes(dim: int) -> int:
    """Bytes of RAM a row takes in an IVF index: 2 bits a dimension, factors, id and position."""
    return dim // 4 + 20 + 8 + 8


def hnsw_bytes(dim: int) -> int:
    """Bytes of RAM a row takes in an HNSW index: 4 bits a dimension, links of all levels, id, bookkeeping."""
    return dim // 2 + 4 * 2 * HNSW_LINKS + 8 + 8 + 4 + 8
