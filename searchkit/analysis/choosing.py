"""How many clusters a Collection has: the fewest that stand about as well apart as any number does.

For a series of numbers, each a quarter larger than the one before, clusters are made from several seeds:

    separation  mean over passages of (b - a) / max(a, b): a is 1 - cosine to the mean of the others of its
                cluster, b to the nearest centroid of another. It is the silhouette by centroids; a passage is
                left out of its own mean, or the most clusters would always win
    stability   mean adjusted Rand index between the seeds' partitions

Chosen is the smallest number whose separation is within 2 % of the best, among the numbers that are at least
half as stable as the most stable one. (LOG "how many clusters are there?")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from searchkit.analysis.agreement import adjusted_rand
from searchkit.analysis.kmeans import SAME, Partition, blocks, kmeans, means
from searchkit.arrays import Float32Matrix

STEP = 1.25
SAMPLE = 6_000  # passages that the study looks at
PASSAGES_PER_CLUSTER = 6  # of the sample, at least: fewer do not tell a cluster from chance
MOST = 400
SEEDS = 3
TOLERANCE = 0.02  # of the best separation: from seed to seed it differs by about as much
STABLE = 0.5  # of the best stability


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What was measured of one number of clusters."""

    k: int
    separation: float
    stability: float


def study(vectors: Float32Matrix, *, seed: int) -> list[Tried]:
    """Measure every number of clusters that comes into question, from 2 up.

    vectors: (n, dim) float32 of length 1. Returns: nothing where there are too few for two clusters.
    """
    if len(vectors) > SAMPLE:
        random = np.random.default_rng(seed)
        vectors = vectors[np.sort(random.choice(len(vectors), SAMPLE, replace=False))]
    return [_try(vectors, k, seed) for k in numbers_tried(len(vectors))]


def choose(tried: Sequence[Tried]) -> int:
    """The number of clusters; 1 where nothing could be tried or nothing stands apart."""
    least = STABLE * max((one.stability for one in tried), default=0)
    stable = [one for one in tried if one.stability >= least]
    best = max((one.separation for one in stable), default=0)
    if best <= 0:
        return 1
    return min(one.k for one in stable if one.separation >= (1 - TOLERANCE) * best)


def numbers_tried(passages: int) -> list[int]:
    """2, 3, 4, 5, 6, 8 ... up to MOST and to so many that each cluster has enough passages."""
    most = min(MOST, passages // PASSAGES_PER_CLUSTER)
    found: list[int] = []
    exact = 2.0
    while round(exact) <= most:
        if not found or round(exact) > found[-1]:
            found.append(round(exact))
        exact = max(exact * STEP, found[-1] + 1)
    return found


def separation(vectors: Float32Matrix, partition: Partition) -> float:
    """The mean silhouette by centroids, see above; -1 to 1, passages alone in their cluster count as 0."""
    k = len(partition.centroids)
    if k < 2:
        return 0.0
    sizes = np.bincount(partition.numbers, minlength=k)
    sums = means(vectors, partition.numbers, k)
    total = 0.0
    for rows in blocks(len(vectors)):
        own = partition.numbers[rows]
        at = np.arange(len(own))
        others = sums[own] - vectors[rows]
        lengths = np.linalg.norm(others, axis=1)
        near = np.einsum("ij,ij->i", others, vectors[rows]) / np.where(lengths > SAME, lengths, 1)
        scores = vectors[rows] @ partition.centroids.T
        scores[at, own] = -2
        a, b = 1 - near, 1 - scores.max(axis=1)
        worst = np.maximum(np.maximum(a, b), SAME)
        total += float(np.where(sizes[own] > 1, (b - a) / worst, 0).sum())
    return total / len(vectors)


def _try(vectors: Float32Matrix, k: int, seed: int) -> Tried:
    made = [kmeans(vectors, k, seed=seed + number, starts=1) for number in range(SEEDS)]
    agree = [adjusted_rand(one.numbers, other.numbers) for one, other in combinations(made, 2)]
    return Tried(
        k=k,
        separation=float(np.mean([separation(vectors, one) for one in made])),
        stability=float(np.mean(agree)),
    )
