"""The nearest neighbours of every row of a matrix: who might be a duplicate of whom, without all pairs.

Few rows, and few queries, are compared with all rows, in blocks. Else rows are sorted into lists around
centroids, and each is compared exactly with the rows of the lists nearest to it: scores are cosines, only a
neighbour in a list that was not looked into can be missed. Work per row does not grow with the number of
rows, but for the choice of lists. Whole blocks are multiplied; a search of the snapshot's codes would go
row by row, and read the candidates of each from the database one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Int64Vector

EXACT_ROWS = 8_192  # below, lists cost more than they save
ROWS_PER_LIST = 256
PROBES = 24  # lists looked into for each row
TRAINED_ROWS_PER_LIST = 64
TRAIN_ROUNDS = 6
TO_MAKE_LISTS = 0.3  # about this share of the time, for whoever watches
BLOCK_SCORES = 1 << 23  # scores held at a time: 32 MB
SEED = 5

OnShare: TypeAlias = "Callable[[float], None]"  # told which share of the work is done, 0 to 1


def say_nothing(share: float) -> None:
    """For who does not want to know."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """For each query row its nearest base rows, the nearest first.

    rows: (n, k) int64, -1 where there are fewer; cosines: (n, k) float32, -2 there.
    """

    rows: npt.NDArray[np.int64]
    cosines: Float32Matrix


def neighbours(vectors: Float32Matrix, k: int, on_share: OnShare = say_nothing) -> Neighbourhood:
    """The k nearest other rows of each. vectors: (n, dim) float32, mapped or not; rows of length 1 or 0."""
    return _nearest(vectors, vectors, k, itself=True, on_share=on_share)


def neighbours_among(queries: Float32Matrix, base: Float32Matrix, k: int) -> Neighbourhood:
    """The k nearest base rows of each query row. Both: (n, dim) float32 rows of length 1 or 0."""
    return _nearest(queries, base, k, itself=False, on_share=say_nothing)


def compares_all(queries: int, base: int) -> bool:
    """Whether comparing every query with every base row costs no more than making and reading lists."""
    lists = base / ROWS_PER_LIST
    making = (TRAIN_ROUNDS * min(base, lists * TRAINED_ROWS_PER_LIST) + base) * lists
    return base <= EXACT_ROWS or queries * base <= making + queries * (lists + PROBES * ROWS_PER_LIST)


def _nearest(
    queries: Float32Matrix, base: Float32Matrix, k: int, *, itself: bool, on_share: OnShare
) -> Neighbourhood:
    k = min(k, len(base) - itself)
    if k <= 0 or not len(queries):
        return Neighbourhood(np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32))
    best = _Best(len(queries), k)
    if compares_all(len(queries), len(base)):
        every = np.arange(len(base))
        step = max(1, BLOCK_SCORES // len(base))
        for start in range(0, len(queries), step):
            rows = np.arange(start, min(start + step, len(queries)))
            best.offer(rows, every, queries[rows] @ base.T, itself)
            on_share(start / len(queries))
    else:
        _by_lists(queries, base, best, itself, on_share)
    return best.sorted()


def _by_lists(
    queries: Float32Matrix, base: Float32Matrix, best: _Best, itself: bool, on_share: OnShare
) -> None:
    centroids = _centroids(base, on_share)
    home = _in_blocks(base, centroids, lambda scores: scores.argmax(axis=1)[:, None])[:, 0]
    probes = min(PROBES, len(centroids))

    def nearest_lists(scores: Float32Matrix) -> npt.NDArray[np.int64]:
        return np.argpartition(scores, -probes, axis=1)[:, -probes:]

    looked_into = _in_blocks(queries, centroids, nearest_lists).ravel()
    members = _inverted(home, len(centroids))
    askers = _inverted(looked_into, len(centroids))
    for number, (held, asking) in enumerate(zip(members, askers, strict=True)):
        if not len(held):
            continue
        on_share(TO_MAKE_LISTS + (1 - TO_MAKE_LISTS) * number / len(centroids))
        rows, part = asking // probes, np.ascontiguousarray(base[held])
        step = max(1, BLOCK_SCORES // len(held))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            best.offer(some, held, queries[some] @ part.T, itself)


def _inverted(lists: npt.NDArray[np.int64], count: int) -> list[Int64Vector]:
    """For each list the positions at which it stands."""
    order = np.argsort(lists, kind="stable")
    return np.split(order, np.searchsorted(lists[order], np.arange(1, count)))


def _centroids(base: Float32Matrix, on_share: OnShare) -> Float32Matrix:
    """Spherical k-means over a seeded sample."""
    random = np.random.default_rng(SEED)
    count = max(2, len(base) // ROWS_PER_LIST)
    chosen = random.choice(len(base), min(len(base), count * TRAINED_ROWS_PER_LIST), replace=False)
    sample = np.ascontiguousarray(base[np.sort(chosen)])
    centroids = sample[random.choice(len(sample), count, replace=False)]
    for done in range(TRAIN_ROUNDS):
        on_share(TO_MAKE_LISTS * done / TRAIN_ROUNDS)
        home = _in_blocks(sample, centroids, lambda scores: scores.argmax(axis=1)[:, None])[:, 0]
        order = np.argsort(home, kind="stable")
        starts = np.searchsorted(home[order], np.arange(count))
        held = np.bincount(home, minlength=count) > 0
        centroids = centroids.copy()  # one that lost all its rows stays where it was
        centroids[held] = np.add.reduceat(sample[order], starts[held], axis=0)
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True).clip(min=1e-9)
    return centroids


def _in_blocks(
    rows: Float32Matrix,
    centroids: Float32Matrix,
    chosen: Callable[[Float32Matrix], npt.NDArray[np.int64]],
) -> npt.NDArray[np.int64]:
    step = max(1, BLOCK_SCORES // len(centroids))
    parts = [
        chosen(rows[start : start + step] @ centroids.T).astype(np.int64)
        for start in range(0, len(rows), step)
    ]
    return np.concatenate(parts)


class _Best:
    """The k best rows that were offered to each query row."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._rows = np.full((queries, k), -1, dtype=np.int64)
        self._scores = np.full((queries, k), -2.0, dtype=np.float32)

    def offer(self, queries: Int64Vector, rows: Int64Vector, scores: Float32Matrix, itself: bool) -> None:
        """scores: (queries, rows); each pair is offered once. itself: a row is no neighbour of its own."""
        if itself:
            at = np.searchsorted(rows, queries).clip(max=len(rows) - 1)
            mine = np.flatnonzero(rows[at] == queries)
            scores[mine, at[mine]] = -2.0
        if scores.shape[1] > self._k:
            near = np.argpartition(scores, -self._k, axis=1)[:, -self._k :]
            scores, candidates = np.take_along_axis(scores, near, axis=1), rows[near]
        else:
            candidates = np.broadcast_to(rows, scores.shape)
        all_scores = np.concatenate([self._scores[queries], scores], axis=1)
        all_rows = np.concatenate([self._rows[queries], candidates], axis=1)
        kept = np.argpartition(all_scores, -self._k, axis=1)[:, -self._k :]
        self._scores[queries] = np.take_along_axis(all_scores, kept, axis=1)
        self._rows[queries] = np.take_along_axis(all_rows, kept, axis=1)

    def sorted(self) -> Neighbourhood:
        """The best first; of equal ones the row that comes first."""
        order = np.lexsort((self._rows, -self._scores), axis=1)
        scores = np.take_along_axis(self._scores, order, axis=1)
        rows = np.take_along_axis(self._rows, order, axis=1)
        rows[scores < -1.5] = -1
        return Neighbourhood(rows, scores)
