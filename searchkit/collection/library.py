"""The Library as its users hold it: index, query, show, remove, verify, rebuild.

Every call opens the database, does one thing and closes it; models stay loaded between calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchkit import settings
from searchkit.collection import query_pipeline, recipe, recovery, refresh, snippet, sources
from searchkit.collection.index_pipeline import Progress
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.errors import CollectionNotFound, UsageError, near_names
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library.collections import Counts, StoredCollection, StoredSnapshot, StoredSource
from searchkit.library.database import FILE_NAME, Database
from searchkit.profile import Profile
from searchkit.records import IndexReport, QueryResult

# Models of up to this many dimensions are small enough to read every sentence shown, on a CPU as well;
# for larger ones the sentence is chosen by its words.
LIGHT_DIM = 384


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


class Library:
    """A folder with one database, the truth, and snapshots of its Collections.

    folder: default $SEARCHKIT_LIBRARY, else ./indexes; made by the first `index`.
    open_model: how a model name becomes an Embedder; default open_embedder.
    """

    def __init__(
        self, folder: str | Path | None = None, *, open_model: Callable[[str], Embedder] = open_embedder
    ) -> None:
        self.folder = Path(folder) if folder is not None else settings.library_folder()
        self._open_model = open_model
        self._models: dict[str, Embedder] = {}

    # ---------------------------------------------------------------- index

    def index(
        self,
        paths: Sequence[str | Path],
        *,
        profile: Profile | str | Path | None = None,
        collection: str | None = None,
        model: str | Path | None = None,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> IndexReport:
        """Add files and folders to a Collection, or refresh them.

        profile: name, file or Profile; default that of the Collection, else 'company-docs'.
        collection: default the Profile's name. model: default that of the Collection, else the embedded one.
        Raises: UsageError, RecipeMismatch, LibraryError, ModelError; single files never raise, they are
        in the report's `failed`.
        """
        started = time.perf_counter()
        if isinstance(paths, (str, Path)):
            paths = [paths]
        roots = sources.resolved(paths)
        if not roots:
            raise UsageError("no path was given", remedy="name files or folders, or call refresh()")
        found = {root: sources.look(root, self.folder) for root in roots}
        for root in roots:
            sources.require_files(root, found[root])
        wanted = _profile(profile)
        with Database.write(self.folder, wait_s=wait_s, on_wait=on_wait) as db:
            run = refresh.prepare(db, wanted, collection, model, self._embedder)
            return run.over(roots, found, on_progress, started)

    def refresh(
        self,
        collection: str | None = None,
        *,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> list[IndexReport]:
        """Bring every source of one Collection, or of all, up to date with the files as they are now."""
        Database.read(self.folder).close()  # says so when there is no Library, instead of making one
        with Database.write(self.folder, wait_s=wait_s, on_wait=on_wait) as db:
            chosen = [self._named(db, collection)] if collection else catalogue.collections(db)
            if not chosen:
                raise CollectionNotFound(
                    f"the Library in {self.folder} has no collection",
                    remedy="make one with: searchkit index FOLDER",
                )
            return [
                refresh.prepare(db, None, one.name, None, self._embedder).over_all(
                    on_progress, time.perf_counter()
                )
                for one in chosen
            ]

    # ---------------------------------------------------------------- query

    def query(
        self,
        text: str,
        *,
        collection: str | None = None,
        k: int | None = None,
        profile: Profile | str | Path | None = None,
        model: str | Path | None = None,
    ) -> QueryResult:
        """Find the passages nearest to a query.

        collection: default the only one, or 'company-docs'. k: default the Profile's. profile: another
        query Instruction for the same stored vectors. model: must give the space they are in.
        Raises: QueryInvalid, CollectionNotFound, RecipeMismatch, LibraryError.
        """
        started = time.perf_counter()
        text = query_pipeline.checked_query(text)
        with Database.read(self.folder) as db:
            chosen = self._chosen(db, collection)
            asked = _profile(profile) or Profile.from_dict(chosen.profile)
            k = k if k is not None else asked.k
            if not 1 <= k <= query_pipeline.MAX_K:
                raise UsageError(f"k is {k}, expected 1 to {query_pipeline.MAX_K}", remedy="ask with: -k 10")
            embedder = self.embedder_for(chosen, asked, model)
            vector = embedder.embed([text], embedder.instruction_for(asked, "query"))[0]
            with db.one_state():
                opened, _ = recovery.open_snapshot(db, chosen)
                hits = query_pipeline.search(db, chosen, vector, k, opened)
        return QueryResult(
            query=text,
            collection=chosen.name,
            profile=asked.name,
            model=chosen.model,
            took_ms=round((time.perf_counter() - started) * 1000, 1),
            hits=tuple(hits),
        )

    def best_sentences(self, result: QueryResult) -> list[str]:
        """For each Hit the sentence of its passage that answers best, to show beside it."""
        if not result.hits:
            return []
        embedder = self._embedder(result.model)
        if embedder.device == "cpu" and embedder.dim > LIGHT_DIM:
            return snippet.overlapping_sentences(result.hits, result.query)
        profile = self.show(result.collection).profile
        query = embedder.embed([result.query], embedder.instruction_for(profile, "query"))[0]
        instruction = embedder.instruction_for(profile, "document")
        return snippet.best_sentences(result.hits, query, lambda some: embedder.embed(some, instruction))

    def embedder_for(
        self, collection: StoredCollection, profile: Profile, model: str | Path | None = None
    ) -> Embedder:
        """The Embedder of a Collection's space. Raises: RecipeMismatch naming what differs."""
        embedder = self._embedder(str(model) if model is not None else collection.model)
        recipe.require_same(
            collection.name,
            collection.recipe,
            recipe.recipe_of(embedder, profile),
            remedy=f"query it as it was indexed: leave out --model and --profile; or embed it anew under "
            f"another name: searchkit index FOLDER -c {collection.name}-2 --model {embedder.model}",
        )
        return embedder

    # ---------------------------------------------------------------- looking after it

    def collections(self) -> list[CollectionInfo]:
        """All Collections, by name; none when there is no Library yet."""
        if not (self.folder / FILE_NAME).is_file():
            return []
        with Database.read(self.folder) as db:
            return [_info(db, one) for one in catalogue.collections(db)]

    def show(self, collection: str | None = None) -> CollectionInfo:
        """One Collection: profile, model, recipe, sources, counts, snapshot."""
        with Database.read(self.folder) as db:
            return _info(db, self._chosen(db, collection))

    def remove(self, collection: str, *, source: str | Path | None = None) -> int:
        """Delete a Collection, or one of its sources, from the Library; the files themselves stay.

        Returns: how many files it had.
        """
        with Database.write(self.folder) as db:
            chosen = self._named(db, collection)
            held = catalogue.sources(db, chosen.collection_id)
            gone = held if source is None else [_source(chosen, held, Path(source))]
            with db.transaction() as tx:
                if source is None:
                    catalogue.remove_collection(tx, chosen.collection_id)
                else:
                    catalogue.remove_source(tx, chosen.collection_id, gone[0].source_id)
                store.collect_garbage(tx)
            if source is not None:
                recovery.publish_if_due(db, chosen)
            recovery.sweep(db)
            return sum(one.files for one in gone)

    def verify(self, collection: str | None = None) -> list[str]:
        """Check the database and the snapshots against each other.

        Returns: problems, none when all is well.
        """
        with Database.read(self.folder) as db, db.one_state():
            chosen = [self._named(db, collection)] if collection else catalogue.collections(db)
            found = db.problems()
            for one in chosen:
                found += recovery.problems(db, one)
            return found

    def rebuild(self, collection: str | None = None) -> list[str]:
        """Write snapshots anew from the vectors of record; nothing is embedded. Returns: names done."""
        Database.read(self.folder).close()
        with Database.write(self.folder) as db:
            chosen = [self._named(db, collection)] if collection else catalogue.collections(db)
            for one in chosen:
                recovery.publish(db, one)
            return [one.name for one in chosen]

    # ---------------------------------------------------------------- choosing

    def _embedder(self, model: str) -> Embedder:
        if model not in self._models:
            self._models[model] = self._open_model(model)
        return self._models[model]

    def _named(self, db: Database, name: str) -> StoredCollection:
        found = catalogue.collection_named(db, name)
        if found is None:
            known = [one.name for one in catalogue.collections(db)]
            raise CollectionNotFound(
                f"there is no collection '{name}'{near_names(name, known)}",
                remedy=f"there are: {', '.join(known) or 'none yet'}; "
                f"make one with: searchkit index FOLDER -c {name}",
            )
        return found

    def _chosen(self, db: Database, name: str | None) -> StoredCollection:
        if name is not None:
            return self._named(db, name)
        known = catalogue.collections(db)
        for one in known:
            if len(known) == 1 or one.name == settings.DEFAULT_PROFILE:
                return one
        raise CollectionNotFound(
            f"the Library in {self.folder} has {len(known) or 'no'} collections and none was named",
            remedy=f"name one with -c: {', '.join(one.name for one in known)}"
            if known
            else "make one with: searchkit index FOLDER",
        )


def _profile(profile: Profile | str | Path | None) -> Profile | None:
    return profile if profile is None or isinstance(profile, Profile) else Profile.load(profile)


def _info(db: Database, collection: StoredCollection) -> CollectionInfo:
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


def _source(collection: StoredCollection, held: Sequence[StoredSource], asked: Path) -> StoredSource:
    wanted = {asked.expanduser().absolute(), asked.expanduser().resolve()}
    for one in held:
        if one.root in wanted:
            return one
    raise UsageError(
        f"{asked} is no source of collection '{collection.name}'",
        remedy="its sources: " + ", ".join(str(one.root) for one in held),
    )
