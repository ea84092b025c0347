"""One question within one committed state of one Collection: what is asked for, ranked, and how relevant."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.collection import recovery, relevance
from searchkit.collection.query_pipeline import Candidate, Ranking, Request
from searchkit.collection.selecting import First, Selection, select
from searchkit.errors import UsageError
from searchkit.library import collections as catalogue
from searchkit.library import fulltext
from searchkit.library.collections import Calibration, StoredCollection
from searchkit.library.database import Database
from searchkit.library.fulltext import WordQuery
from searchkit.library.marking import Marker
from searchkit.library.vectors import CollectionVectors
from searchkit.library.words import words

if TYPE_CHECKING:
    from searchkit.library.filter_grammar import Filter
    from searchkit.vector_index.protocol import VectorIndex

_OPERATORS = re.compile(r"\b(?:AND|OR|NOT|NEAR)\b")  # of FTS5, which are no words to be marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as it is put to one Collection.

    instruction: the query Instruction that `vector`, (dim,), was embedded under; None where words alone are
    looked for. threshold: the Profile's.
    """

    text: str
    mode: str
    instruction: str = ""
    vector: Float32Vector | None = None
    where: Filter | None = None
    threshold: float | None = None


class Search:
    """One question within one committed state of one Collection."""

    def __init__(
        self,
        db: Database,
        collection: StoredCollection,
        asked: Asked,
    ) -> None:
        self.db = db
        self.collection = collection
        self.asked = asked
        self.words, match = _words_of(db, asked.mode, asked.text)
        self.marker = Marker([term.word for term in self.words.terms])
        self.request = Request(
            vector=asked.vector,
            match=match.telling,
            wider=match.all,
            allowed=allowed_ids(db, collection.collection_id, asked.where),
            threshold=asked.threshold,
        )
        self.snapshot: VectorIndex | None = (
            None if asked.vector is None else recovery.open_snapshot(db, collection)
        )
        self.ranking = Ranking(db, collection, self.request, self.snapshot)
        self.first: First = self.ranking.first  # may be another order of them
        self.record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
        self.calibration = self._calibration()
        self._relevances: dict[int, float] = {}

    def select(self, selection: Selection) -> list[Candidate]:
        """The candidates up to one beyond the page."""
        return select(self.first, selection, self.relevances, self.record.of)

    def verdict(self) -> bool | None:
        """Whether one of the first hits is relevant; None where that is not known."""
        if self.calibration is None:
            return None
        best = self.relevances(self.ranking.first(relevance.LOOKED_AT))
        return max(best, default=0.0) >= relevance.RELEVANT

    def known_relevances(self, candidates: Sequence[Candidate]) -> list[float | None]:
        """Percentiles of candidates, and at once of those that the verdict needs; None where not known."""
        if self.calibration is None:
            return [None] * len(candidates)
        beside = self.ranking.first(relevance.LOOKED_AT)
        return [*self.relevances([*candidates, *beside])[: len(candidates)]]

    def relevances(self, candidates: Sequence[Candidate]) -> list[float]:
        """Percentiles of candidates, in their order. Raises: UsageError: they are not known."""
        if self.calibration is None:
            raise UsageError(
                f"how relevant a passage of collection '{self.collection.name}' is has not been measured "
                "under this query instruction",
                remedy=f"measure it with: searchkit index -c {self.collection.name}; "
                "or ask without --min-relevance and --profile",
            )
        new = {one.passage.passage_id: one for one in candidates}
        new = {i: one for i, one in new.items() if i not in self._relevances}
        covered = relevance.coverages([one.passage for one in new.values()], self.words.terms, self.marker)
        for (i, one), coverage in zip(new.items(), covered, strict=True):
            cosine = -1.0 if one.cosine is None else one.cosine
            self._relevances[i] = relevance.relevance(self.calibration, cosine, coverage)
        return [self._relevances[one.passage.passage_id] for one in candidates]

    def _calibration(self) -> Calibration | None:
        if self.request.vector is None:
            return None
        known = catalogue.calibration(self.db, self.collection.collection_id)
        return known if known is not None and known.instruction == self.asked.instruction else None


def _words_of(db: Database, mode: str, text: str) -> tuple[WordQuery, WordQuery]:
    """The words of the question, and the full-text expressions that its mode looks for."""
    plain = _OPERATORS.sub(" ", text) if mode == "fts" else text
    asked = fulltext.expression(
        db, plain, fulltext.MATCHES if mode == "text" else fulltext.MATCHES_BESIDE_VECTORS
    )
    if mode == "fts":
        return asked, WordQuery(words(text), "")
    return asked, WordQuery("", "") if mode == "vector" else asked


def allowed_ids(db: Database, collection_id: int, wanted: Filter | None) -> Int64Vector | None:
    """Ids of the passages that a filter allows, ascending; None for all. Raises: FilterInvalid."""
    if wanted is None:
        return None
    from searchkit.library.filters import allowed_passages

    return allowed_passages(db, collection_id, wanted, now=time.time())
