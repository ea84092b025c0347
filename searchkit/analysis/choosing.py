"""How many clusters a Collection has: the fewest that stand about as well apart as any number does.

For a series of numbers, each a quarter larger than the one before, clusters are made from several seeds:

    separation  mean over passages of (b - a) / max(a, b): a is 1 - cosine to the mean of the others of its
                cluster, b to the nearest centroid of another. It is the silhouette by centroids; a passage is
                left out of its own mean, or the most clusters would always win
    stability   mean adjusted Rand index between the seeds' partitions

The rule takes the smallest number whose separation is within 2 % of the best, among the numbers that are at
least half as stable as the most stable one, and stable at all. (LOG "how many clusters are there?")

Whatever is cut into pieces has pieces that stand apart a little. So separation is measured again in a cloud
without clusters, of the same mean and the same spread in every direction: where the passages do not stand
further apart than that, the next larger number is tried, and there is one cluster where none does. (LOG "are
there clusters at all?")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from searchkit.analysis.agreement import adjusted_rand
from searchkit.analysis.kmeans import SAME, Partition, blocks, directions, kmeans, means
from searchkit.arrays import Float32Matrix

STEP = 1.25
SAMPLE = 6_000  # passages that the study looks at
PASSAGES_PER_CLUSTER = 6  # of the sample, at least: fewer do not tell a cluster from chance
MOST = 400
SEEDS = 3
TOLERANCE = 0.02  # of the best separation: from seed to seed it differs by about as much
STABLE = 0.5  # of the best stability
LEAST_STABLE = 0.3  # of the labelled sets 0.6 and more, of clouds without clusters mostly under 0.2
CLOUDS = 5  # whose separations are averaged
# By how much the rest to full separation must be smaller than a cloud's: this share at least, for clouds of
# thousands are up to 2.5 % apart themselves, and among few passages CHANCE by the root of their number, for
# separations of two clouds differ by about a third of that.
LEAST_APART = 0.03
CHANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What was measured of one number of clusters."""

    k: int
    separation: float
    stability: float
    of_cloud: float | None = None  # separation in a cloud without clusters; None where that was not asked


def chosen(
    vectors: Float32Matrix, *, seed: int, on_progress: Callable[[int, int], None] | None = None
) -> tuple[int, list[Tried]]:
    """The number of clusters, 1 where none stand apart, and what was measured of each number tried.

    vectors: (n, dim) float32 of length 1. on_progress: told how many numbers of how many are measured.
    """
    vectors = _looked_at(vectors, seed)
    tried = study(vectors, seed=seed, on_progress=on_progress)
    rule = choose(tried)
    for place, one in enumerate(tried):
        if one.k < rule or rule == 1 or not _is_stable(one, tried):
            continue
        tried[place] = one = replace(one, of_cloud=of_cloud(vectors, one.k, seed=seed))
        if stands_apart(one, len(vectors)):
            return one.k, tried
    return 1, tried


def study(
    vectors: Float32Matrix, *, seed: int, on_progress: Callable[[int, int], None] | None = None
) -> list[Tried]:
    """Measure every number of clusters that comes into question, from 2 up.

    vectors: (n, dim) float32 of length 1. Returns: nothing where there are too few for two clusters.
    """
    vectors = _looked_at(vectors, seed)
    numbers = numbers_tried(len(vectors))
    tried = []
    for done, k in enumerate(numbers):
        if on_progress is not None:
            on_progress(done, len(numbers))
        tried.append(_try(vectors, k, seed))
    return tried


def choose(tried: Sequence[Tried]) -> int:
    """The number that the rule takes; 1 where nothing could be tried or nothing is stable and separate."""
    stable = [one for one in tried if _is_stable(one, tried)]
    best = max((one.separation for one in stable), default=0)
    if best <= 0:
        return 1
    return min(one.k for one in stable if one.separation >= (1 - TOLERANCE) * best)


def stands_apart(one: Tried, passages: int) -> bool:
    """Whether clusters stand further apart than pieces of a cloud do."""
    if one.of_cloud is None:
        raise ValueError(f"separation in a cloud was not measured for {one.k} clusters")
    least = max(LEAST_APART, CHANCE / math.sqrt(passages))
    return 1 - one.of_cloud >= (1 + least) * max(1 - one.separation, SAME)


def of_cloud(vectors: Float32Matrix, k: int, *, seed: int) -> float:
    """The mean separation of k pieces of clouds that have no clusters, and else the shape of these vectors.

    Normally distributed, with the mean and the covariance of these, and brought to length 1.
    """
    middle = vectors.mean(axis=0)
    root = _root(vectors - middle)
    found = []
    for number in range(CLOUDS):
        random = np.random.default_rng([seed, number])
        drawn = random.standard_normal((len(vectors), len(root)), dtype=np.float32)
        cloud = directions(middle + drawn @ root)
        found.append(separation(cloud, kmeans(cloud, k, seed=number, starts=1)))
    return float(np.mean(found))


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


def _root(centred: Float32Matrix) -> Float32Matrix:
    """What gives standard normal rows the covariance of these. Returns: (min(n, dim), dim) float32."""
    if len(centred) <= centred.shape[1]:
        return centred / np.float32(math.sqrt(len(centred)))
    values, axes = np.linalg.eigh(centred.T @ centred / np.float32(len(centred)))
    root: Float32Matrix = (np.sqrt(values.clip(min=0))[:, None] * axes.T).astype(np.float32)
    return root


def _looked_at(vectors: Float32Matrix, seed: int) -> Float32Matrix:
    if len(vectors) <= SAMPLE:
        return vectors
    random = np.random.default_rng(seed)
    sample: Float32Matrix = vectors[np.sort(random.choice(len(vectors), SAMPLE, replace=False))]
    return sample


def _is_stable(one: Tried, tried: Sequence[Tried]) -> bool:
    return one.stability >= max(LEAST_STABLE, STABLE * max(other.stability for other in tried))


def _try(vectors: Float32Matrix, k: int, seed: int) -> Tried:
    made = [kmeans(vectors, k, seed=seed + number, starts=1) for number in range(SEEDS)]
    agree = [adjusted_rand(one.numbers, other.numbers) for one, other in combinations(made, 2)]
    return Tried(
        k=k,
        separation=float(np.mean([separation(vectors, one) for one in made])),
        stability=float(np.mean(agree)),
    )
