"""Questions to a Collection, each with the Documents that answer it, read from a file.

A row: {question, documents: [name, ...]} or {question, document}; may have `passage` (a text that stands in
the passage that answers), `heading` (the last one above it), `kind` (of question, told apart in what is
shown; --self writes how it made each), `split`, and `answerable`: false for a question that the Collection
has no answer to, which names no document. JSONL, CSV or TSV; in a table several documents are a JSON list in
their cell. Documents are named as Hits name them, by path, or by the end of either.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.collection.naming import documents_meant
from searchkit.collection.query_pipeline import checked_query
from searchkit.errors import DataInvalid, QueryInvalid, UsageError
from searchkit.evaluation.rows import Row, rows_of, unique
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database

JUDGED = "judged"
COLUMNS = ("question", "documents", "document", "passage", "heading", "kind", "split", "answerable")
SEVERAL = ";|\n"  # between what may be several names, written into one
MISSPELT = 0.8  # likeness to a column's name from which on another one is taken for a slip
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and what answers it.

    documents: for each one that was named the ids of the Documents it means: several where a table was named,
    of which the first found counts; none: the Collection has no answer. names: what they are called.
    not_counted: ids of Documents that are neither right nor wrong.
    """

    text: str
    documents: tuple[frozenset[int], ...] = ()
    names: tuple[str, ...] = ()
    passage: str = ""
    heading: str = ""
    kind: str = JUDGED
    not_counted: frozenset[int] = frozenset()


def read_questions(
    file: Path, db: Database, collection: StoredCollection, split: str | None = None
) -> list[Question]:
    """The questions of a file, or of one split of it, in its order.

    Raises: UsageError: the file cannot be read, or has none of that split. DataInvalid: a row breaks the
    layout, names a document or a passage that is not there, or asks what another one asks; the message names
    the line.
    """
    rows = list(rows_of(file))
    for row in rows:
        _no_slips(row)
    unique([(row, row.name("id")) for row in rows if row.fields.get("id") is not None], "the id")
    texts = [_text(row) for row in rows]
    unique(list(zip(rows, texts, strict=True)), "the question")
    splits = {str(row.fields["split"]) for row in rows if row.fields.get("split") not in (None, "")}
    known: dict[str, tuple[str, frozenset[int]]] = {}
    chosen = [
        (row, _question(row, text, db, collection, known))
        for row, text in zip(rows, texts, strict=True)
        if split is None or str(row.fields.get("split")) == split
    ]
    _require_standing(chosen, db)
    found = [one for _, one in chosen]
    if not found:
        there = f"its splits are: {', '.join(sorted(splits))}" if splits else "no row names a split"
        raise (
            UsageError(f"{file} has no question of split '{split}'", remedy=there)
            if rows
            else DataInvalid(f"{file} holds no questions")
        )
    if not any(one.documents for one in found):
        raise DataInvalid(
            f"{file}: no question names a document", remedy='expected rows {"question", "documents": [...]}'
        )
    return found


def fingerprint_of(questions: Sequence[Question]) -> str:
    """SHA-256 of what is asked and what answers it, so that results of the same questions can be compared.

    Not of the documents' texts, which change while the questions stay.
    """
    parts = [[one.text, sorted(one.names), one.kind, one.passage, one.heading] for one in questions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def write_questions(questions: Sequence[Question], file: Path) -> None:
    """Write them as JSONL, to be looked through by a person. Raises: UsageError: that cannot be done."""
    lines = [
        json.dumps({"question": one.text, "documents": list(one.names), "kind": one.kind}, ensure_ascii=False)
        for one in questions
    ]
    try:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", remedy="name another file") from error


def _question(
    row: Row,
    text: str,
    db: Database,
    collection: StoredCollection,
    known: dict[str, tuple[str, frozenset[int]]],
) -> Question:
    asked = _names(row)
    if not _answerable(row):
        if asked:
            raise row.wrong("it is said to have no answer, and names documents", "leave out one of the two")
        return Question(text=text, kind=_optional(row, "kind") or JUDGED)
    if not asked:
        raise row.wrong(
            "it names no document",
            'expected "documents": ["name", ...], or "answerable": false where nothing answers it',
        )
    meant: dict[frozenset[int], str] = {}
    for name in asked:
        if name not in known:
            known[name] = _meant(row, name, db, collection)
        shown, ids = known[name]
        for other, other_name in meant.items():
            if ids & other:
                raise row.wrong(f"{other_name!r} and {name!r} are the same document", "name it once")
        meant[ids] = shown
    return Question(
        text=text,
        documents=tuple(meant),
        names=tuple(meant.values()),
        passage=_optional(row, "passage"),
        heading=_optional(row, "heading"),
        kind=_optional(row, "kind") or JUDGED,
    )


def names(question: Question, heading: str, text: str) -> bool:
    """Whether a question names the passage of this heading and text: blanks and case do not matter."""
    last = heading.rsplit(" > ", 1)[-1]
    return _plain(question.passage) in _plain(text) and (
        not question.heading or _plain(question.heading) in (_plain(last), _plain(heading))
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _require_standing(chosen: Sequence[tuple[Row, Question]], db: Database) -> None:
    """Raises: DataInvalid: no passage of the documents is the one that is named; it would never be found."""
    for row, one in chosen:
        if not (one.passage or one.heading):
            continue
        # (document, heading, text, where it begins and ends) in their order
        stored = db.rows_among(
            """SELECT p.document_id, p.heading, t.text, p.start, p."end" FROM passages p
               JOIN texts t USING (text_id) WHERE p.document_id IN ({}) ORDER BY p.document_id, p.position""",
            sorted(frozenset[int]().union(*one.documents)),
        )
        if any(names(one, heading, text) for _, heading, text, *_ in stored):
            continue
        where = ", ".join(one.names)
        if not one.passage or not any(_plain(one.passage) in _plain(text) for _, _, text, *_ in stored):
            whole = bool(one.passage) and _plain(one.passage) in _plain(_joined(stored))
            what = "passage" if one.passage else "heading"
            raise row.wrong(
                f"the {what} stands in no passage of {where}" + (", but across two of them" if whole else ""),
                "name the part that stands in one of them: see them with: searchkit query"
                if whole
                else f"expected a {what} as it stands in the document; or leave '{what}' out",
            )
        above = dict.fromkeys(h for _, h, text, *_ in stored if _plain(one.passage) in _plain(text))
        raise row.wrong(
            f"the passage stands in {where}, and not under the heading {one.heading!r}",
            f"it stands under: {', '.join(map(repr, above))}",
        )


def _joined(stored: Sequence[tuple[Any, ...]]) -> str:
    """Passages one after the other, what two of them share once."""
    parts, document, ended = [], None, 0
    for here, _, text, start, end in stored:
        parts.append(text[max(0, ended - start) :] if here == document else text)
        document, ended = here, end
    return " ".join(parts)


def _meant(row: Row, name: str, db: Database, collection: StoredCollection) -> tuple[str, frozenset[int]]:
    try:
        found = documents_meant(db, collection, name)
    except UsageError as error:
        several = any(mark in name for mark in SEVERAL)
        listed = 'several documents are a JSON list: ["a.md", "b.md"]'
        raise row.wrong(error.message, listed if several else error.remedy) from error
    shown = found[0].name if len(found) == 1 else found[0].file
    return shown, frozenset(one.document_id for one in found)


def _text(row: Row) -> str:
    if row.fields.get("question") is None:
        there = ", ".join(map(repr, row.fields)) or "no fields"
        raise row.wrong(
            f"there is no 'question'; the row has {there}",
            'expected {"question": "...", "documents": ["name", ...]}',
        )
    text = row.text("question")
    try:
        return checked_query(text)
    except QueryInvalid as error:
        raise row.wrong(error.message, error.remedy) from error


def _names(row: Row) -> list[str]:
    """The documents that a row names; `document` may say again one of `documents`."""
    found: list[str] = []
    for column in ("documents", "document"):
        value = row.fields.get(column)
        if isinstance(value, str) and value.strip().startswith("["):
            value = _list(row, column, value)
        if value is None or value == "" or value == []:
            continue
        values = value if isinstance(value, list) else [value]
        for one in values:
            if not isinstance(one, str) or not one.strip():
                raise row.wrong(f"'{column}' holds {one!r}, expected names of documents")
            if values.count(one) > 1:
                raise row.wrong(f"{one!r} is named twice", "name it once")
        found += [one for one in values if one not in found]
    return found


def _list(row: Row, column: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise row.wrong(
            f"'{column}' begins as a JSON list and is none: {error}", 'expected ["a.md", "b.md"] or a name'
        ) from error


def _answerable(row: Row) -> bool:
    value = row.fields.get("answerable")
    if value is None or value == "":
        return True
    truth = _TRUTHS.get(str(value).strip().lower())
    if truth is None:
        raise row.wrong(f"'answerable' is {value!r}, expected true or false")
    return truth


def _optional(row: Row, column: str) -> str:
    value = row.fields.get(column)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise row.wrong(f"'{column}' is {value!r}, expected a text")
    return value


def _no_slips(row: Row) -> None:
    """Other columns than ours are a user's own; one that is nearly ours would be passed over in silence."""
    fields: Mapping[str, Any] = row.fields
    for name in fields:
        if name not in COLUMNS and (near := difflib.get_close_matches(name, COLUMNS, 1, MISSPELT)):
            raise row.wrong(
                f"there is no column '{name}'; '{near[0]}' is meant, perhaps",
                f"expected {', '.join(COLUMNS)}; columns of your own need names less like these",
            )
