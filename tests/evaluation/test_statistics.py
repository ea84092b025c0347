"""Intervals and tests: right as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from searchkit.evaluation import similarity, statistics


def test_an_interval_of_a_mean_holds_it_about_as_often_as_it_says():
    drawn = np.random.default_rng(1)
    held = 0
    for seed in range(300):
        low, high = statistics.mean_interval(drawn.exponential(1.0, 80), rounds=400, seed=seed)
        held += low <= 1.0 <= high
    assert 0.88 <= held / 300 <= 0.98


def test_an_interval_of_a_share_is_wilsons():
    """Beside R: prop.test(7, 10, correct = FALSE)$conf.int."""
    assert statistics.share_interval(7, 10) == pytest.approx((0.3967781, 0.8922087), abs=1e-6)
    assert statistics.share_interval(0, 5)[0] == 0.0 < statistics.share_interval(0, 5)[1] < 0.5
    assert statistics.share_interval(5, 5)[1] == 1.0


def test_where_nothing_differs_a_difference_is_seldom_claimed():
    drawn = np.random.default_rng(2)
    p = [
        statistics.randomisation_p(drawn.normal(0, 1, 40), drawn.normal(0, 1, 40), rounds=500, seed=seed)
        for seed in range(400)
    ]
    assert np.mean(np.asarray(p) <= 0.05) <= 0.08


def test_a_difference_that_is_there_is_seen():
    drawn = np.random.default_rng(3)
    first = drawn.normal(0, 1, 100)
    assert statistics.randomisation_p(first, first + drawn.normal(0.5, 0.5, 100)) < 0.001


def test_equal_measures_have_no_difference():
    assert statistics.randomisation_p(np.ones(9), np.ones(9)) == 1.0


def test_of_three_items_all_better_chance_is_a_quarter():
    """Of eight assignments of signs two are as extreme."""
    p = statistics.randomisation_p(np.zeros(3), np.ones(3), rounds=40_000)
    assert p == pytest.approx(0.25, abs=0.01)


def test_p_values_are_adjusted_for_how_many_there_are():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_an_interval_of_a_correlation_holds_it():
    drawn = np.random.default_rng(4)
    first = drawn.normal(0, 1, 300)
    second = first + drawn.normal(0, 1, 300)
    low, high = statistics.joint_interval(
        lambda rows: similarity.spearman(first[rows], second[rows]), np.arange(300)
    )
    assert low < spearmanr(first, second).statistic < high
    assert high - low < 0.25


def test_a_measure_that_is_never_defined_has_no_interval():
    assert np.isnan(statistics.joint_interval(lambda rows: float("nan"), np.arange(9))).all()
