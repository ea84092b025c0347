"""What a field says of each passage of a Collection: the fields and names that filters know, as values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from searchkit.library.database import Database
from searchkit.library.filter_grammar import fold
from searchkit.library.filters import FIELDS, METADATA_PREFIX, TIME, metadata_keys
from searchkit.records import JsonValue


def is_time(name: str) -> bool:
    """Whether a field's values are moments, in seconds since 1970."""
    return (field := FIELDS.get(name.lower())) is not None and field.kind == TIME


def values(db: Database, collection_id: int, name: str) -> dict[int, JsonValue]:
    """The value of a field by passage id; of a list its first member. Passages without a value are left out.

    Raises: FilterInvalid: no Document has such a field.
    """
    known = FIELDS.get(name.lower())
    if known is not None and isinstance(known.source, str):
        rows = db.rows(f"SELECT p.passage_id, {known.source} {_JOINED}", (collection_id,))
        return {passage_id: value for passage_id, value in rows if value not in (None, "")}
    if known is None:
        names: Sequence[str] = metadata_keys(db, collection_id, name.removeprefix(METADATA_PREFIX))
    else:
        names = known.source
    of_document = dict(_in_metadata(db, collection_id, names))
    rows = db.rows("SELECT passage_id, document_id FROM passages WHERE collection_id = ?", (collection_id,))
    return {passage_id: of_document[document] for passage_id, document in rows if document in of_document}


_JOINED = """FROM passages p JOIN documents d USING (document_id) JOIN files f USING (file_id)
             WHERE p.collection_id = ?"""


def _in_metadata(db: Database, collection_id: int, names: Sequence[str]) -> Iterator[tuple[int, JsonValue]]:
    """For each Document the value of the first of these names that it has one under."""
    rows = db.rows(
        """SELECT d.document_id, d.metadata FROM documents d JOIN files f USING (file_id)
           JOIN sources s USING (source_id) WHERE s.collection_id = ?""",
        (collection_id,),
    )
    wanted = [fold(one) for one in names]
    for document_id, metadata in rows:
        held: Mapping[str | None, Any] = {fold(key): value for key, value in json.loads(metadata).items()}
        for name in wanted:
            value = held.get(name)
            if isinstance(value, list):
                value = next((one for one in value if one not in (None, "")), None)
            if value not in (None, "", {}):
                yield document_id, value
                break
