"""The passages of a Collection labelled by a field of their Documents, as examples with stored vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from searchkit.analysis.classified_texts import (
    CONFLICTS_KEPT,
    SHOWN,
    Conflict,
    Labelled,
    NotOne,
    label_of,
    require_classes,
    require_directions,
)
from searchkit.analysis.texts import texts_of
from searchkit.errors import FilterInvalid, UsageError, near_names
from searchkit.library import collections as catalogue
from searchkit.library import documents
from searchkit.library.classifiers import Origin
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.filters import FIELDS, KIND, METADATA, METADATA_PREFIX, fold, metadata_names
from searchkit.profile import Profile


def read_collection(db: Database, collection: StoredCollection, field: str) -> Labelled:
    """The different texts of a Collection's passages, each labelled by a field of its Document.

    A text of several Documents is that of the first; where their labels differ, as under a footer, it says
    nothing of any and is left out. What stands in several Documents under other headings goes with the first
    of that label, too: it is never both learnt and asked.
    Raises: UsageError: there is nothing to learn. LibraryDamaged.
    """
    labels, unlabelled = _labels_of(db, collection, field)
    require_classes(list(labels.values()), field)
    held = texts_of(db, collection)
    require_directions(collection.name, held.vectors)
    kept: list[int] = []
    groups: list[int] = []
    own: list[str] = []
    first: dict[tuple[int, str], int] = {}  # Document by body and label
    repeated, conflicts = 0, []
    for row, places in enumerate(held.passages_by_row()):
        of = list(dict.fromkeys(held.document_ids[places].tolist()))
        found: dict[str, int] = {}
        for one in of:
            if one in labels:
                found.setdefault(labels[one], one)
        repeated += len(of) > 1
        if len(found) > 1:
            conflicts.append((int(held.passage_ids[places[0]]), tuple(found), tuple(found.values())))
        for label, document in found.items() if len(found) == 1 else ():
            kept.append(row)
            own.append(label)
            groups.append(first.setdefault((int(held.bodies[row]), label), document))
    return Labelled(
        vectors=np.asarray(held.vectors[kept]),
        labels=own,
        groups=np.array(groups, dtype=np.int64),
        origin=Origin(
            told=f"collection {collection.name}, field {field}",
            collection_id=collection.collection_id,
            passages=catalogue.count_passages(db, collection.collection_id),
            last_passage_id=catalogue.last_passage_id(db, collection.collection_id),
        ),
        profile=Profile.from_dict(collection.profile),
        recipe=collection.recipe,
        repeated=repeated,
        contradicting=len(conflicts),
        conflicts=_conflicts(db, conflicts),
        unlabelled=unlabelled,
    )


def _conflicts(
    db: Database, found: Sequence[tuple[int, tuple[str, ...], tuple[int, ...]]]
) -> tuple[Conflict, ...]:
    some = found[:CONFLICTS_KEPT]
    texts = {one.passage_id: one.text for one in documents.passages(db, [one[0] for one in some])}
    wanted = sorted({document for one in some for document in one[2]})
    rows = db.rows_among("SELECT document_id, name FROM documents WHERE document_id IN ({})", wanted)
    names: dict[int, str] = {document_id: name for document_id, name in rows}
    return tuple(
        Conflict(text=texts[passage], labels=labels, where=tuple(names[one] for one in of))
        for passage, labels, of in some
    )


def _labels_of(db: Database, collection: StoredCollection, field: str) -> tuple[dict[int, str], int]:
    """The label of each Document by its id, and how many have none, or several."""
    names, of_kind = _names_of(db, collection, field)
    rows = db.rows(
        """SELECT d.document_id, d.kind, d.metadata FROM documents d
           JOIN files f USING (file_id) JOIN sources s USING (source_id) WHERE s.collection_id = ?""",
        (collection.collection_id,),
    )
    if not rows:
        raise UsageError(
            f"collection '{collection.name}' has no documents",
            remedy="add files with: searchkit index FOLDER",
        )
    labels: dict[int, str] = {}
    for document_id, kind, metadata in rows:
        held = {fold(name): value for name, value in json.loads(metadata).items()} if names else {}
        value = kind if of_kind else next((held[name] for name in names if name in held), None)
        try:
            if (label := label_of(value)) is not None:
                labels[document_id] = label
        except NotOne:
            continue
    if not labels:
        raise UsageError(
            f"no document of '{collection.name}' has a single value in '{field}'",
            remedy="a document belongs to one class; name a field that has one value",
        )
    return labels, len(rows) - len(labels)


def _names_of(db: Database, collection: StoredCollection, field: str) -> tuple[tuple[str | None, ...], bool]:
    """Names in the metadata that a field means, folded, and whether it is the Document's kind."""
    bare = field.removeprefix(METADATA_PREFIX)
    known = metadata_names(db, collection.collection_id)
    if (own := FIELDS.get(field.casefold())) is not None and own.kind == KIND:
        return (), True
    wanted = own.source if own is not None and own.kind == METADATA else (bare,)
    names = tuple(fold(one) for one in wanted if not isinstance(wanted, str))
    if not {fold(one) for one in known} & set(names):
        raise FilterInvalid(
            f"no document of '{collection.name}' has a field '{field}'{near_names(bare, known)}",
            remedy=f"fields here: {', '.join(known[:SHOWN]) or 'none'}; front matter, properties and "
            "columns of tables are such",
        )
    return names, False
