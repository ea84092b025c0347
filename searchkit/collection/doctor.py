"""Looks a Library over: is it whole, is it found what should be found, do its models still give its vectors?

The database is read in one committed state, which is closed before a model is opened or embeds.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.collection import forgetting, recovery, relevance
from searchkit.collection.checks import Canaries, Check, Status, Subject, anew, guarded, of_model
from searchkit.collection.choosing import named
from searchkit.errors import LibraryError
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import fulltext, twin
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database, exists
from searchkit.library.vectors import CollectionVectors
from searchkit.library.versions import sqlite_version
from searchkit.settings import VERSION
from searchkit.vector_index.promise import QUESTION_COSINE, stand_ins
from searchkit.vector_index.protocol import IVF, PROMISED_AT, Neighbours

if TYPE_CHECKING:
    from searchkit.collection.library import Library

CANARIES = 32  # passages of a Collection that are embedded again
QUESTIONS = 64  # that the snapshot and an exact scan are asked
SEED = 7  # the same Library gives the same answer
TIED = 1e-6  # equal vectors are equally right
BADLY = 0.9  # of the promised recall: below, answers are missed that a person would miss
LOG_BYTES = 32 << 20  # SQLite moves its log into the database at 1,000 pages of 32 KiB

REQUIRED = ("numpy", "faiss-cpu", "onnxruntime", "tokenizers")
USED_WHERE_INSTALLED = ("torch", "transformers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks of a Library, those of the Library as a whole first."""

    library: Path
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """The worst of them."""
        found = {check.status for check in self.checks}
        return "fail" if "fail" in found else "warn" if "warn" in found else "ok"


def examine(library: Library, collection: str | None = None) -> Report:
    """Look over a Library and one of its Collections, or all.

    A check that cannot be carried out fails, and the others go on. Raises: CollectionNotFound.
    """
    checks = [guarded("versions", "", _versions)]
    found: list[Subject] = []
    try:
        if not exists(library.folder):
            raise LibraryError(
                f"there is no Library in {library.folder}",
                remedy="make one with: searchkit index FOLDER; or name another: --library DIR",
            )
        with Database.read(library.folder) as db, db.one_state():
            chosen = [named(db, collection)] if collection else catalogue.collections(db)
            checks += _of_library(db, chosen)
            for one in chosen:
                checks += _of_stored(db, one)
                found.append(_subject(db, one))
    except LibraryError as error:
        checks.append(
            Check(
                name="library", status="fail", found=error.message, expected="a Library", remedy=error.remedy
            )
        )
    for subject in found:
        checks += of_model(subject, partial(library.embedder, subject.collection))
    names = [subject.collection.name for subject in found]
    checks.sort(key=lambda check: names.index(check.collection) if check.collection in names else -1)
    return Report(library=library.folder, checks=tuple(checks))


# -------------------------------------------------------------------- the Library as a whole


def _of_library(db: Database, chosen: list[StoredCollection]) -> Iterator[Check]:
    yield guarded("database", "", lambda: _database(db))
    yield guarded("space", "", lambda: _space(db))
    if left := twin.left_behind(db.folder):
        yield Check(
            name="copies",
            status="warn",
            found=f"{', '.join(map(str, left))}: left by an 'eval --self' that was killed, with texts",
            expected="none",
            remedy="delete it with: searchkit forget",
        )
    if not chosen:
        yield Check(
            name="collections",
            status="warn",
            found=f"the Library in {db.folder} has no collection",
            expected="one or more",
            remedy="make one with: searchkit index FOLDER",
        )


def _versions() -> Check:
    versions = {"searchkit": VERSION, "python": platform.python_version(), "sqlite": sqlite_version()}
    missing = []
    for name in (*REQUIRED, *USED_WHERE_INSTALLED):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in REQUIRED:
                missing.append(name)
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    if missing:
        return Check(
            name="versions",
            status="fail",
            found=f"{shown}; not installed: {', '.join(missing)}",
            expected="everything that searchkit needs",
            remedy="pip install --upgrade searchkit",
            facts=versions,
        )
    return Check(name="versions", status="ok", found=shown, facts=versions)


def _database(db: Database) -> Check:
    problems = db.problems() + fulltext.problems(db) + forgetting.problems(db)
    if not problems:
        found = "SQLite's own checks, full text and forgetting: nothing wrong"
        return Check(name="database", status="ok", found=found)
    return Check(
        name="database",
        status="fail",
        found="; ".join(problems),
        expected="a database that SQLite finds whole",
        remedy="words are indexed anew by: searchkit rebuild; what was interrupted goes on by: searchkit "
        "forget; else move the Library away and index again",
    )


def _space(db: Database) -> Check:
    """Room for what looks after a Library: snapshots written anew, the database written anew."""
    snapshots = sum(
        one.size
        for one in (catalogue.snapshot(db, c.collection_id) for c in catalogue.collections(db))
        if one
    )
    rebuild = snapshots + LOG_BYTES
    free = shutil.disk_usage(db.folder).free
    tight = [
        (folders, wanted, there)
        for folders, wanted, there in forgetting.space_for_forgetting(db)
        if there < wanted
    ]
    facts = {"free": float(free), "rebuild": float(rebuild)}
    found = f"{free / 1e6:,.0f} MB free in {db.folder}"
    if free < rebuild:
        return Check(
            name="space",
            status="fail",
            found=found,
            expected=f"{rebuild / 1e6:,.0f} MB, to write the log and all snapshots anew",
            remedy="free space there; the next index run may fail, queries do not",
            facts=facts,
        )
    if tight:
        folders, wanted, there = tight[0]
        return Check(
            name="space",
            status="warn",
            found=f"{there / 1e6:,.0f} MB free in {' and '.join(map(str, folders))}",
            expected=f"{wanted / 1e6:,.0f} MB, for a while, to forget a document",
            remedy="free space there before: searchkit forget",
            facts=facts,
        )
    return Check(name="space", status="ok", found=found, facts=facts)


# -------------------------------------------------------------------- what is stored of a Collection


def _of_stored(db: Database, one: StoredCollection) -> Iterator[Check]:
    yield guarded("stored", one.name, lambda: _stored(db, one))
    yield guarded("snapshot", one.name, lambda: _snapshot(db, one))


def _stored(db: Database, one: StoredCollection) -> Check:
    problems = recovery.problems(db, one)
    if not problems:
        passages = catalogue.count_passages(db, one.collection_id)
        found = f"{passages:,} passages, their vectors and the snapshot agree"
        return Check(name="stored", status="ok", collection=one.name, found=found)
    return Check(
        name="stored",
        status="fail",
        collection=one.name,
        found="; ".join(problems),
        expected="texts, vectors and snapshot that agree",
        remedy=f"snapshots are made again by: searchkit rebuild {one.name}; all else by indexing again",
    )


def _snapshot(db: Database, one: StoredCollection) -> Check:
    """Recall of the ten nearest, beside an exact scan, of questions like those that people ask."""
    check = partial(Check, name="snapshot", collection=one.name)
    rebuild = f"searchkit rebuild {one.name}"
    ids = _record(db, one).ids()
    if not len(ids):
        return check(status="ok", found="no passages to find")
    published = catalogue.snapshot(db, one.collection_id)
    if published is None:
        return check(
            status="warn", found="none: queries scan the stored vectors", expected="one", remedy=rebuild
        )
    index = recovery.open_snapshot(db, one)
    if index is None:
        with Database.read(db.folder) as newer, newer.one_state():
            now = catalogue.collection_named(newer, one.name)
            if now is None or now.collection_id != one.collection_id:
                return check(status="ok", found="another process has removed the collection meanwhile")
            latest = catalogue.snapshot(newer, now.collection_id)
            if latest is None or latest.file != published.file:
                return _snapshot(newer, now)  # another process has published it, and deleted this one
        return check(
            status="fail",
            found="it is missing or cannot be read: queries scan the stored vectors",
            expected="a file as it was written",
            remedy=rebuild,
        )
    drawn = np.random.default_rng(SEED)
    _, vectors = _record(db, one).of(_sample(ids, QUESTIONS, drawn))
    sound = np.asarray(np.isfinite(vectors).all(axis=1))
    if not sound.all():
        return check(
            status="fail",
            found=f"{int((~sound).sum()):,} of {len(sound):,} stored vectors that were drawn are no numbers",
            expected="vectors of length 1",
            remedy=anew(one),
        )
    questions = stand_ins(vectors, QUESTION_COSINE.get(index.kind, QUESTION_COSINE[IVF]), drawn)
    found = relevance.nearest_of(db, one, questions, index)
    right = relevance.nearest_of(db, one, questions, None)
    shares = np.array([_share(mine, theirs) for mine, theirs in zip(found, right, strict=True)])
    recall, error = float(shares.mean()), float(shares.std() / np.sqrt(len(shares)))
    facts = {"recall@10": recall, "promised": index.promised_recall, "questions": len(shares)}
    said = (
        f"{index.kind}: {recall:.1%} of the ten nearest on {len(shares)} questions, "
        f"{index.promised_recall:.0%} promised"
    )
    # What a sample leaves open is no reason to wake somebody; an exact index has no such room.
    room = 0.0 if index.promised_recall == 1.0 else 2 * error
    if recall + room >= index.promised_recall:
        return check(status="ok", found=said, facts=facts)
    bad = index.promised_recall == 1.0 or recall < BADLY * index.promised_recall
    return check(
        status="fail" if bad else "warn",
        found=said,
        expected=f"{index.promised_recall:.0%} or more",
        remedy=rebuild,
        facts=facts,
    )


def _share(found: Neighbours, right: Neighbours) -> float:
    """Share of the best ten, or of all there are, that is found; one as near as the last is as right."""
    wanted = min(PROMISED_AT, len(right.ids))
    as_near = found.scores >= right.scores[wanted - 1] - TIED
    return min(1.0, int(as_near.sum()) / wanted)


def _subject(db: Database, one: StoredCollection) -> Subject:
    """What the model's checks need, so that they need no database."""
    asked_under: str | None = None
    canaries: Canaries | Exception
    try:
        if (known := catalogue.calibration(db, one.collection_id)) is not None:
            asked_under = known.instruction
        canaries = _canaries(db, one)
    except Exception as error:  # of a damaged file: the check that needs them says so
        canaries = error
    return Subject(collection=one, asked_under=asked_under, canaries=canaries)


def _canaries(db: Database, one: StoredCollection) -> Canaries:
    record = _record(db, one)
    sample = _sample(record.ids(), CANARIES, np.random.default_rng(SEED))
    ids, vectors = record.of(sample)
    passages = store.passages(db, ids.tolist())
    return Canaries(
        texts=tuple(passage.embedded_text for passage in passages),
        documents=tuple(passage.document for passage in passages),
        vectors=vectors,
    )


def _sample(ids: Int64Vector, n: int, drawn: np.random.Generator) -> Int64Vector:
    return np.sort(drawn.choice(ids, min(n, len(ids)), replace=False))


def _record(db: Database, one: StoredCollection) -> CollectionVectors:
    return CollectionVectors(db, one.collection_id, one.recipe_id, one.dim)
