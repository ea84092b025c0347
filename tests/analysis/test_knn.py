"""Nearest neighbours: in lists as by comparing all, and what has no direction or no neighbour."""

import numpy as np
import pytest

from searchkit.analysis import knn


def rows(n, dim=32, seed=0):
    made = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def with_copies(n, seed=0):
    """Half of the rows are copies of the others, moved a little."""
    half = rows(n // 2, seed=seed)
    moved = half + 0.02 * rows(n // 2, seed=seed + 1)
    return np.concatenate([half, moved / np.linalg.norm(moved, axis=1, keepdims=True)])


def all_compared(queries, base, k, itself):
    scores = queries @ base.T
    if itself:
        np.fill_diagonal(scores, -2)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return best, np.take_along_axis(scores, best, axis=1)


def test_few_rows_are_all_compared(monkeypatch):
    """Also where the scores of all rows do not fit in one block."""
    monkeypatch.setattr(knn, "BLOCK_SCORES", 1_000)
    vectors = rows(300)
    near = knn.neighbours(vectors, 5)
    expected, scores = all_compared(vectors, vectors, 5, itself=True)
    assert np.array_equal(near.rows, expected)
    np.testing.assert_allclose(near.cosines, scores, atol=1e-6)


def test_lists_find_every_near_copy_and_most_of_the_others(monkeypatch):
    monkeypatch.setattr(knn, "EXACT_ROWS", 1_000)
    monkeypatch.setattr(knn, "ROWS_PER_LIST", 32)
    vectors = with_copies(4_000)
    near = knn.neighbours(vectors, 10)
    expected, scores = all_compared(vectors, vectors, 10, itself=True)
    assert np.array_equal(near.rows[:, 0], expected[:, 0])
    np.testing.assert_allclose(near.cosines[:, 0], scores[:, 0], atol=1e-6)
    shared = [len(set(one) & set(other)) for one, other in zip(near.rows, expected, strict=True)]
    assert np.mean(shared) > 5  # rows without structure are the worst case: lists say nothing of them
    assert all(len(set(one)) == 10 for one in near.rows)


@pytest.mark.parametrize("exact_rows", [100, 10_000])
def test_rows_of_one_matrix_are_found_in_another(monkeypatch, exact_rows):
    monkeypatch.setattr(knn, "compares_all", lambda queries, base: base <= exact_rows)
    base = with_copies(1_200)
    near = knn.neighbours_among(base[5:25], base, 2)
    assert near.rows[:, 0].tolist() == list(range(5, 25))
    assert near.rows[:, 1].tolist() == list(range(605, 625))


@pytest.mark.parametrize(("n", "k"), [(0, 0), (1, 0), (2, 1), (3, 2)])
def test_there_are_no_more_neighbours_than_other_rows(n, k):
    near = knn.neighbours(rows(n), 16)
    assert near.rows.shape == near.cosines.shape == (n, k)
    assert all(row not in found for row, found in enumerate(near.rows.tolist()))


def test_equal_rows_are_neighbours_and_none_is_its_own(monkeypatch):
    monkeypatch.setattr(knn, "EXACT_ROWS", 100)
    vectors = np.tile(rows(1), (700, 1))
    near = knn.neighbours(vectors, 4)
    np.testing.assert_allclose(near.cosines, 1.0, atol=1e-5)
    assert all(row not in found for row, found in enumerate(near.rows.tolist()))


@pytest.mark.parametrize(
    ("queries", "base", "all_of_them"),
    [
        (8_192, 8_192, True),
        (200_000, 200_000, False),
        (1, 200_000, True),  # one small file against a large collection makes no lists
        (1_900, 200_000, True),
        (2_100, 200_000, False),
        (20_000, 1_000_000, False),
    ],
)
def test_lists_are_made_where_they_cost_less_than_comparing_all(queries, base, all_of_them):
    assert knn.compares_all(queries, base) is all_of_them


def test_one_query_makes_no_lists_and_misses_nothing(monkeypatch):
    monkeypatch.setattr(knn, "EXACT_ROWS", 1_000)
    monkeypatch.setattr(knn, "_by_lists", None)
    base = rows(4_000)
    near = knn.neighbours_among(base[7:8], base, 3)
    assert near.rows.tolist() == all_compared(base[7:8], base, 3, itself=False)[0].tolist()
