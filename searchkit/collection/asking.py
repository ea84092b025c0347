"""One question to one Collection or several: checked, embedded where it must be, ranked, selected."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.collection import hits as making
from searchkit.collection import query_pipeline, recipe, recovery, relevance
from searchkit.collection.merging import merged
from searchkit.collection.query_pipeline import Candidate, Ranking, Request
from searchkit.collection.selecting import Selection, select
from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError, near_names
from searchkit.library import collections as catalogue
from searchkit.library import fulltext
from searchkit.library.collections import Calibration, StoredCollection
from searchkit.library.database import Database
from searchkit.library.fulltext import Term, WordQuery
from searchkit.library.vectors import CollectionVectors
from searchkit.library.words import words
from searchkit.profile import Profile
from searchkit.records import MODES, Hit, JsonValue, QueryResult

if TYPE_CHECKING:
    from searchkit.library.filter_grammar import Filter
    from searchkit.vector_index.protocol import VectorIndex

MAX_CONTEXT = 100

# model name, precision class of the stored vectors -> Embedder
OpenModel = Callable[[str, str | None], Embedder]


class Options(TypedDict, total=False):
    """How a query is asked; every one may be left out.

    collection      a name, or several; default the only one, or 'company-docs'
    k               how many Hits; default the Profile's
    profile         another query Instruction for the same stored vectors
    model           another place of the model; it must give the space they are in
    mode            'hybrid' by meaning and by words, 'vector' by meaning only, 'text' by words only, which
                    needs no model, 'fts' by an expression in SQLite's FTS5 syntax
    where           which passages may be found, as library/filter_grammar.py says; there are k Hits where k
                    may be, and by words where k hold one
    offset          how many Hits to pass over, for the next page
    per_document    at most so many Hits of one Document
    diversity       0 to 1, how much a passage counts for less when it is like one above it
    min_relevance   least percentile (collection/relevance.py), looked for among the first sixty or more
    context         how many Passages before and after each Hit to bring along
    explain         say how the Hits were found
    """

    collection: str | Sequence[str] | None
    k: int | None
    profile: Profile | str | Path | None
    model: str | Path | None
    mode: str
    where: str | Filter
    offset: int
    per_document: int | None
    diversity: float
    min_relevance: float | None
    context: int
    explain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: see Options for each field."""

    text: str
    collection: str | Sequence[str] | None = None
    k: int | None = None
    profile: Profile | str | Path | None = None
    model: str | Path | None = None
    mode: str = "hybrid"
    where: str | Filter = ""
    offset: int = 0
    per_document: int | None = None
    diversity: float = 0.0
    min_relevance: float | None = None
    context: int = 0
    explain: bool = False

    def profile_for(self, collection: StoredCollection) -> Profile:
        """The Profile that is asked under. Raises: ProfileNotFound, ProfileInvalid."""
        if self.profile is None:
            return Profile.from_dict(collection.profile)
        return self.profile if isinstance(self.profile, Profile) else Profile.load(self.profile)

    def selection(self, k: int) -> Selection:
        """Which candidates are wanted. Raises: UsageError: a number is out of bounds."""
        return Selection(
            k=k,
            offset=self.offset,
            per_document=self.per_document,
            diversity=self.diversity,
            relevance=self.min_relevance,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one Collection answered, with what is needed to look into its Hits."""

    collection: StoredCollection
    profile: Profile
    k: int
    hits: tuple[Hit, ...]  # one more than the page holds where there are more
    relevant: bool | None
    terms: tuple[Term, ...]
    embedder: Embedder | None = None  # None where the question was not embedded
    vector: Float32Vector | None = None  # (dim,)
    explanation: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a question and the parts it was made of, by Collection."""

    result: QueryResult
    parts: Mapping[str, Part]


def checked(question: Question) -> Question:
    """The question as it is asked: a mistake in it costs neither database nor model.

    Raises: QueryInvalid, FilterInvalid, ProfileNotFound, ProfileInvalid, UsageError.
    """
    if question.mode not in MODES:
        raise UsageError(
            f"there is no mode '{question.mode}'{near_names(question.mode, MODES)}",
            remedy=f"expected one of: {', '.join(MODES)}",
        )
    if question.min_relevance is not None and question.mode not in ("hybrid", "vector"):
        raise UsageError(
            f"relevance is not known in the mode '{question.mode}': it is measured by vectors",
            remedy="leave out --min-relevance, or ask with --hybrid or --vector",
        )
    text = query_pipeline.checked_query(question.text)
    question.selection(1 if question.k is None else question.k)
    if not 0 <= question.context <= MAX_CONTEXT:
        raise UsageError(
            f"{question.context} passages around each were asked for, expected 0 to {MAX_CONTEXT}",
            remedy="ask with: --context 1",
        )
    profile = question.profile
    if profile is not None and not isinstance(profile, Profile):
        profile = Profile.load(profile)
    return replace(question, text=text, profile=profile, where=parsed_filter(question.where) or "")


def answer(
    db: Database,
    question: Question,
    choices: Sequence[Callable[[Database], StoredCollection]],
    open_model: OpenModel,
) -> Answer:
    """Answer a checked question from the Collections that each of `choices` picks.

    Raises: QueryInvalid, FilterInvalid, RecipeMismatch, LibraryError, what `choices` and `open_model` raise.
    """
    started = time.perf_counter()
    alone = len(choices) == 1
    # Of several, each gives the pages before as well: which of its hits are on this one is seen afterwards.
    parts = [_ask(db, question, choose, open_model, alone=alone) for choose in choices]
    first = parts[0]
    mode, found = question.mode, list(first.hits)
    if not alone:
        mode, found = merged([part.hits for part in parts])
        found = found[question.offset :]
    k = max(part.k for part in parts)
    result = QueryResult(
        query=question.text,
        collection=", ".join(part.collection.name for part in parts),
        profile=", ".join(dict.fromkeys(part.profile.name for part in parts)),
        model=", ".join(dict.fromkeys(str(question.model or part.collection.model) for part in parts)),
        mode=mode,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
        relevant=_any_relevant([part.relevant for part in parts]),
        more=len(found) > k,
        hits=tuple(found[:k]),
        explanation={part.collection.name: part.explanation for part in parts} if question.explain else None,
    )
    return Answer(result, {part.collection.name: part for part in parts})


def _any_relevant(verdicts: Sequence[bool | None]) -> bool | None:
    """True where one is; False only where all are."""
    if any(verdicts):
        return True
    return None if None in verdicts else False


def _ask(
    db: Database,
    question: Question,
    choose: Callable[[Database], StoredCollection],
    open_model: OpenModel,
    *,
    alone: bool,
) -> Part:
    while True:
        watch = Stopwatch()
        chosen = choose(db)
        profile = question.profile_for(chosen)
        k = profile.k if question.k is None else question.k
        selection = question.selection(k)
        if not alone:
            selection = replace(selection, k=selection.offset + k, offset=0)
        embedder, instruction, vector = None, "", None
        if question.mode in ("hybrid", "vector"):
            embedder = _fitting(chosen, profile, question.model, open_model)
            watch.lap("model")
            instruction = embedder.instruction_for(profile, "query")
            vector = embedder.embed([question.text], instruction)[0]
            watch.lap("embedding")
        with db.one_state():
            # While the model was loading, the Collection may have been made anew in another space.
            now = catalogue.collection_named(db, chosen.name)
            if now is None or now.recipe_id != chosen.recipe_id:
                continue
            search = Search(db, now, question, instruction, vector)
            watch.lap("filter and words")
            found = search.select(selection)
            hits = making.hits(
                db,
                found[selection.offset :],
                first=selection.offset + 1,
                collection=now.name,
                relevance=search.relevance_of,
                terms=search.words.terms,
                context=question.context,
            )
            relevant = search.verdict()
            watch.lap("search")
            explanation = None
            if question.explain:
                from searchkit.collection.explaining import explained

                explanation = explained(search, profile, embedder, watch.laps)
        return Part(
            collection=now,
            profile=profile,
            k=k,
            hits=tuple(hits),
            relevant=relevant,
            terms=search.words.terms,
            embedder=embedder,
            vector=vector,
            explanation=explanation,
        )


class Search:
    """One question within one committed state of one Collection."""

    def __init__(
        self,
        db: Database,
        collection: StoredCollection,
        question: Question,
        instruction: str,
        vector: Float32Vector | None,
    ) -> None:
        self.db = db
        self.collection = collection
        self.question = question
        self.instruction = instruction
        self.words, match = _words_of(db, question.mode, question.text)
        self.request = Request(
            vector=vector,
            match=match.telling,
            wider=match.all,
            allowed=allowed_ids(db, collection.collection_id, parsed_filter(question.where)),
            threshold=question.profile_for(collection).threshold,
        )
        self.snapshot: VectorIndex | None = None if vector is None else recovery.open_snapshot(db, collection)
        self.ranking = Ranking(db, collection, self.request, self.snapshot)
        self.calibration = self._calibration()
        self._relevances: dict[int, float] = {}

    def select(self, selection: Selection) -> list[Candidate]:
        """The candidates up to one beyond the page."""
        record = CollectionVectors(
            self.db, self.collection.collection_id, self.collection.recipe_id, self.collection.dim
        )
        return select(self.ranking.first, selection, self.relevances, record.of)

    def verdict(self) -> bool | None:
        """Whether one of the first hits is relevant; None where that is not known."""
        if self.calibration is None:
            return None
        best = self.relevances(self.ranking.first(relevance.LOOKED_AT))
        return max(best, default=0.0) >= relevance.RELEVANT

    def relevance_of(self, candidate: Candidate) -> float | None:
        """Percentile of one candidate; None where it is not known."""
        return None if self.calibration is None else self.relevances([candidate])[0]

    def relevances(self, candidates: Sequence[Candidate]) -> list[float]:
        """Percentiles of candidates, in their order. Raises: UsageError: they are not known."""
        if self.calibration is None:
            raise UsageError(
                f"how relevant a passage of collection '{self.collection.name}' is has not been measured "
                "under this query instruction",
                remedy=f"measure it with: searchkit index -c {self.collection.name}; "
                "or ask without --min-relevance and --profile",
            )
        new = [one for one in candidates if one.passage.passage_id not in self._relevances]
        covered = relevance.coverages([one.passage for one in new], self.words.terms)
        for one, coverage in zip(new, covered, strict=True):
            cosine = -1.0 if one.cosine is None else one.cosine
            self._relevances[one.passage.passage_id] = relevance.relevance(self.calibration, cosine, coverage)
        return [self._relevances[one.passage.passage_id] for one in candidates]

    def _calibration(self) -> Calibration | None:
        if self.request.vector is None:
            return None
        known = catalogue.calibration(self.db, self.collection.collection_id)
        return known if known is not None and known.instruction == self.instruction else None


def _words_of(db: Database, mode: str, text: str) -> tuple[WordQuery, WordQuery]:
    """The words of the question, and the full-text expressions that its mode looks for."""
    asked = fulltext.expression(
        db, text, fulltext.MATCHES if mode == "text" else fulltext.MATCHES_BESIDE_VECTORS
    )
    if mode == "fts":
        return asked, WordQuery(words(text), "")
    return asked, WordQuery("", "") if mode == "vector" else asked


def parsed_filter(where: str | Filter) -> Filter | None:
    """The tree of a filter; None where there is none. Raises: FilterInvalid."""
    if not where or not isinstance(where, str):
        return where or None
    from searchkit.library.filter_grammar import parse_filter  # most queries have no filter

    return parse_filter(where)


def allowed_ids(db: Database, collection_id: int, wanted: Filter | None) -> Int64Vector | None:
    """Ids of the passages that a filter allows, ascending; None for all. Raises: FilterInvalid."""
    if wanted is None:
        return None
    from searchkit.library.filters import allowed_passages

    return allowed_passages(db, collection_id, wanted, now=time.time())


def _fitting(
    collection: StoredCollection, profile: Profile, model: str | Path | None, open_model: OpenModel
) -> Embedder:
    """The model for a Collection's space. Raises: RecipeMismatch naming what differs."""
    name = str(model) if model is not None else collection.model
    embedder = open_model(name, collection.recipe.get("precision"))
    recipe.require_same(
        collection.name,
        collection.recipe,
        recipe.recipe_of(embedder, profile),
        remedy=f"query it as it was indexed: leave out --model and --profile; or embed it anew under "
        f"another name: searchkit index FOLDER -c {collection.name}-2 --model {embedder.model}",
    )
    return embedder


class Stopwatch:
    """Notes how long steps took, in milliseconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a step."""
        now = time.perf_counter()
        self.laps[name] = round((now - self._last) * 1000, 2)
        self._last = now
