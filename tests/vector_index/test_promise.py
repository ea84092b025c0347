import faiss
import numpy as np
import pytest

from searchkit.vector_index import faiss_index, promise
from searchkit.vector_index.build import build
from searchkit.vector_index.promise import Truth, recall_of, stand_ins, tune
from searchkit.vector_index.protocol import FLAT, HNSW, IVF, IndexPlan
from tests.vector_index.record import NONE, PLANS, MemoryRecord, clustered, published

ROWS, DIM = 2_000, 48
VECTORS = clustered(ROWS + 100, DIM)
VECTORS, HELD_OUT = VECTORS[:ROWS], VECTORS[ROWS:]
IDS = np.arange(ROWS, dtype=np.int64) * 3 + 1


class SlowlyRight:
    """Codes that find the n-th best row only with an effort of at least n times a constant."""

    def __init__(self, plan, needs):
        self.plan, self.needs, self.ids = plan, needs, np.arange(ROWS)

    def nearest(self, query, n, effort):
        order = np.argsort(-(VECTORS @ query))[: max(1, effort // self.needs)]
        return order[:n]


def truth():
    known = Truth(stand_ins(VECTORS[:64], 0.7, np.random.default_rng(1)))
    for first in range(0, ROWS, 300):
        known.see(first, VECTORS[first : first + 300])
    return known


@pytest.mark.parametrize("cosine", sorted(promise.QUESTION_COSINE.values()))
def test_stand_ins_lie_as_far_from_stored_vectors_as_questions_do(cosine):
    turned = stand_ins(VECTORS, cosine, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose((turned * VECTORS).sum(axis=1), cosine, atol=1e-6)


def test_the_truth_is_that_of_a_whole_sort_whatever_the_blocks():
    known = truth()
    for query, right in zip(known.queries, known.right(), strict=True):
        assert set(right) == set(np.argsort(-(VECTORS @ query))[:10])


def test_rows_tied_with_the_tenth_are_all_right():
    known = Truth(VECTORS[:1])
    known.see(0, np.repeat(VECTORS[:1], 15, axis=0))
    known.see(15, VECTORS[1:])
    assert set(known.right()[0]) == set(range(15))
    assert recall_of([np.arange(5, 15)], known.right()) == 1.0
    assert recall_of([np.arange(5, 10)], known.right()) == 0.5


@pytest.mark.parametrize(("needs", "least"), [(1, 10), (4, 40), (20, 200)])
def test_effort_is_raised_until_the_promise_is_kept(needs, least):
    tuning = tune(SlowlyRight(PLANS[HNSW], needs), truth())
    assert tuning.effort == min(effort for effort in promise.WALKS if effort >= least)
    assert (
        tuning.measured_recall >= PLANS[HNSW].promised_recall + promise.MARGIN[HNSW] and tuning.sample == 64
    )


def test_a_promise_that_no_effort_keeps_is_not_made():
    assert tune(SlowlyRight(PLANS[HNSW], 200), truth()) is None


def test_lists_are_all_looked_into_before_giving_up():
    plan = IndexPlan(kind=IVF, lists=32, promised_recall=0.95)
    assert tune(SlowlyRight(plan, 3), truth()).effort == 32
    assert tune(SlowlyRight(plan, 4), truth()) is None


@pytest.mark.parametrize("kind", PLANS)
def test_what_was_measured_holds_for_queries_not_seen(tmp_path, kind):
    record = MemoryRecord(IDS, VECTORS)
    index, built = published(PLANS[kind], record, tmp_path)
    right = [IDS[np.argsort(-(VECTORS @ query))[:10]] for query in HELD_OUT]
    recall = recall_of([one.ids for one in index.search(HELD_OUT, 10, without=NONE)], right)
    assert recall >= built.plan.promised_recall
    assert abs(recall - built.tuning.measured_recall) < 0.05


@pytest.mark.parametrize("kind", PLANS)
def test_an_index_that_breaks_its_promise_becomes_a_more_exact_one(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(promise, "WALKS", (1,))
    monkeypatch.setattr(promise, "PROBED_SHARES", (1 / 16,))
    index, built = published(PLANS[kind], MemoryRecord(IDS, VECTORS), tmp_path)
    assert index.kind == built.plan.kind == FLAT and built.plan.promised_recall == 1.0
    assert built.rows == ROWS and built.last_id == IDS[-1]


def test_vectors_that_are_all_equal_are_no_reason_to_fail(tmp_path):
    same = np.repeat(VECTORS[:1], 500, axis=0)
    build(PLANS[IVF], MemoryRecord(IDS[:500], same), tmp_path / "ivf")
    build(PLANS[HNSW], MemoryRecord(IDS[:500], same), tmp_path / "hnsw")


def test_a_search_looks_up_no_more_vectors_than_it_was_tuned_to(tmp_path):
    record = MemoryRecord(IDS, VECTORS)
    index, built = published(PLANS[HNSW], record, tmp_path)
    record.looked_up = 0
    index.search(HELD_OUT[:1], 10, without=NONE)
    assert record.looked_up == 10 * built.tuning.oversampling


@pytest.mark.parametrize("kind", sorted(PLANS))
def test_a_query_is_answered_by_one_thread_and_the_caller_keeps_its_own(kind, tmp_path, monkeypatch):
    index, _ = published(PLANS[kind], MemoryRecord(IDS, VECTORS), tmp_path)
    threads, search = [], faiss_index._rows

    def noted(*given):
        threads.append(faiss.omp_get_max_threads())
        return search(*given)

    monkeypatch.setattr(faiss_index, "_rows", noted)
    faiss.omp_set_num_threads(2)
    try:
        index.search(VECTORS[:1], 5, without=NONE)
        assert threads == [1] and faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(1)
