"""Files, their Documents and Passages, and the texts that Passages share."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.library.database import Database, Transaction
from searchkit.records import Failure, Place
from searchkit.settings import VERSION

NOBODY = ""  # in place of the version that read a file: what is stored of it is to be read again


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A file as it was when it was read."""

    name: str
    size: int
    mtime_ns: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A FileState with its id, and what could not be read of it."""

    file_id: int
    state: FileState
    documents: int = 1
    failures: tuple[Failure, ...] = ()
    reader: str = VERSION  # version of searchkit that read it, or NOBODY


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A Passage to be stored; its text is already there, under its hash."""

    text_hash: bytes
    start: int
    end: int
    heading: str
    place: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A Document to be stored with its Passages."""

    name: str
    kind: str
    title: str
    metadata: Mapping[str, Any]
    passages: Sequence[PassageRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassage:
    """A Passage with everything a Hit shows."""

    passage_id: int
    document_id: int
    position: int  # within the Document
    document: str
    kind: str
    title: str
    metadata: Mapping[str, Any]
    source: Path
    heading: str
    start: int
    end: int
    page: int | None
    place: Place | None
    text: str
    context: str

    @property
    def embedded_text(self) -> str:
        """The text that was embedded: see Passage.embedded_text."""
        return f"{self.context}\n{self.text}" if self.context else self.text


def files_of(db: Database, source_id: int) -> dict[str, StoredFile]:
    """The files of a source by name."""
    rows = db.rows(
        """SELECT f.file_id, f.name, f.size, f.mtime_ns, f.sha256, f.failures, f.reader, count(d.document_id)
           FROM files f LEFT JOIN documents d USING (file_id) WHERE f.source_id = ? GROUP BY f.file_id""",
        (source_id,),
    )
    return {
        row[1]: StoredFile(
            file_id=row[0],
            state=FileState(name=row[1], size=row[2], mtime_ns=row[3], sha256=row[4]),
            failures=tuple(Failure(document=name, reason=reason) for name, reason in json.loads(row[5])),
            reader=row[6],
            documents=row[7],
        )
        for row in rows
    }


# -------------------------------------------------------------------- writing files


def put_file(
    tx: Transaction,
    collection_id: int,
    source_id: int,
    state: FileState,
    documents: Iterable[DocumentRow] | None,
    failures: Iterable[Failure],
) -> None:
    """Store a file with its Documents and what could not be read of it, or replace what is stored.

    documents: None where those that are stored stay as they are.

    A Passage whose text did not change keeps its id, so that an edit costs its own passages only, in
    the snapshot as in the model.
    """
    tx.run(
        """INSERT INTO files (source_id, name, size, mtime_ns, sha256, failures, reader)
           VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (source_id, name) DO UPDATE
           SET size = excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256,
               failures = excluded.failures, reader = excluded.reader""",
        (source_id, state.name, state.size, state.mtime_ns, state.sha256, _as_json(failures), VERSION),
    )
    file_id = tx.rows("SELECT file_id FROM files WHERE source_id = ? AND name = ?", (source_id, state.name))[
        0
    ][0]
    if documents is None:
        return
    before = {
        name: document_id
        for document_id, name in tx.rows(
            "SELECT document_id, name FROM documents WHERE file_id = ?", (file_id,)
        )
    }
    for document in documents:
        metadata = json.dumps(dict(document.metadata), ensure_ascii=False)
        fields = (document.kind, document.title, metadata.encode("utf-8", "replace").decode())
        document_id = before.pop(document.name, None)
        if document_id is None:
            document_id = tx.run(
                "INSERT INTO documents (file_id, name, kind, title, metadata) VALUES (?, ?, ?, ?, ?)",
                (file_id, document.name, *fields),
            )
        else:
            tx.run(
                "UPDATE documents SET kind = ?, title = ?, metadata = ? WHERE document_id = ?",
                (*fields, document_id),
            )
        _put_passages(tx, collection_id, document_id, document.passages)
    remove_documents(tx, before.values())


def _as_json(failures: Iterable[Failure]) -> str:
    return json.dumps([[failure.document, failure.reason] for failure in failures])


def _put_passages(tx: Transaction, collection_id: int, document_id: int, rows: Sequence[PassageRow]) -> None:
    kept: defaultdict[bytes, list[int]] = defaultdict(list)
    for passage_id, text_hash in tx.rows(
        """SELECT passage_id, hash FROM passages JOIN texts USING (text_id)
           WHERE document_id = ? ORDER BY position DESC""",
        (document_id,),
    ):
        kept[text_hash].append(passage_id)
    new, moved = [], []
    for position, row in enumerate(rows):
        fields = (position, row.start, row.end, row.heading, *_place_columns(row.place))
        if kept[row.text_hash]:
            moved.append((*fields, kept[row.text_hash].pop()))
        else:
            new.append((collection_id, document_id, *fields, row.text_hash))
    _remove_passages(tx, [passage_id for ids in kept.values() for passage_id in ids])
    tx.run_many(
        f"""UPDATE passages SET (position, start, "end", heading, {_PLACE}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            WHERE passage_id = ?""",
        moved,
    )
    tx.run_many(
        f"""INSERT INTO passages
              (collection_id, document_id, position, start, "end", heading, {_PLACE}, text_id)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT text_id FROM texts WHERE hash = ?))""",
        new,
    )


# `page` is that of the Place again, for filters.
_PLACE = "page, place_unit, place_first, place_last, place_sheet, place_last_sheet"


def _place_columns(place: Place | None) -> tuple[object, ...]:
    if place is None:
        return (None,) * 6
    sheets = (place.sheet or None, place.last_sheet or None)
    return (place.page, place.unit, place.first, place.last, *sheets)


def _place_of(columns: Sequence[Any]) -> Place | None:
    """The Place in the columns behind `page`; None for a Passage that has none, or not yet."""
    unit, first, last, sheet, last_sheet = columns
    if unit is None:
        return None
    return Place(unit=unit, first=first, last=last, sheet=sheet or "", last_sheet=last_sheet or "")


def _remove_passages(tx: Transaction, passage_ids: Iterable[int]) -> None:
    ids = [(passage_id,) for passage_id in passage_ids]
    tx.run_many(
        "INSERT INTO removals SELECT collection_id, passage_id FROM passages WHERE passage_id = ?", ids
    )
    tx.run_many(
        "INSERT OR IGNORE INTO loose_texts SELECT collection_id, text_id FROM passages WHERE passage_id = ?",
        ids,
    )
    tx.run_many("DELETE FROM passages WHERE passage_id = ?", ids)


def remove_documents(tx: Transaction, document_ids: Iterable[int]) -> None:
    """Delete Documents with their Passages; their texts are left to collect_garbage."""
    for document_id in document_ids:
        rows = tx.rows("SELECT passage_id FROM passages WHERE document_id = ?", (document_id,))
        _remove_passages(tx, [row[0] for row in rows])
        tx.run("DELETE FROM documents WHERE document_id = ?", (document_id,))


def remove_file(tx: Transaction, file_id: int) -> None:
    """Delete a file with its Documents and Passages."""
    rows = tx.rows("SELECT document_id FROM documents WHERE file_id = ?", (file_id,))
    remove_documents(tx, [row[0] for row in rows])
    tx.run("DELETE FROM files WHERE file_id = ?", (file_id,))


def move_file(tx: Transaction, file_id: int, source_id: int, state: FileState) -> None:
    """Give a file another name or source; its Documents follow, its Passages stay."""
    old = tx.rows("SELECT name FROM files WHERE file_id = ?", (file_id,))[0][0]
    tx.run(
        "UPDATE documents SET name = ? || substr(name, ?) WHERE file_id = ?",
        (state.name, len(old) + 1, file_id),
    )
    tx.run("UPDATE files SET source_id = ?, name = ? WHERE file_id = ?", (source_id, state.name, file_id))
    touch_file(tx, file_id, state)


def touch_file(tx: Transaction, file_id: int, state: FileState) -> None:
    """Note that a file's content was found unchanged under a new size or time stamp."""
    tx.run("UPDATE files SET size = ?, mtime_ns = ? WHERE file_id = ?", (state.size, state.mtime_ns, file_id))


# -------------------------------------------------------------------- texts


def put_texts(tx: Transaction, collection_id: int, texts: Sequence[tuple[bytes, str, str]]) -> None:
    """Store (hash, context, text) rows for a Collection; those already there are left.

    A text may be stored before the Passages that use it: it stays until that Collection's garbage is
    collected, which no run of another Collection does.
    """
    tx.run_many("INSERT OR IGNORE INTO texts (hash, context, text) VALUES (?, ?, ?)", texts)
    tx.run_many(
        "INSERT OR IGNORE INTO loose_texts SELECT ?, text_id FROM texts WHERE hash = ?",
        ((collection_id, row[0]) for row in texts),
    )


def collect_garbage(tx: Transaction, collection_id: int) -> None:
    """Delete what the Collection left behind: unused texts, and vectors no Collection of their recipe uses.

    Looks only at texts noted as loose for it, so that its cost follows what changed, not what is stored;
    a text that is loose for another Collection too is left to that one.
    """
    mine = """SELECT m.text_id FROM loose_texts m WHERE m.collection_id = ? AND NOT EXISTS (
                SELECT 1 FROM loose_texts o
                WHERE o.text_id = m.text_id AND o.collection_id <> m.collection_id)"""
    tx.run(
        f"""DELETE FROM vectors WHERE text_id IN ({mine}) AND NOT EXISTS (
              SELECT 1 FROM passages p JOIN collections c USING (collection_id)
              WHERE p.text_id = vectors.text_id AND c.recipe_id = vectors.recipe_id)""",
        (collection_id,),
    )
    unused = f"""SELECT text_id FROM texts WHERE text_id IN ({mine})
                 AND NOT EXISTS (SELECT 1 FROM passages p WHERE p.text_id = texts.text_id)"""
    gone = tx.rows(unused, (collection_id,))
    tx.run("DELETE FROM loose_texts WHERE collection_id = ?", (collection_id,))
    tx.run_many("DELETE FROM texts WHERE text_id = ?", gone)
    tx.run(
        """DELETE FROM recipes WHERE recipe_id NOT IN (SELECT recipe_id FROM collections)
           AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.recipe_id = recipes.recipe_id)"""
    )


# -------------------------------------------------------------------- reading passages


def passages(db: Database, passage_ids: Sequence[int]) -> list[StoredPassage]:
    """Passages by id, in the order asked; ids that are gone are left out."""
    rows = db.rows_among(
        f"""SELECT p.passage_id, p.document_id, p.position, d.name, d.kind, d.title, d.metadata, s.root,
                  p.heading, p.start, p."end", t.text, t.context, {_PLACE}
           FROM passages p JOIN documents d USING (document_id) JOIN files f USING (file_id)
           JOIN sources s USING (source_id) JOIN texts t USING (text_id) WHERE p.passage_id IN ({{}})""",
        passage_ids,
    )
    found = {
        row[0]: StoredPassage(
            passage_id=row[0],
            document_id=row[1],
            position=row[2],
            document=row[3],
            kind=row[4],
            title=row[5],
            metadata=json.loads(row[6]),
            source=Path(os.fsdecode(row[7])),
            heading=row[8],
            start=row[9],
            end=row[10],
            text=row[11],
            context=row[12],
            page=row[13],
            place=_place_of(row[14:]),
        )
        for row in rows
    }
    return [found[passage_id] for passage_id in passage_ids if passage_id in found]


def texts_around(db: Database, passage: StoredPassage, n: int) -> tuple[list[str], list[str]]:
    """Texts of the n passages before and of the n after one, in the Document's order."""
    rows = db.rows(
        """SELECT p.position, t.text FROM passages p JOIN texts t USING (text_id)
           WHERE p.document_id = ? AND p.position BETWEEN ? AND ? ORDER BY p.position""",
        (passage.document_id, passage.position - n, passage.position + n),
    )
    return (
        [text for position, text in rows if position < passage.position],
        [text for position, text in rows if position > passage.position],
    )
