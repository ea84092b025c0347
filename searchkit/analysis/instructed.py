"""The same passages clustered under another Instruction, and how far that agrees with the stored clusters.

The passages are embedded anew and nothing is stored. As many clusters are made as are stored, so that what
differs is what the Instruction changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from searchkit.analysis import clusters, labels
from searchkit.analysis.agreement import adjusted_rand, v_measure
from searchkit.analysis.clusters import OnProgress
from searchkit.analysis.describing import cosines_to_own, largest_first, words_of_clusters
from searchkit.analysis.kmeans import Partition, kmeans
from searchkit.analysis.showing import stored_run
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.collection.library import Library
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
    model: str
    instruction: str  # the literal text put before each passage
    trained: bool  # whether the model's family takes Instructions; else the text is put there all the same
    passages: int  # that were compared
    left_out: int  # passages that are in none of the stored clusters
    v_measure: float
    adjusted_rand: float
    stored: tuple[Side, ...]  # all of them, the largest first
    instructed: tuple[Side, ...]
    shared: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """The stored clusters with the passages they have now. numbers: (n,) int64, of each of the n texts."""

    collection: StoredCollection
    run: StoredRun
    numbers: Int64Vector
    texts: tuple[str, ...]
    left_out: int


def compare(
    library: Library,
    sentence: str,
    *,
    collection: str | None = None,
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Cluster the passages of a Collection under another Instruction, by k-means, and compare.

    Passages that are in none of the stored clusters take no part.
    Raises: UsageError: fewer than two clusters are stored, or the Instruction is empty or too long.
    CollectionNotFound, LibraryError, ModelError.
    """
    tell = on_progress or (lambda what, done, total: None)
    with library.reading(collection) as (db, chosen):
        stored = _gathered(db, chosen)
    embedder = library.embedder(stored.collection)
    text, trained = literal(embedder, stored.collection, sentence)
    matrix = np.empty((len(stored.texts), embedder.dim), dtype=np.float32)
    for start in range(0, len(stored.texts), TOGETHER):
        tell("embedding passages", start, len(stored.texts))
        matrix[start : start + TOGETHER] = embedder.embed(stored.texts[start : start + TOGETHER], text)
    tell("making clusters", 0, 0)
    other = largest_first(kmeans(matrix, len(stored.run.clusters), seed=0))
    own, instructed = _own_sides(stored), _sides(matrix, other, stored.texts)
    table = np.zeros((len(own) + 1, len(instructed) + 1), dtype=np.int64)
    np.add.at(table, (stored.numbers, other.numbers), 1)
    return Comparison(
        collection=stored.collection.name,
        model=stored.collection.model,
        instruction=text,
        trained=trained,
        passages=len(stored.texts),
        left_out=stored.left_out,
        v_measure=v_measure(stored.numbers, other.numbers),
        adjusted_rand=adjusted_rand(stored.numbers, other.numbers),
        stored=own,
        instructed=instructed,
        shared=tuple(map(tuple, table[1:, 1:].tolist())),
    )


def literal(embedder: Embedder, collection: StoredCollection, sentence: str) -> tuple[str, bool]:
    """What the model is given before each text, and whether its family takes Instructions at all.

    Clusters compare texts of one kind, so the text is that of clustering, whatever the Collection is for.
    A model that takes none is given the sentence as it is, after the words its family puts before every text.
    Raises: UsageError: it is empty or too long.
    """
    if not sentence.strip():
        raise UsageError(
            "the Instruction is empty", remedy="as in: --by-instruction 'Represent the ticket by urgency: '"
        )
    if not sentence[-1].isspace():
        sentence += " "  # else its last word would melt into the first of the passage
    profile = Profile.from_dict(collection.profile)
    text, unlike = (_rendered(embedder, profile, one) for one in (sentence, "Another: "))
    heard = text != unlike
    if not heard:
        text += sentence
    embedder.check_instruction(text)
    return text, heard


def _rendered(embedder: Embedder, profile: Profile, sentence: str) -> str:
    asked = Instruction(literal=sentence, task_sentence=sentence.strip().rstrip(":;").rstrip())
    return embedder.instruction_for(replace(profile, document=asked, task="clustering"), "document")


def _gathered(db: Database, collection: StoredCollection) -> _Gathered:
    """What is compared, in memory, so that embedding keeps nobody from the database."""
    run = stored_run(db, collection)
    found = store.assignments(db, collection.collection_id, run)
    inside = found.numbers != store.NO_CLUSTER
    if (count := len(set(found.numbers[inside].tolist()))) < 2:
        raise UsageError(
            f"collection '{collection.name}' has {count} stored clusters with passages, "
            "expected two or more: else there is nothing to compare",
            remedy=f"make more of them with: searchkit cluster -c {collection.name} --k 8",
        )
    texts = clusters.texts(db, found.ids[inside])
    return _Gathered(collection, run, found.numbers[inside], tuple(texts), int((~inside).sum()))


def _own_sides(stored: _Gathered) -> tuple[Side, ...]:
    sizes = np.bincount(stored.numbers, minlength=len(stored.run.clusters) + 1)
    return tuple(
        Side(number=one.number, name=one.name, words=one.words, passages=int(sizes[one.number]))
        for one in stored.run.clusters
    )


def _sides(matrix: Float32Matrix, partition: Partition, texts: Sequence[str]) -> tuple[Side, ...]:
    """The clusters of a partition numbered from 1, with their words."""
    cosines = cosines_to_own(matrix, partition.numbers, partition.centroids)

    def of_rows(rows: Int64Vector) -> Iterable[str]:
        return (texts[row] for row in rows.tolist())

    words, sizes = words_of_clusters(partition, cosines, of_rows)
    names = labels.names(words)
    return tuple(
        Side(number=number, name=names[number], words=words[number], passages=sizes[number])
        for number in sorted(words)
    )
