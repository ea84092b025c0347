"""The Library as its users hold it: index, query, show, remove, verify, rebuild.

Every call opens the database, does one thing and closes it; models stay loaded between calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from searchkit import settings
from searchkit.collection import hits as making
from searchkit.collection import recovery
from searchkit.collection.asking import Answer, answer, reranking_of
from searchkit.collection.choosing import chosen_or_default, named
from searchkit.collection.info import CollectionInfo, info_of
from searchkit.collection.models import OpenModels
from searchkit.collection.question import Options, Question, checked, collections_of, loaded
from searchkit.collection.snippet import Sentence, best_sentences
from searchkit.embedding.embedder import Embedder
from searchkit.errors import (
    CollectionNotFound,
    ModelError,
    RecipeMismatch,
    SearchkitError,
    UsageError,
)
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import fulltext
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database, exists
from searchkit.profile import Profile
from searchkit.records import Failure, Hit, IndexReport, QueryResult

if TYPE_CHECKING:
    from searchkit.collection.forgetting import Forgotten
    from searchkit.collection.index_pipeline import OnProgress
    from searchkit.collection.similar import Alike, SimilarOptions
    from searchkit.collection.unstored import Unstored
    from searchkit.documents.discover import Discovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for another process that writes, and whom to tell who it is."""

    wait_s: float = 0.0
    on_wait: Callable[[str], None] | None = None


NO_PATIENCE = Patience()


class Library:
    """A folder with one database, the truth, and snapshots of its Collections.

    folder: default $SEARCHKIT_LIBRARY, else ./indexes; made by the first `index`.
    open_model: how a model name becomes an Embedder; default open_embedder, in the runtime that suits.
    """

    def __init__(
        self, folder: str | Path | None = None, *, open_model: Callable[[str], Embedder] | None = None
    ) -> None:
        self.folder = Path(folder) if folder is not None else settings.library_folder()
        self._models = OpenModels(open_model)

    # ---------------------------------------------------------------- index

    def index(
        self,
        paths: Sequence[str | Path],
        *,
        profile: Profile | str | Path | None = None,
        collection: str | None = None,
        model: str | Path | None = None,
        patience: Patience = NO_PATIENCE,
        on_progress: OnProgress | None = None,
    ) -> IndexReport:
        """Add files and folders to a Collection, or refresh them.

        profile: name, file or Profile; default that of the Collection, else 'company-docs'.
        collection: default the Profile's name. model: default that of the Collection, else the embedded one.
        Raises: UsageError, RecipeMismatch, LibraryError, ModelError; single files never raise, they are
        in the report's `failed`.
        """
        from searchkit.collection import refresh, sources  # a query needs none of the readers of files

        started = time.perf_counter()
        roots = sources.absolute([paths] if isinstance(paths, (str, Path)) else paths)
        if not roots:
            raise UsageError("no path was given", remedy="name files or folders, or call refresh()")
        wanted = loaded(profile)
        if not exists(self.folder):  # a mistake must not leave an empty Library behind
            self._look(roots)
            self._models.embedder(refresh.place_of(model) or settings.DEFAULT_MODEL, None)
        with self.written(patience) as db:
            # Looked at under the lock: what another run added meanwhile would else seem to be gone.
            found = self._look(roots)
            run = refresh.prepare(db, wanted, collection, model, self._models.embedder)
            report = run.over(found, on_progress)
        return replace(report, took_s=round(time.perf_counter() - started, 3))

    def refresh(
        self,
        collection: str | None = None,
        *,
        patience: Patience = NO_PATIENCE,
        on_progress: OnProgress | None = None,
    ) -> list[IndexReport]:
        """Bring every source of one Collection, or of all, up to date with the files as they are now.

        One that cannot be refreshed, for its model is gone perhaps, says so in its report's `failed`.
        """
        Database.read(self.folder).close()  # says so when there is no Library, instead of making one
        with self.written(patience) as db:
            chosen = [named(db, collection)] if collection else catalogue.collections(db)
            if not chosen:
                raise CollectionNotFound(
                    f"the Library in {self.folder} has no collection",
                    remedy="make one with: searchkit index FOLDER",
                )
            return [self._refreshed(db, one, on_progress) for one in chosen]

    def _refreshed(self, db: Database, one: StoredCollection, on_progress: OnProgress | None) -> IndexReport:
        from searchkit.collection import refresh

        try:
            return refresh.prepare(db, None, one.name, None, self._models.embedder).over_all(on_progress)
        except (UsageError, ModelError, RecipeMismatch) as error:
            failure = Failure(document=one.name, reason=error.in_one_line)
            passages = catalogue.count_passages(db, one.collection_id)
            return IndexReport(collection=one.name, failed=(failure,), passages=passages)

    def _look(self, roots: Sequence[Path]) -> dict[Path, Discovery]:
        from searchkit.collection import sources

        found = {root: sources.look(root, self.folder) for root in roots}
        for root in roots:
            sources.require_files(root, found[root])
        return found

    def watch(
        self,
        collection: str | None = None,
        *,
        debounce_s: float = 0.5,
        patience: Patience = NO_PATIENCE,
        on_error: Callable[[SearchkitError], None] | None = None,
    ) -> Iterator[IndexReport]:
        """Refresh one Collection or all, and again whenever files of their sources change; never ends.

        Yields the report of every refresh that changed or says something new. debounce_s: how long files
        must be left alone. on_error: told when a refresh failed as a whole, which is tried again; without
        it such errors are raised. Raises: CollectionNotFound, LibraryError.
        """
        from searchkit.collection import watching

        return watching.watch(self, collection, debounce_s, patience, on_error or watching.raise_it)

    # ---------------------------------------------------------------- query

    def query(self, text: str, **asked: Unpack[Options]) -> QueryResult:
        """Find the passages that answer a query; what may be asked is in collection/question.py, Options.

        Raises: QueryInvalid, FilterInvalid, UsageError, CollectionNotFound, RecipeMismatch, LibraryError.
        """
        return self._answer(text, asked).result

    def query_with_sentences(self, text: str, **asked: Unpack[Options]) -> tuple[QueryResult, list[Sentence]]:
        """Like query, and for each Hit the sentence of its passage that answers best."""
        found = self._answer(text, asked)
        return found.result, best_sentences(found)

    def _answer(self, text: str, asked: Options) -> Answer:
        question = checked(Question(text=text, **asked))
        again = reranking_of(question, self._models)
        with Database.read(self.folder) as db:
            return answer(
                db,
                question,
                [partial(chosen_or_default, name=name) for name in collections_of(asked)],
                self._models,
                again,
            )

    def similar(
        self, document: str | Path | Hit, *, collection: str | None = None, **wanted: Unpack[SimilarOptions]
    ) -> QueryResult:
        """Find the Documents of a Collection that are most like one of them, by stored vectors alone.

        document: see collection/naming.py. Returns: a Hit for each Document; cosine is that of its best
        Passage, score the mean over the given Document's Passages of the best cosine to one of the other.
        Raises: UsageError: no Document, or several, are called so. CollectionNotFound, FilterInvalid.
        """
        return self._alike(document, collection, wanted).result

    def similar_with_sentences(
        self, document: str | Path | Hit, *, collection: str | None = None, **wanted: Unpack[SimilarOptions]
    ) -> tuple[QueryResult, list[Sentence]]:
        """Like similar, and for each Hit the sentence that shares most words with what it is like."""
        from searchkit.collection.similar import telling_sentences

        found = self._alike(document, collection, wanted)
        return found.result, telling_sentences(found)

    def _alike(self, document: str | Path | Hit, collection: str | None, wanted: SimilarOptions) -> Alike:
        from searchkit.collection.similar import Wanted, similar  # a query does not need it

        started = time.perf_counter()
        name = document.collection or None if collection is None and isinstance(document, Hit) else collection
        with Database.read(self.folder) as db, db.one_state():
            return similar(db, chosen_or_default(db, name), document, Wanted(**wanted), started=started)

    def open_models(self, on_open: Callable[[str], None], **asked: Unpack[Options]) -> None:
        """Open the models that queries so asked need; `on_open` is told of each. Raises: as query does."""
        with Database.read(self.folder) as db, db.one_state():
            chosen = [chosen_or_default(db, name) for name in collections_of(asked)]
        if asked.get("mode", "hybrid") in ("hybrid", "vector"):
            for one in chosen:
                model = str(asked.get("model") or one.model), one.recipe.get("precision")
                if not self._models.has(*model):
                    on_open(model[0])
                self._models.quick(*model)
        if (named := asked.get("rerank_model")) is not None and self._models.is_cross_encoder(str(named)):
            self._models.scorer(str(named))

    def with_context(self, hit: Hit, n: int) -> Hit:
        """A Hit with the texts of the n Passages before and after it. Raises: UsageError: it is gone."""
        with Database.read(self.folder) as db, db.one_state():
            return making.with_context(db, hit, n)

    def collections(self) -> list[CollectionInfo]:
        """All Collections, by name; none when there is no Library yet."""
        if not exists(self.folder):
            return []
        with Database.read(self.folder) as db, db.one_state():
            return [info_of(db, one) for one in catalogue.collections(db)]

    def show(self, collection: str | None = None) -> CollectionInfo:
        """One Collection: profile, model, recipe, sources, counts, snapshot."""
        with Database.read(self.folder) as db, db.one_state():
            return info_of(db, chosen_or_default(db, collection))

    def remove(
        self, collection: str, *, source: str | Path | None = None, patience: Patience = NO_PATIENCE
    ) -> int:
        """Delete a Collection, or one of its sources, from the Library; the files themselves stay.

        Returns: how many files it had.
        """
        from searchkit.collection import sources
        from searchkit.library import classifiers

        Database.read(self.folder).close()
        with self.written(patience) as db:
            chosen = named(db, collection)
            held = catalogue.sources(db, chosen.collection_id)
            gone = held if source is None else [sources.held_as(chosen.name, held, Path(source))]
            with db.transaction() as tx:
                if source is None:
                    catalogue.remove_collection(tx, chosen.collection_id)
                else:
                    catalogue.remove_source(tx, chosen.collection_id, gone[0].source_id)
                store.collect_garbage(tx, chosen.collection_id)
                classifiers.delete_outdated(tx, chosen.collection_id)
            if source is not None:
                recovery.publish_if_due(db, chosen)
            recovery.sweep(db)
            return sum(one.files for one in gone)

    def trained_from(self, collection: str) -> list[str]:
        """The names of the classifiers trained from a Collection, which go when it is removed."""
        from searchkit.library import classifiers

        with self.reading(collection) as (db, chosen):
            return classifiers.names_of(db, chosen.collection_id)

    def held(self, document: str, *, collection: str | None = None) -> tuple[tuple[str, ...], int]:
        """Which Collections hold a Document or file, and how many passages of it.

        document: its name as in Hits, the file's name, or a path. Raises: UsageError: there is no such.
        """
        from searchkit.collection import forgetting

        with Database.read(self.folder) as db, db.one_state():
            return forgetting.held(db, document, named(db, collection) if collection else None)

    def forget(
        self,
        document: str | None = None,
        *,
        collection: str | None = None,
        patience: Patience = NO_PATIENCE,
    ) -> Forgotten:
        """Erase a Document from one Collection or all, with every trace in the Library's files, and prove it.

        document: as for `held`; None to erase the traces of what was removed or changed before. The file
        itself stays, and is left out by later runs until `index` is given its very path.
        Raises: UsageError, LibraryBusy, LibraryNotWritable, LibraryDamaged: see collection/forgetting.py.
        """
        from searchkit.collection import forgetting

        Database.read(self.folder).close()
        with Database.write(
            self.folder, wait_s=patience.wait_s, on_wait=patience.on_wait, command=forgetting.COMMAND
        ) as db:
            only_there = named(db, collection) if collection else None
            return forgetting.forget(db, document, only_there, patience.wait_s)

    def verify(self, collection: str | None = None) -> list[str]:
        """Check the database and the snapshots against each other.

        Returns: problems, none when all is well.
        """
        from searchkit.collection import forgetting
        from searchkit.library import classifiers

        with Database.read(self.folder) as db, db.one_state():
            chosen = [named(db, collection)] if collection else catalogue.collections(db)
            found = db.problems() + fulltext.problems(db) + forgetting.problems(db)
            found += classifiers.problems(db)
            for one in chosen:
                found += [f"collection '{one.name}': {problem}" for problem in recovery.problems(db, one)]
            return found

    def rebuild(self, collection: str | None = None, *, patience: Patience = NO_PATIENCE) -> list[str]:
        """Write snapshots and full text anew from stored vectors and texts; nothing is embedded.

        Returns: names of the Collections done.
        """
        Database.read(self.folder).close()
        with self.written(patience) as db:
            chosen = [named(db, collection)] if collection else catalogue.collections(db)
            if collection is None or fulltext.problems(db):
                with db.transaction() as tx:
                    fulltext.rebuild(tx)
            for one in chosen:
                recovery.publish(db, one)
            recovery.sweep(db)
            return [one.name for one in chosen]

    # ---------------------------------------------------------------- for other parts

    @contextmanager
    def reading(self, collection: str | None = None) -> Iterator[tuple[Database, StoredCollection]]:
        """The database in one committed state, and a Collection of it; closed afterwards."""
        with Database.read(self.folder) as db, db.one_state():
            yield db, chosen_or_default(db, collection)

    @contextmanager
    def writing(
        self, collection: str | None = None, *, patience: Patience = NO_PATIENCE
    ) -> Iterator[tuple[Database, StoredCollection]]:
        """The database with its lock, and a Collection of it; closed afterwards. Raises: LibraryBusy."""
        Database.read(self.folder).close()
        with self.written(patience) as db:
            yield db, chosen_or_default(db, collection)

    def embedder(self, collection: StoredCollection) -> Embedder:
        """A Collection's model, open, in the precision of its vectors. Raises: ModelError."""
        return self._models.embedder(collection.model, collection.recipe.get("precision"))

    def opened(self, model: str, space: str | None) -> Embedder:
        """A model, its vectors of this precision class, None for any. Raises: ModelNotFound, ModelError."""
        return self._models.embedder(model, space)

    def beside(self, folder: Path) -> Library:
        """The Library in another folder, with the models that this one has open."""
        other = Library(folder)
        other._models = self._models
        return other

    def unstored(self, paths: Sequence[str | Path], collection: StoredCollection) -> Unstored:
        """Read, cut and embed files as for a Collection; nothing is stored. Raises: as read_unstored."""
        from searchkit.collection.unstored import read_unstored

        return read_unstored(paths, collection, self.embedder(collection), self.folder)

    def written(self, patience: Patience = NO_PATIENCE) -> Database:
        """The database with its lock, made where there is none, to be closed. Raises: LibraryBusy."""
        from searchkit.library import forgotten

        db = Database.write(self.folder, wait_s=patience.wait_s, on_wait=patience.on_wait)
        try:
            if forgotten.wishes(db):
                from searchkit.collection.forgetting import finish_pending

                finish_pending(db)
        except BaseException:
            db.close()
            raise
        return db
