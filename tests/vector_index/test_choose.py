import pytest

from searchkit.vector_index.choose import (
    FLAT_BYTES,
    LISTS_BYTES,
    choose_index,
    hnsw_bytes,
    ivf_bytes,
    more_exact,
    snapshot_is_due,
)
from searchkit.vector_index.protocol import FLAT, HNSW, IVF

GIB = 1 << 30
LAST_FLAT = FLAT_BYTES // (384 * 4)  # 21,845
LAST_LISTS = LISTS_BYTES // ivf_bytes(384)  # 1,271,001


@pytest.mark.parametrize(
    ("rows", "in_snapshot", "tail", "removed", "due"),
    [
        (0, None, 0, 0, False),
        (1, None, 0, 0, True),
        (10_000, 10_000, 0, 0, False),
        (10_000, 9_000, 1_000, 0, False),
        (10_001, 9_000, 1_001, 0, True),
        (9_000, 9_500, 500, 501, True),
        (100_000, 98_000, 2_000, 0, False),
        (105_001, 100_000, 5_001, 0, True),
    ],
)
def test_a_snapshot_is_due_when_queries_would_scan_too_much(rows, in_snapshot, tail, removed, due):
    assert snapshot_is_due(rows=rows, in_snapshot=in_snapshot, tail=tail, removed=removed) is due


@pytest.mark.parametrize(
    ("rows", "dim", "memory", "kind", "lists"),
    [
        (0, 384, GIB, FLAT, 0),
        (10_000, 384, GIB, FLAT, 0),
        (LAST_FLAT, 384, GIB, FLAT, 0),
        (LAST_FLAT + 1, 384, GIB, IVF, 64),
        (8_000, 1024, GIB, FLAT, 0),
        (9_000, 1024, GIB, IVF, 32),
        (100_000, 384, GIB, IVF, 256),
        (LAST_LISTS, 384, GIB, IVF, 4096),
        (LAST_LISTS + 1, 384, GIB, HNSW, 0),
        (1_000_000, 384, GIB, IVF, 2048),
        (2_000_000, 384, 2_000_000 * hnsw_bytes(384), HNSW, 0),
        (2_000_000, 384, 2_000_000 * hnsw_bytes(384) - 1, IVF, 4096),
        (100_000_000, 384, GIB, IVF, 4096),
    ],
)
def test_the_kind_follows_from_rows_dimensions_and_memory(rows, dim, memory, kind, lists):
    plan = choose_index(rows, dim, memory)
    assert (plan.kind, plan.lists) == (kind, lists)
    assert plan.promised_recall == (1.0 if kind == FLAT else 0.97)


def test_a_broken_promise_leads_to_lists_and_then_to_exact_search():
    plan = choose_index(2_000_000, 384, GIB)
    lists = more_exact(plan, 1_000_000)
    assert (plan.kind, lists.kind, more_exact(lists, 1_000_000).kind) == (HNSW, IVF, FLAT)


def test_a_million_vectors_take_less_than_500_bytes_each():
    assert hnsw_bytes(384) < 500 and ivf_bytes(384) < 500
