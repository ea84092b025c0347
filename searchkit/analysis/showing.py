"""What is shown of the clusters of a Collection: the stored ones, with the passages there are now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.errors import UsageError
from searchkit.library import clusters as store
from searchkit.library import documents
from searchkit.library.clusters import AUTO, Assignments, StoredRun
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage

SHOWN = 3  # passages that stand for a cluster
OUTLIERS_SHOWN = 10


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
class Theme:
    """Clusters near to each other. clusters: their numbers, ascending; passages: of all of them."""

    number: int  # from 1, the theme with most passages first when the clusters were made
    words: tuple[str, ...]
    clusters: tuple[int, ...]
    passages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A passage and its cluster; of none, number is 0 and name ''. cosine: to the middle of the cluster."""

    passage: StoredPassage
    number: int
    name: str
    cosine: float
    outlier: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The clusters of a Collection, as they are now."""

    collection: str
    method: str
    asked: str  # how many: 'auto' or a number
    passages: int
    since: int  # of them: came after the clusters were made
    since_in_none: int  # of these: belong to no cluster
    gone: int  # passages that the clusters were made of and that are no longer there
    clusters: tuple[Cluster, ...]
    themes: tuple[Theme, ...]
    outlying: int  # how many outliers there are
    outliers: tuple[Member, ...]  # the farthest of them
    notices: tuple[str, ...]  # what was not to be expected, a sentence each
    study: tuple[Mapping[str, float | None], ...]


def stored_run(db: Database, collection: StoredCollection) -> StoredRun:
    """The stored clusters. Raises: UsageError: none were made."""
    run = store.stored(db, collection.collection_id)
    if run is None:
        raise UsageError(
            f"collection '{collection.name}' has no clusters yet",
            remedy=f"make them with: searchkit cluster -c {collection.name}",
        )
    return run


def shown(db: Database, collection: StoredCollection) -> Clustering:
    """The stored clusters with the passages they have now. Raises: UsageError: there are none."""
    run = stored_run(db, collection)
    found = store.assignments(db, collection.collection_id, run)
    sizes, outlying = Counter(found.numbers.tolist()), Counter(found.numbers[found.outliers].tolist())
    later = found.ids > run.last_passage_id
    since = int(later.sum())
    return Clustering(
        collection=collection.name,
        method=run.method,
        asked=run.asked,
        passages=len(found.ids),
        since=since,
        since_in_none=int((found.numbers[later] == store.NO_CLUSTER).sum()),
        gone=run.passages - (len(found.ids) - since),
        clusters=tuple(
            Cluster(
                number=one.number,
                name=one.name,
                words=one.words,
                theme=one.theme,
                passages=sizes[one.number],
                outliers=outlying[one.number],
                examples=_examples(db, found, one.number),
            )
            for one in run.clusters
        ),
        themes=_themes(run, sizes),
        outlying=int(found.outliers.sum()),
        outliers=tuple(members_of(db, run, found, _farthest(found))),
        notices=notices(run),
        study=tuple(run.study),
    )


def notices(run: StoredRun) -> tuple[str, ...]:
    """What whoever asked for these clusters may not have expected."""
    count = len(run.clusters)
    if run.asked != AUTO and count < int(run.asked):
        return (
            f"{int(run.asked):,} clusters were asked for, {count:,} made: there are no more different texts.",
        )
    if run.method == "hdbscan" and not count:
        return (
            f"No passages lie close enough together to be a cluster of at least {run.least:,}: "
            "try a smaller --min-size, or --method kmeans.",
        )
    if run.method != "hdbscan" and run.asked == AUTO and count == 1:
        return ("No clusters stand apart: the passages are one. --k N parts them all the same.",)
    return ()


def _themes(run: StoredRun, sizes: Mapping[int, int]) -> tuple[Theme, ...]:
    own: dict[int, list[int]] = {}
    for one in run.clusters:
        own.setdefault(one.theme, []).append(one.number)
    words = {one.theme: one.theme_words for one in run.clusters}
    return tuple(
        Theme(
            number=theme,
            words=words[theme],
            clusters=tuple(sorted(numbers)),
            passages=sum(sizes.get(number, 0) for number in numbers),
        )
        for theme, numbers in sorted(own.items())
    )


def members_of(db: Database, run: StoredRun, of: Assignments, rows: Int64Vector) -> Iterator[Member]:
    """Passages by their rows in `of`, in that order, but those that are gone."""
    names = {one.number: one.name for one in run.clusters}
    passages = {one.passage_id: one for one in documents.passages(db, of.ids[rows].tolist())}
    for row in rows.tolist():
        if (passage := passages.get(int(of.ids[row]))) is not None:
            number = int(of.numbers[row])
            yield Member(
                passage=passage,
                number=number,
                name=names.get(number, ""),
                cosine=float(of.cosines[row]),
                outlier=bool(of.outliers[row]),
            )


def _farthest(of: Assignments) -> Int64Vector:
    """Rows of the outliers that fit worst."""
    rows = np.flatnonzero(of.outliers)
    farthest: Int64Vector = rows[np.argsort(of.cosines[rows], kind="stable")[:OUTLIERS_SHOWN]]
    return farthest


def _examples(db: Database, found: Assignments, number: int) -> tuple[StoredPassage, ...]:
    """The passages nearest to the middle of a cluster, each text once."""
    own = np.flatnonzero(found.numbers == number)
    near = own[np.argsort(-found.cosines[own], kind="stable")[: 4 * SHOWN]]
    kept: dict[str, StoredPassage] = {}
    for one in documents.passages(db, found.ids[near].tolist()):
        kept.setdefault(one.text, one)
    return tuple(kept.values())[:SHOWN]
