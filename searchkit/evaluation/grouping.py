"""Which items are one piece of evidence, and how they are dealt into blocks or drawn again.

Items of one group share a text, so that what is said of one is said of the others, too. They stay together
when items are split, dealt or drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchkit.arrays import Int64Vector


def by_text(texts: Sequence[str]) -> Int64Vector:
    """(n,) numbers from 0, equal for equal texts, in the order in which they first occur."""
    first: dict[str, int] = {}
    return np.asarray([first.setdefault(text, len(first)) for text in texts], dtype=np.int64)


def by_pair(first: Sequence[str], second: Sequence[str]) -> Int64Vector:
    """(n,) numbers from 0, equal for pairs that share a text on either side, also by way of other pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = by_text([*first, *second])
    one, other = ends[: len(first)], ends[len(first) :]
    size = int(ends.max()) + 1 if len(ends) else 0
    joined = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(size, size))
    number = connected_components(joined, directed=False)[1]
    return renumbered(number[one])


def renumbered(groups: Int64Vector) -> Int64Vector:
    """(n,) the same groups under numbers from 0 without gaps."""
    numbers: Int64Vector = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return numbers


def count(groups: Int64Vector) -> int:
    """How many different groups there are."""
    return len(np.unique(groups))


def largest(groups: Int64Vector) -> int:
    """Items of the largest group; 0 of none."""
    return int(np.unique(groups, return_counts=True)[1].max()) if len(groups) else 0


def lopsided(groups: Int64Vector) -> str | None:
    """What to say where one group holds most of the items; None where none does."""
    most = largest(groups)
    if 2 * most <= len(groups) or len(groups) < 2:
        return None
    return (
        f"{most:,} of {len(groups):,} items hang together by texts that they share: they are one piece of "
        "evidence, and the figure is hardly more than theirs"
    )


def dealt(groups: Int64Vector, labels: Int64Vector, parts: int) -> list[Int64Vector]:
    """Places of items in so many parts, at random, each label spread evenly; the same for the same items.

    A group is in one part, and counts as of the label of its first item.
    """
    first, numbers = np.unique(groups, return_index=True, return_inverse=True)[1:]
    order = np.lexsort((np.random.default_rng(0).random(len(first)), labels[first]))
    part = np.empty(len(first), dtype=np.int64)
    part[order] = np.arange(len(first)) % parts
    return [np.flatnonzero(part[numbers] == one) for one in range(parts)]


class Drawing:
    """Draws groups of items with replacement."""

    def __init__(self, groups: Int64Vector, seed: int) -> None:
        numbers = renumbered(groups)
        self._by_group = np.argsort(numbers, kind="stable")
        self._sizes = np.bincount(numbers)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._drawn = np.random.default_rng(seed)

    def __call__(self) -> Int64Vector:
        """Places of the items of one draw."""
        chosen = self._drawn.integers(0, len(self._sizes), len(self._sizes))
        sizes = self._sizes[chosen]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places: Int64Vector = self._by_group[np.repeat(self._starts[chosen], sizes) + within]
        return places
