"""Takes the hits of one page from a ranking: relevant enough, so many of a Document, unlike one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.collection.query_pipeline import Candidate
from searchkit.errors import UsageError

MAX_K = 10_000
FURTHER = 4  # times as many candidates are looked at when too few of the first are kept
# Diversity chooses among this many, and relevance is asked of this many, at least and for each hit wanted.
# So the first thirty hits come from one pool, whatever pages they are on.
POOL = 120
POOL_PER_HIT = 4

First: TypeAlias = Callable[[int], list[Candidate]]  # the n first of a ranking, fewer where it ends
VectorsOf: TypeAlias = Callable[[Int64Vector], tuple[Int64Vector, Float32Matrix]]  # ids ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of the ranked passages become hits.

    per_document: at most so many of one Document, None for any number; diversity: 0 to 1, how much a passage
    counts for less when it is like one above it; relevance: least percentile.
    Raises: UsageError: a number is out of bounds.
    """

    k: int
    offset: int = 0
    per_document: int | None = None
    diversity: float = 0.0
    relevance: float | None = None

    def __post_init__(self) -> None:
        _require("k", self.k, 1, MAX_K, "-k 10")
        _require("the offset", self.offset, 0, MAX_K, "--offset 10")
        if self.per_document is not None:
            _require("the number of hits of a document", self.per_document, 1, MAX_K, "--per-document 1")
        _require("diversity", self.diversity, 0, 1, "--diversity 0.3")
        if self.relevance is not None:
            _require("the least relevance", self.relevance, 0, 100, "--min-relevance 90")

    @property
    def needed(self) -> int:
        """Hits up to the end of the page, and one to know whether there is another."""
        return self.offset + self.k + 1


def _require(what: str, value: float, least: float, most: float, example: str) -> None:
    if not least <= value <= most:
        raise UsageError(
            f"{what} is {value:g}, expected {least:g} to {most:,}", remedy=f"ask with: {example}"
        )


def select(
    first: First,
    wanted: Selection,
    relevances: Callable[[Sequence[Candidate]], list[float]],
    vectors: VectorsOf,
) -> list[Candidate]:
    """The candidates from the first on to one beyond the page, as far as there are so many.

    relevances: percentiles of candidates, in their order; vectors: of record, by passage id.
    """
    pool = wanted.needed
    if wanted.diversity or wanted.relevance is not None:
        pool = max(pooled(POOL_PER_HIT * (wanted.offset + wanted.k), POOL), wanted.needed)
    looked_at = pool
    while True:
        found = kept = first(looked_at)
        if wanted.relevance is not None:
            enough = relevances(found)
            kept = [one for one, much in zip(found, enough, strict=True) if much >= wanted.relevance]
        if wanted.per_document is not None:
            kept = first_of_each(kept, wanted.per_document)
        if len(kept) >= wanted.needed or len(found) < looked_at or wanted.relevance is not None:
            break
        looked_at *= FURTHER
    if wanted.diversity and kept:
        kept = diverse(kept[:pool], wanted.needed, wanted.diversity, vectors)
    return kept[: wanted.needed]


def pooled(least: int, pool: int) -> int:
    """The pool, or as many times as large as it takes, in steps: the pages of one answer share it."""
    while pool < least:
        pool *= FURTHER
    return pool


def first_of_each(candidates: Sequence[Candidate], n: int) -> list[Candidate]:
    """The first n of each Document."""
    seen: Counter[int] = Counter()
    kept = []
    for one in candidates:
        seen[one.passage.document_id] += 1
        if seen[one.passage.document_id] <= n:
            kept.append(one)
    return kept


def diverse(candidates: Sequence[Candidate], n: int, diversity: float, vectors: VectorsOf) -> list[Candidate]:
    """The n that are chosen one after the other by maximal marginal relevance, in that order.

    Each time the one with the largest (1 - diversity) * score - diversity * (largest cosine to one already
    chosen): Carbonell and Goldstein 1998. Scores are taken from 0, the least of them, to 1, the best.
    """
    ids, matrix = vectors(np.array([one.passage.passage_id for one in candidates], dtype=np.int64))
    rows = dict(zip(ids.tolist(), matrix, strict=True))
    there = [one for one in candidates if one.passage.passage_id in rows]
    if not there:
        return list(candidates[:n])
    points = np.stack([rows[one.passage.passage_id] for one in there])
    scores = np.array([one.score for one in there])
    scores = (scores - scores.min()) / (np.ptp(scores) or 1.0)
    likeness = np.full(len(there), 0.0)
    left = np.ones(len(there), dtype=np.bool_)
    chosen: list[Candidate] = []
    while len(chosen) < min(n, len(there)):
        gain = np.where(left, (1 - diversity) * scores - diversity * likeness, -np.inf)
        best = int(np.argmax(gain))
        left[best] = False
        likeness = np.maximum(likeness, points @ points[best]) if chosen else points @ points[best]
        chosen.append(there[best])
    return chosen
