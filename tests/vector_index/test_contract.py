"""One suite over every vector index; a plain sort of all inner products is the judge."""

import tracemalloc

import numpy as np
import pytest

from searchkit.vector_index.choose import exact_plan
from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.protocol import FLAT, HNSW, IVF
from searchkit.vector_index.rescored import FEW_ALLOWED
from tests.vector_index.record import NONE, PLANS, MemoryRecord, clustered, published

ROWS, DIM = 3_000, 64


@pytest.fixture(scope="module")
def drawn():
    return clustered(ROWS + 60, DIM)


@pytest.fixture(scope="module")
def vectors(drawn):
    return drawn[:ROWS]


@pytest.fixture(scope="module")
def ids():
    return np.random.default_rng(8).permutation(10 * ROWS)[:ROWS].astype(np.int64)


@pytest.fixture(scope="module")
def queries(drawn):
    """Of the same kind as the rows, and none of them."""
    return drawn[ROWS:]


@pytest.fixture(scope="module", params=["exact", FLAT, IVF, HNSW])
def make(request, tmp_path_factory):
    """ids, vectors -> an index of one kind; files are made once for all tests that ask for the same."""
    folder, made = tmp_path_factory.mktemp(request.param), {}

    def index(ids, vectors):
        if request.param == "exact":
            return ExactIndex(ids, vectors)
        if len(ids) not in made:
            plan = PLANS.get(request.param, exact_plan())
            made[len(ids)] = published(plan, MemoryRecord(ids, vectors), folder)[0]
        return made[len(ids)]

    return index


def judged(ids, vectors, queries, k, kept):
    scores = queries.astype(np.float64) @ vectors[kept].astype(np.float64).T
    return [ids[kept][np.argsort(-row)[:k]] for row in scores]


def recall(found, expected):
    return np.mean([np.isin(e, f.ids).mean() for f, e in zip(found, expected, strict=True)])


def test_it_is_of_the_kind_that_was_asked_for(make, ids, vectors, request):
    """Else the suite would judge the fallback."""
    assert make(ids, vectors).kind == request.node.callspec.params["make"]


def test_every_row_finds_itself_with_full_score(make, ids, vectors):
    index = make(ids, vectors)
    found = index.search(vectors[:300], 1, without=NONE)
    same = [int(one.ids[0]) == i for one, i in zip(found, ids, strict=False)]
    assert np.mean(same) >= index.promised_recall
    np.testing.assert_allclose([one.scores[0] for one in found if one.scores[0] > 0.99], 1.0, atol=1e-6)


@pytest.mark.parametrize("k", [1, 10, 200, ROWS])
def test_it_returns_what_the_judge_returns(make, ids, vectors, queries, k):
    index = make(ids, vectors)
    found = index.search(queries, k, without=NONE)
    assert recall(found, judged(ids, vectors, queries, k, np.full(ROWS, True))) >= index.promised_recall
    assert all(len(one.ids) == k == len(set(one.ids)) and (np.diff(one.scores) <= 0).all() for one in found)


def test_scores_are_inner_products_with_the_rows_returned(make, ids, vectors, queries):
    one = make(ids, vectors).search(queries[:1], 10, without=NONE)[0]
    rows = [int(np.flatnonzero(ids == i)[0]) for i in one.ids]
    np.testing.assert_allclose(one.scores, vectors[rows] @ queries[0], atol=1e-6)


def test_removed_ids_never_come_back_and_k_is_still_met(make, ids, vectors, queries):
    index, without = make(ids, vectors), ids[::2]
    found = index.search(queries, 10, without=without)
    kept = ~np.isin(ids, without)
    assert recall(found, judged(ids, vectors, queries, 10, kept)) >= index.promised_recall
    assert all(len(one.ids) == 10 and not np.isin(one.ids, without).any() for one in found)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2, 0.01, 0.001])
def test_a_filter_keeps_the_recall(make, ids, vectors, queries, share):
    index, kept = make(ids, vectors), np.random.default_rng(3).random(ROWS) < share
    kept[0] = True
    k = min(10, int(kept.sum()))
    found = index.search(queries, k, without=NONE, allowed=ids[kept])
    assert recall(found, judged(ids, vectors, queries, k, kept)) >= index.promised_recall
    assert all(len(one.ids) == k and np.isin(one.ids, ids[kept]).all() for one in found)


def test_a_filter_on_what_lies_near_keeps_the_recall(make, ids, vectors, queries):
    index, found, expected = make(ids, vectors), [], []
    for query in queries[:, None]:
        kept = np.zeros(ROWS, dtype=bool)
        kept[np.argsort(query[0] @ vectors.T)[-2 * FEW_ALLOWED :]] = True
        found += index.search(query, 10, without=NONE, allowed=ids[kept])
        expected += judged(ids, vectors, query, 10, kept)
    assert recall(found, expected) >= index.promised_recall


def test_a_filter_on_what_lies_far_is_answered_with_the_best_there_is(make, ids, vectors, queries):
    """Where no walk and no probe would come, and where scores hardly differ: none found is much worse."""
    index = make(ids, vectors)
    for query in queries[:20, None]:
        scores = query[0] @ vectors.T
        kept = np.zeros(ROWS, dtype=bool)
        kept[np.argsort(scores)[: 2 * FEW_ALLOWED]] = True
        one = index.search(query, 10, without=NONE, allowed=ids[kept])[0]
        assert len(one.ids) == 10 and np.isin(one.ids, ids[kept]).all()
        assert (np.sort(scores[kept])[-10:][::-1] - one.scores).mean() < 0.01


@pytest.mark.parametrize("row", [0, 17, ROWS - 1])
def test_a_single_allowed_id_is_found(make, ids, vectors, queries, row):
    one = make(ids, vectors).search(queries[:1], 10, without=NONE, allowed=ids[row : row + 1])[0]
    assert one.ids.tolist() == [ids[row]]


def test_a_removed_id_is_not_found_by_allowing_it(make, ids, vectors, queries):
    one = make(ids, vectors).search(queries[:1], 10, without=ids[:5], allowed=ids[3:8])[0]
    assert set(one.ids.tolist()) == set(ids[5:8].tolist())


def test_ids_removed_elsewhere_are_ignored(make, ids, vectors):
    index, elsewhere = make(ids, vectors), np.array([-5, 10**12])
    one = index.search(vectors[:1], ROWS, without=elsewhere)[0]
    assert len(one.ids) == ROWS
    assert len(index.search(vectors[:1], 10, without=NONE, allowed=elsewhere)[0].ids) == 0


def test_fewer_rows_than_k_are_returned_without_padding(make, ids, vectors):
    one = make(ids, vectors).search(vectors[:1], 10, without=ids[3:])[0]
    assert sorted(one.ids.tolist()) == sorted(ids[:3].tolist()) and len(one.scores) == 3


def test_nothing_is_left_when_all_is_removed(make, ids, vectors):
    one = make(ids, vectors).search(vectors[:1], 10, without=ids)[0]
    assert len(one.ids) == len(one.scores) == 0


@pytest.mark.parametrize("make", ["exact", FLAT], indirect=True)
def test_an_empty_index_answers(make):
    one = make(NONE, np.empty((0, DIM), np.float32)).search(np.ones((1, DIM), np.float32), 5, without=NONE)[0]
    assert len(one.ids) == 0


@pytest.mark.parametrize("dropped", [1, ROWS // 2, ROWS - 5])
def test_an_exact_scan_without_some_rows_is_that_of_the_others(ids, vectors, queries, dropped):
    """Few that stay are picked out, many are compared with all."""
    kept = np.arange(ROWS) >= dropped
    (found,) = ExactIndex(ids, vectors).search(queries[:1], 10, without=ids[~kept])
    (expected,) = ExactIndex(ids[kept], vectors[kept]).search(queries[:1], 10, without=NONE)
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_one_removed_row_does_not_copy_the_others(ids, vectors, queries):
    index = ExactIndex(ids, vectors)
    index.search(queries[:1], 10, without=ids[:1])  # what is imported on first use is no copy
    tracemalloc.start()
    index.search(queries[:1], 10, without=ids[:1])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < vectors.nbytes / 3
