"""How relevant a passage is: compared with what questions find that have nothing to do with the Collection.

A cosine means another thing under every model and in every Collection: 0.4 is much among passages about
aerodynamics and little among encyclopedia articles. So each Collection is asked a hundred questions of
general knowledge (probes.txt) when it is indexed; what they find is the null distribution of the best hit:

    strength  = (cosine - nearest) / (1 - nearest) + WORDS_SHARE * coverage
    distance  = (strength - level) / (1 + WORDS_SHARE - level)
    relevance = 100 / (1 + exp(-distance / SPREAD))

coverage is the share of the query's words, weighted by their rarity, that stand in the passage; nearest and
level are medians over the questions, of the cosine and of the strength of the best passage. distance is 0 for
what the middle one of the unrelated questions finds, and 1 for a passage that says the query in its words.
Only medians are taken from the questions: a Collection that does know the answer to some of them is
calibrated like the others. That relevance is a percentile of the null distribution (of a hundred unrelated
questions so many find nothing as good) follows from SPREAD, fitted over seven judged sets (LOG "when is
nothing relevant?"). benchmarks/relevance.py draws the ROC.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import fulltext, vectors
from searchkit.library.collections import Calibration, StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.fulltext import Term
from searchkit.library.marking import Marker
from searchkit.library.vectors import CollectionVectors
from searchkit.profile import Profile
from searchkit.vector_index.exact import ExactIndex, best_of
from searchkit.vector_index.protocol import Neighbours, VectorIndex

WORDS_SHARE = 0.4
SPREAD = 0.07
RELEVANT = 93.0  # percent: a query none of whose first hits reaches it has found nothing relevant
LOOKED_AT = 10  # of them
LEAST_ROOM = 1e-3  # between unrelated questions and a perfect match, where all passages are alike
CHANGED_SHARE = 0.1  # of the passages: then the Collection is asked again


@cache
def probes() -> tuple[str, ...]:
    """Questions of general knowledge, as people type them."""
    return tuple((Path(__file__).parent / "probes.txt").read_text(encoding="utf-8").splitlines())


def relevance(calibration: Calibration, cosine: float, coverage: float) -> float:
    """Percentile among the best hits of unrelated questions, rounded to one decimal: 0 to 99.9."""
    room = max(1 + WORDS_SHARE - calibration.level, LEAST_ROOM)
    distance = (_strength(calibration.nearest, cosine, coverage) - calibration.level) / room
    return min(round(100 / (1 + math.exp(-max(distance, -1.0) / SPREAD)), 1), 99.9)


def _strength(nearest: float, cosine: float, coverage: float) -> float:
    return (cosine - nearest) / max(1 - nearest, LEAST_ROOM) + WORDS_SHARE * coverage


def coverages(passages: Sequence[StoredPassage], terms: Sequence[Term], marker: Marker) -> list[float]:
    """For each passage the share of the terms, by weight, that stand in it or in its context.

    marker: of these terms.
    """
    held = marker.held([*(one.text for one in passages), *(one.context for one in passages)])
    in_texts, in_contexts = held[: len(passages)], held[len(passages) :]
    return [
        _covered(in_text | in_context, terms)
        for in_text, in_context in zip(in_texts, in_contexts, strict=True)
    ]


def _covered(places: Iterable[int], terms: Sequence[Term]) -> float:
    total = sum(term.weight for term in terms)
    return sum(terms[place].weight for place in places) / total if total else 0.0


# -------------------------------------------------------------------- calibrating


def is_due(db: Database, collection: StoredCollection, instruction: str | None = None) -> bool:
    """Whether the Collection was never asked, or under another Instruction, or has changed much since.

    instruction: the literal text that the model is given before queries now; None where it is not open.
    """
    known = catalogue.calibration(db, collection.collection_id)
    passages = catalogue.count_passages(db, collection.collection_id)
    if known is None:
        return passages > 0
    before, now = Profile.from_dict(known.profile), Profile.from_dict(collection.profile)
    if before.instruction("query") != now.instruction("query"):
        return True
    if instruction is not None and instruction != known.instruction:  # the family renders it otherwise
        return True
    new = catalogue.count_passages(db, collection.collection_id, after=known.last_passage_id)
    gone = known.passages + new - passages
    return max(new, gone) > CHANGED_SHARE * known.passages


def calibrate(
    db: Database,
    collection: StoredCollection,
    instruction: str,
    questions: Float32Matrix,
    snapshot: VectorIndex | None,
) -> Calibration | None:
    """Ask the unrelated questions. Returns: None for a Collection without passages.

    questions: (len(probes()), dim) float32, embedded under `instruction`.
    """
    nearest = nearest_of(db, collection, questions, snapshot)
    if not any(len(one.ids) for one in nearest):
        return None
    middle = float(np.median([one.scores[0] for one in nearest]))
    different = sorted({int(i) for one in nearest for i in one.ids})
    passages = {one.passage_id: one for one in store.passages(db, different)}
    terms = [fulltext.expression(db, probe, fulltext.MATCHES_BESIDE_VECTORS).terms for probe in probes()]
    found = _held(passages, terms)
    best = []
    for one, asked in zip(nearest, terms, strict=True):
        strengths = [
            _strength(
                middle, float(score), _covered([p for p, t in enumerate(asked) if t.word in words], asked)
            )
            for i, score in zip(one.ids, one.scores, strict=True)
            if (words := found.get(int(i))) is not None
        ]
        best.append(max(strengths, default=0.0))
    return Calibration(
        profile=collection.profile,
        instruction=instruction,
        passages=catalogue.count_passages(db, collection.collection_id),
        last_passage_id=catalogue.last_passage_id(db, collection.collection_id),
        nearest=round(middle, 6),
        level=round(float(np.median(best)), 6),
    )


def _held(passages: dict[int, StoredPassage], terms: Sequence[Sequence[Term]]) -> dict[int, set[str]]:
    """The words, of all questions, that stand in each passage; looked for at once, which costs a tenth."""
    words = sorted({term.word for asked in terms for term in asked})
    texts = [f"{one.context}\n{one.text}" for one in passages.values()]
    return {
        i: {words[place] for place in places}
        for i, places in zip(passages, Marker(words).held(texts), strict=True)
    }


def nearest_of(
    db: Database, collection: StoredCollection, questions: Float32Matrix, snapshot: VectorIndex | None
) -> list[Neighbours]:
    """The LOOKED_AT nearest passages of each question, by the snapshot and an exact scan of what it lacks.

    questions: (n, dim) float32 rows of length 1; snapshot: None to scan all vectors of record.
    """
    removed = vectors.removed_passages(db, collection.collection_id)
    found = [Neighbours(np.empty(0, np.int64), np.empty(0, np.float32))] * len(questions)
    published = catalogue.snapshot(db, collection.collection_id) if snapshot is not None else None
    if snapshot is not None:
        found = snapshot.search(questions, LOOKED_AT, without=removed)
    record = CollectionVectors(
        db,
        collection.collection_id,
        collection.recipe_id,
        collection.dim,
        after=published.last_passage_id if published else 0,
    )
    for block in record.blocks():
        more = ExactIndex(*block).search(questions, LOOKED_AT, without=removed)
        found = [best_of(pair, LOOKED_AT) for pair in zip(found, more, strict=True)]
    return found
