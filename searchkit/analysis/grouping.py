"""From pairs to groups in which everything is near to one representative: no chains.

A chain a-b-c would put a and c together though they have nothing in common. Here every member has passed the
threshold with the representative itself. Pairs are taken from the nearest to the least near, so that a text
that could belong to two groups goes to whom it is nearer; two groups become one when all members of one pass
with the representative of the other. Complete linkage would ask all pairs of a group, whose number grows with
its square; a thousand copies of a footer would cost half a million comparisons to say the same.

That all of a group pass with another representative is asked once: groups only grow, so what failed fails.
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
    """Groups of two rows and more, as Stars make them of these pairs alone; see there."""
    growing = Stars(belongs, apart, first_stands=first_stands)
    growing.join(pairs, together)
    return growing.groups()


class Stars:
    """Groups as they grow, pairs after pairs.

    apart: pairs that are never in one group. The representative of a pair is that of the larger group, then
    the row with the larger sum of scores over its pairs, then the smaller row: where rows are in the order
    of time, the older one. first_stands: it is the smaller row, unless not all pass with that one and all
    do with the other.
    """

    def __init__(
        self, belongs: Belongs, apart: Iterable[tuple[int, int]] = (), *, first_stands: bool = False
    ) -> None:
        self._belongs = belongs
        self._first_stands = first_stands
        self._rows: dict[int, list[int]] = {}  # of each group by its representative, none of a single row
        self._leader: dict[int, int] = {}
        self._weight: defaultdict[int, float] = defaultdict(float)
        self._refused: set[tuple[int, int]] = set()  # representatives: not all rows of the second pass
        self._apart: defaultdict[int, set[int]] = defaultdict(set)
        for a, b in apart:
            self._apart[a].add(b)
            self._apart[b].add(a)

    def join(self, pairs: Pairs, together: Iterable[tuple[int, int]] = ()) -> bool:
        """Let groups grow by pairs. Returns: whether any did.

        together: pairs that a person called the same: one group, near or not, before all others.
        """
        for a, b, score in zip(pairs.left.tolist(), pairs.right.tolist(), pairs.scores.tolist(), strict=True):
            self._weight[a] += score
            self._weight[b] += score
        joined = [self._join(a, b, asked=False) for a, b in together]
        order = np.lexsort((pairs.right, pairs.left, -pairs.scores))
        for a, b in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
            joined.append(self._join(a, b, asked=True))
        return any(joined)

    def groups(self) -> list[list[int]]:
        """Of two rows and more, the representative first, the others ascending; by representative."""
        return [[one, *sorted(set(rows) - {one})] for one, rows in sorted(self._rows.items())]

    def follows(self, row: int) -> bool:
        """Whether it is in a group that another row stands for."""
        return self._leader.get(row, row) != row

    def _join(self, a: int, b: int, *, asked: bool) -> bool:
        """Make one group of those of two rows, if all of one belong to the representative of the other."""
        first, second = self._leader.get(a, a), self._leader.get(b, b)
        if first == second:
            return False
        both = sorted((first, second), key=self._rank, reverse=True)
        for kept, gone in (both, both[::-1]):
            if asked and (kept, gone) in self._refused:
                continue
            here, members = self._rows.get(kept, [kept]), self._rows.get(gone, [gone])
            if self._kept_apart(here, members):
                return False
            if not asked or all(self._belongs(kept, members)):
                self._rows.setdefault(kept, here).extend(members)
                self._rows.pop(gone, None)
                self._leader.update(dict.fromkeys(members, kept))
                return True
            self._refused.add((kept, gone))
        return False

    def _rank(self, leader: int) -> tuple[float, ...]:
        """Whom to keep."""
        if self._first_stands:
            return (-leader,)
        return len(self._rows.get(leader, [leader])), self._weight[leader], -leader

    def _kept_apart(self, one: Sequence[int], other: Sequence[int]) -> bool:
        if not self._apart:
            return False
        few, many = sorted((one, other), key=len)
        others = set(many)
        return any(not others.isdisjoint(self._apart[row]) for row in few if row in self._apart)
