"""The same passages clustered under another Instruction, and how far that agrees with the stored clusters.

The passages are embedded anew and nothing is stored. As many clusters are made as are stored, so that what
differs is what the Instruction changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from searchkit.analysis import clusters, labels
from searchkit.analysis.agreement import adjusted_rand, v_measure
from searchkit.analysis.kmeans import kmeans
from searchkit.arrays import Int64Vector
from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError
from searchkit.library import clusters as store
from searchkit.library.clusters import StoredRun
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.profile import Instruction, Profile

TOGETHER = 1_024  # texts embedded at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A cluster under one of the two Instructions."""

    number: int
    name: str
    words: tuple[str, ...]
    passages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two partitions of the same passages. shared[i][j]: how many of stored[i] are in instructed[j]."""

    collection: str
    instruction: str  # the literal text put before each passage
    trained: bool  # whether the model's family takes Instructions; else the text is put there all the same
    passages: int
    v_measure: float
    adjusted_rand: float
    stored: tuple[Side, ...]  # all of them, the largest first
    instructed: tuple[Side, ...]
    shared: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The stored clusters with the passages they have now. numbers: (n,) int64, of each of the n texts."""

    collection: StoredCollection
    run: StoredRun
    numbers: Int64Vector
    texts: tuple[str, ...]


def literal(embedder: Embedder, collection: StoredCollection, sentence: str) -> tuple[str, bool]:
    """What the model is given before each text, and whether its family takes Instructions at all.

    A model that takes none is given the sentence as it is. Raises: UsageError: it is empty or too long.
    """
    if not sentence.strip():
        raise UsageError(
            "the Instruction is empty", remedy="as in: --by-instruction 'Represent the ticket by urgency: '"
        )
    asked = Instruction(literal=sentence, task_sentence=sentence.strip().rstrip(":;").rstrip())
    profile = replace(Profile.from_dict(collection.profile), document=asked)
    rendered = embedder.instruction_for(profile, "document")
    own = asked.task_sentence in rendered
    text = rendered if own else sentence
    if not text[-1].isspace():
        text += " "  # else its last word would melt into the first of the passage
    embedder.check_instruction(text)
    return text, own


def gathered(db: Database, collection: StoredCollection) -> Gathered:
    """What is compared, in memory, so that embedding keeps nobody from the database.

    Raises: UsageError: no clusters are stored, or no passages are left.
    """
    run = clusters.stored_run(db, collection)
    found = store.assignments(db, collection.collection_id, run)
    clusters.require_enough(collection, len(found.ids), None)
    return Gathered(collection, run, found.numbers, tuple(clusters.texts(db, found.ids)))


def compare(
    stored: Gathered,
    embedder: Embedder,
    sentence: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Cluster the passages under another Instruction, by k-means, and compare.

    on_progress: told how many passages of how many are embedded.
    Raises: UsageError: the Instruction is empty or too long.
    """
    texts = stored.texts
    text, trained = literal(embedder, stored.collection, sentence)
    matrix = np.empty((len(texts), embedder.dim), dtype=np.float32)
    for start in range(0, len(texts), TOGETHER):
        matrix[start : start + TOGETHER] = embedder.embed(texts[start : start + TOGETHER], text)
        if on_progress is not None:
            on_progress(min(start + TOGETHER, len(texts)), len(texts))
    other = clusters.largest_first(kmeans(matrix, max(1, len(stored.run.clusters)), seed=0))
    holding, sizes = labels.counted(zip(other.numbers.tolist(), texts, strict=True))
    words = labels.telling_words(holding, sizes)
    names = labels.names(words)
    here = np.bincount(stored.numbers, minlength=len(stored.run.clusters) + 1)
    instructed = [
        Side(number=number, name=names[number], words=words[number], passages=sizes[number])
        for number in sorted(words)
    ]
    own = [
        Side(number=one.number, name=one.name, words=one.words, passages=int(here[one.number]))
        for one in stored.run.clusters
    ]
    table = _table(stored.numbers, other.numbers, len(own), len(instructed))
    return Comparison(
        collection=stored.collection.name,
        instruction=text,
        trained=trained,
        passages=len(texts),
        v_measure=v_measure(stored.numbers, other.numbers),
        adjusted_rand=adjusted_rand(stored.numbers, other.numbers),
        stored=tuple(own),
        instructed=tuple(instructed),
        shared=tuple(map(tuple, table)),
    )


def _table(own: Int64Vector, other: Int64Vector, rows: int, columns: int) -> list[list[int]]:
    """How many passages each cluster of one shares with each of the other; those in none are left out."""
    table = np.zeros((rows + 1, columns + 1), dtype=np.int64)
    np.add.at(table, (own, other), 1)
    shared: list[list[int]] = table[1:, 1:].tolist()
    return shared
