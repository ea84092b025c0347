"""The label of each Document of a Collection: the one value that it has in a field of its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchkit.library.database import Database, Transaction
from searchkit.library.filter_grammar import fold


class NotOne(Exception):
    """A value is no single label; says what was found."""


@dataclass(frozen=True, slots=True)
class DocumentLabels:
    """Labels by the Document's id, and how many Documents have none, or several values in the field."""

    labels: Mapping[int, str]
    unlabelled: int

    def digest(self) -> bytes:
        """What changes with any label."""
        pairs = json.dumps(sorted(self.labels.items()))
        return hashlib.sha256(pairs.encode()).digest()


def document_labels(
    db: Database | Transaction, collection_id: int, names: Sequence[str], last_document_id: int
) -> DocumentLabels:
    """The labels of a Collection's Documents up to an id.

    names: in the metadata, folded, of which the first that a Document has counts; none for its kind.
    """
    rows = db.rows(
        """SELECT d.document_id, d.kind, d.metadata FROM documents d
           JOIN files f USING (file_id) JOIN sources s USING (source_id)
           WHERE s.collection_id = ? AND d.document_id <= ?""",
        (collection_id, last_document_id),
    )
    labels: dict[int, str] = {}
    for document_id, kind, metadata in rows:
        held = {fold(name): value for name, value in json.loads(metadata).items()} if names else {}
        value = next((held[name] for name in names if name in held), None) if names else kind
        try:
            if (label := label_of(value)) is not None:
                labels[document_id] = label
        except NotOne:
            continue
    return DocumentLabels(labels, len(rows) - len(labels))


def last_document_id(db: Database, collection_id: int) -> int:
    """The largest id of a Collection's Documents; 0 where it has none."""
    rows = db.rows(
        """SELECT max(d.document_id) FROM documents d
           JOIN files f USING (file_id) JOIN sources s USING (source_id) WHERE s.collection_id = ?""",
        (collection_id,),
    )
    return int(rows[0][0] or 0)


def label_of(value: Any) -> str | None:
    """A value as a label: numbers and truth values as JSON writes them, of a list its only member.

    Returns: None where there is none. Raises: NotOne: there are several, or it is no plain value.
    """
    if isinstance(value, list):
        members = {one for one in map(label_of, value) if one is not None}
        if len(members) > 1:
            raise NotOne(f"has {len(members)} labels, expected one: a text belongs to one class")
        return next(iter(members), None)
    if isinstance(value, Mapping):
        raise NotOne("has an object as its label, expected a text")
    if value is None or value != value:  # NaN
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split()) or None
