"""How far two partitions of the same passages agree. Both are (n,) arrays of cluster numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Int64Vector


def contingency(one: Int64Vector, other: Int64Vector) -> npt.NDArray[np.int64]:
    """How many passages each pair of clusters shares. Returns: (clusters of one, clusters of other) int64.

    Rows and columns stand in ascending order of the clusters' numbers.
    """
    rows, row = np.unique(one, return_inverse=True)
    columns, column = np.unique(other, return_inverse=True)
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(table, (row, column), 1)
    return table


def v_measure(one: Int64Vector, other: Int64Vector) -> float:
    """The harmonic mean of homogeneity and completeness, 0 to 1; 1 where both are the same but for numbers.

    Rosenberg and Hirschberg 2007; the same whichever of the two comes first.
    """
    table = contingency(one, other)
    of_one, of_other = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    if of_one == 0 and of_other == 0:
        return 1.0
    shared = of_one + of_other - _entropy(table.ravel())
    return float(min(1.0, max(0.0, 2 * shared / (of_one + of_other))))


def adjusted_rand(one: Int64Vector, other: Int64Vector) -> float:
    """The share of pairs on which both agree, less what chance gives: 0 for chance, 1 for the same."""
    table = contingency(one, other)
    together = _pairs(table)
    of_one, of_other, every = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0)), _pairs(table.sum())
    expected = of_one * of_other / every if every else 0.0
    most = (of_one + of_other) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum() if counts.sum() else np.empty(0)
    return float(-(shares * np.log(shares)).sum()) if len(shares) > 1 else 0.0


def _pairs(counts: npt.NDArray[np.int64] | np.int64) -> float:
    numbers = np.asarray(counts, dtype=np.float64)
    return float((numbers * (numbers - 1) / 2).sum())
