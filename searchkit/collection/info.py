"""What a user is told of a Collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from searchkit.library import collections as catalogue
from searchkit.library.collections import Counts, StoredCollection, StoredSnapshot, StoredSource
from searchkit.library.database import Database
from searchkit.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What the Library knows of one Collection."""

    name: str
    profile: Profile
    model: str
    recipe: Mapping[str, str]
    dim: int
    generation: int
    sources: tuple[StoredSource, ...]
    counts: Counts
    snapshot: StoredSnapshot | None


def info_of(db: Database, collection: StoredCollection) -> CollectionInfo:
    """Look it up."""
    return CollectionInfo(
        name=collection.name,
        profile=Profile.from_dict(collection.profile),
        model=collection.model,
        recipe=collection.recipe,
        dim=collection.dim,
        generation=collection.generation,
        sources=tuple(catalogue.sources(db, collection.collection_id)),
        counts=catalogue.counts(db, collection),
        snapshot=catalogue.snapshot(db, collection.collection_id),
    )
