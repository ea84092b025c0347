"""What a check of a Library says, and the checks that ask a Collection's model.

Canaries are stored passages: their vectors of record were made when they were indexed, so that a sample of
them, embedded again, shows whatever changed since: weights, tokenizer, a library, the precision. Nothing has
to be kept for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.collection.recipe import INSTRUCTION, differences
from searchkit.embedding.calibration import MAX_COMPANY_EFFECT, MIN_COSINE, parity_of
from searchkit.embedding.embedder import Embedder
from searchkit.embedding.prompts import deaf_sides, prompt_notices
from searchkit.errors import SearchkitError
from searchkit.library.collections import StoredCollection
from searchkit.profile import SIDES, Profile, is_shipped

Status: TypeAlias = Literal["ok", "warn", "fail", "skipped"]  # skipped: what it rests on failed

ALONE = 8  # canaries that are embedded one by one
OF_MODEL = ("model", "recipe", "instructions", "family", "ignored", "canaries", "batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at. collection: '' for the Library as a whole; remedy: the command that helps."""

    name: str
    status: Status
    found: str
    expected: str = ""
    remedy: str = ""
    collection: str = ""
    facts: Mapping[str, float | str] = field(default_factory=dict)  # what was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """Passages of a Collection as they are stored. vectors: (n, dim) float32, of the n texts."""

    texts: Sequence[str]
    documents: Sequence[str]
    vectors: Float32Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A Collection whose model is looked at. canaries: what went wrong where they cannot be read."""

    collection: StoredCollection
    canaries: Canaries | Exception
    asked_under: str | None  # the query Instruction when relevance was measured; None where it never was


def guarded(name: str, collection: str, check: Callable[[], Check]) -> Check:
    """A check that fails where it cannot be carried out, so that the others go on."""
    try:
        return check()
    except SearchkitError as error:
        return Check(
            name=name,
            status="fail",
            collection=collection,
            found=f"could not be checked: {error.message}",
            remedy=error.remedy,
        )
    except Exception as error:  # whatever a damaged file or a library does: a monitor wants the rest, too
        found = f"could not be checked: {type(error).__name__}: {error}"
        return Check(name=name, status="fail", collection=collection, found=found)


def of_model(subject: Subject, open_model: Callable[[], Embedder]) -> Iterator[Check]:
    """Everything that needs the Collection's model; where it cannot be opened, the rest is skipped."""
    collection = subject.collection
    opened: list[Embedder] = []

    def model() -> Check:
        opened.append(open_model())
        return _model(collection, opened[0])

    first = guarded("model", collection.name, model)
    if not opened:
        moved = f"or name its new place: searchkit index SOURCE -c {collection.name} --model DIR"
        first = replace(first, expected="the collection's model", remedy=f"{_back(collection)}, {moved}")
    yield first
    if not opened:
        for name in OF_MODEL[1:]:
            yield _skipped(name, collection, "the model cannot be opened")
        return
    embedder, profile = opened[0], Profile.from_dict(collection.profile)
    yield guarded("recipe", collection.name, lambda: _recipe(collection, embedder))
    yield guarded("instructions", collection.name, lambda: _instructions(subject, embedder, profile))
    yield guarded("family", collection.name, lambda: _family(collection, embedder, profile))
    yield guarded("ignored", collection.name, lambda: _ignored(collection, embedder, profile))
    tried: list[tuple[Canaries, Float32Matrix]] = []

    def drift() -> Check:
        canaries = subject.canaries
        if isinstance(canaries, Exception):
            raise canaries
        tried.append((canaries, embedder.embed(canaries.texts, collection.recipe.get(INSTRUCTION, ""))))
        return _drift(collection, embedder, *tried[0])

    yield guarded("canaries", collection.name, drift)
    if tried:
        yield guarded("batch", collection.name, lambda: _batch(collection, embedder, *tried[0]))
    else:
        yield _skipped("batch", collection, "the canaries could not be embedded")


def _skipped(name: str, collection: StoredCollection, why: str) -> Check:
    return Check(name=name, status="skipped", collection=collection.name, found=f"not checked: {why}")


def _model(collection: StoredCollection, embedder: Embedder) -> Check:
    return Check(
        name="model",
        status="ok",
        collection=collection.name,
        found=f"{embedder.model}: {embedder.dim} dimensions, window {embedder.max_tokens:,}, "
        f"{embedder.precision} on {embedder.device}",
    )


def _recipe(collection: StoredCollection, embedder: Embedder) -> Check:
    """Weights, tokenizer, network, pooling, window and precision are those of the stored vectors."""
    stored = {name: value for name, value in collection.recipe.items() if name != INSTRUCTION}
    lines = differences(stored, embedder.fingerprint())
    if not lines:
        found = f"{len(stored)} fields of the model as stored"
        return Check(name="recipe", status="ok", collection=collection.name, found=found)
    return Check(
        name="recipe",
        status="fail",
        collection=collection.name,
        found="the model is another one: " + "; ".join(lines),
        expected="the model as it was when the collection was made",
        remedy=f"{_back(collection)}; or {anew(collection)}",
    )


def _instructions(subject: Subject, embedder: Embedder, profile: Profile) -> Check:
    """What is put before texts today is what was put there."""
    collection = subject.collection
    stored = collection.recipe.get(INSTRUCTION, "")
    document = embedder.instruction_for(profile, "document")
    query = embedder.instruction_for(profile, "query")
    if document != stored:
        return Check(
            name="instructions",
            status="fail",
            collection=collection.name,
            found=f"before documents the model is given {document!r} now",
            expected=f"{stored!r}, as the stored vectors have it",
            remedy=anew(collection),
        )
    if subject.asked_under is not None and subject.asked_under != query:
        return Check(
            name="instructions",
            status="warn",
            collection=collection.name,
            found=f"before queries the model is given {query!r} now: how relevant a hit is, is not known",
            expected=f"{subject.asked_under!r}, under which that was measured",
            remedy=f"measure it again: searchkit index SOURCE -c {collection.name} --model "
            f"{collection.model or 'DIR'}",
        )
    found = f"documents {document!r}, queries {query!r}"
    return Check(name="instructions", status="ok", collection=collection.name, found=found)


def _family(collection: StoredCollection, embedder: Embedder, profile: Profile) -> Check:
    """How the model is read rests on knowledge, not on a guess."""
    family = embedder.family
    of_words = prompt_notices(family, profile, embedder.model)
    doubts = [notice for notice in embedder.notices_for(profile) if notice not in of_words]
    if not doubts:
        found = f"'{family.name}'" + (f": {family.description}" if family.description else "")
        return Check(name="family", status="ok", collection=collection.name, found=found)
    return Check(
        name="family",
        status="warn",
        collection=collection.name,
        found="; ".join(doubts),
        expected="a model of a family that searchkit knows, with nothing to be said of it",
        remedy=f"see how it is read: searchkit models show {collection.model or 'DIR'}",
    )


def _ignored(collection: StoredCollection, embedder: Embedder, profile: Profile) -> Check:
    notices = prompt_notices(embedder.family, profile, embedder.model)
    deaf = deaf_sides(embedder.family, profile)
    said = any(profile.instruction(side).render().strip() for side in SIDES)
    listens = len(deaf) < len(SIDES) or not said
    if listens or is_shipped(profile):  # nobody wrote a shipped one for a model that reads it
        found = notices[0] if notices and said else "the model reads what the profile says"
        return Check(name="ignored", status="ok", collection=collection.name, found=found)
    return Check(
        name="ignored",
        status="warn",
        collection=collection.name,
        found=notices[0],
        expected="a model that reads them, or a profile without instructions",
        remedy="models that do: searchkit models list",
    )


def _drift(collection: StoredCollection, embedder: Embedder, canaries: Canaries, now: Float32Matrix) -> Check:
    """Stored passages give the vectors that are stored."""
    if not canaries.texts:
        return Check(name="canaries", status="ok", collection=collection.name, found="no passages to try")
    if now.shape != canaries.vectors.shape:
        return Check(
            name="canaries",
            status="fail",
            collection=collection.name,
            found=f"vectors of {now.shape[1]} dimensions",
            expected=f"{canaries.vectors.shape[1]}, as stored",
            remedy=anew(collection),
        )
    cosines = np.nan_to_num((canaries.vectors * now).sum(axis=1), nan=-1.0)
    worst = int(cosines.argmin())
    facts = {"passages": len(now), "least": float(cosines[worst]), "mean": float(cosines.mean())}
    found = (
        f"{len(now)} stored passages embedded again: least cosine {facts['least']:.6f}, "
        f"mean {facts['mean']:.6f}"
    )
    if facts["least"] >= MIN_COSINE:
        return Check(name="canaries", status="ok", collection=collection.name, found=found, facts=facts)
    # 8 bits are chosen by what a machine multiplies: another machine's graph is near, and another one.
    near = embedder.precision == "int8" and facts["least"] >= embedder.family.int8_cosine
    return Check(
        name="canaries",
        status="warn" if near else "fail",
        collection=collection.name,
        found=f"{found}, in {canaries.documents[worst]}",
        expected=f"{MIN_COSINE} or more: queries and what is indexed from now on lie in another space",
        remedy="compare the versions with those it was indexed with, and go back to them; or "
        + anew(collection),
        facts=facts,
    )


def _batch(
    collection: StoredCollection, embedder: Embedder, canaries: Canaries, together: Float32Matrix
) -> Check:
    """A text gives the same vector alone and among others, longer ones among them."""
    if not canaries.texts:
        return Check(name="batch", status="ok", collection=collection.name, found="no passages to try")
    by_length = sorted(range(len(canaries.texts)), key=lambda row: len(canaries.texts[row]))
    rows = sorted({by_length[at] for at in np.linspace(0, len(by_length) - 1, ALONE).astype(int)})
    instruction = collection.recipe.get(INSTRUCTION, "")
    alone = np.concatenate([embedder.embed([canaries.texts[row]], instruction) for row in rows])
    parity = parity_of(together[rows], together[rows], alone)
    least = float(np.nan_to_num((together[rows] * alone).sum(axis=1), nan=-1.0).min())
    facts = {"texts": len(rows), "largest difference": parity.company_effect, "least": least}
    found = (
        f"{len(rows)} texts alone and among {len(together)}: least cosine {least:.6f}, largest difference "
        f"of a component {parity.company_effect:.1e}"
    )
    if parity.company_effect <= MAX_COMPANY_EFFECT:
        return Check(name="batch", status="ok", collection=collection.name, found=found, facts=facts)
    return Check(
        name="batch",
        status="warn" if least >= MIN_COSINE else "fail",
        collection=collection.name,
        found=found,
        expected=f"a difference of {MAX_COMPANY_EFFECT:.0e} at most: what a text lies beside changes nothing",
        remedy="try the model's other form: searchkit models export; else report it, with the versions",
        facts=facts,
    )


def _back(collection: StoredCollection) -> str:
    name = f"it back to '{collection.model}'" if collection.model else "back the model it was indexed with"
    return f"put {name}"


def anew(collection: StoredCollection) -> str:
    """The remedy for vectors that cannot be mended."""
    return f"embed it again under another name: searchkit index FOLDER -c {collection.name}-2"
