"""Questions ranked over the vectors of record of a Collection, exactly: nothing but questions is embedded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector, top_k
from searchkit.errors import UsageError
from searchkit.evaluation import ranking
from searchkit.evaluation.candidates import Texts
from searchkit.evaluation.questions import Question
from searchkit.evaluation.trial import Embed, Observed, Trial
from searchkit.library import naming
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors

IN_MEMORY = 512 << 20  # bytes of vectors; more of them are mapped from a file without a name
SCORES = 64_000_000  # held at a time: 256 MB
DECIMALS = 6  # of scores, as queries have them
K = 10


@dataclass(frozen=True, slots=True, eq=False)
class StoredRanking:
    """The Documents of a Collection by name, and the vectors of their Passages, Document after Document.

    documents: (d,) ids; starts: (d,) row of each one's first Passage; vectors: (p, dim) float32.
    """

    name: str
    documents: Int64Vector
    starts: Int64Vector
    vectors: Float32Matrix
    threshold: float | None

    @classmethod
    def read(cls, db: Database, collection: StoredCollection, threshold: float | None) -> StoredRanking:
        """Read all vectors of record; threshold: least cosine of what is found.

        Raises: UsageError: there are none. LibraryDamaged: a stored vector has another length.
        """
        record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
        ids = record.ids()
        if not len(ids):
            raise UsageError(
                f"collection '{collection.name}' holds no passages", remedy="index files into it first"
            )
        of_passage = naming.documents_of(db, ids.tolist())
        owners = np.asarray([of_passage[one] for one in ids.tolist()], dtype=np.int64)
        names = naming.names_of(db, sorted(set(owners.tolist())))
        # By name: top_k keeps their order among equals, which is then that of Library.query.
        documents = np.asarray(sorted(names, key=lambda one: (names[one], one)), dtype=np.int64)
        order_of: Mapping[int, int] = {one: order for order, one in enumerate(documents.tolist())}
        places = np.asarray([order_of[one] for one in owners.tolist()], dtype=np.int64)
        row_of_passage = np.empty(len(ids), dtype=np.int64)
        by_document = np.argsort(places, kind="stable")
        row_of_passage[by_document] = np.arange(len(ids))
        vectors = _room(len(ids), collection.dim)
        for block_ids, block in record.blocks():
            vectors[row_of_passage[np.searchsorted(ids, block_ids)]] = block
        starts = np.searchsorted(places[by_document], np.arange(len(documents)))
        return cls(collection.name, documents, starts, vectors, threshold)

    def trial(self, questions: Sequence[Question], embed: Embed) -> Trial:
        """Items are questions; nDCG@10 of the Documents found, of which each counts by its best Passage."""

        def observe(texts: Texts, rows: Int64Vector) -> Observed:
            asked = embed([questions[row].text for row in rows], texts["query"])
            found = np.empty(len(rows))
            together = max(1, SCORES // len(self.vectors))
            for start in range(0, len(rows), together):
                scores = asked[start : start + together] @ self.vectors.T
                best = np.maximum.reduceat(scores, self.starts, axis=1)
                for at, one in enumerate(best, start=start):
                    found[at] = self._ndcg(one, questions[rows[at]])
            return found[None, :]

        return Trial(
            name=self.name, kind="retrieval", main="ndcg@10", groups=np.arange(len(questions)),
            observe=observe, measure=lambda observed, rows: float(observed.mean()), means=True,
        )  # fmt: skip

    def _ndcg(self, scores: Float32Vector, question: Question) -> float:
        """Of a table that was named the first row found counts; further ones are neither right nor wrong."""
        passed = len(question.not_counted) + sum(map(len, question.documents))
        rounded = np.round(scores, DECIMALS)
        first = top_k(rounded, K + passed)
        if self.threshold is not None:
            first = first[rounded[first] >= self.threshold]
        open_ = dict(enumerate(question.documents))
        ranked: list[float] = []
        for one in self.documents[first].tolist():
            meant = [number for number, ids in open_.items() if one in ids]
            if meant:
                ranked.append(1.0)
                del open_[meant[0]]
            elif one not in question.not_counted and not any(one in ids for ids in question.documents):
                ranked.append(0.0)
        return ranking.ndcg(ranked[:K], [1.0] * len(question.documents), K)


def _room(rows: int, dim: int) -> Float32Matrix:
    if rows * dim * 4 <= IN_MEMORY:
        return np.empty((rows, dim), dtype=np.float32)
    with tempfile.TemporaryFile() as file:  # lives as long as it is mapped
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, dim))
