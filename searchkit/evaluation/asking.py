"""Asks a Library the questions that it is measured by, as its users ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.collection.library import Library
from searchkit.evaluation.questions import Question, names
from searchkit.library import naming
from searchkit.profile import Profile
from searchkit.records import Hit

DEPTH = 100  # documents of a ranking that are judged
PAGE = 10  # passages among which one that is named is looked for
FIRST = 3  # hits that are kept to show what was found instead

OnAsked = Callable[[int, int], None]  # questions asked, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How questions are asked; None as the Collection says."""

    collection: str
    mode: str = "hybrid"
    profile: Profile | str | Path | None = None
    model: str | Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """As Library.query takes them."""
        return {
            "collection": self.collection,
            "mode": self.mode,
            "profile": self.profile,
            "model": self.model,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a question found.

    documents: ids, best first, DEPTH at most without those that do not count; passage: whether the passage
    that is named was among the first PAGE, None where none is named; relevant: QueryResult.relevant.
    """

    documents: tuple[int, ...]
    first: tuple[Hit, ...]
    relevant: bool | None
    passage: bool | None
    took_ms: float


def ask(
    library: Library, questions: Sequence[Question], way: Way, on_asked: OnAsked | None = None
) -> list[Answer]:
    """Ask all, in their order. The time is that of a user's query: as many hits as the Profile says.

    Raises: as Library.query does.
    """
    if questions:
        library.query(questions[0].text, **way.options)  # opens model and files
    found = []
    for done, question in enumerate(questions, start=1):
        found.append(_ask(library, question, way))
        if on_asked is not None:
            on_asked(done, len(questions))
    return found


def _ask(library: Library, question: Question, way: Way) -> Answer:
    began = time.perf_counter()
    library.query(question.text, **way.options)
    took_ms = 1000 * (time.perf_counter() - began)
    deep = library.query(question.text, k=DEPTH + len(question.not_counted), per_document=1, **way.options)
    with library.reading(way.collection) as (db, _):
        of = naming.documents_of(db, [hit.passage_id for hit in deep.hits])
    counted = [
        (of[hit.passage_id], hit)
        for hit in deep.hits
        if hit.passage_id in of and of[hit.passage_id] not in question.not_counted
    ][:DEPTH]
    return Answer(
        documents=tuple(document for document, _ in counted),
        first=tuple(hit for _, hit in counted[:FIRST]),
        relevant=deep.relevant,
        passage=_passage_found(library, question, way),
        took_ms=took_ms,
    )


def _passage_found(library: Library, question: Question, way: Way) -> bool | None:
    if not question.passage and not question.heading:
        return None
    hits = library.query(question.text, k=PAGE, **way.options).hits
    with library.reading(way.collection) as (db, _):
        of = naming.documents_of(db, [hit.passage_id for hit in hits])
    right = frozenset[int]().union(*question.documents)
    return any(of.get(hit.passage_id) in right and names(question, hit.heading, hit.text) for hit in hits)
