"""Classifiers as they are stored: what they tell apart, by which numbers, and which vectors they read.

Numbers are little-endian blobs, all else is JSON: loading one runs nothing. A classifier keeps its recipe
itself, for those of the Library go when no Collection has them any more. One that was trained from a
Collection goes with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchkit.arrays import Float32Matrix, Float64Matrix, Float64Vector
from searchkit.errors import LibraryDamaged, UsageError, near_names
from searchkit.library.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is applied to a vector of length 1. Rows are classes, in the order of `classes`.

    weights: (classes, dim) float64; intercepts: (classes,) float64; means: (classes, dim) float32, of length
    1, or 0 where a class has no middle.
    """

    classes: tuple[str, ...]
    weights: Float64Matrix
    intercepts: Float64Vector
    means: Float32Matrix
    temperature: float  # logits are divided by it
    floor: float  # a text whose cosine to every mean is below it is like nothing that was learnt
    # The probability from which on what is said is right as often as promised; None where no probability is
    # high enough.
    threshold: float | None
    precision: float  # that is promised


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the labelled texts came from. passages, last_passage_id: of the Collection at that time."""

    told: str  # for people: a file's name, or the Collection and its field
    collection_id: int | None = None
    passages: int = 0
    last_passage_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClassifier:
    """A classifier with everything it takes to use it."""

    name: str
    origin: Origin
    profile: Mapping[str, Any]  # Profile.to_dict(); its document Instruction stands before every text
    model: str
    recipe: Mapping[str, str]
    head: Head
    figures: Mapping[str, Any]  # what was measured when it was trained; holds no text


_COLUMNS = """name, collection_id, passages, last_passage_id, origin, profile, model, recipe, dim, classes,
              decision, figures, weights, intercepts, means"""


def put(tx: Transaction, made: StoredClassifier) -> None:
    """Store a classifier in place of any other of that name."""
    head = made.head
    decision = {
        "temperature": head.temperature,
        "floor": head.floor,
        "threshold": head.threshold,
        "precision": head.precision,
    }
    tx.run(
        f"""INSERT OR REPLACE INTO classifiers ({_COLUMNS})
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            made.name,
            made.origin.collection_id,
            made.origin.passages,
            made.origin.last_passage_id,
            made.origin.told,
            _json(made.profile),
            made.model,
            _json(made.recipe),
            head.weights.shape[1],
            json.dumps(head.classes, ensure_ascii=False),
            _json(decision),
            _json(made.figures),
            head.weights.astype("<f8").tobytes(),
            head.intercepts.astype("<f8").tobytes(),
            head.means.astype("<f4").tobytes(),
        ),
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, allow_nan=False)


def names(db: Database) -> list[str]:
    """The names of all classifiers, sorted."""
    return [row[0] for row in db.rows("SELECT name FROM classifiers ORDER BY name")]


def names_of(db: Database, collection_id: int) -> list[str]:
    """The names of those that were trained from a Collection."""
    rows = db.rows("SELECT name FROM classifiers WHERE collection_id = ? ORDER BY name", (collection_id,))
    return [row[0] for row in rows]


def stored(db: Database, name: str) -> StoredClassifier:
    """The classifier of that name. Raises: UsageError: there is none. LibraryDamaged."""
    row = db.row(f"SELECT {_COLUMNS} FROM classifiers WHERE name = ?", (name,))
    if row is None:
        raise _unknown(db, name)
    return _classifier(row)


def remove(db: Database, name: str) -> None:
    """Delete a classifier. Raises: UsageError: there is none of that name."""
    with db.transaction() as tx:
        if not tx.changed("DELETE FROM classifiers WHERE name = ?", (name,)):
            raise _unknown(db, name)


def delete_of(tx: Transaction, collection_id: int) -> None:
    """Delete those trained from a Collection: their numbers were fitted to vectors of its texts."""
    tx.run("DELETE FROM classifiers WHERE collection_id = ?", (collection_id,))


def delete_outdated(tx: Transaction) -> None:
    """Delete those trained from passages of which some are gone."""
    tx.run(
        """DELETE FROM classifiers WHERE collection_id IS NOT NULL AND passages > (
             SELECT count(*) FROM passages p WHERE p.collection_id = classifiers.collection_id
               AND p.passage_id <= classifiers.last_passage_id)"""
    )


def problems(db: Database) -> list[str]:
    """What is wrong with stored classifiers; empty when all is well."""
    found = []
    for row in db.scan(f"SELECT {_COLUMNS} FROM classifiers ORDER BY name"):
        try:
            _classifier(row)
        except LibraryDamaged as error:
            found.append(error.message)
    return found


def _unknown(db: Database, name: str) -> UsageError:
    known = names(db)
    return UsageError(
        f"there is no classifier '{name}'{near_names(name, known)}",
        remedy=f"there are: {', '.join(known) or 'none yet'}; "
        f"make one with: searchkit classify train {name} --labels FILE",
    )


def _classifier(row: Row) -> StoredClassifier:
    """Raises: LibraryDamaged: something of it is not what it should be."""
    name, dim = str(row[0]), row[8]
    try:
        profile, recipe, classes, decision, figures = (
            json.loads(row[column]) for column in (5, 7, 9, 10, 11)
        )
        head = Head(
            classes=tuple(classes),
            weights=_array(row[12], "<f8", (len(classes), dim)).astype(np.float64),
            intercepts=_array(row[13], "<f8", (len(classes),)).astype(np.float64),
            means=_array(row[14], "<f4", (len(classes), dim)).astype(np.float32),
            **decision,
        )
        if len(classes) < 2 or not all(isinstance(one, str) for one in classes):
            raise ValueError("its classes are no list of two texts or more")
        numbers = [decision["temperature"], decision["floor"], decision["precision"]]
        if not np.isfinite(np.array(numbers, dtype=np.float64)).all() or decision["temperature"] <= 0:
            raise ValueError("its temperature, floor or precision is no number that can be")
    except (ValueError, KeyError, TypeError) as error:
        raise LibraryDamaged(
            f"classifier '{name}' is damaged: {error}",
            remedy=f"train it again: searchkit classify train {name} ... --replace; "
            f"or: searchkit classify remove {name}",
        ) from error
    return StoredClassifier(
        name=name,
        origin=Origin(told=row[4], collection_id=row[1], passages=row[2], last_passage_id=row[3]),
        profile=profile,
        model=row[6],
        recipe=recipe,
        head=head,
        figures=figures,
    )


def _array(blob: bytes, kind: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[Any]]:
    expected = int(np.prod(shape)) * np.dtype(kind).itemsize
    if len(blob) != expected:
        raise ValueError(f"a blob has {len(blob):,} bytes, expected {expected:,}")
    found: np.ndarray[Any, np.dtype[Any]] = np.frombuffer(blob, dtype=kind).reshape(shape)
    if not np.isfinite(found).all():
        raise ValueError("a blob holds numbers that are not finite")
    return found
