"""Parts the passages of a Collection into clusters, names them, and says what each looks like.

Clusters are made from the stored vectors; no model is opened. What a Collection's clusters are is stored
beside its passages (library/clusters.py); what is shown of them is looked up anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from searchkit.analysis import choosing, labels
from searchkit.analysis.density import hdbscan
from searchkit.analysis.kmeans import Partition, blocks, kmeans
from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector
from searchkit.errors import LibraryDamaged, UsageError
from searchkit.library import clusters as store
from searchkit.library import documents, vectors
from searchkit.library.clusters import Assignments, StoredCluster, StoredRun
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.vectors import CollectionVectors

METHODS = ("kmeans", "hdbscan")
AUTO = "auto"
SHOWN = 3  # passages that stand for a cluster
# A cosine so many spreads below the cluster's median is an outlier's. The spread is 1.48 median deviations:
# for what is distributed normally one standard deviation, and no outlier moves it.
OUTLYING = 3.0
SPREAD = 1.4826
LEAST_SPREAD = 0.01  # of cosines: among near-copies rounding is no sign of anything
OUTLIERS_SHOWN = 10
TOGETHER = 2_000  # passages read at a time
THEMES_FROM = 6  # clusters; fewer need no level above them


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How clusters are made. k: 'auto' or a number from 1; HDBSCAN finds its own and takes 'auto' only."""

    k: int | None = None  # None for 'auto'
    method: str = "kmeans"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What is shown of a cluster. passages: those it has now; examples: nearest to its middle first."""

    number: int
    name: str
    words: tuple[str, ...]
    theme: int
    passages: int
    outliers: int
    examples: tuple[StoredPassage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A passage and its cluster. number: 0 for none. cosine: to the middle of the cluster."""

    passage: StoredPassage
    number: int
    cosine: float
    outlier: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The clusters of a Collection, as they are now."""

    collection: str
    method: str
    asked: str
    passages: int
    since: int  # of them: came after the clusters were made, and were given the nearest
    gone: int  # passages that the clusters were made of and that are no longer there
    clusters: tuple[Cluster, ...]
    themes: Mapping[int, tuple[str, ...]]  # words of each group of near clusters
    outlying: int  # how many outliers there are
    outliers: tuple[Member, ...]  # the farthest of them
    study: tuple[Mapping[str, float], ...]
    assigned: Assignments


def checked(wanted: Wanted) -> Wanted:
    """The same, if it can be carried out. Raises: UsageError."""
    if wanted.method not in METHODS:
        raise UsageError(f"no method is called '{wanted.method}'", remedy=f"there are: {', '.join(METHODS)}")
    if wanted.k is not None and wanted.k < 1:
        raise UsageError(f"{wanted.k} clusters were asked for", remedy="ask for 1 or more, or for --k auto")
    if wanted.k is not None and wanted.method == "hdbscan":
        raise UsageError(
            "HDBSCAN finds the number of clusters itself", remedy="leave out --k, or use --method kmeans"
        )
    return wanted


def make(db: Database, collection: StoredCollection, wanted: Wanted) -> Clustering:
    """Make the clusters of a Collection and store them in place of those it had.

    db: open for writing. Raises: UsageError: the Collection is empty, or there are fewer passages than
    clusters asked for. LibraryDamaged: a vector is missing or is none.
    """
    wanted = checked(wanted)
    ids, matrix = vectors_of(db, collection)
    require_enough(collection, len(ids), wanted.k)
    partition, study = parted(matrix, wanted)
    partition = largest_first(partition)
    run, found = _described(db, ids, matrix, partition, wanted, study)
    with db.transaction() as tx:
        store.put(tx, collection.collection_id, run, found)
    return show(db, collection)


def show(db: Database, collection: StoredCollection) -> Clustering:
    """The stored clusters with the passages they have now. Raises: UsageError: there are none."""
    run = stored_run(db, collection)
    found = store.assignments(db, collection.collection_id, run)
    sizes, outlying = Counter(found.numbers.tolist()), Counter(found.numbers[found.outliers].tolist())
    since = int((found.ids > run.last_passage_id).sum())
    return Clustering(
        collection=collection.name,
        method=run.method,
        asked=run.asked,
        passages=len(found.ids),
        since=since,
        gone=run.passages - (len(found.ids) - since),
        clusters=tuple(
            Cluster(
                number=one.number,
                name=one.name,
                words=one.words,
                theme=one.theme,
                passages=sizes[one.number],
                outliers=outlying[one.number],
                examples=tuple(_examples(db, found, one.number)),
            )
            for one in run.clusters
        ),
        themes={one.theme: one.theme_words for one in run.clusters},
        outlying=int(found.outliers.sum()),
        outliers=tuple(_members(db, found, _farthest(found))),
        study=tuple(run.study),
        assigned=found,
    )


def members(db: Database, found: Clustering) -> Iterator[Member]:
    """All passages with their clusters: by cluster, the nearest to its middle first; those in none last."""
    of = found.assigned
    last = np.where(of.numbers == store.NO_CLUSTER, len(of.ids) + 1, of.numbers)
    order = np.lexsort((of.ids, -of.cosines, last))
    for start in range(0, len(order), TOGETHER):
        yield from _members(db, of, order[start : start + TOGETHER])


def _members(db: Database, of: Assignments, rows: Int64Vector) -> Iterator[Member]:
    passages = {one.passage_id: one for one in documents.passages(db, of.ids[rows].tolist())}
    for row in rows.tolist():
        if (passage := passages.get(int(of.ids[row]))) is not None:
            yield Member(
                passage=passage,
                number=int(of.numbers[row]),
                cosine=float(of.cosines[row]),
                outlier=bool(of.outliers[row]),
            )


def _farthest(of: Assignments) -> Int64Vector:
    """Rows of the outliers that fit worst."""
    rows = np.flatnonzero(of.outliers)
    farthest: Int64Vector = rows[np.argsort(of.cosines[rows], kind="stable")[:OUTLIERS_SHOWN]]
    return farthest


def stored_run(db: Database, collection: StoredCollection) -> StoredRun:
    """The stored clusters. Raises: UsageError: none were made."""
    run = store.stored(db, collection.collection_id)
    if run is None:
        raise UsageError(
            f"collection '{collection.name}' has no clusters yet",
            remedy=f"make them with: searchkit cluster -c {collection.name}",
        )
    return run


# -------------------------------------------------------------------- parts


def vectors_of(db: Database, collection: StoredCollection) -> tuple[Int64Vector, Float32Matrix]:
    """All passages of a Collection. Returns: ids (n,) int64, ascending, and vectors (n, dim) float32.

    Raises: LibraryDamaged: a passage has no vector, or one that is not a direction.
    """
    damaged = f"see what else is wrong: searchkit verify {collection.name}"
    if lacking := vectors.passages_without_vector(db, collection.collection_id, collection.recipe_id):
        raise LibraryDamaged(
            f"{lacking} passages of '{collection.name}' have no vector, expected all", remedy=damaged
        )
    record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
    found = list(record.blocks())
    ids = np.concatenate([np.empty(0, dtype=np.int64), *(ids for ids, _ in found)])
    matrix = np.empty((len(ids), collection.dim), dtype=np.float32)
    at = 0
    while found:  # block by block, so that twice the whole is never held
        block = found.pop(0)[1]
        matrix[at : at + len(block)] = block
        at += len(block)
    lengths = np.einsum("ij,ij->i", matrix, matrix)
    if odd := ids[~((lengths > 0.5) & (lengths < 2))].tolist():  # NaN is neither
        raise LibraryDamaged(
            f"the vector of passage {odd[0]} is no direction, expected a length of 1 ({len(odd)} are so)",
            remedy=damaged,
        )
    return ids, matrix


def require_enough(collection: StoredCollection, passages: int, k: int | None) -> None:
    """Raise UsageError where there is nothing to cluster, or less than what was asked for."""
    if not passages:
        raise UsageError(
            f"collection '{collection.name}' has no passages, expected at least one",
            remedy="add files with: searchkit index FOLDER",
        )
    if k is not None and k > passages:
        raise UsageError(
            f"{k:,} clusters were asked for, and '{collection.name}' has {passages:,} passages",
            remedy=f"ask for at most {passages:,}, or for --k auto",
        )


def parted(matrix: Float32Matrix, wanted: Wanted) -> tuple[Partition, list[choosing.Tried]]:
    """The partition that is wanted, and what was measured to choose its number of clusters."""
    if wanted.method == "hdbscan":
        return hdbscan(matrix, seed=wanted.seed), []
    if wanted.k is not None:
        return kmeans(matrix, wanted.k, seed=wanted.seed), []
    study = choosing.study(matrix, seed=wanted.seed)
    return kmeans(matrix, choosing.choose(study), seed=wanted.seed), study


def texts(db: Database, ids: Int64Vector) -> Iterator[str]:
    """The texts of passages, one by one, in the order asked."""
    for start in range(0, len(ids), TOGETHER):
        yield from (
            one.embedded_text for one in documents.passages(db, ids[start : start + TOGETHER].tolist())
        )


def largest_first(partition: Partition) -> Partition:
    """The same clusters, numbered from 1, the largest first; 0 for none."""
    sizes = np.bincount(partition.numbers[partition.numbers >= 0], minlength=len(partition.centroids))
    order = np.argsort(-sizes, kind="stable")
    number = np.zeros(len(order) + 1, dtype=np.int64)  # the last is found by -1: in none
    number[order] = np.arange(1, len(order) + 1)
    return Partition(number[partition.numbers], partition.centroids[order])


def _described(
    db: Database,
    ids: Int64Vector,
    matrix: Float32Matrix,
    partition: Partition,
    wanted: Wanted,
    study: Sequence[choosing.Tried],
) -> tuple[StoredRun, Assignments]:
    """Names, themes and outliers of a partition numbered from 1."""
    numbers, centroids = partition.numbers, partition.centroids
    k = len(centroids)
    cosines = cosines_to_own(matrix, numbers, centroids)
    holding, sizes = labels.counted(zip(numbers.tolist(), texts(db, ids), strict=True))
    holding.pop(store.NO_CLUSTER, None)
    words = labels.telling_words(holding, sizes)
    called = labels.names(words)
    theme_of = dict(enumerate(themes(centroids, sizes), start=1))
    theme_words = _words_of_themes(holding, sizes, theme_of)
    run = StoredRun(
        method=wanted.method,
        asked=AUTO if wanted.k is None else str(wanted.k),
        passages=len(ids),
        last_passage_id=int(ids[-1]),
        study=[asdict(one) for one in study],
        clusters=tuple(
            StoredCluster(
                number=number,
                name=called[number],
                words=words[number],
                theme=theme_of[number],
                theme_words=theme_words[theme_of[number]],
                floor=floor(cosines[numbers == number]),
            )
            for number in range(1, k + 1)
        ),
        centroids=centroids,
    )
    return run, store.judged(run, ids, numbers, cosines)


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


def _words_of_themes(
    holding: Mapping[int, Counter[str]], sizes: Mapping[int, int], theme_of: Mapping[int, int]
) -> dict[int, tuple[str, ...]]:
    joined: dict[int, Counter[str]] = {}
    size: Counter[int] = Counter()
    for number, theme in theme_of.items():
        joined.setdefault(theme, Counter()).update(holding[number])
        size[theme] += sizes[number]
    return labels.telling_words(joined, size)


def _examples(db: Database, found: Assignments, number: int) -> list[StoredPassage]:
    """The passages nearest to the middle of a cluster, each text once."""
    own = np.flatnonzero(found.numbers == number)
    near = own[np.argsort(-found.cosines[own], kind="stable")[: 4 * SHOWN]]
    kept: dict[str, StoredPassage] = {}
    for one in documents.passages(db, found.ids[near].tolist()):
        kept.setdefault(one.text, one)
    return list(kept.values())[:SHOWN]
