"""One suite over every vector index; a plain sort of all inner products is the judge."""

import numpy as np
import pytest

from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.faiss_index import FaissIndex, write_index

ROWS, DIM = 500, 24
NONE = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def vectors():
    matrix = np.random.default_rng(7).standard_normal((ROWS, DIM)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def ids():
    return np.random.default_rng(8).permutation(10 * ROWS)[:ROWS].astype(np.int64)


def exact(ids, vectors, _):
    return ExactIndex(ids, vectors)


def flat_file(ids, vectors, folder):
    write_index(ids, vectors, folder / "index.faiss")
    return FaissIndex(folder / "index.faiss")


@pytest.fixture(params=[exact, flat_file], ids=lambda make: make.__name__)
def make(request, tmp_path):
    return lambda ids, vectors: request.param(ids, vectors, tmp_path)


def judged(ids, vectors, queries, k, without):
    kept = ~np.isin(ids, without)
    scores = queries.astype(np.float64) @ vectors[kept].astype(np.float64).T
    return [ids[kept][np.argsort(-row)[:k]] for row in scores]


def test_every_row_finds_itself_with_full_score(make, ids, vectors):
    found = make(ids, vectors).search(vectors, 1, without=NONE)
    assert [int(one.ids[0]) for one in found] == ids.tolist()
    np.testing.assert_allclose([one.scores[0] for one in found], 1.0, atol=1e-6)


@pytest.mark.parametrize("k", [1, 10, ROWS])
def test_it_returns_what_the_judge_returns(make, ids, vectors, k):
    index = make(ids, vectors)
    queries = np.random.default_rng(9).standard_normal((20, DIM)).astype(np.float32)
    for one, expected in zip(
        index.search(queries, k, without=NONE), judged(ids, vectors, queries, k, NONE), strict=True
    ):
        overlap = len(np.intersect1d(one.ids, expected)) / k
        assert overlap >= index.promised_recall
        assert (np.diff(one.scores) <= 0).all()


def test_removed_ids_never_come_back_and_k_is_still_met(make, ids, vectors):
    without = ids[::2]
    queries = vectors[:20]
    for one, expected in zip(
        make(ids, vectors).search(queries, 10, without=without),
        judged(ids, vectors, queries, 10, without),
        strict=True,
    ):
        assert one.ids.tolist() == expected.tolist()


def test_ids_removed_elsewhere_are_ignored(make, ids, vectors):
    one = make(ids, vectors).search(vectors[:1], ROWS, without=np.array([-5, 10**12]))[0]
    assert len(one.ids) == ROWS


def test_fewer_rows_than_k_are_returned_without_padding(make, ids, vectors):
    one = make(ids[:3], vectors[:3]).search(vectors[:1], 10, without=ids[:1])[0]
    assert sorted(one.ids.tolist()) == sorted(ids[1:3].tolist()) and len(one.scores) == 2


def test_nothing_is_left_when_all_is_removed(make, ids, vectors):
    one = make(ids, vectors).search(vectors[:1], 10, without=ids)[0]
    assert len(one.ids) == len(one.scores) == 0


def test_an_empty_index_answers(make):
    one = make(NONE, np.empty((0, DIM), np.float32)).search(np.ones((1, DIM), np.float32), 5, without=NONE)[0]
    assert len(one.ids) == 0
