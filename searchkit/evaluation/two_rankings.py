"""How far two rankings of the same things agree. Each is given as names or numbers, the best first."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from searchkit.arrays import Float64Vector

PATIENCE = 0.9  # the reader of a ranking goes on to the next with this probability: some ten are looked at


def overlap(first: Sequence[Hashable], second: Sequence[Hashable], k: int) -> float:
    """Share of the first k of the one that are among the first k of the other; 1.0 where both are empty."""
    k = min(k, max(len(first), len(second)))
    return len(set(first[:k]) & set(second[:k])) / k if k else 1.0


def rank_biased_overlap(first: Sequence[Hashable], second: Sequence[Hashable], p: float = PATIENCE) -> float:
    """Agreement of two rankings in which the first places count most, extrapolated: 0 disjoint, 1 the same.

    RBO_ext for rankings of one length (Webber, Moffat, Zobel, TOIS 2010, eq. 23): the agreement at each
    depth, weighted by p ** depth; beyond the last it is taken to stay. Of two lengths the shorter counts.
    """
    depth = min(len(first), len(second))
    if list(first) == list(second):
        return 1.0  # exactly: the sum below ends a hair beside it
    if not depth:
        return 0.0
    seen_first: set[Hashable] = set()
    seen_second: set[Hashable] = set()
    common, total = 0, 0.0
    for at in range(depth):
        one, other = first[at], second[at]
        common += (one == other) + (one in seen_second) + (other in seen_first)
        seen_first.add(one)
        seen_second.add(other)
        total += common / (at + 1) * p ** (at + 1)
    return common / depth * p**depth + (1 - p) / p * total


def kendall(first: Float64Vector, second: Float64Vector) -> float:
    """Kendall's tau-b of two scorings of the same things, (n,) each; nan where one has all alike or n < 2."""
    if len(first) < 2 or len(set(first.tolist())) < 2 or len(set(second.tolist())) < 2:
        return float("nan")  # scipy would warn
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)
