"""Answers a query: nearest in snapshot and tail, best by words, fused, rescored, the winners read."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.errors import QueryInvalid, UsageError
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import fulltext, vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.vectors import CollectionVectors
from searchkit.records import Hit, JsonValue, place_in_words
from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.protocol import Neighbours, VectorIndex

MAX_QUERY_CHARACTERS = 10_000
MAX_K = 10_000

# Passages of equal text score equally; a few more are fetched so that the cut between them can follow
# the order of documents instead of the order in which they happened to be stored.
TIE_MARGIN = 6
# Candidates of each arm, and what the words of a query are worth beside the cosine: a share of the way
# from the nearest to the last of so many, as cosines lie closer together under one model than under another.
# On seven judged sets better than reciprocal ranks (LOG "how are words and vectors fused?").
ARM_DEPTH = 30
WORDS_WEIGHT = 0.8
TELLING_BM25 = 1.0  # words in half of all texts and more score a millionth: they should not weigh as others
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


def checked_k(k: int) -> int:
    """Return k. Raises: UsageError: it is out of bounds."""
    if not 1 <= k <= MAX_K:
        raise UsageError(f"k is {k}, expected 1 to {MAX_K}", remedy="ask with: -k 10")
    return k


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is looked for: by meaning, by words, or by both.

    vector: (dim,) float32 of length 1, None to leave the vectors out; match: an FTS5 expression, '' to leave
    the words out; wider: what to match where too few do and there is no vector; allowed: ids of the passages
    that may be found, None for all; threshold: least cosine of what is found by vectors.
    """

    k: int
    vector: Float32Vector | None
    match: str = ""
    wider: str = ""
    allowed: Int64Vector | None = None
    threshold: float | None = None


def search(
    db: Database, collection: StoredCollection, request: Request, snapshot: VectorIndex | None
) -> list[Hit]:
    """The k best passages of a Collection; fewer only when fewer may be found or hold the words.

    snapshot: the Collection's published index, or None to scan the vectors of record.
    To be called within db.one_state(). Raises: QueryInvalid: the expression has no meaning.
    """
    scores: Mapping[int, float]
    cosines: Mapping[int, float] = {}
    bm25: Mapping[int, float] = {}
    if request.vector is None:
        scores = bm25 = _by_words(db, collection, request)
        if len(bm25) < request.k and request.wider:
            scores = bm25 = _by_words(db, collection, replace(request, match=request.wider))
    elif request.match:
        scores, cosines, bm25 = _by_both(db, collection, request, request.vector, snapshot)
    else:
        ids, _ = _nearest_with_ties(db, collection, request, request.vector, snapshot)
        scores = cosines = _exact_scores(db, collection, request.vector, ids)
    if request.threshold is not None and cosines:
        scores = {i: score for i, score in scores.items() if cosines[i] >= request.threshold}
    cut = sorted(scores.values(), reverse=True)[: request.k]
    passages = store.passages(db, [i for i, score in scores.items() if score >= cut[-1]])
    order = sorted(passages, key=lambda p: (-scores[p.passage_id], p.document, p.start, str(p.source)))
    return [
        _hit(rank, one, scores[one.passage_id], cosines.get(one.passage_id), bm25.get(one.passage_id))
        for rank, one in enumerate(order[: request.k], start=1)
    ]


def _nearest_with_ties(
    db: Database,
    collection: StoredCollection,
    request: Request,
    query: Float32Vector,
    snapshot: VectorIndex | None,
) -> tuple[Int64Vector, Float32Vector]:
    """At least the k nearest, and all that score as the last of them; fewer only when fewer may be found."""
    candidates = request.k + TIE_MARGIN
    while True:
        ids, scores = _nearest(db, collection, query, candidates, snapshot, request.allowed)
        exhausted = len(ids) < candidates
        if exhausted or scores[request.k - 1] - scores[-1] > 2 * 10.0**-SCORE_DECIMALS:
            return ids, scores
        candidates *= 4  # the cut goes through a run of equal scores: take all of it


def _by_words(db: Database, collection: StoredCollection, request: Request) -> dict[int, float]:
    """BM25 of the k best, and of those that score as the last of them, to six digits."""
    ids, scores = fulltext.search(
        db, collection.collection_id, request.match, request.k, allowed=request.allowed
    )
    return {int(i): float(f"{score:.6g}") for i, score in zip(ids, scores, strict=True)}


def _by_both(
    db: Database,
    collection: StoredCollection,
    request: Request,
    query: Float32Vector,
    snapshot: VectorIndex | None,
) -> tuple[Mapping[int, float], Mapping[int, float], Mapping[int, float]]:
    """Scores, cosines and BM25 of the best of either arm."""
    deep = replace(request, k=max(ARM_DEPTH, 2 * request.k))
    near, found = _nearest_with_ties(db, collection, deep, query, snapshot)
    bm25 = _by_words(db, collection, deep)
    cosines = _exact_scores(db, collection, query, np.array([*near.tolist(), *bm25], dtype=np.int64))
    scores = dict(cosines)
    if bm25 and len(found):
        spread = float(found[0] - found[:ARM_DEPTH][-1])
        best = max(TELLING_BM25, *bm25.values())
        for i, words in bm25.items():
            if i not in cosines:  # the database was damaged: verify says so
                continue
            scores[i] = round(cosines[i] + WORDS_WEIGHT * spread * words / best, SCORE_DECIMALS)
    return scores, cosines, bm25


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
        found = [_best(found, k)]
    best = _best(found, k)
    return best.ids, best.scores


def _best(found: Sequence[Neighbours], k: int) -> Neighbours:
    """The k best of several answers; of equal scores the one with the smaller id."""
    ids = np.concatenate([np.empty(0, np.int64), *(one.ids for one in found)])
    scores = np.concatenate([np.empty(0, np.float32), *(one.scores for one in found)])
    best = np.lexsort((ids, -scores))[:k]
    return Neighbours(ids[best], scores[best])


def _exact_scores(
    db: Database, collection: StoredCollection, query: Float32Vector, ids: Int64Vector
) -> Mapping[int, float]:
    """Cosines from the vectors of record in float64, equal for equal texts whatever index found them."""
    record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
    found, matrix = record.of(ids)
    scores = matrix.astype(np.float64) @ query.astype(np.float64)
    return {int(i): round(float(score), SCORE_DECIMALS) for i, score in zip(found, scores, strict=True)}


def _hit(rank: int, passage: StoredPassage, score: float, cosine: float | None, bm25: float | None) -> Hit:
    metadata: dict[str, JsonValue] = {
        **passage.metadata,
        "kind": passage.kind,
        "source": _shown(passage.source),
    }
    if passage.title:
        metadata["title"] = passage.title
    if passage.page is not None:
        metadata["page"] = passage.page
    return Hit(
        rank=rank,
        score=score,
        cosine=cosine,
        bm25=bm25,
        document=passage.document,
        passage_id=passage.passage_id,
        heading=passage.heading,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        place=passage.place,
        where=passage.document + place_in_words(passage.kind, passage.place),
        metadata=metadata,
    )


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode("utf-8")
