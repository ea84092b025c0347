"""Answers a query: embed, search snapshot and tail, rescore from the vectors of record, read the winners."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.errors import QueryInvalid, UsageError
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.vectors import CollectionVectors
from searchkit.records import Hit, JsonValue
from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.protocol import Neighbours, VectorIndex

MAX_QUERY_CHARACTERS = 10_000
MAX_K = 10_000

# Passages of equal text score equally; a few more are fetched so that the cut between them can follow
# the order of documents instead of the order in which they happened to be stored.
TIE_MARGIN = 6
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


def search(
    db: Database,
    collection: StoredCollection,
    query: Float32Vector,
    k: int,
    snapshot: VectorIndex | None,
    *,
    allowed: Int64Vector | None = None,
) -> list[Hit]:
    """The k best passages of a Collection for a query vector; fewer only when it holds fewer.

    query: (dim,) float32 of length 1; snapshot: the Collection's published index, or None to scan the
    vectors of record; allowed: ids of the passages that may be found, None for all.
    To be called within db.one_state().
    """
    candidates = k + TIE_MARGIN
    while True:
        ids, scores = _nearest(db, collection, query, candidates, snapshot, allowed)
        exhausted = len(ids) < candidates
        if exhausted or scores[k - 1] - scores[-1] > 2 * 10.0**-SCORE_DECIMALS:
            break
        candidates *= 4  # the cut goes through a run of equal scores: take all of it
    passages = store.passages(db, ids.tolist())
    exact = _exact_scores(db, collection, query, ids)
    scored = [passage for passage in passages if passage.passage_id in exact]
    order = sorted(scored, key=lambda p: (-exact[p.passage_id], p.document, p.start, str(p.source)))
    return [_hit(rank, exact[p.passage_id], p) for rank, p in enumerate(order[:k], start=1)]


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


def _hit(rank: int, score: float, passage: StoredPassage) -> Hit:
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
        document=passage.document,
        passage_id=passage.passage_id,
        heading=passage.heading,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        metadata=metadata,
    )


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode("utf-8")
