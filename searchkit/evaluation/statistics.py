"""What a difference of measures is worth: intervals, paired tests, and their correction.

All by resampling, so that nothing is assumed of how a measure is distributed. An item is what was judged by
itself: a query, a pair, a text. Every function is seeded: the same figures give the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from searchkit.arrays import Float64Vector, Int64Vector

ROUNDS = 2_000
TOGETHER = 4_000_000  # numbers drawn at a time: 32 MB
CONFIDENCE = 0.95
Z = 1.959964  # of the normal distribution at that confidence

Statistic = Callable[[Int64Vector], float]  # of the items at these positions, some of them several times


def mean_interval(
    values: Float64Vector, *, rounds: int = ROUNDS, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of (n,) values, n >= 1 (Efron, Tibshirani 1993, ch. 13)."""
    means = _resampled_means(np.asarray(values, dtype=np.float64)[:, None], rounds, seed)[:, 0]
    return _percentiles(means, confidence)


def share_interval(hits: int, items: int) -> tuple[float, float]:
    """Interval of a share of n >= 1 items (Wilson 1927): where all are alike, resampling makes none."""
    share, z2 = hits / items, Z * Z
    middle = share + z2 / (2 * items)
    half = Z * math.sqrt(share * (1 - share) / items + z2 / (4 * items * items))
    low, high = (middle - half) / (1 + z2 / items), (middle + half) / (1 + z2 / items)
    return (low if hits else 0.0), (high if hits < items else 1.0)  # not a hair beyond


def interval(
    statistic: Statistic, items: int, *, rounds: int = 500, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile bootstrap interval of a measure that is no mean over its items, such as a correlation.

    Rounds in which it is not defined, for all drawn were alike, are left out; nan where it never is.
    """
    drawn = np.random.default_rng(seed)
    found = np.asarray([statistic(drawn.integers(0, items, items)) for _ in range(rounds)])
    return _percentiles(found[np.isfinite(found)], confidence)


def randomisation_p(
    first: Float64Vector, second: Float64Vector, *, rounds: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of the hypothesis that it is chance which of two measures of an item is whose.

    first, second: (n,) measures of the same items. The paired randomisation test that Smucker, Allan and
    Carterette (CIKM 2007) recommend for rankings; the observed assignment counts as one of the rounds.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    told = differences[differences != 0]  # a difference of nothing is nothing under either sign
    if not len(told):
        return 1.0
    observed = abs(told.sum())
    drawn = np.random.default_rng(seed)
    extreme = 0
    at_once = max(1, TOGETHER // len(told))
    for start in range(0, rounds, at_once):
        signs = drawn.integers(0, 2, (min(at_once, rounds - start), len(told)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ told) >= observed - 1e-12 * len(told)).sum())
    return (extreme + 1) / (rounds + 1)


def paired_interval(
    first: Float64Vector, second: Float64Vector, *, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the mean of (second - first) over the same items."""
    differences = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    return mean_interval(differences, rounds=rounds, seed=seed)


def holm(p_values: Sequence[float]) -> list[float]:
    """Values of p adjusted for how many hypotheses were tested, in their order (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, position in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = worst
    return adjusted


def _resampled_means(values: Float64Vector, rounds: int, seed: int) -> Float64Vector:
    """(rounds, columns) means of rows drawn with replacement."""
    drawn = np.random.default_rng(seed)
    n = len(values)
    at_once = max(1, TOGETHER // max(1, values.size))
    means = [
        values[drawn.integers(0, n, (min(at_once, rounds - start), n))].mean(axis=1)
        for start in range(0, rounds, at_once)
    ]
    return np.concatenate(means)


def _percentiles(values: Float64Vector, confidence: float) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
