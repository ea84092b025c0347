"""Joins the texts of a Collection that say the same: from neighbours to a threshold to groups.

Only the nearest of each text are looked at. Where all of these pass, there may be more that do: then those
that stand for groups, and those in none, are asked for their neighbours again among themselves, until no
two groups become one. So a group does not fall apart when it has more members than a text has neighbours.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from searchkit.analysis.grouping import Pairs, Stars
from searchkit.analysis.knn import Neighbourhood, OnShare, neighbours, neighbours_among, say_nothing
from searchkit.analysis.texts import Texts
from searchkit.analysis.threshold import NULL_RANK, SAMPLED, Null, Threshold, null_of, threshold_of
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.errors import UsageError
from searchkit.library.duplicates import Decisions

NEIGHBOURS = 16
SEED = 5

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Joined:
    """Bodies in groups, the representative of each first; a body that stands alone is in none.

    said: of bodies that a person called the same as others, which of these stands for them all.
    """

    texts: Texts
    threshold: Threshold
    groups: list[list[int]]
    said: Mapping[int, int]

    def said_same(self, one: int, other: int) -> bool:
        """Whether accepted pairs lead from one to the other."""
        return one in self.said and self.said[one] == self.said.get(other)


def join(
    texts: Texts, decided: Decisions, threshold: float | None = None, on_share: OnShare = say_nothing
) -> Joined:
    """Group the bodies. threshold: a cosine; None for what the texts suggest."""
    near = neighbours(texts.vectors, NEIGHBOURS, on_share)
    together, apart = rows_of(decided, texts.hashes)
    limit = threshold_of(
        null_of(texts.vectors, texts.firsts, of_other_bodies(texts, texts.firsts, near)),
        given=threshold,
        accepted=[texts.cosine(*pair) for pair in together],
        rejected=[texts.cosine(*pair) for pair in apart],
    )
    return Joined(texts, limit, grow(texts, near, limit.value, together, apart), chains(together))


def grow(
    texts: Texts,
    near: Neighbourhood,
    least: float,
    together: Sequence[tuple[int, int]] = (),
    apart: Sequence[tuple[int, int]] = (),
) -> list[list[int]]:
    """Groups of bodies with a cosine of at least `least` to the first. near: the neighbours of every text."""
    growing = Stars(lambda leader, rows: (texts.cosines(leader, rows) >= least).tolist(), apart)
    rows = np.arange(len(texts.vectors))
    growing.join(edges(texts.bodies, near, least), together)
    grew = True
    while grew and near.cosines.shape[1]:
        crowded = rows[near.cosines[:, -1] >= least]
        bodies = [row for row in crowded.tolist() if texts.bodies[row] == row and not growing.follows(row)]
        rows = np.array(bodies, dtype=np.int64)
        near = neighbours(texts.vectors[rows], NEIGHBOURS)
        grew = growing.join(edges(rows, near, least))
    return growing.groups()


def measured(texts: Texts) -> Null | None:
    """How near texts are that are no duplicates, by a sample of them."""
    rows = texts.firsts
    if len(rows) > SAMPLED:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, SAMPLED, replace=False))
    near = neighbours_among(texts.vectors[rows], texts.vectors, NEIGHBOURS + 1)  # and itself
    return null_of(texts.vectors, texts.firsts, of_other_bodies(texts, rows, near, every=False))


def of_other_bodies(
    texts: Texts, rows: Int64Vector, near: Neighbourhood, *, every: bool = True
) -> Float32Matrix:
    """Cosines of rows to the nearest other bodies, each counted once.

    near: the neighbours of every row, or of these only. Returns: (len(rows), NULL_RANK) float32, NaN where
    there is none among the neighbours.
    """
    found, cosines = (near.rows[rows], near.cosines[rows]) if every else (near.rows, near.cosines)
    held = np.where(found >= 0, texts.bodies[found], -1)
    left_out = (held == texts.bodies[rows][:, None]) | (held < 0)
    for at in range(1, held.shape[1]):
        left_out[:, at] |= (held[:, :at] == held[:, at : at + 1]).any(axis=1)
    order = np.argsort(left_out, axis=1, kind="stable")[:, :NULL_RANK]
    others = np.where(left_out, np.float32(np.nan), cosines)
    return np.take_along_axis(others, order, axis=1)


def edges(bodies: Int64Vector, near: Neighbourhood, least: float) -> Pairs:
    """Pairs of bodies with a cosine of at least `least`, each once, the smaller first.

    bodies: (n,) of the rows that `near` is about.
    """
    here, at = np.nonzero(near.cosines >= least)
    one, other, scores = bodies[here], bodies[near.rows[here, at]], near.cosines[here, at]
    left, right = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((-scores, right, left))  # of a pair the best score first
    left, right, scores = left[order], right[order], scores[order]
    kept = left != right
    kept[1:] &= (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return Pairs(left[kept], right[kept], scores[kept])


def rows_of(
    decided: Decisions, hashes: Mapping[bytes, int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of bodies that a person called the same, and those called different; of others, none."""
    same: list[tuple[int, int]] = []
    different: list[tuple[int, int]] = []
    for (first, second), is_same in sorted(decided.pairs.items()):
        if first in hashes and second in hashes:
            (same if is_same else different).append((hashes[first], hashes[second]))
    return same, different


def chains(pairs: Iterable[tuple[Key, Key]]) -> dict[Key, Key]:
    """For each of those that pairs lead to each other, one that stands for them all."""
    stands: dict[Key, Key] = {}
    held: dict[Key, list[Key]] = {}
    for pair in pairs:
        first, second = (stands.setdefault(one, one) for one in pair)
        if first == second:
            continue
        gone = held.pop(second, [second])
        held.setdefault(first, [first]).extend(gone)
        stands.update(dict.fromkeys(gone, first))
    return stands


def checked(threshold: float | None) -> None:
    """Raise UsageError unless it is a cosine that can tell anything apart."""
    if threshold is not None and not 0 < threshold <= 1:  # a NaN is neither
        raise UsageError(
            f"the threshold is {threshold:g}, expected a cosine above 0 and up to 1",
            remedy="leave it out to have it measured, or try: --threshold 0.9",
        )
