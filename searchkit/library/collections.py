"""Which Collections there are: their Profile, model, recipe, sources and snapshot rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.errors import LibraryDamaged
from searchkit.library.database import Database, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCollection:
    """A Collection as the Library keeps it."""

    collection_id: int
    name: str
    profile: Mapping[str, Any]  # Profile.to_dict()
    model: str
    recipe_id: int
    recipe: Mapping[str, str]
    dim: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSource:
    """A folder or file that a Collection is fed from."""

    source_id: int
    root: Path
    files: int  # that gave Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """What the Library knows of a snapshot file; the file itself may be gone."""

    file: str
    kind: str
    generation: int
    rows: int
    last_passage_id: int
    size: int
    checksum: str
    search: Mapping[str, Any]  # how it was built and is searched, and the recall measured so


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a Collection holds."""

    files: int  # that gave Documents
    documents: int
    passages: int
    truncated: int  # passages whose text was longer than the model's window


_COLLECTION = """
    SELECT c.collection_id, c.name, c.profile, c.model, c.recipe_id, r.fields, r.dim, c.generation
    FROM collections c JOIN recipes r USING (recipe_id)
"""


def collections(db: Database) -> list[StoredCollection]:
    """All Collections, by name."""
    return [_collection(row) for row in db.rows(_COLLECTION + "ORDER BY c.name")]


def collection_named(db: Database, name: str) -> StoredCollection | None:
    """The Collection of that name, or None."""
    row = db.row(_COLLECTION + "WHERE c.name = ?", (name,))
    return _collection(row) if row else None


def _collection(row: tuple[Any, ...]) -> StoredCollection:
    try:
        profile, recipe = json.loads(row[2]), json.loads(row[5])
    except ValueError as error:
        raise LibraryDamaged(
            f"what is stored of collection '{row[1]}' is no JSON: {error}",
            remedy=f"start it anew: searchkit remove {row[1]} --yes; searchkit index FOLDER -c {row[1]}",
        ) from error
    return StoredCollection(
        collection_id=row[0],
        name=row[1],
        profile=profile,
        model=row[3],
        recipe_id=row[4],
        recipe=recipe,
        dim=row[6],
        generation=row[7],
    )


def put_recipe(tx: Transaction, recipe: Mapping[str, str], dim: int) -> int:
    """Return the id of a recipe, storing it if it is new."""
    text = json.dumps(dict(recipe), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    tx.run(
        "INSERT OR IGNORE INTO recipes (fingerprint, fields, dim) VALUES (?, ?, ?)",
        (fingerprint, text, dim),
    )
    recipe_id: int = tx.rows("SELECT recipe_id FROM recipes WHERE fingerprint = ?", (fingerprint,))[0][0]
    return recipe_id


def add_collection(
    tx: Transaction, name: str, profile: Mapping[str, Any], model: str, recipe_id: int
) -> None:
    """Store a new, empty Collection."""
    tx.run(
        "INSERT INTO collections (name, profile, model, recipe_id) VALUES (?, ?, ?, ?)",
        (name, json.dumps(dict(profile), ensure_ascii=False), model, recipe_id),
    )


def update_collection(tx: Transaction, collection_id: int, profile: Mapping[str, Any], model: str) -> None:
    """Replace what may change without touching a vector: the query side, defaults, the model's place."""
    tx.run(
        "UPDATE collections SET profile = ?, model = ? WHERE collection_id = ?",
        (json.dumps(dict(profile), ensure_ascii=False), model, collection_id),
    )


def advance(tx: Transaction, collection_id: int) -> None:
    """Count a commit that changes what a query can find."""
    tx.run("UPDATE collections SET generation = generation + 1 WHERE collection_id = ?", (collection_id,))


def remove_collection(tx: Transaction, collection_id: int) -> None:
    """Delete a Collection with all it holds; its texts are left to collect_garbage."""
    for source_id, *_ in tx.rows("SELECT source_id FROM sources WHERE collection_id = ?", (collection_id,)):
        remove_source(tx, collection_id, source_id)
    for table in ("removals", "snapshots", "calibrations", "forgotten", "collections"):
        tx.run(f"DELETE FROM {table} WHERE collection_id = ?", (collection_id,))
    tx.run("DELETE FROM forgotten WHERE collection_id = ?", (-collection_id,))  # what was let back into it


def counts(db: Database, collection: StoredCollection) -> Counts:
    """Files, documents and passages of a Collection."""
    files, documents = db.rows(
        """SELECT count(DISTINCT f.file_id), count(d.document_id)
           FROM sources s JOIN files f USING (source_id) JOIN documents d USING (file_id)
           WHERE s.collection_id = ?""",
        (collection.collection_id,),
    )[0]
    passages, truncated = db.rows(
        """SELECT count(*), coalesce(sum(v.truncated), 0) FROM passages p
           LEFT JOIN vectors v ON v.recipe_id = ? AND v.text_id = p.text_id WHERE p.collection_id = ?""",
        (collection.recipe_id, collection.collection_id),
    )[0]
    return Counts(files=files, documents=documents, passages=passages, truncated=truncated)


def count_passages(db: Database, collection_id: int, *, after: int = 0) -> int:
    """Number of passages of a Collection; after: only of those with a larger id."""
    counted = "SELECT count(*) FROM passages WHERE collection_id = ? AND passage_id > ?"
    return int(db.rows(counted, (collection_id, after))[0][0])


def last_passage_id(db: Database, collection_id: int) -> int:
    """The largest id of a Collection's passages; 0 where it has none."""
    row = db.row("SELECT max(passage_id) FROM passages WHERE collection_id = ?", (collection_id,))
    return int(row[0] or 0) if row else 0


# -------------------------------------------------------------------- sources


def sources(db: Database, collection_id: int) -> list[StoredSource]:
    """The sources of a Collection, in the order they were added."""
    rows = db.rows(
        """SELECT s.source_id, s.root, (SELECT count(DISTINCT d.file_id) FROM files f
             JOIN documents d USING (file_id) WHERE f.source_id = s.source_id)
           FROM sources s WHERE s.collection_id = ? ORDER BY s.source_id""",
        (collection_id,),
    )
    return [StoredSource(source_id=row[0], root=Path(os.fsdecode(row[1])), files=row[2]) for row in rows]


def roots(db: Database) -> list[tuple[str, Path]]:
    """The name of a Collection and a root, for every source."""
    rows = db.rows(
        """SELECT c.name, s.root FROM sources s JOIN collections c USING (collection_id)
           ORDER BY c.name, s.source_id"""
    )
    return [(name, Path(os.fsdecode(root))) for name, root in rows]


def add_source(tx: Transaction, collection_id: int, root: Path) -> int:
    """Store a source root. Returns its id."""
    return tx.run(
        "INSERT INTO sources (collection_id, root) VALUES (?, ?)", (collection_id, os.fsencode(root))
    )


def remove_source(tx: Transaction, collection_id: int, source_id: int) -> int:
    """Delete a source with its files, documents and passages. Returns the number of files it had."""
    inside = "SELECT d.document_id FROM documents d JOIN files f USING (file_id) WHERE f.source_id = ?"
    for table, columns in (
        ("removals", "collection_id, passage_id"),
        ("loose_texts", "collection_id, text_id"),
    ):
        tx.run(
            f"INSERT OR IGNORE INTO {table} SELECT {columns} FROM passages WHERE document_id IN ({inside})",
            (source_id,),
        )
    tx.run(f"DELETE FROM passages WHERE document_id IN ({inside})", (source_id,))
    tx.run(f"DELETE FROM documents WHERE document_id IN ({inside})", (source_id,))
    files = tx.changed("DELETE FROM files WHERE source_id = ?", (source_id,))
    tx.run("DELETE FROM sources WHERE source_id = ?", (source_id,))
    advance(tx, collection_id)
    return files


# -------------------------------------------------------------------- calibrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What unrelated questions find in a Collection: collection/relevance.py says how it is used."""

    profile: Mapping[str, Any]  # that the Collection had when it was asked
    instruction: str  # its query Instruction as the model read it
    passages: int  # that the Collection had then
    last_passage_id: int  # the largest of theirs
    nearest: float  # cosine of the best passage, in the middle of the questions
    level: float  # strength of the best passage, in the middle of the questions


def calibration(db: Database, collection_id: int) -> Calibration | None:
    """The Collection's calibration, or None."""
    row = db.row(
        """SELECT profile, instruction, passages, last_passage_id, nearest, level FROM calibrations
           WHERE collection_id = ?""",
        (collection_id,),
    )
    if row is None:
        return None
    try:
        profile = json.loads(row[0])
    except ValueError:
        return None  # as if it had not been measured: the next run measures anew
    return Calibration(
        profile=profile,
        instruction=row[1],
        passages=row[2],
        last_passage_id=row[3],
        nearest=row[4],
        level=row[5],
    )


def put_calibration(tx: Transaction, collection_id: int, found: Calibration | None) -> None:
    """Replace the Collection's calibration; None where there is nothing to measure."""
    tx.run("DELETE FROM calibrations WHERE collection_id = ?", (collection_id,))
    if found is not None:
        tx.run(
            """INSERT INTO calibrations
                 (collection_id, profile, instruction, passages, last_passage_id, nearest, level)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                collection_id,
                json.dumps(dict(found.profile), ensure_ascii=False),
                found.instruction,
                found.passages,
                found.last_passage_id,
                found.nearest,
                found.level,
            ),
        )


# -------------------------------------------------------------------- snapshots


def snapshot(db: Database, collection_id: int) -> StoredSnapshot | None:
    """The Collection's published snapshot, or None."""
    row = db.row(
        """SELECT file, kind, generation, rows, last_passage_id, size, checksum, search FROM snapshots
           WHERE collection_id = ?""",
        (collection_id,),
    )
    if row is None:
        return None
    try:
        search = json.loads(row[7])
        if not (isinstance(search["plan"], dict) and isinstance(search["tuning"], dict)):
            return None
    except (ValueError, KeyError, TypeError):
        return None  # like a damaged file: queries scan the vectors of record, the next run writes a new one
    return StoredSnapshot(
        file=row[0],
        kind=row[1],
        generation=row[2],
        rows=row[3],
        last_passage_id=row[4],
        size=row[5],
        checksum=row[6],
        search=search,
    )


def put_snapshot(tx: Transaction, collection_id: int, published: StoredSnapshot) -> None:
    """Make a snapshot the one that queries use; passages removed before it are no longer in any file."""
    tx.run(
        """INSERT OR REPLACE INTO snapshots
             (collection_id, file, kind, generation, rows, last_passage_id, size, checksum, search)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            collection_id,
            published.file,
            published.kind,
            published.generation,
            published.rows,
            published.last_passage_id,
            published.size,
            published.checksum,
            json.dumps(dict(published.search)),
        ),
    )
    tx.run("DELETE FROM removals WHERE collection_id = ?", (collection_id,))


def snapshot_files(db: Database) -> set[str]:
    """Names of all published snapshot files."""
    return {row[0] for row in db.rows("SELECT file FROM snapshots")}
