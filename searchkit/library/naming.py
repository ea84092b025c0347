"""Finds the Documents of a Collection by what people call them, and their Passages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from searchkit.library.database import Database
from searchkit.paths import path_of

_DOCUMENTS = """SELECT d.document_id, d.name, f.name, s.root, s.collection_id
    FROM sources s CROSS JOIN files f USING (source_id) CROSS JOIN documents d USING (file_id)
    WHERE s.collection_id = ?1"""


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A Document with the names that lead to it."""

    document_id: int
    name: str
    file: str  # the name of its file; the same for all rows of a table
    source: Path
    collection_id: int

    @property
    def path(self) -> Path:
        """Where its file lies."""
        return path_of(self.source, self.file)


def documents_named(db: Database, collection_id: int, name: str) -> list[NamedDocument]:
    """Documents of this name, or all those of a file of this name; by source and place in the file."""
    return _documents(db, collection_id, "(d.name = ?2 OR f.name = ?2)", name)


def documents_ending(db: Database, collection_id: int, last: str) -> list[NamedDocument]:
    """Those whose name, or that of their file, ends in '/' and `last`."""
    ends = "(substr(d.name, -length(?2)) = ?2 OR substr(f.name, -length(?2)) = ?2)"
    return _documents(db, collection_id, ends, f"/{last}")


def _documents(db: Database, collection_id: int, condition: str, name: str) -> list[NamedDocument]:
    rows = db.rows(f"{_DOCUMENTS} AND {condition} ORDER BY s.root, d.document_id", (collection_id, name))
    return [NamedDocument(row[0], row[1], row[2], Path(os.fsdecode(row[3])), row[4]) for row in rows]


def document_of(db: Database, passage_id: int) -> NamedDocument | None:
    """The Document that a Passage belongs to; None where the Passage is gone."""
    row = db.row(
        """SELECT d.document_id, d.name, f.name, s.root, s.collection_id
           FROM passages p JOIN documents d USING (document_id) JOIN files f USING (file_id)
           JOIN sources s USING (source_id) WHERE p.passage_id = ?""",
        (passage_id,),
    )
    return None if row is None else NamedDocument(row[0], row[1], row[2], Path(os.fsdecode(row[3])), row[4])


def file_names(db: Database, collection_id: int) -> list[str]:
    """Names of all files that were looked at, also of those that gave no Documents."""
    rows = db.rows(
        "SELECT f.name FROM sources s CROSS JOIN files f USING (source_id) WHERE s.collection_id = ?",
        (collection_id,),
    )
    return [row[0] for row in rows]


def passages_of(db: Database, document_ids: Sequence[int]) -> list[tuple[int, int]]:
    """(document id, passage id) of all Passages of Documents, in the order of the text of each."""
    return [
        (row[0], row[1])
        for row in sorted(
            db.rows_among(
                "SELECT document_id, passage_id, position FROM passages WHERE document_id IN ({})",
                document_ids,
            ),
            key=lambda row: (row[0], row[2]),
        )
    ]


def documents_of(db: Database, passage_ids: Sequence[int]) -> dict[int, int]:
    """The Document of each Passage, by id; Passages that are gone are left out."""
    rows = db.rows_among("SELECT passage_id, document_id FROM passages WHERE passage_id IN ({})", passage_ids)
    return {row[0]: row[1] for row in rows}


def names_of(db: Database, document_ids: Sequence[int]) -> dict[int, str]:
    """The names of Documents by id; those that are gone are left out."""
    rows = db.rows_among("SELECT document_id, name FROM documents WHERE document_id IN ({})", document_ids)
    return {row[0]: row[1] for row in rows}
