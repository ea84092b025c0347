"""One question to one Collection or several: embedded where it must be, searched, brought together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.arrays import Float32Vector
from searchkit.collection import hits as making
from searchkit.collection import recipe
from searchkit.collection.merging import POOL, merged
from searchkit.collection.models import OpenModels
from searchkit.collection.question import Question, loaded
from searchkit.collection.searching import Asked, Search
from searchkit.collection.selecting import MAX_K, Selection, pooled
from searchkit.embedding.embedder import Embedder
from searchkit.library import collections as catalogue
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.fulltext import Term
from searchkit.library.marking import Marker
from searchkit.profile import Profile
from searchkit.records import Hit, JsonValue, QueryResult

if TYPE_CHECKING:
    from searchkit.collection.reranking import Judge, Reranking


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one Collection answered, with what is needed to look into its Hits."""

    collection: StoredCollection
    profile: Profile
    hits: tuple[Hit, ...]  # one more than the page holds where there are more
    relevant: bool | None
    terms: tuple[Term, ...]
    marker: Marker  # of the terms
    embedder: Embedder | None = None  # None where the question was not embedded
    vector: Float32Vector | None = None  # (dim,)
    explanation: dict[str, JsonValue] | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a question and the parts it was made of, by Collection."""

    result: QueryResult
    parts: Mapping[str, Part]


def reranking_of(question: Question, models: OpenModels) -> Reranking | None:
    """By what the first hits are to be judged again; None by nothing.

    Raises: UsageError: what is said of it contradicts itself. ModelNotFound.
    """
    if not question.reranks:
        return None
    from searchkit.collection.reranking import settle

    model = None if question.rerank_model is None else str(question.rerank_model)
    return settle(model, loaded(question.rerank_profile), question.rerank_first, models.is_cross_encoder)


def answer(
    db: Database,
    question: Question,
    choices: Sequence[Callable[[Database], StoredCollection]],
    models: OpenModels,
    again: Reranking | None = None,
) -> Answer:
    """Answer a checked question from the Collections that each of `choices` picks.

    again: by what the first hits are judged again. Raises: QueryInvalid, FilterInvalid, RecipeMismatch,
    LibraryError, UsageError, what `choices` and `models` raise.
    """
    started = time.perf_counter()
    k = question.k or max(question.profile_for(choose(db)).k for choose in choices)
    selection = question.selection(k)
    first = None if again is None else again.over(k, question.offset)
    if len(choices) > 1:  # each gives as many for all pages of an answer: a deeper one would move the others
        most = pooled(question.offset + k, POOL) if first is None else first
        selection = replace(selection, k=min(most, MAX_K), offset=0)
    parts = [_ask(db, question, selection, choose, models, again) for choose in choices]
    mode, found = question.mode, list(parts[0].hits)
    if len(parts) > 1:
        mode, found = merged(
            [part.hits for part in parts], judged_alike=again is not None and again.cross_encoder
        )
        found = found[question.offset :]
    result = QueryResult(
        query=question.text,
        collection=", ".join(part.collection.name for part in parts),
        profile=", ".join(dict.fromkeys(part.profile.name for part in parts)),
        model=", ".join(dict.fromkeys(str(question.model or part.collection.model) for part in parts)),
        mode=mode,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
        relevant=_any_relevant([part.relevant for part in parts]),
        offset=question.offset,
        more=len(found) > k,
        hits=tuple(found[:k]),
        reranked_by="" if again is None else again.in_words,
        notices=tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
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
    selection: Selection,
    choose: Callable[[Database], StoredCollection],
    models: OpenModels,
    again: Reranking | None,
) -> Part:
    while True:
        watch = Stopwatch()
        chosen = choose(db)
        profile = question.profile_for(chosen)
        embedder, instruction, vector = None, "", None
        if question.mode in ("hybrid", "vector"):
            embedder = _fitting(chosen, profile, question.model, models)
            watch.lap("model")
            instruction = embedder.instruction_for(profile, "query")
            vector = embedder.embed([question.text], instruction)[0]
            watch.lap("embedding")
        judge = None if again is None else _judge(again, question, chosen, models)
        asked = Asked(
            text=question.text,
            mode=question.mode,
            instruction=instruction,
            vector=vector,
            where=question.filter,
            threshold=profile.threshold,
        )
        with db.one_state():
            # While the model was loading, the Collection may have been made anew in another space.
            now = catalogue.collection_named(db, chosen.name)
            if now is None or now.recipe_id != chosen.recipe_id:
                continue
            search = Search(db, now, asked)
            watch.lap("filter and words")
            notices: tuple[str, ...] = ()
            if again is not None and judge is not None:
                notices = _judged_again(search, again.over(selection.k, selection.offset), judge)
            found = search.select(selection)[selection.offset :]
            hits = making.hits(
                db,
                found,
                first=selection.offset + 1,
                collection=now.name,
                relevances=search.known_relevances(found),
                terms=search.words.terms,
                marker=search.marker,
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
            hits=tuple(hits),
            relevant=relevant,
            terms=search.words.terms,
            marker=search.marker,
            embedder=embedder,
            vector=vector,
            explanation=explanation,
            notices=notices,
        )


def _judge(again: Reranking, question: Question, collection: StoredCollection, models: OpenModels) -> Judge:
    """What judges the first candidates again, opened; the model of the search itself where none is named."""
    from searchkit.collection.reranking import UnderProfile

    if again.model is not None and again.cross_encoder:
        return models.scorer(again.model)
    space = collection.recipe.get("precision") if again.model is None else None
    embedder = models.quick(again.model or str(question.model or collection.model), space)
    return UnderProfile(embedder=embedder, profile=again.profile or question.profile_for(collection))


def _judged_again(search: Search, n: int, judge: Judge) -> tuple[str, ...]:
    """Let the search take its first n in the judge's order. Returns: what the user should know of it."""
    from searchkit.collection.reranking import (
        UnderProfile,
        rerank,
        reranked,
        same_order_notice,
        scores,
        stored_vectors,
        under_profile,
    )

    notice = ""
    if isinstance(judge, UnderProfile):
        vectors = stored_vectors(search.record)
        judge = under_profile(judge.embedder, judge.profile, search.collection.recipe, vectors)
        if search.asked.vector is not None:
            notice = same_order_notice(judge, search.asked.instruction)
    search.first = reranked(
        search.first, n, lambda found: rerank(found, scores(search.asked.text, found, judge))
    )
    return (notice,) if notice else ()


def _fitting(
    collection: StoredCollection, profile: Profile, model: str | Path | None, models: OpenModels
) -> Embedder:
    """The model for a Collection's space. Raises: RecipeMismatch naming what differs."""
    name = str(model) if model is not None else collection.model
    embedder = models.quick(name, collection.recipe.get("precision"))
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
