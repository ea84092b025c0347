"""Two rankings agree as far as the formulas say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from searchkit.evaluation.two_rankings import kendall, overlap, rank_biased_overlap


def test_overlap_is_the_share_of_the_first_k():
    assert overlap([1, 2, 3, 4], [2, 1, 9, 4], 2) == 1.0
    assert overlap([1, 2, 3, 4], [2, 1, 9, 4], 3) == pytest.approx(2 / 3)
    assert overlap([1, 2], [1, 2], 10) == 1.0
    assert overlap([], [], 10) == 1.0
    assert overlap([1], [], 10) == 0.0


def test_rank_biased_overlap_by_hand():
    """Agreement at the three depths is 1, 1/2 and 1."""
    expected = 0.1 / 0.9 * (1.0 * 0.9 + 0.5 * 0.81 + 1.0 * 0.729) + 1.0 * 0.729
    assert rank_biased_overlap([1, 2, 3], [1, 3, 2], 0.9) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 2, 3], [1, 2, 3], 1.0), ([1, 2, 3], [4, 5, 6], 0.0), ([], [], 1.0), ([1], [], 0.0)],
)
def test_rank_biased_overlap_at_its_ends(first, second, expected):
    assert rank_biased_overlap(first, second) == pytest.approx(expected)


def test_equal_rankings_agree_exactly():
    """A sum of shares may end a hair below 1, and a query that did not move would be shown as moved."""
    assert {rank_biased_overlap(range(depth), range(depth)) for depth in range(1, 101)} == {1.0}


def test_a_change_at_the_top_counts_more_than_one_further_down():
    order = list(range(20))
    top, bottom = [99, *order[1:]], [*order[:-1], 99]
    assert rank_biased_overlap(order, top) < rank_biased_overlap(order, bottom) < 1


def test_kendall_is_that_of_pairs_in_the_same_order():
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    assert kendall(scores, scores * 2) == 1.0
    assert kendall(scores, -scores) == -1.0
    assert kendall(scores, np.array([3.0, 4.0, 2.0, 1.0])) == pytest.approx((5 - 1) / 6)
    assert math.isnan(kendall(scores, np.ones(4))) and math.isnan(kendall(scores[:1], scores[:1]))
