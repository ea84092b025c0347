"""From pairs to groups in which everything is near to one representative: no chains.

A chain a-b-c would put a and c together though they have nothing in common. Here every member has passed the
threshold with the representative itself. Pairs are taken from the nearest to the least near, so that a text
that could belong to two groups goes to whom it is nearer; two groups become one when all members of one pass
with the representative of the other. Complete linkage would ask all pairs of a group, whose number grows with
its square; a thousand copies of a footer would cost half a million comparisons to say the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from searchkit.arrays import Float32Vector, Int64Vector

# Whether each of some rows belongs to a representative: (representative, rows) -> (len(rows),) bool.
Belongs: TypeAlias = "Callable[[int, Sequence[int]], Sequence[bool]]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows that pass the threshold: (p,) each; larger scores are nearer."""

    left: Int64Vector
    right: Int64Vector
    scores: Float32Vector


def stars(
    pairs: Pairs,
    belongs: Belongs,
    together: Iterable[tuple[int, int]] = (),
    apart: Iterable[tuple[int, int]] = (),
    *,
    first_stands: bool = False,
) -> list[list[int]]:
    """Groups of two rows and more, the representative first, the others ascending; by representative.

    together: pairs that a person called the same: one group, near or not, before all others; apart: pairs
    that are never in one group. The representative of a pair is the row with the larger sum of scores over
    its pairs, of equals the smaller row: where rows are in the order of time, the older one. first_stands:
    it is always the smaller row.
    """
    grouping = _Grouping(pairs, apart, first_stands)
    for a, b in together:
        grouping.join(a, b, lambda leader, rows: [True])
    order = np.lexsort((pairs.right, pairs.left, -pairs.scores))
    for a, b in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
        grouping.join(a, b, belongs)
    return [[one, *sorted(set(rows) - {one})] for one, rows in sorted(grouping.groups.items())]


class _Grouping:
    """Groups as they grow. groups: the rows of each by its representative, none of a single row."""

    def __init__(self, pairs: Pairs, apart: Iterable[tuple[int, int]], first_stands: bool) -> None:
        self.groups: dict[int, list[int]] = {}
        self._leader: dict[int, int] = {}
        self._weight: defaultdict[int, float] = defaultdict(float)
        weights = np.zeros(len(pairs.left)) if first_stands else pairs.scores
        for a, b, score in zip(pairs.left.tolist(), pairs.right.tolist(), weights.tolist(), strict=True):
            self._weight[a] += score
            self._weight[b] += score
        self._apart: defaultdict[int, set[int]] = defaultdict(set)
        for a, b in apart:
            self._apart[a].add(b)
            self._apart[b].add(a)

    def join(self, a: int, b: int, belongs: Belongs) -> None:
        """Make one group of those of two rows, if all of one belong to the representative of the other."""
        first, second = self._leader.get(a, a), self._leader.get(b, b)
        if first == second:
            return
        both = sorted((first, second), key=self._rank, reverse=True)
        for kept, gone in (both, both[::-1]):
            here, members = self.groups.get(kept, [kept]), self.groups.get(gone, [gone])
            if self._kept_apart(here, members):
                return
            if all(belongs(kept, members)):
                self.groups.setdefault(kept, here).extend(members)
                self.groups.pop(gone, None)
                self._leader.update(dict.fromkeys(members, kept))
                return

    def _rank(self, leader: int) -> tuple[int, float, int]:
        """Whom to keep: of the larger group, then with more that is near, then the first."""
        return len(self.groups.get(leader, [leader])), self._weight[leader], -leader

    def _kept_apart(self, one: Sequence[int], other: Sequence[int]) -> bool:
        if not self._apart:
            return False
        few, many = sorted((one, other), key=len)
        others = set(many)
        return any(not others.isdisjoint(self._apart[row]) for row in few if row in self._apart)
