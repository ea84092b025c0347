"""HDBSCAN: clusters where vectors lie densely, as many as there are; what lies between belongs to none.

What it finds becomes a rule that holds for passages that come later as well: a vector belongs to the nearest
centroid, unless the cosine is below that cluster's floor. The floor is where as few as possible are judged
otherwise than HDBSCAN judged them. (LOG "what belongs to a dense cluster?")
"""

from __future__ import annotations

import warnings

import numpy as np

from searchkit.analysis.kmeans import SAME, Partition, directions, means, nearest
from searchkit.arrays import BoolVector, Float32Matrix, Float32Vector, Int64Vector

# In hundreds of dimensions all vectors are about equally far apart and nothing is dense; the first
# principal components keep what separates them.
COMPONENTS = 15
LEAST_OF_CLUSTER = 5
SHARE_OF_CLUSTER = 0.003  # of all passages: the smallest cluster grows with the Collection
MOST = 20_000  # passages whose densities are compared, pair by pair


def least_size(passages: int) -> int:
    """How many passages a cluster has at least where nobody says so."""
    return max(LEAST_OF_CLUSTER, round(SHARE_OF_CLUSTER * min(passages, MOST)))


def hdbscan(vectors: Float32Matrix, *, seed: int, least: int | None = None) -> Partition:
    """Part vectors by density.

    vectors: (n, dim) float32 of length 1, n >= 1. least: vectors that make a cluster, from 2; default
    least_size(n). Beyond MOST vectors a sample is parted. Returns: with floors, -1 for what belongs nowhere,
    perhaps no cluster at all; vectors that are all the same are one cluster if they are enough.
    """
    n = len(vectors)
    least = least_size(n) if least is None else least
    if n >= least and float((vectors @ vectors[0]).min()) >= 1 - SAME:
        return Partition(np.zeros(n, dtype=np.int64), vectors[:1], np.array([1 - 2 * SAME], dtype=np.float32))
    random = np.random.default_rng(seed)
    some = vectors[np.sort(random.choice(n, MOST, replace=False))] if n > MOST else vectors
    found = _dense(some, least)
    k = int(found.max(initial=-1)) + 1
    if k == 0:
        nothing = np.empty((0, vectors.shape[1]), dtype=np.float32)
        return Partition(np.full(n, -1, dtype=np.int64), nothing, np.empty(0, dtype=np.float32))
    sums = means(some, found, k)
    return _by_rule(vectors, directions(sums), _floors(some, sums, found))


def _dense(vectors: Float32Matrix, least: int) -> Int64Vector:
    """HDBSCAN's own clusters of all vectors; -1 for none."""
    if len(vectors) < 2 * least:  # nothing is denser than the rest among so few
        return np.full(len(vectors), -1, dtype=np.int64)
    from sklearn.cluster import HDBSCAN

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)  # of defaults that are to change
        made = HDBSCAN(min_cluster_size=least, min_samples=min(LEAST_OF_CLUSTER, least), copy=True)
        found: Int64Vector = made.fit_predict(principal(vectors)).astype(np.int64)
    return found


def _floors(vectors: Float32Matrix, sums: Float32Matrix, found: Int64Vector) -> Float32Vector:
    """For each cluster the cosine that parts its members from others nearest to it with fewest errors.

    sums: of the members' vectors. A member is compared with the others, as one that comes later will be: near
    copies would else be nearer to a middle that each is part of than the next copy is.
    """
    near, cosines = nearest(vectors, directions(sums))
    own = np.flatnonzero(near == found)
    cosines[own] = np.einsum("ij,ij->i", directions(sums[found[own]] - vectors[own]), vectors[own])
    floors = np.empty(len(sums), dtype=np.float32)
    for number in range(len(sums)):
        here = near == number
        floors[number] = _floor(cosines[here], found[here] == number)
    return floors


def _floor(cosines: Float32Vector, inside: BoolVector) -> np.float32:
    if not inside.any():  # all its members are nearer to another
        return np.float32(np.inf)
    members, others = np.sort(cosines[inside]), np.sort(cosines[~inside])
    wrong = len(others) - np.searchsorted(others, members) + np.searchsorted(members, members)
    return np.float32(members[wrong.argmin()] - SAME)  # the same text may round another way next time


def _by_rule(vectors: Float32Matrix, centroids: Float32Matrix, floors: Float32Vector) -> Partition:
    """Each vector with its nearest centroid or with none; centroids that nobody has are left out."""
    while len(centroids):
        numbers, cosines = nearest(vectors, centroids)
        numbers[cosines < floors[numbers]] = -1
        used = np.bincount(numbers[numbers >= 0], minlength=len(centroids)) > 0
        if used.all():
            return Partition(numbers, centroids, floors)
        centroids, floors = centroids[used], floors[used]
    return Partition(np.full(len(vectors), -1, dtype=np.int64), centroids, floors)


def principal(vectors: Float32Matrix) -> Float32Matrix:
    """The first principal components. Returns: (n, at most COMPONENTS) float32."""
    centred = vectors - vectors.mean(axis=0)
    _, directions_of = np.linalg.eigh(centred.T @ centred)  # eigenvalues ascend
    made: Float32Matrix = centred @ directions_of[:, -COMPONENTS:]
    return made
