"""From a partition to clusters that can be shown: their names, words and themes, and what is an outlier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from searchkit.analysis import labels
from searchkit.analysis.kmeans import Partition, blocks
from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector
from searchkit.library.clusters import NO_CLUSTER, StoredCluster

# A cosine so many spreads below the cluster's median is an outlier's. The spread is 1.48 median deviations:
# for what is distributed normally one standard deviation, and no outlier moves it.
OUTLYING = 3.0
SPREAD = 1.4826
LEAST_SPREAD = 0.01  # of cosines: among near-copies rounding is no sign of anything
THEMES_FROM = 6  # clusters; fewer need no level above them

Texts = Callable[[Int64Vector], Iterable[str]]  # the texts of passages by their rows, in that order


def largest_first(partition: Partition) -> Partition:
    """The same clusters, numbered from 1, the largest first; 0 for none."""
    sizes = np.bincount(partition.numbers[partition.numbers >= 0], minlength=len(partition.centroids))
    order = np.argsort(-sizes, kind="stable")
    number = np.zeros(len(order) + 1, dtype=np.int64)  # the last is found by -1: in none
    number[order] = np.arange(1, len(order) + 1)
    floors = None if partition.floors is None else partition.floors[order]
    return Partition(number[partition.numbers], partition.centroids[order], floors)


def described(partition: Partition, cosines: Float32Vector, texts: Texts) -> tuple[StoredCluster, ...]:
    """Clusters with their words, names, themes and floors.

    partition: numbered from 1. cosines: (n,) float32, see cosines_to_own.
    """
    holding, sizes = _counted(partition, texts)
    words = _words(partition, cosines, texts, holding, sizes)
    called = labels.names(words)
    theme_of = dict(enumerate(themes(partition.centroids, sizes), start=1))
    theme_words = words_of_themes(holding, sizes, theme_of, words)
    return tuple(
        StoredCluster(
            number=number,
            name=called[number],
            words=words[number],
            theme=theme_of[number],
            theme_words=theme_words[theme_of[number]],
            floor=floor(cosines[partition.numbers == number])
            if partition.floors is None
            else float(partition.floors[number - 1]),
        )
        for number in sorted(words)
    )


def words_of_clusters(
    partition: Partition, cosines: Float32Vector, texts: Texts
) -> tuple[dict[int, tuple[str, ...]], Counter[int]]:
    """The words of each cluster and its passages, by number; see `described`."""
    holding, sizes = _counted(partition, texts)
    return _words(partition, cosines, texts, holding, sizes), sizes


def _counted(partition: Partition, texts: Texts) -> tuple[dict[int, Counter[str]], Counter[int]]:
    rows = np.flatnonzero(partition.numbers != NO_CLUSTER)
    return labels.counted(zip(partition.numbers[rows].tolist(), texts(rows), strict=True))


def _words(
    partition: Partition,
    cosines: Float32Vector,
    texts: Texts,
    holding: Mapping[int, Counter[str]],
    sizes: Mapping[int, int],
) -> dict[int, tuple[str, ...]]:
    if len(partition.centroids) != 1:
        return labels.telling_words(holding, sizes)
    own = np.flatnonzero(partition.numbers != NO_CLUSTER)
    near = own[np.argsort(-cosines[own], kind="stable")]
    half = (len(near) + 1) // 2
    return {1: labels.words_of_one(texts(near[:half]), texts(near[half:]))}


def cosines_to_own(matrix: Float32Matrix, numbers: Int64Vector, centroids: Float32Matrix) -> Float32Vector:
    """The cosine of each vector to the centroid of its cluster, of one in none to the nearest.

    numbers: (n,) from 1, 0 for none. Returns: (n,) float32, 0 where there is no cluster at all.
    """
    cosines = np.zeros(len(matrix), dtype=np.float32)
    for rows in blocks(len(matrix)) if len(centroids) else ():
        scores = matrix[rows] @ centroids.T
        own = numbers[rows]
        cosines[rows] = np.where(own, scores[np.arange(len(own)), own - 1], scores.max(axis=1))
    return cosines


def floor(cosines: Float32Vector) -> float:
    """The cosine below which a passage is an outlier, given those of all passages of the cluster."""
    middle = float(np.median(cosines))
    spread = max(LEAST_SPREAD, SPREAD * float(np.median(np.abs(cosines - middle))))
    return middle - OUTLYING * spread


def themes(centroids: Float32Matrix, sizes: Mapping[int, int]) -> list[int]:
    """Which theme each cluster belongs to, numbered from 1, as near clusters are merged pair by pair.

    As many themes as the square root of the clusters; a single one where these are few.
    """
    if len(centroids) < THEMES_FROM:
        return [1] * len(centroids)
    from sklearn.cluster import AgglomerativeClustering

    most = round(len(centroids) ** 0.5)
    merging = AgglomerativeClustering(n_clusters=most, linkage="ward")
    found = merging.fit_predict(centroids.astype(np.float64)).tolist()
    together: Counter[int] = Counter()
    for number, theme in enumerate(found, start=1):
        together[theme] += sizes[number]
    order = {theme: place for place, (theme, _) in enumerate(together.most_common(), start=1)}
    return [order[theme] for theme in found]


def words_of_themes(
    holding: Mapping[int, Counter[str]],
    sizes: Mapping[int, int],
    theme_of: Mapping[int, int],
    words: Mapping[int, Sequence[str]],
) -> dict[int, tuple[str, ...]]:
    """Words that tell each theme from the others; where that means nothing, words of its clusters.

    It means nothing for the only theme, and a theme of one cluster is that cluster.
    """
    joined: dict[int, Counter[str]] = {}
    size: Counter[int] = Counter()
    members: dict[int, list[Sequence[str]]] = {}
    for number, theme in sorted(theme_of.items()):
        joined.setdefault(theme, Counter()).update(holding[number])
        size[theme] += sizes[number]
        members.setdefault(theme, []).append(words[number])
    telling = labels.telling_words(joined, size) if len(joined) > 1 else {}
    return {
        theme: tuple(_in_turn(own)) if len(joined) == 1 or len(own) == 1 else telling[theme]
        for theme, own in members.items()
    }


def _in_turn(words: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first word of each, then the second of each; each word once, as many as a cluster has."""
    longest = max(map(len, words))
    turns = dict.fromkeys(own[place] for place in range(longest) for own in words if place < len(own))
    yield from list(turns)[: labels.WORDS]
