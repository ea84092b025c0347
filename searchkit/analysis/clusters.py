"""Parts the passages of a Collection into clusters, and stores them; the door to all that is asked of them.

Clusters are made from the stored vectors; no model is opened. What a Collection's clusters are is stored
beside its passages (library/clusters.py); what is shown of them is looked up anew (showing.py). While they
are made nobody is kept from writing: passages that come meanwhile are later ones, and where one is gone the
clusters are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from searchkit.analysis import choosing
from searchkit.analysis.density import hdbscan, least_size
from searchkit.analysis.describing import cosines_to_own, described, largest_first
from searchkit.analysis.kmeans import Partition, kmeans
from searchkit.analysis.showing import Clustering, Member, members_of, shown, stored_run
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.collection.library import NO_PATIENCE, Library, Patience
from searchkit.errors import LibraryBusy, LibraryDamaged, UsageError
from searchkit.library import clusters as store
from searchkit.library import documents, vectors
from searchkit.library.clusters import AUTO, Assignments, StoredRun
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors

METHODS = ("kmeans", "hdbscan")
TOGETHER = 2_000  # passages read at a time
ATTEMPTS = 3  # to make clusters of passages that are all still there at the end

# Told what is being done, how much of it is done, and of how much; 0 of 0 where that is not known.
OnProgress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How clusters are made. k: a number from 1 or None for 'auto'; HDBSCAN finds its own.

    min_size: of HDBSCAN's clusters, from 2; None for one that grows with the Collection.
    """

    k: int | None = None
    method: str = "kmeans"
    min_size: int | None = None
    seed: int = 0


def make(
    library: Library,
    *,
    collection: str | None = None,
    wanted: Wanted | None = None,
    patience: Patience = NO_PATIENCE,
    on_progress: OnProgress | None = None,
) -> Clustering:
    """Make the clusters of a Collection and store them in place of those it had.

    collection: default the only one, else 'company-docs'. wanted: default k-means, as many as stand apart.
    Raises: UsageError: it cannot be carried out, the Collection is empty, or has fewer passages than were
    asked for. LibraryDamaged: a vector is missing or is none. LibraryBusy: somebody else writes, or passages
    went away whenever clusters were ready. CollectionNotFound, LibraryError.
    """
    wanted = checked(wanted or Wanted())
    tell = on_progress or (lambda what, done, total: None)
    for _ in range(ATTEMPTS):
        with library.reading(collection) as (db, chosen):
            ids, matrix = vectors_of(db, chosen)
        require_enough(chosen, len(ids), wanted)
        run, found = _clustered(library, chosen, ids, matrix, wanted, tell)
        with library.writing(chosen.name, patience=patience) as (db, now):
            if same := _is_same(db, chosen, now, ids):
                with db.transaction() as tx:
                    store.put(tx, now.collection_id, run, found)
        if same:
            return show(library, collection=chosen.name)
    raise LibraryBusy(
        f"passages of '{chosen.name}' went away {ATTEMPTS} times while clusters were made of them",
        remedy="wait until nothing is indexed any more, then run the same again",
    )


def show(library: Library, *, collection: str | None = None) -> Clustering:
    """The stored clusters with the passages they have now. Raises: UsageError: there are none."""
    with library.reading(collection) as (db, chosen):
        return shown(db, chosen)


def members(library: Library, *, collection: str | None = None) -> Iterator[Member]:
    """All passages with their clusters: by cluster, the nearest to its middle first; those in none last.

    Passages that go away while they are read are left out. Raises: UsageError: there are no clusters.
    """
    with library.reading(collection) as (db, chosen):
        run = stored_run(db, chosen)
        of = store.assignments(db, chosen.collection_id, run)
    last = np.where(of.numbers == store.NO_CLUSTER, len(of.ids) + 1, of.numbers)
    order = np.lexsort((of.ids, -of.cosines, last))
    for start in range(0, len(order), TOGETHER):
        with library.reading(chosen.name) as (db, _):  # whoever prints them keeps no writer waiting
            some = list(members_of(db, run, of, order[start : start + TOGETHER]))
        yield from some


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
    if wanted.min_size is not None and wanted.method != "hdbscan":
        raise UsageError(
            "a smallest cluster can be asked of HDBSCAN only",
            remedy="leave out --min-size, or add --method hdbscan",
        )
    if wanted.min_size is not None and wanted.min_size < 2:
        raise UsageError(
            f"clusters of at least {wanted.min_size} passages were asked for", remedy="ask for 2 or more"
        )
    return wanted


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


def require_enough(collection: StoredCollection, passages: int, wanted: Wanted) -> None:
    """Raise UsageError where there is nothing to cluster, or less than what was asked for."""
    if not passages:
        raise UsageError(
            f"collection '{collection.name}' has no passages, expected at least one",
            remedy=f"add files with: searchkit index FOLDER -c {collection.name}",
        )
    if wanted.k is not None and wanted.k > passages:
        raise UsageError(
            f"{wanted.k:,} clusters were asked for, and '{collection.name}' has {passages:,} passages",
            remedy=f"ask for at most {passages:,}, or for --k auto",
        )
    if wanted.min_size is not None and wanted.min_size > passages:
        raise UsageError(
            f"clusters of at least {wanted.min_size:,} passages were asked for, and '{collection.name}' has "
            f"{passages:,}",
            remedy=f"leave out --min-size, or ask for {passages // 2:,} or less",
        )


def texts(db: Database, ids: Int64Vector) -> Iterator[str]:
    """The texts of passages as they were embedded, in the order asked, '' for one that is gone."""
    for start in range(0, len(ids), TOGETHER):
        some = ids[start : start + TOGETHER].tolist()
        found = {one.passage_id: one.embedded_text for one in documents.passages(db, some)}
        yield from (found.get(one, "") for one in some)


def _clustered(
    library: Library,
    collection: StoredCollection,
    ids: Int64Vector,
    matrix: Float32Matrix,
    wanted: Wanted,
    tell: OnProgress,
) -> tuple[StoredRun, Assignments]:
    """Clusters of passages, with nothing open but what their texts are read from."""
    partition, study = _parted(matrix, wanted, tell)
    partition = largest_first(partition)
    cosines = cosines_to_own(matrix, partition.numbers, partition.centroids)

    def read(rows: Int64Vector) -> Iterator[str]:
        for start in range(0, len(rows), TOGETHER):  # counting words between two of them keeps nobody waiting
            tell("reading words", start, len(rows))
            with library.reading(collection.name) as (db, _):
                some = list(texts(db, ids[rows[start : start + TOGETHER]]))
            yield from some

    run = StoredRun(
        method=wanted.method,
        asked=AUTO if wanted.k is None else str(wanted.k),
        passages=len(ids),
        last_passage_id=int(ids[-1]),
        least=(wanted.min_size or least_size(len(ids))) if wanted.method == "hdbscan" else 1,
        study=[asdict(one) for one in study],
        clusters=described(partition, cosines, read),
        centroids=partition.centroids,
    )
    return run, store.judged(run, ids, partition.numbers, cosines)


def _parted(
    matrix: Float32Matrix, wanted: Wanted, tell: OnProgress
) -> tuple[Partition, list[choosing.Tried]]:
    """The partition that is wanted, and what was measured to choose its number of clusters."""
    if wanted.method == "hdbscan":
        tell("looking where passages lie densely", 0, 0)
        return hdbscan(matrix, seed=wanted.seed, least=wanted.min_size), []
    study: list[choosing.Tried] = []
    k = wanted.k
    if k is None:
        told = partial(tell, "trying numbers of clusters")
        k, study = choosing.chosen(matrix, seed=wanted.seed, on_progress=told)
    tell("making clusters", 0, 0)
    return kmeans(matrix, k, seed=wanted.seed), study


def _is_same(db: Database, before: StoredCollection, now: StoredCollection, ids: Int64Vector) -> bool:
    """Whether the Collection is the one that was read, and has all passages that clusters were made of."""
    if (before.collection_id, before.recipe_id) != (now.collection_id, now.recipe_id):
        return False
    rows = db.scan("SELECT passage_id FROM passages WHERE collection_id = ?", (now.collection_id,))
    return set(ids.tolist()) <= {row[0] for row in rows}
