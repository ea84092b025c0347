"""One `index` run over one Collection: settle profile, model and recipe, go through its sources, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from searchkit import settings
from searchkit.collection import recipe, recovery, relevance, sources
from searchkit.collection.index_pipeline import IndexPipeline, OnProgress
from searchkit.collection.left_out import LeftOut, let_back
from searchkit.collection.plan import make_plan
from searchkit.documents.discover import Discovery
from searchkit.documents.load import sha256_of
from searchkit.embedding.embedder import Embedder
from searchkit.embedding.sources import is_default
from searchkit.errors import UsageError
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import forgotten
from searchkit.library.collections import StoredCollection, StoredSource
from searchkit.library.database import Database
from searchkit.profile import Profile
from searchkit.records import Failure, IndexReport
from searchkit.settings import expanded

# A model by its name, and the precision class of the vectors it has to be comparable with; None for any.
OpenModel: TypeAlias = Callable[[str, str | None], Embedder]


@dataclass(frozen=True, kw_only=True)  # no slots: what is left out is looked up once
class Run:
    """An open Library, a Collection, and the way to its model."""

    db: Database
    collection: StoredCollection
    open_model: Callable[[], Embedder]  # checked against the recipe when it is called
    notices: tuple[str, ...] = ()
    model_named: bool = False  # by the user: then it is opened, and what it is given looked at, in any case

    @cached_property
    def embedder(self) -> Embedder:
        """The model, opened by whoever needs it first."""
        return self.open_model()

    def over(self, found: Mapping[Path, Discovery], on_progress: OnProgress | None) -> IndexReport:
        """Add or refresh the roots that were looked at."""
        started = time.perf_counter()
        notices = let_back(self.db, self.collection.collection_id, found)
        held = catalogue.sources(self.db, self.collection.collection_id)
        settled = {root: sources.enclosing(root, held, self.collection.name) for root in found}
        pipeline = self._pipeline(on_progress)
        done: set[int] = set()
        for root, source in settled.items():
            if source is None:
                with self.db.transaction() as tx:
                    source_id = catalogue.add_source(tx, self.collection.collection_id, root)
                self._bring_up_to_date(pipeline, source_id, root, found[root])
            elif source.source_id not in done:  # a part may have been named: its whole source is looked at
                done.add(source.source_id)
                whole = found[root] if source.root == root else sources.look(source.root, self.db.folder)
                self._bring_up_to_date(pipeline, source.source_id, source.root, whole)
        return self._finish(pipeline, started, notices)

    def over_all(self, on_progress: OnProgress | None) -> IndexReport:
        """Refresh every source of the Collection; one that has gone keeps what was indexed from it."""
        started = time.perf_counter()
        pipeline = self._pipeline(on_progress)
        for source in catalogue.sources(self.db, self.collection.collection_id):
            try:
                found = _present(source, self.db.folder)
            except UsageError as error:
                pipeline.tally.unchanged += source.files
                remedy = f"searchkit remove {self.collection.name} --source {source.root}"
                reason = f"{error.message}; the {source.files} files indexed from it are kept; else: {remedy}"
                pipeline.tally.failed.append(Failure(document=str(source.root), reason=reason))
            else:
                self._bring_up_to_date(pipeline, source.source_id, source.root, found)
        return self._finish(pipeline, started)

    def _pipeline(self, on_progress: OnProgress | None) -> IndexPipeline:
        return IndexPipeline(self.db, self.collection, lambda: self.embedder, on_progress)

    @cached_property
    def _left_out(self) -> LeftOut:
        return LeftOut(forgotten.marks(self.db, self.collection.collection_id))

    def _bring_up_to_date(
        self, pipeline: IndexPipeline, source_id: int, root: Path, found: Discovery
    ) -> None:
        unseen = {failure.document for failure in found.failures}
        stored = store.files_of(self.db, source_id)
        files = self._left_out.sifted(root, found.files, stored)
        plan = make_plan(files, stored, sha256_of, unseen=unseen)
        pipeline.tally.failed += found.failures
        if found.own:
            pipeline.tally.notices.append(f"left out {sources.own_pages(found.own)}")
        pipeline.carry_out(source_id, plan, self._left_out.takes_of(root))

    def _finish(self, pipeline: IndexPipeline, started: float, notices: tuple[str, ...] = ()) -> IndexReport:
        with self.db.transaction() as tx:
            store.collect_garbage(tx, self.collection.collection_id)
        recovery.publish_if_due(self.db, self.collection)
        self._calibrate()
        recovery.sweep(self.db)
        tally = pipeline.tally
        notices = self.notices + notices + self._left_out.notices() + tuple(tally.notices)
        if tally.border_merges:
            notices += (
                f"in {tally.border_merges:,} texts the end of the Instruction melts into one token with the "
                "start of the text, so that its mask is off by a token: end the Instruction with ': '",
            )
        return IndexReport(
            collection=self.collection.name,
            added=tally.added,
            changed=tally.changed,
            moved=tally.moved,
            removed=tally.removed,
            unchanged=tally.unchanged,
            failed=tuple(tally.failed),
            passages=catalogue.count_passages(self.db, self.collection.collection_id),
            embedded=tally.embedded,
            reused=tally.passages_read - tally.embedded,
            truncated=tally.truncated,
            took_s=round(time.perf_counter() - started, 3),
            notices=notices,
        )

    def _calibrate(self) -> None:
        """Ask the unrelated questions that relevance is measured against, where that is due."""
        now = catalogue.collection_named(self.db, self.collection.name)
        if now is None:
            return
        profile = Profile.from_dict(now.profile)
        is_open = self.model_named or "embedder" in vars(self)  # to open it costs more than the rest of a run
        given = self.embedder.instruction_for(profile, "query") if is_open else None
        if not relevance.is_due(self.db, now, given):
            return
        instruction = self.embedder.instruction_for(profile, "query")
        questions = self.embedder.embed(relevance.probes(), instruction)
        snapshot = recovery.open_snapshot(self.db, now)
        found = relevance.calibrate(self.db, now, instruction, questions, snapshot)
        with self.db.transaction() as tx:
            catalogue.put_calibration(tx, now.collection_id, found)


def prepare(
    db: Database,
    profile: Profile | None,
    name: str | None,
    model: str | Path | None,
    open_model: OpenModel,
) -> Run:
    """Find or make the Collection; its model is opened only where it is needed to tell that it fits.

    Raises: RecipeMismatch: the model or the document Instruction differs from what is stored.
    UsageError: the Profile cuts Documents in another way than the stored one.
    """
    stored = catalogue.collection_named(db, name) if name else None
    if stored is None:
        profile = profile or Profile.load(settings.DEFAULT_PROFILE)
        stored = catalogue.collection_named(db, name or profile.name)
    if stored is not None:
        run = _prepare_stored(db, stored, profile, place_of(model) or stored.model, open_model)
        return replace(run, model_named=model is not None)
    assert profile is not None  # loaded above, as nothing is stored
    place = place_of(model) or settings.DEFAULT_MODEL
    embedder = open_model(place, None)
    fields = recipe.recipe_of(embedder, profile)
    collection = _add(db, name or profile.name, profile, place, fields, embedder.dim)
    notices = embedder.notices_for(profile)
    return Run(db=db, collection=collection, open_model=lambda: embedder, notices=notices)


def _prepare_stored(
    db: Database,
    stored: StoredCollection,
    profile: Profile | None,
    place: str,
    open_model: OpenModel,
) -> Run:
    before = Profile.from_dict(stored.profile)
    wanted = profile or before
    remedy = f"index under another name: -c {stored.name}-2; or start anew: searchkit remove {stored.name}"

    def open_checked() -> Embedder:
        embedder = open_model(place, stored.recipe.get("precision"))
        recipe.require_same(stored.name, stored.recipe, recipe.recipe_of(embedder, wanted), remedy=remedy)
        return embedder

    if (before, stored.model) != (wanted, place):
        open_checked()
        if before.chunking != wanted.chunking:
            raise UsageError(
                f"collection '{stored.name}' was cut with {before.chunking}, "
                f"the profile says {wanted.chunking}",
                remedy=remedy,
            )
        with db.transaction() as tx:  # the query side, defaults, the model's place: free to change
            catalogue.update_collection(tx, stored.collection_id, wanted.to_dict(), place)
    return Run(db=db, collection=stored, open_model=open_checked)


def _add(
    db: Database, name: str, profile: Profile, model: str, fields: Mapping[str, str], dim: int
) -> StoredCollection:
    if not name.strip() or any(ord(character) < 32 for character in name):
        raise UsageError(f"{name!r} cannot name a collection", remedy="give it a name: -c NAME")
    with db.transaction() as tx:
        recipe_id = catalogue.put_recipe(tx, fields, dim)
        catalogue.add_collection(tx, name, profile.to_dict(), model, recipe_id)
    stored = catalogue.collection_named(db, name)
    assert stored is not None
    return stored


def place_of(model: str | Path | None) -> str | None:
    """A model's name, or its folder's absolute path: a Library is used from other working folders too."""
    if model is None:
        return None
    folder = expanded(model)
    return str(folder.resolve()) if folder.is_dir() and not is_default(model) else str(model)


def _present(source: StoredSource, library: Path) -> Discovery:
    """What is found under a source now. Raises: UsageError: it is not there, or has become empty."""
    if (problem := sources.missing(source.root)) is not None:
        raise UsageError(problem)
    found = sources.look(source.root, library)
    if source.files and not found.files:
        reasons = [failure.reason for failure in found.failures]
        raise UsageError(reasons[0] if reasons else "it holds no document any more")
    return found
