"""HDBSCAN: clusters where vectors lie densely, as many as there are; what lies between belongs to none."""

from __future__ import annotations

import warnings

import numpy as np

from searchkit.analysis.kmeans import Partition, directions, means, nearest
from searchkit.arrays import Float32Matrix, Int64Vector

# In hundreds of dimensions all vectors are about equally far apart and nothing is dense; the first
# principal components keep what separates them.
COMPONENTS = 15
LEAST_OF_CLUSTER = 5
SHARE_OF_CLUSTER = 0.003  # of all passages: the smallest cluster grows with the Collection
MOST = 20_000  # passages whose densities are compared, pair by pair


def hdbscan(vectors: Float32Matrix, *, seed: int) -> Partition:
    """Part vectors by density.

    vectors: (n, dim) float32 of length 1. Returns: numbers of -1 for what belongs nowhere; perhaps no
    cluster at all. Beyond MOST vectors a sample is parted, and its clusters take the others whose cosine
    is no less than that of the sample's farthest member.
    """
    n = len(vectors)
    least = max(LEAST_OF_CLUSTER, round(SHARE_OF_CLUSTER * min(n, MOST)))
    if n < 2 * LEAST_OF_CLUSTER:  # nothing is dense among so few
        return Partition(np.full(n, -1, dtype=np.int64), np.empty((0, vectors.shape[1]), dtype=np.float32))
    from sklearn.cluster import HDBSCAN

    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(n, MOST, replace=False)) if n > MOST else np.arange(n)
    some = vectors[chosen]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)  # of defaults that are to change
        found = HDBSCAN(min_cluster_size=least, min_samples=LEAST_OF_CLUSTER, copy=True).fit_predict(
            principal(some)
        )
    k = int(found.max(initial=-1)) + 1
    numbers = np.full(n, -1, dtype=np.int64)
    numbers[chosen] = found
    centroids = directions(means(some, found.astype(np.int64), k))
    if n > MOST and k:
        _take_in(vectors, numbers, centroids, chosen)
    return Partition(numbers, centroids)


def principal(vectors: Float32Matrix) -> Float32Matrix:
    """The first principal components. Returns: (n, at most COMPONENTS) float32."""
    centred = vectors - vectors.mean(axis=0)
    _, directions_of = np.linalg.eigh(centred.T @ centred)  # eigenvalues ascend
    made: Float32Matrix = centred @ directions_of[:, -COMPONENTS:]
    return made


def _take_in(
    vectors: Float32Matrix, numbers: Int64Vector, centroids: Float32Matrix, chosen: Int64Vector
) -> None:
    """Give those that were not chosen to the nearest cluster, where they are no farther than its members."""
    near, cosines = nearest(vectors, centroids)
    least = np.full(len(centroids), np.inf, dtype=np.float32)
    own = numbers[chosen]
    np.minimum.at(least, own[own >= 0], (vectors[chosen] * centroids[own]).sum(axis=1)[own >= 0])
    others = np.ones(len(vectors), dtype=np.bool_)
    others[chosen] = False
    taken = others & (cosines >= least[near])
    numbers[taken] = near[taken]
