"""Which Documents of a Collection are like a given one, by the vectors that are stored: no model is opened.

A Document is like another when the other has something near to each of its Passages:

    score = mean over the given Document's Passages of the best cosine to a Passage of the other

So a Document is compared part by part. What lies between all its parts, the mean of its vectors, finds fewer
of the Documents that people link to one another (LOG "which documents are similar?").
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Int64Vector
from searchkit.collection import hits as making
from searchkit.collection import recovery
from searchkit.collection.naming import documents_meant
from searchkit.collection.query_pipeline import SCORE_DECIMALS, TIE_MARGIN, Candidate
from searchkit.collection.question import parsed_filter
from searchkit.collection.searching import allowed_ids
from searchkit.collection.selecting import Selection
from searchkit.collection.snippet import Sentence, overlapping_sentences
from searchkit.errors import LibraryDamaged, UsageError
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import naming, vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.marking import Marker
from searchkit.library.vectors import BLOCK_ROWS, CollectionVectors
from searchkit.profile import Profile
from searchkit.records import Hit, QueryResult
from searchkit.vector_index.exact import ExactIndex, best_of
from searchkit.vector_index.protocol import Neighbours

if TYPE_CHECKING:
    from searchkit.library.filter_grammar import Filter

MODE = "similar"
MOST_OWN = 64  # Passages of the given Document that are compared, spread evenly over it
# Passages looked at near each of those; on 741 documents of 10 passages each, enough in 98 of 100 cases.
DEPTH = 100
DEPTH_PER_HIT = 4
DEEPER = 4  # times as many, where Documents that were not met might be as near
DEEPEST = 1_600  # but no further, once there are as many Documents as were asked for
READ_TOGETHER = 16  # Documents
MARGIN = 1e-5  # scores of an index are float32, sums of any order


class SimilarOptions(TypedDict, total=False):
    """What may be said beside the Document; every one may be left out.

    k           how many Hits; default the Profile's
    offset      how many Hits to pass over, for the next page
    where       which passages may be found, as in a query
    passages    a Hit for each Passage, by its own best cosine, instead of one for each Document
    """

    k: int | None
    offset: int
    where: str | Filter
    passages: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for beside a Document: see SimilarOptions."""

    k: int | None = None
    offset: int = 0
    where: str | Filter = ""
    passages: bool = False


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a Document or a Passage comes, and by which two Passages."""

    score: float
    cosine: float  # of the two
    passage_id: int
    own_id: int  # of the given Document


@dataclass(frozen=True, slots=True)
class Alike:
    """The Hits, and for each the Passage of the given Document that it is like."""

    result: QueryResult
    own: tuple[str, ...]


def similar(
    db: Database, collection: StoredCollection, document: str | Path | Hit, wanted: Wanted, *, started: float
) -> Alike:
    """The Documents most like one, best first; itself is left out, its copies are not.

    started: time.perf_counter() when it was asked. To be used within db.one_state().
    Raises: UsageError: no Document, or several, are called so, or a number is out of bounds. FilterInvalid.
    """
    profile = Profile.from_dict(collection.profile)
    k = profile.k if wanted.k is None else wanted.k
    page = Selection(k=k, offset=wanted.offset)
    given = documents_meant(db, collection, document)
    name = given[0].name if len(given) == 1 else given[0].file
    own = [passage_id for _, passage_id in naming.passages_of(db, [one.document_id for one in given])]
    if not own:
        raise UsageError(
            f"'{name}' has no text in collection '{collection.name}', expected a document with passages",
            remedy=f"see what is there with: searchkit show {collection.name}",
        )
    search = _Search(
        db, collection, own, allowed_ids(db, collection.collection_id, parsed_filter(wanted.where))
    )
    found = search.passages(page.needed) if wanted.passages else search.documents(page.needed)
    shown = _in_order(db, found, page.needed)[page.offset :]
    hits = making.hits(
        db,
        [Candidate(passage=passage, score=one.score, cosine=one.cosine) for one, passage in shown[: page.k]],
        first=page.offset + 1,
        collection=collection.name,
        relevances=[None] * len(shown[: page.k]),
        terms=(),
        marker=Marker(()),
        context=0,
    )
    result = QueryResult(
        query=name,
        collection=collection.name,
        profile=profile.name,
        model=collection.model,
        mode=MODE,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
        more=len(shown) > page.k,
        hits=tuple(hits),
    )
    texts = {one.passage_id: one.text for one in store.passages(db, [one.own_id for one, _ in shown])}
    return Alike(result, tuple(texts[one.own_id] for one, _ in shown[: page.k]))


def telling_sentences(alike: Alike) -> list[Sentence]:
    """For each Hit the sentence that shares most words with the Passage that it is like."""
    return [
        Sentence(overlapping_sentences([hit], own)[0])
        for hit, own in zip(alike.result.hits, alike.own, strict=True)
    ]


def _in_order(db: Database, found: Sequence[Likeness], n: int) -> list[tuple[Likeness, store.StoredPassage]]:
    """The n best with their Passages; equal scores by Document and place."""
    ranked = sorted(found, key=lambda one: -one.score)
    near = [one for one in ranked if one.score >= ranked[min(n, len(ranked)) - 1].score]
    passages = {one.passage_id: one for one in store.passages(db, [one.passage_id for one in near])}
    pairs = [(one, passages[one.passage_id]) for one in near if one.passage_id in passages]
    pairs.sort(key=lambda pair: (-pair[0].score, pair[1].document, pair[1].start, str(pair[1].source)))
    return pairs[:n]


def spread(ids: Sequence[int], most: int) -> list[int]:
    """Up to so many of them, the first and the last among them, evenly apart."""
    if len(ids) <= most:
        return list(ids)
    return [ids[round(place * (len(ids) - 1) / (most - 1))] for place in range(most)]


class _Search:
    """The Passages of one Document among all others of the Collection.

    own: ids of all its Passages, in the order of the text; allowed: ids that may be found, None for all.
    """

    def __init__(
        self, db: Database, collection: StoredCollection, own: Sequence[int], allowed: Int64Vector | None
    ) -> None:
        self._db = db
        self._record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
        self._collection = collection
        self._own_ids, self._own = self._record.of(np.array(spread(own, MOST_OWN), dtype=np.int64))
        if not len(self._own):
            raise LibraryDamaged(
                f"the vectors of {len(own)} passages are not in the database, expected one for each",
                remedy=f"see what else is missing: searchkit verify {collection.name}",
            )
        removed = vectors.removed_passages(db, collection.collection_id)
        self._without = np.array(sorted({*own, *removed.tolist()}), dtype=np.int64)
        self._allowed = allowed
        self._allowed_set = None if allowed is None else frozenset(allowed.tolist())
        self._snapshot = recovery.open_snapshot(db, collection)
        published = catalogue.snapshot(db, collection.collection_id) if self._snapshot else None
        self._after = published.last_passage_id if published else 0

    def documents(self, n: int) -> list[Likeness]:
        """At least the n most like it; fewer only where there are fewer.

        Documents met among the nearest Passages are read whole, the one that may come to most first, until
        none that is left can be among the n. By an exact index these are the n of all Documents.
        """
        known: dict[int, Likeness | None] = {}
        depth = max(DEPTH, DEPTH_PER_HIT * n)
        while True:
            near = self._nearest(depth)
            bounds, beyond = self._bounds(near, depth)
            waiting = sorted(bounds.keys() - known.keys(), key=lambda one: (-bounds[one], one))
            for start in range(0, len(waiting), READ_TOGETHER):
                if bounds[waiting[start]] + MARGIN < _nth(known, n):
                    break
                known.update(self._likenesses(waiting[start : start + READ_TOGETHER]))
            least = _nth(known, n)
            if beyond is None or beyond + MARGIN < least or (depth >= DEEPEST and least > -np.inf):
                return [one for one in known.values() if one is not None]
            depth *= DEEPER

    def passages(self, n: int) -> list[Likeness]:
        """At least the n Passages of others that are nearest to one of its own."""
        found = {int(i) for one in self._nearest(n + TIE_MARGIN) for i in one.ids}
        ids, cosines = self._cosines(sorted(found))
        return [self._likeness(int(i), row) for i, row in zip(ids, cosines, strict=True)]

    def _nearest(self, k: int) -> list[Neighbours]:
        """For each own Passage the k nearest of others: of the snapshot, and of what was committed since."""
        without, allowed = self._without, self._allowed
        found = [Neighbours(np.empty(0, np.int64), np.empty(0, np.float32))] * len(self._own)
        if self._snapshot is not None:
            found = self._snapshot.search(self._own, k, without=without, allowed=allowed)
        tail = CollectionVectors(
            self._db,
            self._collection.collection_id,
            self._collection.recipe_id,
            self._collection.dim,
            after=self._after,
        )
        for block in tail.blocks():
            more = ExactIndex(*block).search(self._own, k, without=without, allowed=allowed)
            found = [best_of(pair, k) for pair in zip(found, more, strict=True)]
        return found

    def _bounds(self, near: Sequence[Neighbours], depth: int) -> tuple[dict[int, float], float | None]:
        """The most that Documents met can score, and any other; None where all were met.

        Whatever an own Passage did not meet is no nearer to it than the last that it met.
        """
        last = np.array([one.scores[-1] if len(one.ids) == depth else -1.0 for one in near])
        owner = naming.documents_of(self._db, sorted({int(i) for one in near for i in one.ids}))
        gains: dict[int, float] = {}
        for one, least in zip(near, last, strict=True):
            seen: set[int] = set()
            for i, score in zip(one.ids.tolist(), one.scores.tolist(), strict=True):  # the best comes first
                document = owner.get(i)
                if document is not None and document not in seen:
                    seen.add(document)
                    gains[document] = gains.get(document, 0.0) + score - least
        floor = float(last.mean())
        complete = all(len(one.ids) < depth for one in near)
        return {one: floor + gain / len(near) for one, gain in gains.items()}, None if complete else floor

    def _likenesses(self, document_ids: Sequence[int]) -> dict[int, Likeness | None]:
        """Of Documents by id, all their allowed Passages compared; None where nothing is left to compare."""
        pairs = naming.passages_of(self._db, document_ids)
        if self._allowed_set is not None:
            pairs = [pair for pair in pairs if pair[1] in self._allowed_set]
        best = {one: np.full(len(self._own), -np.inf) for one in document_ids}
        nearest: dict[int, Likeness] = {}
        for start in range(0, len(pairs), BLOCK_ROWS):
            owner = {passage: document for document, passage in pairs[start : start + BLOCK_ROWS]}
            for i, row in zip(*self._cosines(list(owner)), strict=True):
                document, found = owner[int(i)], self._likeness(int(i), row)
                best[document] = np.maximum(best[document], row)
                if document not in nearest or found.cosine > nearest[document].cosine:
                    nearest[document] = found
        return {
            one: replace(nearest[one], score=round(float(best[one].mean()), SCORE_DECIMALS))
            if one in nearest
            else None
            for one in document_ids
        }

    def _likeness(self, passage_id: int, cosines: npt.NDArray[np.float64]) -> Likeness:
        """Of a Passage, by its cosines to those of the given Document."""
        best = round(float(cosines.max()), SCORE_DECIMALS)
        return Likeness(best, best, passage_id, int(self._own_ids[cosines.argmax()]))

    def _cosines(self, ids: Sequence[int]) -> tuple[Int64Vector, npt.NDArray[np.float64]]:
        """Ids, ascending, and their cosines (ids, own Passages), from the vectors of record."""
        found, matrix = self._record.of(np.array(ids, dtype=np.int64))
        return found, matrix.astype(np.float64) @ self._own.T.astype(np.float64)


def _nth(known: Mapping[int, Likeness | None], n: int) -> float:
    """The n-th best score; minus infinity where there are fewer."""
    scores = sorted((one.score for one in known.values() if one is not None), reverse=True)
    return scores[n - 1] if len(scores) >= n else -np.inf
