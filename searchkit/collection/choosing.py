"""Which Collection is meant by a name, or by none."""

from __future__ import annotations

from searchkit import settings
from searchkit.errors import CollectionNotFound, near_names
from searchkit.library import collections as catalogue
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database


def named(db: Database, name: str) -> StoredCollection:
    """The Collection of that name. Raises: CollectionNotFound."""
    found = catalogue.collection_named(db, name)
    if found is None:
        known = [one.name for one in catalogue.collections(db)]
        raise CollectionNotFound(
            f"there is no collection '{name}'{near_names(name, known)}",
            remedy=f"there are: {', '.join(known) or 'none yet'}; "
            f"make one with: searchkit index FOLDER -c {name}",
        )
    return found


def chosen_or_default(db: Database, name: str | None) -> StoredCollection:
    """The Collection of that name; for None the only one, else company-docs. Raises: CollectionNotFound."""
    if name is not None:
        return named(db, name)
    known = catalogue.collections(db)
    for one in known:
        if len(known) == 1 or one.name == settings.DEFAULT_PROFILE:
            return one
    raise CollectionNotFound(
        f"the Library in {db.folder} has {len(known) or 'no'} collections and none was named",
        remedy=f"name one with -c: {', '.join(one.name for one in known)}"
        if known
        else "make one with: searchkit index FOLDER",
    )
