"""Which Documents somebody means by a name, a path, or a Hit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from searchkit.errors import UsageError, near_names
from searchkit.library import collections as catalogue
from searchkit.library import naming
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.naming import NamedDocument
from searchkit.paths import names_of
from searchkit.records import Hit
from searchkit.settings import expanded

SHOWN = 10  # names of those that may be meant
COMPARED = 20_000  # names that one which does not exist is compared with: a second


def documents_meant(
    db: Database, collection: StoredCollection, asked: str | Path | Hit
) -> Sequence[NamedDocument]:
    """The Documents of one file that are meant, never none; several where a table or an archive is meant.

    asked: a name as Hits show it, the path of a file in one of the sources, the end of such a name where it
    is unique, or a Hit.
    Raises: UsageError: nothing is called so, or several files are.
    """
    if isinstance(asked, Hit):
        return [_of_hit(db, collection, asked)]
    name = str(asked)
    found = naming.documents_named(db, collection.collection_id, name)
    if not found:
        found = _at_path(db, collection, Path(os.path.abspath(expanded(name))))
    elif len(_places(found)) > 1:
        raise _ambiguous(name, (str(place) for place in _places(found)))
    if not found and (last := name.removeprefix("./").strip("/")):
        found = naming.documents_ending(db, collection.collection_id, last)
        if len(_places(found)) > 1:
            several = len({one.file for one in found}) < len(_places(found))
            raise _ambiguous(name, dict.fromkeys(str(one.path) if several else one.file for one in found))
    if not found:
        raise _unknown(db, collection, name)
    return found


def _of_hit(db: Database, collection: StoredCollection, hit: Hit) -> NamedDocument:
    found = naming.document_of(db, hit.passage_id)
    if found is None:
        raise gone(hit)
    if found.collection_id != collection.collection_id:
        raise UsageError(
            f"the hit '{hit.document}' is none of collection '{collection.name}'",
            remedy="ask the collection that it was found in, or name a document of this one",
        )
    return found


def gone(hit: Hit) -> UsageError:
    """What to say of a Hit whose Passage is not in the Library any more."""
    return UsageError(
        f"the passage of '{hit.document}' that was found has changed or gone since",
        remedy="ask again, and name one of the new hits",
    )


def _places(documents: Iterable[NamedDocument]) -> list[Path]:
    """Files that Documents come from, each once."""
    return list(dict.fromkeys(one.path for one in documents))


def _at_path(db: Database, collection: StoredCollection, path: Path) -> list[NamedDocument]:
    """Documents of a file, or one of them: '/docs/staff.csv#12'."""
    found: dict[int, NamedDocument] = {}
    for source in catalogue.sources(db, collection.collection_id):
        for name in names_of(source.root, path):
            for one in naming.documents_named(db, collection.collection_id, name):
                if one.source == source.root:
                    found[one.document_id] = one
    return list(found.values())


def _ambiguous(name: str, choices: Iterable[str]) -> UsageError:
    shown = list(choices)
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return UsageError(
        f"'{name}' may be any of {len(shown)} files", remedy=f"name one: {', '.join(shown[:SHOWN])}{more}"
    )


def _unknown(db: Database, collection: StoredCollection, name: str) -> UsageError:
    known = naming.file_names(db, collection.collection_id)
    if name in known:
        return UsageError(
            f"nothing of '{name}' is in collection '{collection.name}': it holds no text that could be read",
            remedy=f"see why with: searchkit index -c {collection.name}",
        )
    known = known[:COMPARED]
    near = near_names(name, known) or near_names(Path(name).name, {one.rsplit("/", 1)[-1] for one in known})
    return UsageError(
        f"no document of collection '{collection.name}' is called '{name}'{near}",
        remedy="name it as hits show it, or by the path of its file; "
        f"what is not indexed yet becomes so with: searchkit index PATH -c {collection.name}",
    )
