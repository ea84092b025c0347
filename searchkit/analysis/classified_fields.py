"""The passages of a Collection labelled by a field of their Documents, as examples with stored vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchkit.analysis.classified_texts import (
    CONFLICTS_KEPT,
    SHOWN,
    Conflict,
    Labelled,
    require_classes,
    require_directions,
)
from searchkit.analysis.texts import texts_of
from searchkit.errors import FilterInvalid, UsageError, near_names
from searchkit.library import collections as catalogue
from searchkit.library import document_labels as labelling
from searchkit.library import documents
from searchkit.library.classifiers import Origin
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.document_labels import DocumentLabels
from searchkit.library.filter_grammar import fold
from searchkit.library.filters import FIELDS, KIND, METADATA, METADATA_PREFIX, metadata_names
from searchkit.profile import Profile


def read_collection(db: Database, collection: StoredCollection, field: str) -> Labelled:
    """The different texts of a Collection's passages, each labelled by a field of its Document.

    A text of several Documents is that of the first; where their labels differ, as under a footer, it says
    nothing of any and is left out. What stands in several Documents under other headings goes with the first
    of that label, too: it is never both learnt and asked.
    Raises: UsageError: there is nothing to learn. LibraryDamaged.
    """
    names = _names_of(db, collection, field)
    last_document_id = labelling.last_document_id(db, collection.collection_id)
    labelled = labelling.document_labels(db, collection.collection_id, names, last_document_id)
    labels = labelled.labels
    _require_labels(collection, labelled, field)
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
            names=names,
            last_document_id=last_document_id,
            labels=labelled.digest(),
        ),
        profile=Profile.from_dict(collection.profile),
        recipe=collection.recipe,
        repeated=repeated,
        contradicting=len(conflicts),
        conflicts=_conflicts(db, conflicts),
        unlabelled=labelled.unlabelled,
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


def _require_labels(collection: StoredCollection, labelled: DocumentLabels, field: str) -> None:
    if not (labelled.labels or labelled.unlabelled):
        raise UsageError(
            f"collection '{collection.name}' has no documents",
            remedy="add files with: searchkit index FOLDER",
        )
    if not labelled.labels:
        raise UsageError(
            f"no document of '{collection.name}' has a single value in '{field}'",
            remedy="a document belongs to one class; name a field that has one value",
        )


def _names_of(db: Database, collection: StoredCollection, field: str) -> tuple[str, ...]:
    """Names in the metadata that a field means, folded; none for the Document's kind.

    Raises: FilterInvalid: no Document has it, or it is no metadata.
    """
    bare = field.removeprefix(METADATA_PREFIX)
    own = FIELDS.get(field.casefold())
    if own is not None and own.kind == KIND:
        return ()
    known = metadata_names(db, collection.collection_id)
    here = f"fields here: type, {', '.join(known[:SHOWN]) or 'and no metadata'}"
    if own is not None and isinstance(own.source, str):
        raise FilterInvalid(
            f"'{field}' is no field to learn from: expected one of the documents' metadata, or 'type'",
            remedy=f"{here}; of the metadata it would be {METADATA_PREFIX}{bare}",
        )
    wanted = own.source if own is not None and own.kind == METADATA else (bare,)
    names = tuple(folded for one in wanted if (folded := fold(one)) is not None)
    if not {fold(one) for one in known} & set(names):
        raise FilterInvalid(
            f"no document of '{collection.name}' has a field '{field}'{near_names(bare, known)}",
            remedy=f"{here}; front matter, properties and columns of tables are metadata",
        )
    return names
