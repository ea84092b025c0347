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
from searchkit.library.document_labels import document_labels
from searchkit.profile import Profile


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
    """Where the labelled texts came from; all but `told` is of the Collection at that time.

    names, last_document_id: as document_labels takes them; labels: its digest.
    """

    told: str  # for people: a file's name, or the Collection and its field
    collection_id: int | None = None
    passages: int = 0
    last_passage_id: int = 0
    names: tuple[str, ...] = ()
    last_document_id: int = 0
    labels: bytes = b""


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


_ORIGIN = "origin, collection_id, passages, last_passage_id, names, last_document_id, labels"
_COLUMNS = f"""name, profile, model, recipe, dim, classes, decision, figures, weights, intercepts, means,
               {_ORIGIN}"""


_REACH = (None, {"threshold": float, "coverage": float, "precision": float})
# What was measured, as far as anything reads it: names and kinds, lists of such members, tuples of either.
FIGURES: dict[str, Any] = {
    "texts": int,
    "accuracy": float,
    "baseline": float,
    "macro_f1": float,
    "calibration_error": [float, float],
    "log_loss": [float, float],
    "trained": str,
    "choice": {"folds": int, "strength": float, "precision": float},
    "classes": [{"label": str, "texts": int, "precision": float, "recall": float, "f1": float}],
    "reach": _REACH,
    "reaches": [[float, _REACH]],
}


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
            VALUES ({", ".join("?" * 18)})""",
        (
            made.name,
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
            made.origin.told,
            made.origin.collection_id,
            made.origin.passages,
            made.origin.last_passage_id,
            json.dumps(made.origin.names),
            made.origin.last_document_id,
            made.origin.labels,
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
    row = db.row(f"SELECT {_COLUMNS} FROM classifiers WHERE name = CAST(? AS TEXT)", (_key(name),))
    if row is None:
        raise _unknown(db, name)
    return _classifier(row)


def _key(name: str) -> bytes:
    """A name that was typed may be no valid UTF-8: then none is called so, and SQLite would not take it."""
    return name.encode("utf-8", "surrogateescape")


def remove(db: Database, name: str) -> None:
    """Delete a classifier. Raises: UsageError: there is none of that name."""
    with db.transaction() as tx:
        if not tx.changed("DELETE FROM classifiers WHERE name = CAST(? AS TEXT)", (_key(name),)):
            raise _unknown(db, name)


def delete_of(tx: Transaction, collection_id: int) -> None:
    """Delete those trained from a Collection: their numbers were fitted to vectors of its texts."""
    tx.run("DELETE FROM classifiers WHERE collection_id = ?", (collection_id,))


def delete_outdated(tx: Transaction, collection_id: int | None = None) -> None:
    """Delete those, of one Collection or all, whose passages or labels are no more what they were.

    A label lives in the names of classes, and outlives its text where nothing but the metadata is edited.
    """
    rows = tx.rows(
        f"""SELECT classifier_id, {_ORIGIN} FROM classifiers
            WHERE collection_id IS NOT NULL AND collection_id = coalesce(?, collection_id)""",
        (collection_id,),
    )
    for classifier_id, *held in rows:
        try:
            stays = not outdated(tx, _origin(tuple(held)))
        except (ValueError, TypeError):  # damaged
            stays = False
        if not stays:
            tx.run("DELETE FROM classifiers WHERE classifier_id = ?", (classifier_id,))


def outdated(db: Database | Transaction, origin: Origin) -> bool:
    """Whether passages of the Collection that it was trained from are gone, or labels are others."""
    if origin.collection_id is None:
        return False
    left = db.rows(
        "SELECT count(*) FROM passages WHERE collection_id = ? AND passage_id <= ?",
        (origin.collection_id, origin.last_passage_id),
    )
    now = document_labels(db, origin.collection_id, origin.names, origin.last_document_id)
    return int(left[0][0]) < origin.passages or now.digest() != origin.labels


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
    name, dim = str(row[0]), row[4]
    try:
        profile, recipe, classes, decision, figures = (json.loads(row[column]) for column in (1, 3, 5, 6, 7))
        head = Head(
            classes=tuple(classes),
            weights=_array(row[8], "<f8", (len(classes), dim)).astype(np.float64),
            intercepts=_array(row[9], "<f8", (len(classes),)).astype(np.float64),
            means=_array(row[10], "<f4", (len(classes), dim)).astype(np.float32),
            **decision,
        )
        if len(classes) < 2 or not all(isinstance(one, str) for one in classes):
            raise ValueError("its classes are no list of two texts or more")
        _require_decision(head)
        if not fits(figures, FIGURES):
            raise ValueError("its figures are not those that are measured")
        if not fits(recipe, {}) or not all(isinstance(value, str) for value in recipe.values()):
            raise ValueError("its recipe is no list of names and texts")
        Profile.from_dict(profile)
        origin = _origin(row[11:])
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise LibraryDamaged(
            f"classifier '{name}' is damaged: {error}",
            remedy=f"train it again: searchkit classify train {name} ... --replace; "
            f"or: searchkit classify remove {name}",
        ) from error
    return StoredClassifier(
        name=name, origin=origin, profile=profile, model=row[2], recipe=recipe, head=head, figures=figures
    )


def _origin(row: Row) -> Origin:
    """Raises: ValueError, TypeError: it is damaged."""
    told, collection_id, passages, last_passage_id, names, last_document_id, labels = row
    return Origin(
        told=told,
        collection_id=collection_id,
        passages=passages,
        last_passage_id=last_passage_id,
        names=tuple(map(str, json.loads(names))),
        last_document_id=last_document_id,
        labels=bytes(labels),
    )


def _require_decision(head: Head) -> None:
    """Raise ValueError unless its numbers can be; TypeError where they are none."""
    threshold = 0.0 if head.threshold is None else head.threshold
    numbers = np.array([head.temperature, head.floor, head.precision, threshold], dtype=np.float64)
    if not np.isfinite(numbers).all() or head.temperature <= 0:
        raise ValueError("its temperature, floor, precision or threshold is no number that can be")
    if not (0 < head.precision < 1 and 0 <= threshold <= 1):
        raise ValueError("its precision or threshold is no share")


def fits(value: Any, shape: Any) -> bool:
    """Whether a JSON value has this shape: see FIGURES."""
    if isinstance(shape, tuple):  # one of them
        return any(fits(value, one) for one in shape)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            name in value and fits(value[name], shape[name]) for name in shape
        )
    if isinstance(shape, list):  # of such members, or of so many different ones
        if not isinstance(value, list):
            return False
        shapes = shape * len(value) if len(shape) == 1 else shape
        return len(value) == len(shapes) and all(map(fits, value, shapes))
    if shape is float:
        return type(value) in (int, float) and bool(np.isfinite(value))
    return value is None if shape is None else type(value) is shape


def _array(blob: bytes, kind: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[Any]]:
    expected = int(np.prod(shape)) * np.dtype(kind).itemsize
    if len(blob) != expected:
        raise ValueError(f"a blob has {len(blob):,} bytes, expected {expected:,}")
    found: np.ndarray[Any, np.dtype[Any]] = np.frombuffer(blob, dtype=kind).reshape(shape)
    if not np.isfinite(found).all():
        raise ValueError("a blob holds numbers that are not finite")
    return found
