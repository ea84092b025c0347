"""Rows to train on, made of what people asked: questions with documents, clicks, questions with answers.

    questions   {question, documents}, as `searchkit eval` reads them, to a Collection
    clicks      {query, clicked, shown}: texts; or names of documents, to a Collection; maybe without `shown`
    faq         {question, answer}

A positive from a Collection is that passage of a right document that is nearest to the question, or the one
that holds the text named as `passage`. Negatives are what was shown and not clicked, then passages of other
documents that are near, but not as near as the positive by a share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.collection.library import Library
from searchkit.collection.naming import documents_meant
from searchkit.embedding.families import Family, family_named
from searchkit.embedding.prompts import render
from searchkit.errors import DataInvalid
from searchkit.evaluation.questions import read_questions
from searchkit.evaluation.rows import Row, rows_of
from searchkit.library import naming
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import passages
from searchkit.library.vectors import CollectionVectors
from searchkit.profile import Profile
from searchkit.training.examples import Example, Pair
from searchkit.training.mining import highest
from searchkit.vector_index.exact import ExactIndex, best_of
from searchkit.vector_index.protocol import Neighbours

FORM = '{"question", "documents"}, {"query", "clicked", "shown"} or {"question", "answer"}'
CLICKED = "expected what was clicked: a text, a list of texts, or with -c the names of documents"
FLAGS = {"0", "1", "true", "false", "yes", "no"}
FILE_NAME = re.compile(r"\S+\.[A-Za-z]\w{0,4}")
LOOKED_AT = 20  # passages of the right documents, for the one that holds the text named
NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How rows are made.

    task: what they are called. profile: whose Instructions they have. negatives: of a row, at most. below: a
    negative's cosine to the question is at most this share of the positive's, see `highest`.
    """

    task: str
    profile: Profile
    negatives: int = 4
    below: float = 0.95
    depth: int = 100
    split: str | None = None  # of questions, this one alone; None for all

    @property
    def instructions(self) -> tuple[str, str]:
        """The literal texts before questions and before documents, as a trained model will read them."""
        family: Family = family_named("instructed")
        return render(family, self.profile, "query"), render(family, self.profile, "document")


def rows_of_answers(file: Path, making: Making) -> list[Example]:
    """Rows of questions with their answers. Raises: UsageError, DataInvalid: the file is not right."""
    ask, tell = making.instructions
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for row in rows_of(file):
        question, answer = row.text("question", "query", "q"), row.text("answer", "a")
        _, answers = found.setdefault(_as_one(question), (question, {}))
        answers.setdefault(_on_one_line(answer), answer)
    made = [_row(making, (ask, one), [(tell, a) for a in said.values()]) for one, said in found.values()]
    return _some(file, made)


def rows_of_clicks(file: Path, making: Making) -> list[Example]:
    """Rows of texts that were clicked, and of those shown beside them that nobody clicked for the query.

    Raises: UsageError, DataInvalid: the file is not right.
    """
    ask, tell = making.instructions
    made = []
    for query, (clicked, shown) in clicks(file).items():
        known = {_on_one_line(one) for one in clicked}
        passed = [one for one in shown if _on_one_line(one) not in known][: making.negatives]
        right, wrong = ([(tell, one) for one in texts] for texts in (clicked, passed))
        made.append(_row(making, (ask, query), right, wrong))
    return _some(file, made)


def like_file_names(rows: Sequence[Example]) -> list[str]:
    """Positives that look like the name of a file, not like a text of one; each once."""
    texts = dict.fromkeys(text for one in rows for _, text in one.positives)
    return [text for text in texts if FILE_NAME.fullmatch(text.strip())]


def clicks(file: Path) -> dict[str, tuple[list[str], list[str]]]:
    """What was clicked and what was shown, by query, each once, in order; a query as it was first written.

    Raises: UsageError, DataInvalid: the file is not right.
    """
    found: dict[str, tuple[str, dict[str, None], dict[str, None]]] = {}
    for row in rows_of(file):
        query, flag = row.text("query", "question"), row.value("clicked")
        if str(flag).strip().casefold() in FLAGS:  # a log with a line for each that was shown
            raise row.wrong(f"'clicked' is {flag!r}, whether something was clicked", CLICKED)
        _, clicked, shown = found.setdefault(_as_one(query), (query, {}, {}))
        clicked |= dict.fromkeys(_texts(row, "clicked"))
        if row.fields.get("shown") not in (None, ""):
            shown |= dict.fromkeys(_texts(row, "shown"))
    return {query: (list(clicked), list(shown)) for query, clicked, shown in found.values()}


def rows_of_collection(
    library: Library, collection: str | None, file: Path, making: Making, *, clicked: bool
) -> list[Example]:
    """Rows of questions to a Collection, or of its documents that were clicked.

    Raises: UsageError, DataInvalid: the file is not right, or names documents that are not there.
    """
    info = library.show(collection)
    with library.reading(info.name) as (db, stored):
        sought = _clicked(file, db, stored) if clicked else _judged(file, db, stored, making.split)
        if not sought:
            raise DataInvalid(f"{file} names no document that answers", remedy=f"expected {FORM}")
        record = CollectionVectors(db, stored.collection_id, stored.recipe_id, stored.dim)
        embedder = library.embedder(stored)
        asked = embedder.embed([one.text for one in sought], embedder.instruction_for(info.profile, "query"))
        near = _near(record, db, asked, sought, making.depth)
        made = [_of_collection(db, *one, making) for one in zip(sought, near, strict=True)]
    return [one for one in made if one is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A question, the ids of Documents that answer it, and of those that were shown to no avail."""

    text: str
    right: frozenset[int]
    wrong: frozenset[int] = frozenset()
    neither: frozenset[int] = frozenset()
    passage: str = ""


@dataclass(frozen=True, slots=True)
class Near:
    """Passages near a question: of right Documents, of wrong ones, of any."""

    right: Neighbours
    wrong: Neighbours
    any: Neighbours


def _judged(file: Path, db: Database, stored: StoredCollection, split: str | None) -> list[Sought]:
    return [
        Sought(
            text=one.text,
            right=frozenset[int]().union(*one.documents),
            neither=one.not_counted,
            passage=_on_one_line(one.passage),
        )
        for one in read_questions(file, db, stored, split)
        if one.documents
    ]


def _clicked(file: Path, db: Database, stored: StoredCollection) -> list[Sought]:
    def ids(names: Iterable[str]) -> frozenset[int]:
        return frozenset(one.document_id for name in names for one in documents_meant(db, stored, name))

    made = []
    for query, (clicked, shown) in clicks(file).items():
        right = ids(clicked)
        made.append(Sought(text=query, right=right, wrong=ids(shown) - right))
    return made


def _near(
    record: CollectionVectors, db: Database, asked: Float32Matrix, sought: Sequence[Sought], depth: int
) -> list[Near]:
    """The nearest passages of each question, by one pass over the vectors of record."""
    own = [(_passages(db, one.right), _passages(db, one.wrong)) for one in sought]
    found: list[list[Near]] = [[] for _ in sought]
    for ids, vectors in record.blocks():
        block = ExactIndex(ids, vectors)
        everywhere = block.search(asked, depth, without=NONE)
        for at, (right, wrong) in enumerate(own):
            one = asked[at : at + 1]
            found[at].append(
                Near(
                    block.search(one, LOOKED_AT, without=NONE, allowed=right)[0],
                    block.search(one, depth, without=NONE, allowed=wrong)[0],
                    everywhere[at],
                )
            )
    return [
        Near(
            best_of([one.right for one in parts], LOOKED_AT),
            best_of([one.wrong for one in parts], depth),
            best_of([one.any for one in parts], depth),
        )
        for parts in found
    ]


def _passages(db: Database, documents: frozenset[int]) -> Int64Vector:
    return np.array(sorted(one for _, one in naming.passages_of(db, sorted(documents))), dtype=np.int64)


def _of_collection(db: Database, one: Sought, near: Near, making: Making) -> Example | None:
    """The row of a question; None where the right Documents have no text."""
    right = passages(db, near.right.ids.tolist())
    if not right:
        return None
    holding = [at for at, p in enumerate(right) if one.passage and one.passage in _on_one_line(p.text)]
    chosen = holding[0] if holding else 0
    positive = right[chosen].embedded_text
    limit = highest(float(near.right.scores[chosen]), making.below)
    negatives: dict[str, None] = {}
    for ids, scores in ((near.wrong.ids, near.wrong.scores), (near.any.ids, near.any.scores)):
        low = ids[scores <= limit].tolist()
        for passage in passages(db, low):
            if len(negatives) == making.negatives:
                break
            if passage.document_id not in one.right | one.neither and passage.embedded_text != positive:
                negatives[passage.embedded_text] = None
    ask, tell = making.instructions
    return _row(making, (ask, one.text), [(tell, positive)], [(tell, text) for text in negatives])


def _row(making: Making, query: Pair, positives: Sequence[Pair], negatives: Sequence[Pair] = ()) -> Example:
    return Example(
        query=query,
        positives=tuple(dict.fromkeys(positives)),
        negatives=tuple(dict.fromkeys(negatives)),
        task=making.task,
    )


def _texts(row: Row, column: str) -> tuple[str, ...]:
    """One text or a list of them; in a table, a cell that begins with a bracket is a JSON list."""
    value = row.value(column)
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise row.wrong(f"'{column}' begins as a JSON list and is none: {error}") from error
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one.strip() for one in values):
        raise row.wrong(f"'{column}' is {value!r}", "expected a text, or a list of texts")
    return tuple(values)


def _on_one_line(text: str) -> str:
    """How texts are compared: blanks and line breaks are written otherwise in every log."""
    return " ".join(text.split())


def _as_one(query: str) -> str:
    """How queries are compared: what people type differs in capitals and blanks."""
    return _on_one_line(query).casefold()


def _some(file: Path, made: list[Example]) -> list[Example]:
    if not made:
        raise DataInvalid(f"{file} holds no rows", remedy=f"expected {FORM}")
    return made
