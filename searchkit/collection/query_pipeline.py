"""Ranks passages: nearest in snapshot and tail, best by words, fused and rescored, as far as it is asked."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.errors import QueryInvalid
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import fulltext, vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.vectors import CollectionVectors
from searchkit.vector_index.exact import ExactIndex, best_of
from searchkit.vector_index.protocol import VectorIndex

MAX_QUERY_CHARACTERS = 10_000

# Passages of equal text score equally; a few more are fetched so that the cut between them can follow
# the order of documents instead of the order in which they happened to be stored.
TIE_MARGIN = 6
# Candidates of each arm, and what the words of a query are worth beside the cosine: a share of the way
# from the nearest to the last of so many, as cosines lie closer together under one model than under another.
# On seven judged sets better than reciprocal ranks (LOG "how are words and vectors fused?").
ARM_DEPTH = 30
WORDS_WEIGHT = 0.8
TELLING_BM25 = 1.0  # words in half of all texts and more score a millionth: they should not weigh as others
STAGES = 4  # times as many are looked at when the first do not suffice
SCORE_DECIMALS = 6  # float32 inner products of unit vectors are not reproducible beyond


def checked_query(text: str) -> str:
    """Return the query as it is embedded. Raises: QueryInvalid, saying what is wrong with it."""
    if "\0" in text:
        raise QueryInvalid("the query contains a NUL character", remedy="remove it and ask again")
    if not text.strip():
        raise QueryInvalid("the query is empty", remedy='ask in words: searchkit query "how do I ..."')
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryInvalid(
            f"the query has {len(text):,} characters, at most {MAX_QUERY_CHARACTERS:,} are taken",
            remedy="ask in a sentence or two; a model reads no more than its first few hundred words",
        )
    if not any(unicodedata.category(character)[0] in "LNS" for character in text):
        raise QueryInvalid(
            f"the query {text.strip()[:40]!r} is punctuation only", remedy="ask in words, numbers or symbols"
        )
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is looked for: by meaning, by words, or by both.

    vector: (dim,) float32 of length 1, None to leave the vectors out; match: an FTS5 expression, '' to leave
    the words out; wider: what to match where too few do and there is no vector; allowed: ids of the passages
    that may be found, None for all; threshold: least cosine of what is found by vectors.
    """

    vector: Float32Vector | None
    match: str = ""
    wider: str = ""
    allowed: Int64Vector | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A passage that was found, and by what."""

    passage: StoredPassage
    score: float
    cosine: float | None = None
    bm25: float | None = None
    vector_rank: int | None = None  # by cosine, from 1; None where the vectors did not lead here
    text_rank: int | None = None  # by words
    found: tuple[int, float] | None = None  # rank and score before it was judged again (reranking.py)


@dataclass(frozen=True, slots=True)
class _Found:
    scores: Mapping[int, float]  # by passage id, as all below
    cosines: Mapping[int, float]
    bm25: Mapping[int, float]
    near: frozenset[int]  # found by vectors
    complete: bool  # there are no more


_NONE: Mapping[int, float] = {}


class Ranking:
    """The passages of a Collection in the order of a Request, found as far as they are asked for.

    The first n are the same whether n or more are asked for, so that pages fit together. What only the wider
    words match comes after what the telling ones do.
    snapshot: the Collection's published index, or None to scan the vectors of record.
    To be used within db.one_state().
    """

    def __init__(
        self, db: Database, collection: StoredCollection, request: Request, snapshot: VectorIndex | None
    ) -> None:
        self.complete = False  # whether all that may be found are among those asked for
        self.widened = False  # whether all words were looked for, for the telling ones did not suffice
        self._db = db
        self._collection = collection
        self._request = request
        self._snapshot = snapshot
        self._both = request.vector is not None and bool(request.match)
        self._stage = ARM_DEPTH // 2
        self._ranked: list[Candidate] = []

    def first(self, n: int) -> list[Candidate]:
        """The n best; fewer only when fewer may be found. Raises: QueryInvalid: match has no meaning."""
        deep = n
        while len(self._ranked) < n and not self.complete:
            if self._both:
                self._extend(self._stage)
                self._stage *= STAGES
            else:
                self._extend(deep)
                deep *= STAGES  # rows of an index may have lost their vectors, in a damaged database
        return self._ranked[:n]

    def _extend(self, n: int) -> None:
        request = self._request
        if request.vector is None:
            found = self._by_words(n)
        elif self._both:
            found = _by_both(self._db, self._collection, request, n, self._snapshot)
        else:
            near, complete = _nearest_with_ties(self._db, self._collection, request, n, self._snapshot)
            cosines = _exact_scores(self._db, self._collection, request.vector, near)
            found = _Found(cosines, cosines, _NONE, frozenset(cosines), complete)
        self._take(found, n)

    def _by_words(self, n: int) -> _Found:
        request = self._request
        bm25 = _best_by_words(self._db, self._collection, request, n)
        complete = len(bm25) < n
        if complete and request.wider:  # then these come first, and the next round looks for all words
            self._request = replace(request, match=request.wider, wider="")
            self.widened, complete = True, False
        return _Found(bm25, _NONE, bm25, frozenset(), complete)

    def _take(self, found: _Found, n: int) -> None:
        """Append what was found to what is ranked already, up to n in all."""
        threshold = self._request.threshold
        wanted = dict(found.scores)
        self.complete = found.complete
        if threshold is not None and found.cosines:
            wanted = {i: score for i, score in wanted.items() if found.cosines[i] >= threshold}
            self.complete |= min((found.cosines[i] for i in found.near), default=-1.0) < threshold
        for one in self._ranked:
            wanted.pop(one.passage.passage_id, None)
        room = len(wanted) if self.complete else max(n - len(self._ranked), 0)
        cut = sorted(wanted.values(), reverse=True)[:room]
        passages = store.passages(self._db, [i for i, score in wanted.items() if cut and score >= cut[-1]])
        order = sorted(passages, key=lambda p: (-wanted[p.passage_id], p.document, p.start, str(p.source)))
        vector_ranks = _ranks({i: found.cosines[i] for i in found.near})
        text_ranks = _ranks(found.bm25)
        self._ranked += [
            Candidate(
                passage=one,
                score=wanted[one.passage_id],
                cosine=found.cosines.get(one.passage_id),
                bm25=found.bm25.get(one.passage_id),
                vector_rank=vector_ranks.get(one.passage_id),
                text_rank=text_ranks.get(one.passage_id),
            )
            for one in order[:room]
        ]


def _ranks(scores: Mapping[int, float]) -> dict[int, int]:
    """Ranks from 1, equal scores alike."""
    first: dict[float, int] = {}
    for place, score in enumerate(sorted(scores.values(), reverse=True), start=1):
        first.setdefault(score, place)
    return {i: first[score] for i, score in scores.items()}


def _nearest_with_ties(
    db: Database, collection: StoredCollection, request: Request, k: int, snapshot: VectorIndex | None
) -> tuple[Int64Vector, bool]:
    """Ids of at least the k nearest, and all that score as the last of them; whether there are no more."""
    assert request.vector is not None
    candidates = k + TIE_MARGIN
    while True:
        ids, scores = _nearest(db, collection, request.vector, candidates, snapshot, request.allowed)
        complete = len(ids) < candidates
        if complete or scores[k - 1] - scores[-1] > 2 * 10.0**-SCORE_DECIMALS:
            return ids, complete
        candidates *= 4  # the cut goes through a run of equal scores: take all of it


def _best_by_words(db: Database, collection: StoredCollection, request: Request, n: int) -> dict[int, float]:
    """BM25 of the n best, and of those that score as the last of them, to six digits."""
    ids, scores = fulltext.search(db, collection.collection_id, request.match, n, allowed=request.allowed)
    return {int(i): float(f"{score:.6g}") for i, score in zip(ids, scores, strict=True)}


def _by_both(
    db: Database, collection: StoredCollection, request: Request, n: int, snapshot: VectorIndex | None
) -> _Found:
    """The best of either arm, twice as deep as n, and what they score by both."""
    assert request.vector is not None
    near, complete = _nearest_with_ties(db, collection, request, 2 * n, snapshot)
    bm25 = _best_by_words(db, collection, request, 2 * n)
    cosines = _exact_scores(db, collection, request.vector, np.array([*near.tolist(), *bm25], dtype=np.int64))
    near_ids = frozenset(near.tolist()) & cosines.keys()
    scores = dict(cosines)
    best_cosines = sorted((cosines[i] for i in near_ids), reverse=True)[:ARM_DEPTH]
    if bm25 and best_cosines:
        spread = best_cosines[0] - best_cosines[-1]
        best = max(TELLING_BM25, *bm25.values())
        for i, words in bm25.items():
            if i not in cosines:  # the database was damaged: verify says so
                continue
            scores[i] = round(cosines[i] + WORDS_WEIGHT * spread * words / best, SCORE_DECIMALS)
    return _Found(scores, cosines, bm25, near_ids, complete)


def _nearest(
    db: Database,
    collection: StoredCollection,
    query: Float32Vector,
    k: int,
    snapshot: VectorIndex | None,
    allowed: Int64Vector | None,
) -> tuple[Int64Vector, Float32Vector]:
    """The k best of the snapshot and of what was committed since."""
    published = catalogue.snapshot(db, collection.collection_id) if snapshot is not None else None
    after = published.last_passage_id if published else 0
    removed = vectors.removed_passages(db, collection.collection_id)
    record = CollectionVectors(
        db, collection.collection_id, collection.recipe_id, collection.dim, after=after
    )
    found = []
    if snapshot is not None:
        found += snapshot.search(query[None, :], k, without=removed, allowed=allowed)
    for block in record.blocks():  # the tail of a snapshot; all vectors where there is none
        found += ExactIndex(*block).search(query[None, :], k, without=removed, allowed=allowed)
        found = [best_of(found, k)]
    best = best_of(found, k)
    return best.ids, best.scores


def _exact_scores(
    db: Database, collection: StoredCollection, query: Float32Vector, ids: Int64Vector
) -> Mapping[int, float]:
    """Cosines from the vectors of record in float64, equal for equal texts whatever index found them."""
    record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
    found, matrix = record.of(ids)
    scores = matrix.astype(np.float64) @ query.astype(np.float64)
    return {int(i): round(float(score), SCORE_DECIMALS) for i, score in zip(found, scores, strict=True)}
