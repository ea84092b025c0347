"""All Documents and Passages of a Collection, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from searchkit.library.database import Database


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A Document as the Library keeps it, without its text."""

    document_id: int
    name: str
    file: str  # the name of its file; the same for all rows of a table
    source_id: int
    kind: str
    title: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What is embedded of a Passage, and what stands above it."""

    passage_id: int
    document_id: int
    heading: str
    context: str
    text: str


def documents_of(db: Database, collection_id: int) -> Iterator[StoredDocument]:
    """The Documents, by id."""
    for row in db.scan(
        """SELECT d.document_id, d.name, f.name, f.source_id, d.kind, d.title, d.metadata
           FROM sources s CROSS JOIN files f USING (source_id) CROSS JOIN documents d USING (file_id)
           WHERE s.collection_id = ? ORDER BY d.document_id""",
        (collection_id,),
    ):
        yield StoredDocument(row[0], row[1], row[2], row[3], row[4], row[5], json.loads(row[6]))


def contents_of(db: Database, collection_id: int) -> Iterator[Content]:
    """What the Passages hold, by their ids."""
    for row in db.scan(
        """SELECT p.passage_id, p.document_id, p.heading, t.context, t.text
           FROM passages p JOIN texts t USING (text_id) WHERE p.collection_id = ? ORDER BY p.passage_id""",
        (collection_id,),
    ):
        yield Content(*row)
