"""The clusters of a Collection as they are stored, and which passages belong to each.

Stored are the passages that were there when clusters were made. Those that came later belong to the cluster
with the nearest centroid, which is looked up when somebody asks; those that are gone went with their rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector
from searchkit.library.database import Database, Transaction
from searchkit.library.vectors import CollectionVectors

OUTLIERS = "outliers"  # what a filter calls the passages that are like none of their cluster
NO_CLUSTER = 0  # a number that no cluster has
AUTO = "auto"  # what was asked for where it was no number


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCluster:
    """Passages that belong together."""

    number: int  # from 1, the largest cluster first when they were made
    name: str  # no two of a Collection are called the same
    words: tuple[str, ...]  # that tell it from the others, the most telling first
    theme: int  # clusters of one theme are near to each other; from 1
    theme_words: tuple[str, ...]
    floor: float  # cosine to the centroid below which a passage is an outlier; in an open run, in no cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """How the clusters of a Collection were made. centroids: (clusters, dim) float32, of length 1."""

    method: str
    asked: str  # AUTO or a number
    passages: int  # that there were then
    last_passage_id: int
    least: int  # passages of a cluster
    study: Sequence[Mapping[str, Any]]  # what was measured of each number of clusters tried
    clusters: tuple[StoredCluster, ...]
    centroids: Float32Matrix

    @property
    def open(self) -> bool:
        """Whether a passage may belong to no cluster at all: to the nearest, or to none below its floor."""
        return self.method == "hdbscan"


@dataclass(frozen=True, slots=True)
class Assignments:
    """Which cluster each passage belongs to, by passage id.

    ids: (n,) int64, ascending; numbers: (n,) int64, 0 for none; cosines: (n,) float32, to the nearest
    centroid; outliers: (n,) bool.
    """

    ids: Int64Vector
    numbers: Int64Vector
    cosines: Float32Vector
    outliers: np.ndarray[Any, np.dtype[np.bool_]]


def put(tx: Transaction, collection_id: int, run: StoredRun, found: Assignments) -> None:
    """Replace the clusters of a Collection."""
    delete(tx, collection_id)
    tx.run(
        """INSERT INTO cluster_runs (collection_id, method, asked, passages, last_passage_id, least, study)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            collection_id,
            run.method,
            run.asked,
            run.passages,
            run.last_passage_id,
            run.least,
            json.dumps([dict(one) for one in run.study]),
        ),
    )
    tx.run_many(
        """INSERT INTO clusters (collection_id, number, name, words, theme, theme_words, floor, centroid)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            (
                collection_id,
                one.number,
                one.name,
                json.dumps(one.words, ensure_ascii=False),
                one.theme,
                json.dumps(one.theme_words, ensure_ascii=False),
                one.floor,
                centroid.astype("<f4").tobytes(),
            )
            for one, centroid in zip(run.clusters, run.centroids, strict=True)
        ),
    )
    tx.run_many(
        "INSERT INTO cluster_passages (passage_id, number, cosine) VALUES (?, ?, ?)",
        zip(found.ids.tolist(), found.numbers.tolist(), found.cosines.tolist(), strict=True),
    )


def delete(tx: Transaction, collection_id: int) -> None:
    """Delete the clusters of a Collection, their names included: these are words of its texts."""
    mine = "SELECT passage_id FROM passages WHERE collection_id = ?"
    tx.run(f"DELETE FROM cluster_passages WHERE passage_id IN ({mine})", (collection_id,))
    for table in ("clusters", "cluster_runs"):
        tx.run(f"DELETE FROM {table} WHERE collection_id = ?", (collection_id,))


def delete_outdated(tx: Transaction) -> None:
    """Delete clusters that were made of passages of which some are gone: their words may stand in a name."""
    for collection_id, made_of in tx.rows("SELECT collection_id, passages FROM cluster_runs"):
        left = tx.rows(
            """SELECT count(*) FROM cluster_passages JOIN passages USING (passage_id)
               WHERE collection_id = ?""",
            (collection_id,),
        )[0][0]
        if left < made_of:
            delete(tx, collection_id)


def clustered(db: Database) -> list[str]:
    """Names of the Collections that have clusters, sorted."""
    return [
        row[0]
        for row in db.rows(
            "SELECT name FROM cluster_runs JOIN collections USING (collection_id) ORDER BY name"
        )
    ]


def stored(db: Database, collection_id: int) -> StoredRun | None:
    """The Collection's clusters, or None where none were made."""
    row = db.row(
        """SELECT method, asked, passages, last_passage_id, least, study FROM cluster_runs
           WHERE collection_id = ?""",
        (collection_id,),
    )
    if row is None:
        return None
    rows = db.rows(
        """SELECT number, name, words, theme, theme_words, floor, centroid FROM clusters
           WHERE collection_id = ? ORDER BY number""",
        (collection_id,),
    )
    return StoredRun(
        method=row[0],
        asked=row[1],
        passages=row[2],
        last_passage_id=row[3],
        least=row[4],
        study=json.loads(row[5]),
        clusters=tuple(
            StoredCluster(
                number=number,
                name=name,
                words=tuple(json.loads(words)),
                theme=theme,
                theme_words=tuple(json.loads(theme_words)),
                floor=floor,
            )
            for number, name, words, theme, theme_words, floor, _ in rows
        ),
        centroids=np.frombuffer(b"".join(one[6] for one in rows), dtype="<f4")
        .reshape(len(rows), -1 if rows else 0)
        .astype(np.float32),
    )


def assign(run: StoredRun, vectors: Float32Matrix) -> tuple[Int64Vector, Float32Vector]:
    """The nearest cluster of each vector, and the cosine to its centroid.

    vectors: (n, dim) float32 of length 1. Returns: (n,) int64, 0 where it belongs to none, and (n,) float32.
    """
    if not run.clusters or not len(vectors):
        return np.zeros(len(vectors), dtype=np.int64), np.zeros(len(vectors), dtype=np.float32)
    scores = vectors @ run.centroids.T
    best = scores.argmax(axis=1)
    cosines = scores[np.arange(len(best)), best]
    numbers = np.array([one.number for one in run.clusters], dtype=np.int64)[best]
    if run.open:
        numbers[cosines < _floors(run)[numbers]] = NO_CLUSTER
    return numbers, cosines


def assignments(
    db: Database, collection_id: int, run: StoredRun, numbers: Collection[int] | None = None
) -> Assignments:
    """The cluster of every passage of a Collection, those that came after the clusters included.

    numbers: only of passages in these.
    """
    some = "" if numbers is None else "AND a.number IN (SELECT value FROM json_each(?))"
    rows = db.rows(
        f"""SELECT a.passage_id, a.number, a.cosine FROM cluster_passages a JOIN passages p USING (passage_id)
            WHERE p.collection_id = ? {some} ORDER BY a.passage_id""",
        [collection_id, *([] if numbers is None else [json.dumps(sorted(numbers))])],
    )
    parts = [
        (
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.int64),
            np.array([row[2] for row in rows], dtype=np.float32),
        )
    ]
    recipe_id, dim = db.rows(
        "SELECT recipe_id, dim FROM collections JOIN recipes USING (recipe_id) WHERE collection_id = ?",
        (collection_id,),
    )[0]
    later = CollectionVectors(db, collection_id, recipe_id, dim, after=run.last_passage_id)
    for ids, vectors in later.blocks():
        own, cosines = assign(run, vectors)
        kept = np.ones(len(ids), dtype=np.bool_) if numbers is None else np.isin(own, list(numbers))
        parts.append((ids[kept], own[kept], cosines[kept]))
    return judged(run, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def judged(run: StoredRun, ids: Int64Vector, numbers: Int64Vector, cosines: Float32Vector) -> Assignments:
    """Assignments with their outliers: passages of no cluster, and those below the floor of theirs."""
    return Assignments(ids, numbers, cosines, (numbers == NO_CLUSTER) | (cosines < _floors(run)[numbers]))


def passages_in(
    db: Database, collection_id: int, run: StoredRun, numbers: Iterable[int], *, outliers: bool = False
) -> Int64Vector:
    """Passages of these clusters. outliers: and all outliers. Returns: (n,) int64 ids."""
    wanted = set(numbers)
    if not outliers:
        return assignments(db, collection_id, run, wanted).ids
    found = assignments(db, collection_id, run)
    chosen: Int64Vector = found.ids[np.isin(found.numbers, list(wanted)) | found.outliers]
    return chosen


def _floors(run: StoredRun) -> Float32Vector:
    """Floors by number; index 0 stands for no cluster."""
    floors = np.full(max((one.number for one in run.clusters), default=0) + 1, -2, dtype=np.float32)
    for one in run.clusters:
        floors[one.number] = one.floor
    return floors
