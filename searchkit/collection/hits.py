"""Makes Hits of candidates: what a user sees of a passage that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from searchkit.collection.query_pipeline import Candidate
from searchkit.library import documents as store
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.fulltext import Term
from searchkit.library.marking import Marker
from searchkit.records import Hit, JsonValue, place_in_words

# Words that weigh less than this share of the weightiest one say nothing of why a passage was found.
MARKED_SHARE = 0.5


def hits(
    db: Database,
    candidates: Sequence[Candidate],
    *,
    first: int,
    collection: str,
    relevances: Sequence[float | None],
    terms: Sequence[Term],
    marker: Marker,
    context: int,
) -> list[Hit]:
    """Hits of candidates in their order, ranked from `first` on.

    relevances: of the candidates; marker: of the terms, which are those of the query; context: how many
    passages before and after each to read.
    """
    spans = marker.spans([one.passage.text for one in candidates], marked(terms))
    made = []
    each = zip(candidates, spans, relevances, strict=True)
    for rank, (one, highlights, relevance) in enumerate(each, start=first):
        passage = one.passage
        before, after = store.texts_around(db, passage, context) if context else ([], [])
        made.append(
            Hit(
                rank=rank,
                score=one.score,
                collection=collection,
                relevance=relevance,
                cosine=one.cosine,
                bm25=one.bm25,
                vector_rank=one.vector_rank,
                text_rank=one.text_rank,
                found=one.found,
                document=passage.document,
                passage_id=passage.passage_id,
                heading=passage.heading,
                start=passage.start,
                end=passage.end,
                text=passage.text,
                place=passage.place,
                where=passage.document + place_in_words(passage.kind, passage.place),
                highlights=highlights,
                before=tuple(before),
                after=tuple(after),
                metadata=_metadata(passage),
            )
        )
    return made


def with_context(db: Database, hit: Hit, n: int) -> Hit:
    """A Hit with the texts of the n Passages before and after it. Raises: UsageError: it is gone."""
    from searchkit.collection.naming import gone  # a query needs nothing of it

    for passage in store.passages(db, [hit.passage_id]):
        before, after = store.texts_around(db, passage, n)
        return replace(hit, before=tuple(before), after=tuple(after))
    raise gone(hit)


def marked(terms: Sequence[Term]) -> list[int]:
    """The places of the words of a query that are worth marking."""
    least = MARKED_SHARE * max((term.weight for term in terms if term.texts), default=0.0)
    return [place for place, term in enumerate(terms) if term.texts and term.weight >= least]


def _metadata(passage: StoredPassage) -> dict[str, JsonValue]:
    metadata: dict[str, JsonValue] = {
        **passage.metadata,
        "kind": passage.kind,
        "source": _shown(passage.source),
    }
    if passage.title:
        metadata["title"] = passage.title
    if passage.page is not None:
        metadata["page"] = passage.page
    return metadata


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode("utf-8")
