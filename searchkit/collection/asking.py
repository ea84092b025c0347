"""One question to one Collection: checked, embedded where it must be, filtered, searched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.collection import query_pipeline, recipe, recovery
from searchkit.collection.query_pipeline import Request
from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError, near_names
from searchkit.library import collections as catalogue
from searchkit.library import fulltext
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.fulltext import WordQuery
from searchkit.library.words import words
from searchkit.profile import Profile
from searchkit.records import MODES, QueryResult

if TYPE_CHECKING:
    from searchkit.library.filter_grammar import Filter

# model name, precision class of the stored vectors -> Embedder
OpenModel = Callable[[str, str | None], Embedder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: see Library.query for each field."""

    text: str
    collection: str | None = None
    k: int | None = None
    profile: Profile | None = None
    model: str | Path | None = None
    mode: str = "hybrid"
    where: str | Filter = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a question with what is needed to look into its Hits."""

    result: QueryResult
    embedder: Embedder | None = None  # None where the question was not embedded
    vector: Float32Vector | None = None  # (dim,)
    document_instruction: str = ""


def checked(question: Question) -> Question:
    """The question as it is asked: a mistake in it costs neither database nor model.

    Raises: QueryInvalid, FilterInvalid, UsageError.
    """
    if question.mode not in MODES:
        raise UsageError(
            f"there is no mode '{question.mode}'{near_names(question.mode, MODES)}",
            remedy=f"expected one of: {', '.join(MODES)}",
        )
    text = query_pipeline.checked_query(question.text)
    if question.k is not None:
        query_pipeline.checked_k(question.k)
    return replace(question, text=text, where=_parsed(question.where) or "")


def answer(
    db: Database, question: Question, choose: Callable[[Database], StoredCollection], open_model: OpenModel
) -> Answer:
    """Answer a checked question from the Collection that `choose` picks.

    Raises: QueryInvalid, FilterInvalid, RecipeMismatch, LibraryError, what `choose` and `open_model` raise.
    """
    started = time.perf_counter()
    text, wanted = question.text, _parsed(question.where)  # a tree already, where it was checked
    embedder = vector = None
    while True:
        chosen = choose(db)
        profile = question.profile or Profile.from_dict(chosen.profile)
        k = query_pipeline.checked_k(profile.k if question.k is None else question.k)
        if question.mode in ("hybrid", "vector"):
            embedder = _fitting(chosen, profile, question.model, open_model)
            vector = embedder.embed([text], embedder.instruction_for(profile, "query"))[0]
        with db.one_state():
            # While the model was loading, the Collection may have been made anew in another space.
            now = catalogue.collection_named(db, chosen.name)
            if now is None or now.recipe_id != chosen.recipe_id:
                continue
            match = _match(db, question.mode, text)
            request = Request(
                k=k,
                vector=vector,
                match=match.telling,
                wider=match.all,
                allowed=_allowed(db, now.collection_id, wanted),
                threshold=profile.threshold,
            )
            snapshot = None if vector is None else recovery.open_snapshot(db, now)
            hits = query_pipeline.search(db, now, request, snapshot)
        break
    result = QueryResult(
        query=text,
        collection=chosen.name,
        profile=profile.name,
        model=str(question.model or chosen.model),
        mode=question.mode,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
        hits=tuple(hits),
    )
    if embedder is None:
        return Answer(result)
    return Answer(result, embedder, vector, embedder.instruction_for(profile, "document"))


def _match(db: Database, mode: str, text: str) -> WordQuery:
    """The full-text expressions that a mode looks for."""
    if mode == "fts":
        return WordQuery(words(text), "")
    if mode == "vector":
        return WordQuery("", "")
    matches = fulltext.MATCHES if mode == "text" else fulltext.MATCHES_BESIDE_VECTORS
    return fulltext.expression(db, text, matches)


def _parsed(where: str | Filter) -> Filter | None:
    if not where or not isinstance(where, str):
        return where or None
    from searchkit.library.filter_grammar import parse_filter  # most queries have no filter

    return parse_filter(where)


def _allowed(db: Database, collection_id: int, wanted: Filter | None) -> Int64Vector | None:
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
