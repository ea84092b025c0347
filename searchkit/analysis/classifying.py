"""Classifiers of texts: trained from labelled files or a field of a Collection, stored, and asked.

Vectors are those of the recipe that a classifier keeps: the model, its precision and the Instruction that
stood before the labelled texts stand before those that are asked. Stored vectors need no model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from searchkit.analysis import classified_texts as labelling
from searchkit.analysis.classified_fields import read_collection
from searchkit.analysis.classified_texts import Conflict, Labelled
from searchkit.analysis.classifier import Judged, judge
from searchkit.analysis.classifier_fitting import Measured, fit
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.collection.library import NO_PATIENCE, Library, Patience
from searchkit.collection.recipe import differences, recipe_of
from searchkit.collection.refresh import place_of
from searchkit.errors import LibraryBusy, RecipeMismatch, UsageError
from searchkit.library import classifiers as store
from searchkit.library import documents
from searchkit.library.classifiers import Head, StoredClassifier
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database, exists
from searchkit.library.documents import StoredPassage
from searchkit.library.filter_grammar import Filter, parse_filter
from searchkit.library.filters import allowed_passages
from searchkit.library.vectors import CollectionVectors
from searchkit.profile import Profile
from searchkit.records import Failure
from searchkit.settings import DEFAULT_MODEL

DEFAULT_PROFILE = "classification"
TOGETHER = 2_000  # passages read at a time

# What is done, how much of it, and of how much.
OnProgress = Callable[[str, int, int], None]
Abstain = Literal["auto", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFile:
    """Labelled texts in a JSONL or CSV file, embedded for the purpose."""

    path: str | Path
    label_field: str = "label"
    text_field: str = "text"
    profile: Profile | str | Path = DEFAULT_PROFILE
    model: str | Path = DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class FromCollection:
    """The passages of a Collection, each labelled by a field of its Document; no model is needed.

    field: a name in the metadata, `meta.NAME` or NAME, or `type`.
    """

    field: str
    collection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a classifier is trained. precision: of the answers it gives, for which it keeps others back."""

    precision: float = 0.9
    seed: int = 0
    replace: bool = False  # another classifier of that name


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What was learnt, and how well it does on texts that were held out."""

    name: str
    origin: str
    model: str
    texts: int  # learnt from
    measured: Measured
    left_out: tuple[tuple[str, int], ...]  # classes with too few different texts, and how many they have
    repeated: int  # texts that stand there more than once; each was learnt once
    contradicting: int  # texts under differing labels, which were left out
    conflicts: tuple[Conflict, ...]  # the first of them
    unlabelled: int  # Documents without the field, or with several values in it
    failed: tuple[Failure, ...]  # rows that could not be used
    truncated: int  # texts longer than the model reads
    took_s: float
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is said of a text. label: None where nothing is, and then `held_back` says why."""

    text: str
    label: str | None
    guess: str  # the likeliest class, said or not
    probability: float  # of the guess
    held_back: str  # '', 'improbable', or 'unlike': unlike everything that was learnt
    likeness: float  # cosine to the nearest class's mean
    probabilities: Mapping[str, float] = field(default_factory=dict)  # of all classes, where asked for
    passage: StoredPassage | None = None  # where it was not given but stored
    truncated: bool = False  # a given text is longer than the model reads: its end counts for nothing


# -------------------------------------------------------------------- training


def train(
    library: Library,
    name: str,
    source: FromFile | FromCollection,
    *,
    wanted: Wanted = Wanted(),
    patience: Patience = NO_PATIENCE,
    on_progress: OnProgress | None = None,
) -> TrainReport:
    """Train a classifier and store it in the Library, which is made where there is none.

    Raises: UsageError: the name is taken or is none, a file or field is not there, or there are fewer than
    two classes to tell apart. CollectionNotFound, ModelError, LibraryError; single rows never raise,
    they are in the report's `failed`.
    """
    started = time.perf_counter()
    _require_sound(library, name, wanted)
    told = on_progress or _quiet
    if isinstance(source, FromFile):
        found, model = _from_file(library, source, told)
    else:
        found, model = _from_collection(library, source)
    examples, left_out = labelling.examples_of(found)
    head, measured = fit(
        examples,
        precision=wanted.precision,
        seed=wanted.seed,
        on_fit=partial(told, "fitting"),
    )
    made = StoredClassifier(
        name=name,
        origin=found.origin,
        profile=found.profile.to_dict(),
        model=model,
        recipe=found.recipe,
        head=head,
        figures=_figures(measured, left_out),
    )
    _put(library, made, wanted, patience)
    return TrainReport(
        name=name,
        origin=found.origin.told,
        model=model,
        texts=measured.texts,
        measured=measured,
        left_out=left_out,
        repeated=found.repeated,
        contradicting=found.contradicting,
        conflicts=found.conflicts,
        unlabelled=found.unlabelled,
        failed=found.failed,
        truncated=found.truncated,
        took_s=round(time.perf_counter() - started, 3),
        notices=found.notices,
    )


def _quiet(_: str, __: int, ___: int) -> None:
    """Nobody asked to be told."""


def _figures(measured: Measured, left_out: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    return {**asdict(measured), "left_out": left_out, "trained": time.strftime("%Y-%m-%d")}


def _require_sound(library: Library, name: str, wanted: Wanted) -> None:
    odd = any(ord(character) < 32 for character in name) or name != labelling.encodable(name)
    if not name.strip() or name != name.strip() or odd:
        raise UsageError(
            f"{name!r} cannot name a classifier", remedy="as in: searchkit classify train topics"
        )
    if not 0 < wanted.precision < 1:
        raise UsageError(
            f"a precision of {wanted.precision:g} was asked for",
            remedy="expected more than 0 and less than 1",
        )
    if wanted.seed < 0:
        raise UsageError(f"the seed is {wanted.seed}", remedy="expected 0 or more")
    if exists(library.folder):
        with Database.read(library.folder) as db:
            _require_free(store.names(db), name, wanted)


def _require_free(known: Iterable[str], name: str, wanted: Wanted) -> None:
    if name in known and not wanted.replace:
        raise UsageError(
            f"there is a classifier '{name}' already",
            remedy="give another name, or put this one in its place: --replace",
        )


def _from_file(library: Library, source: FromFile, told: OnProgress) -> tuple[Labelled, str]:
    path = Path(source.path)
    read = labelling.read_file(path, source.label_field, source.text_field)
    labelling.require_classes([label for _, label in read.rows], source.label_field)
    profile = source.profile if isinstance(source.profile, Profile) else Profile.load(source.profile)
    model = place_of(source.model) or DEFAULT_MODEL
    if model != labelling.encodable(model):
        raise UsageError(
            f"the model's name {model!r} cannot be stored", remedy="give its folder a name in UTF-8"
        )
    embedder = library.opened(model, None)
    named = f"{path.name}, field {source.label_field}"
    return labelling.embedded_file(read, embedder, profile, named, partial(told, "embedding")), model


def _from_collection(library: Library, source: FromCollection) -> tuple[Labelled, str]:
    with library.reading(source.collection) as (db, collection):
        return read_collection(db, collection, source.field), collection.model


def _put(library: Library, made: StoredClassifier, wanted: Wanted, patience: Patience) -> None:
    """Store it, if what it was made from still stands there."""
    with library.written(patience=patience) as db:
        _require_free(store.names(db), made.name, wanted)
        if store.outdated(db, made.origin):  # what was forgotten meanwhile must not live on in weights
            raise LibraryBusy(
                f"passages or labels that '{made.name}' was trained from have changed meanwhile",
                remedy="run the same command again",
            )
        with db.transaction() as tx:
            store.put(tx, made)


# -------------------------------------------------------------------- predicting


def predict(
    library: Library,
    name: str,
    texts: Sequence[str],
    *,
    abstain: Abstain | float = "auto",
    proba: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Prediction]:
    """Classify texts, embedded under the very recipe that the classifier was trained with.

    abstain: 'auto' to hold back what is less probable than the precision promised takes, or unlike
    everything learnt; a probability in place of that measured one, where what is unlike stays held back;
    'never' to hold back nothing. proba: say how probable each class is.
    Raises: UsageError: there is no such classifier, or a text is empty. RecipeMismatch: its model is another
    now. ModelError, LibraryError.
    """
    found = show(library, name)
    threshold, always = _threshold(found.head, abstain)
    if isinstance(texts, str):
        raise UsageError("expected a sequence of texts, found a single str", remedy="pass [text]")
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise UsageError(f"text {number} is empty", remedy="expected something to classify")
    if not texts:
        return []
    profile = Profile.from_dict(found.profile)
    embedder = library.opened(found.model, found.recipe.get("precision"))
    _require_same(found, recipe_of(embedder, profile), f"the model '{found.model}' as it is now")
    plain = [labelling.plain(text) for text in texts]
    vectors, cut = labelling.embedded(embedder, profile, plain, partial(on_progress or _quiet, "embedding"))
    judged = judge(found.head, vectors, threshold=threshold, always=always)
    given = [
        _prediction(found.head, judged, row, labelling.encodable(text), proba=proba)
        for row, text in enumerate(texts)
    ]
    return [replace(one, truncated=bool(cut[row])) for row, one in enumerate(given)]


def predict_collection(
    library: Library,
    name: str,
    collection: str | None = None,
    *,
    where: Filter | str = "",
    abstain: Abstain | float = "auto",
    proba: bool = False,
) -> list[Prediction]:
    """Classify the passages of a Collection that a filter allows, by their stored vectors.

    Raises: as predict does, and CollectionNotFound, FilterInvalid. RecipeMismatch: the Collection's vectors
    are of another recipe.
    """
    found = show(library, name)
    threshold, always = _threshold(found.head, abstain)
    wanted = parse_filter(where) if isinstance(where, str) and where else where
    predictions: list[Prediction] = []
    with library.reading(collection) as (db, chosen):
        _require_same(found, chosen.recipe, f"collection '{chosen.name}'")
        for ids, vectors in _blocks(db, chosen, wanted):
            labelling.require_directions(chosen.name, vectors)
            judged = judge(found.head, vectors, threshold=threshold, always=always)
            passages = {one.passage_id: one for one in documents.passages(db, ids.tolist())}
            for row, passage_id in enumerate(ids.tolist()):
                one = passages[passage_id]
                predictions.append(_prediction(found.head, judged, row, one.text, proba=proba, passage=one))
    return predictions


def _blocks(
    db: Database, collection: StoredCollection, wanted: Filter | str
) -> Iterator[tuple[Int64Vector, Float32Matrix]]:
    """Ids and vectors of the passages that a filter allows, by id; '' allows all."""
    record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
    if isinstance(wanted, str):
        yield from record.blocks()
        return
    ids = allowed_passages(db, collection.collection_id, wanted, now=time.time())
    for start in range(0, len(ids), TOGETHER):
        yield record.of(ids[start : start + TOGETHER])


def _threshold(head: Head, abstain: Abstain | float) -> tuple[float | None, bool]:
    """The probability from which on answers are given, and whether all of them are."""
    if abstain == "auto":
        return head.threshold, False
    if abstain == "never":
        return 0.0, True
    if isinstance(abstain, str) or not 0 <= abstain <= 1:
        raise UsageError(
            f"abstain is {abstain!r}", remedy="expected auto, never, or a probability from 0 to 1"
        )
    return float(abstain), False


def _require_same(found: StoredClassifier, asked: Mapping[str, str], what: str) -> None:
    if lines := differences(found.recipe, asked):
        raise RecipeMismatch(
            f"classifier '{found.name}' reads vectors of another recipe than those of {what}:\n  "
            + "\n  ".join(lines),
            remedy=f"train it on such vectors: searchkit classify train {found.name} --replace ...; what it "
            f"reads now: searchkit classify show {found.name}",
        )


def _prediction(
    head: Head, judged: Judged, row: int, text: str, *, proba: bool, passage: StoredPassage | None = None
) -> Prediction:
    guess = head.classes[judged.best[row]]
    held_back = "" if judged.sure[row] else "improbable"
    if not judged.known[row]:
        held_back = "unlike"
    return Prediction(
        text=text,
        label=None if held_back else guess,
        guess=guess,
        probability=float(judged.probabilities[row, judged.best[row]]),
        held_back=held_back,
        likeness=float(judged.likeness[row]),
        probabilities=dict(zip(head.classes, judged.probabilities[row].tolist(), strict=True))
        if proba
        else {},
        passage=passage,
    )


# -------------------------------------------------------------------- what is stored


def show(library: Library, name: str) -> StoredClassifier:
    """A stored classifier. Raises: UsageError: there is none of that name. LibraryDamaged."""
    with Database.read(library.folder) as db:
        return store.stored(db, name)


def listed(library: Library) -> list[StoredClassifier]:
    """All classifiers, by name; none when there is no Library yet. Raises: LibraryDamaged."""
    if not exists(library.folder):
        return []
    with Database.read(library.folder) as db, db.one_state():
        return [store.stored(db, name) for name in store.names(db)]


def remove(library: Library, name: str, *, patience: Patience = NO_PATIENCE) -> None:
    """Delete a classifier. Raises: UsageError: there is none of that name. LibraryBusy."""
    Database.read(library.folder).close()
    with library.written(patience=patience) as db:
        store.remove(db, name)
