"""Spherical k-means: each vector belongs to the centroid of length 1 with which its cosine is largest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector

BLOCK_ROWS = 8_192
ROUNDS = 50
GAIN = 1e-4  # of the mean cosine's distance to 1: a round that brings less is the last
STARTS = 4  # k-means ends where it began to look: the best of several beginnings counts
# Where there are more vectors than that, beginnings are compared on a sample, and the best of them is refined
# on a larger one: a centroid is a mean that some hundred vectors fix. All others only choose theirs.
# (LOG "what do clusters of many passages cost?")
SAMPLE_LEAST = 20_000
BEGIN_PER_CENTROID = 64
REFINE_PER_CENTROID = 256
SAME = 1e-6  # 1 - cosine up to which two float32 vectors are one


@dataclass(frozen=True, slots=True)
class Partition:
    """Vectors in clusters, none of them empty.

    numbers: (n,) int64, the cluster of each, from 0; -1 in none. centroids: (k, dim) float32 of length 1.
    floors: (k,) float32, the cosine to its centroid below which a vector is in none; None: all are in one.
    """

    numbers: Int64Vector
    centroids: Float32Matrix
    floors: Float32Vector | None = None


def kmeans(vectors: Float32Matrix, k: int, *, seed: int, starts: int = STARTS) -> Partition:
    """Part vectors into k clusters, or as many as there are different vectors, where these are fewer.

    vectors: (n, dim) float32 of length 1, n >= 1. The same seed gives the same clusters.
    """
    random = np.random.default_rng(seed)
    some = _sample(vectors, BEGIN_PER_CENTROID * k, random)
    found = [_refined(some, _spread(some, k, random)) for _ in range(starts)]
    centroids = max(found, key=lambda one: one[1])[0]
    if len(some) < len(vectors):
        more = _sample(vectors, REFINE_PER_CENTROID * k, random)
        if len(more) > len(some):
            centroids = _refined(more, centroids)[0]
    return settled(vectors, centroids)


def settled(vectors: Float32Matrix, centroids: Float32Matrix) -> Partition:
    """Each vector with its nearest centroid; centroids that are nobody's are left out, the others kept."""
    numbers, _ = nearest(vectors, centroids)
    used = np.flatnonzero(np.bincount(numbers, minlength=len(centroids)))
    place = np.zeros(len(centroids), dtype=np.int64)
    place[used] = np.arange(len(used))
    return Partition(place[numbers], centroids[used])


def nearest(vectors: Float32Matrix, centroids: Float32Matrix) -> tuple[Int64Vector, Float32Vector]:
    """The nearest centroid of each vector, and the cosine. Returns: (n,) int64 and (n,) float32."""
    numbers = np.empty(len(vectors), dtype=np.int64)
    cosines = np.empty(len(vectors), dtype=np.float32)
    for rows in blocks(len(vectors)):
        scores = vectors[rows] @ centroids.T
        numbers[rows] = scores.argmax(axis=1)
        cosines[rows] = scores[np.arange(len(scores)), numbers[rows]]
    return numbers, cosines


def means(vectors: Float32Matrix, numbers: Int64Vector, k: int) -> Float32Matrix:
    """Sums of the vectors of each cluster. Returns: (k, dim) float32; numbers of -1 count nowhere."""
    sums = np.zeros((k, vectors.shape[1]), dtype=np.float32)
    for rows in blocks(len(vectors)):
        own = numbers[rows]
        order = np.argsort(own, kind="stable")
        order = order[own[order] >= 0]
        if len(order):
            there, starts = np.unique(own[order], return_index=True)
            sums[there] += np.add.reduceat(vectors[rows][order], starts, axis=0)
    return sums


def directions(sums: Float32Matrix) -> Float32Matrix:
    """Rows brought to length 1; a row of no length, as opposite vectors sum to, stays zero."""
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    made: Float32Matrix = (sums / np.where(lengths > SAME, lengths, 1)).astype(np.float32)
    return made


def blocks(n: int) -> Iterator[slice]:
    """Slices that cover n rows: products of all of them at once would not fit into memory."""
    return (slice(start, min(start + BLOCK_ROWS, n)) for start in range(0, n, BLOCK_ROWS))


def _sample(vectors: Float32Matrix, most: int, random: np.random.Generator) -> Float32Matrix:
    most = max(SAMPLE_LEAST, most)
    if len(vectors) <= most:
        return vectors
    chosen: Float32Matrix = vectors[np.sort(random.choice(len(vectors), most, replace=False))]
    return chosen


def _refined(vectors: Float32Matrix, centroids: Float32Matrix) -> tuple[Float32Matrix, float]:
    """Centroids moved to the means of what is nearest to them, until that brings little; the mean cosine."""
    best = -np.inf
    for _ in range(ROUNDS):
        numbers, cosines = nearest(vectors, centroids)
        mean = float(cosines.mean())
        gained, best = mean - best, mean
        if gained <= GAIN * (1 - mean):
            break
        centroids = _moved(vectors, numbers, cosines, centroids)
    return centroids, best


def _moved(
    vectors: Float32Matrix, numbers: Int64Vector, cosines: Float32Vector, centroids: Float32Matrix
) -> Float32Matrix:
    """Centroids of the vectors that chose them; one that nobody chose moves to where vectors fit worst."""
    k = len(centroids)
    moved = directions(means(vectors, numbers, k))
    lost = np.flatnonzero(~moved.any(axis=1))
    if len(lost):
        moved[lost] = vectors[np.argsort(cosines, kind="stable")[: len(lost)]]
    return moved


def _spread(vectors: Float32Matrix, k: int, random: np.random.Generator) -> Float32Matrix:
    """Beginnings as k-means++ draws them: each with a chance that grows with its distance to those drawn.

    Of several drawn at a time the one is taken that brings all vectors nearest: a pass over the vectors costs
    the same for one as for ten, and two beginnings in one cluster become rare.
    """
    drawn = [int(random.integers(len(vectors)))]
    at_a_time = 2 + int(np.log(k))
    apart = 1 - vectors @ vectors[drawn[0]]
    while len(drawn) < k:
        apart[apart <= SAME] = 0
        total = np.cumsum(apart, dtype=np.float64)
        if total[-1] <= 0:  # all vectors are among those drawn
            break
        places = np.searchsorted(total, random.random(at_a_time) * total[-1], side="right")
        places = np.minimum(places, len(vectors) - 1)
        left = np.minimum(apart[:, None], 1 - vectors @ vectors[places].T)
        best = int(left.sum(axis=0, dtype=np.float64).argmin())
        drawn.append(int(places[best]))
        apart = left[:, best].copy()
    return vectors[drawn]
