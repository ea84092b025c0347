"""What changes in the answers when a Profile, a model or a Collection takes another's place.

Both sides answer the same queries over the same passages, by exact search. Where only the query Instruction
differs the stored vectors serve; where what stands before documents differs, or the model, passages are
embedded for the run, a sample of them where there are many. Nothing is stored. There are no judgements here:
it is said what moved and why, not which is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from searchkit.arrays import Float32Matrix, Float64Vector, Int64Vector
from searchkit.collection import recipe
from searchkit.collection.choosing import named
from searchkit.embedding.embedder import Embedder
from searchkit.embedding.prompts import deaf_sides
from searchkit.errors import UsageError
from searchkit.evaluation import moved, spaces
from searchkit.evaluation.encoding import Encoder, OnProgress
from searchkit.evaluation.moved import Moved
from searchkit.evaluation.spaces import Embedded, Stored, Vectors
from searchkit.evaluation.statistics import mean_interval, share_interval
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.duplicates import placed
from searchkit.profile import SIDES, Profile, Side

if TYPE_CHECKING:
    from searchkit.collection.library import Library

SAMPLE = 2_000  # passages that are embedded for a comparison
QUERIES = 50  # that are made where none are given
SEED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is compared, over a Collection.

    profiles: names or files, None for the Collection's own. models: None for the Collection's. queries: None
    to make some from the passages. sample: how many passages are embedded at most; 0 for all. k: how many
    hits are compared and shown, up to spaces.DEPTH. literal: to a model that takes no Instruction, those of
    Profiles named here are given all the same, behind its family's own words.
    """

    profiles: tuple[str | None, str | None] = (None, None)
    models: tuple[str | None, str | None] = (None, None)
    queries: Sequence[str] | None = None
    sample: int = SAMPLE
    k: int = 10
    literal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of the two. embedded: whether its passages were embedded for the run, or are those stored."""

    name: str
    profile: str
    model: str
    instructions: Mapping[str, str]  # the literal text before texts of each side
    embedded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over queries, with its 95 % interval; None of fewer than two, which tell nothing of others."""

    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two sides over the same passages.

    passages: different texts compared, `of` how many. made: whether the queries were made from the passages,
    which finds them easily: weak evidence. measures: 'overlap@k', 'rbo', 'kendall' (of the hits that both
    show) and 'same first'. moved: all queries, those whose answers moved most first.
    """

    first: Compared
    second: Compared
    passages: int
    of: int
    queries: int
    made: bool
    measures: Mapping[str, Mean]
    moved: tuple[Moved, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Party:
    """One of the two before it is asked. stored: whether the Collection's vectors are its own."""

    name: str
    profile: Profile
    embedder: Embedder
    instructions: dict[Side, str]
    collection: StoredCollection
    stored: bool
    deaf: bool = False  # its family takes no Instruction, and the Profiles differ
    forced: bool = False  # and it is given it all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passages:
    """The passages compared. ids: (n,) of each side's Collection; of: how many there are."""

    ids: tuple[Int64Vector, Int64Vector]
    of: int
    read: tuple[StoredPassage, ...] = field(default=())  # of the first side, where texts are needed


def diff(
    library: Library, collection: str | None, wanted: Wanted, on_progress: OnProgress | None = None
) -> Difference:
    """Compare two Profiles, two models, or both, over the passages of a Collection.

    Raises: UsageError: both are the same, or there is nothing to compare. ProfileNotFound, ModelNotFound.
    """
    with library.reading(collection) as (_, one):
        pass  # models are opened, and embed, while no state of the database is held
    if wanted.profiles[0] == wanted.profiles[1] and wanted.models[0] == wanted.models[1]:
        raise UsageError(
            "both sides are the same", remedy="name two profiles, or --model-a and --model-b, to compare"
        )
    first, second = (_party(library, one, wanted, side) for side in (0, 1))
    return _compared(library, first, second, wanted, on_progress)


def diff_collections(
    library: Library, first: str, second: str, wanted: Wanted, on_progress: OnProgress | None = None
) -> Difference:
    """Compare two Collections over the texts that both hold, by their stored vectors.

    Raises: UsageError: they share no texts. CollectionNotFound; RecipeMismatch: a model is another by now.
    """
    with library.reading(first) as (db, one):
        other = named(db, second)
    if one.name == other.name:
        raise UsageError("both sides are the same collection", remedy="name another, or two profiles with -c")
    return _compared(library, _own(library, one), _own(library, other), wanted, on_progress)


# -------------------------------------------------------------------- the two sides


def _party(library: Library, collection: StoredCollection, wanted: Wanted, side: int) -> _Party:
    asked, model = wanted.profiles[side], wanted.models[side]
    profile = Profile.from_dict(collection.profile) if asked is None else Profile.load(asked)
    embedder = library.embedder(collection) if model is None else library.opened(model, None)
    name = profile.name if wanted.profiles[0] != wanted.profiles[1] else ""
    if wanted.models[0] != wanted.models[1]:
        name = f"{name} with {embedder.model}" if name else embedder.model
    instructions = {one: embedder.instruction_for(profile, one) for one in SIDES}
    # Where only the models differ, both are read as they were trained; and a side that no Profile was named
    # for is the Collection as it is.
    deaf = wanted.profiles[0] != wanted.profiles[1] and _is_deaf(embedder, profile)
    forced = deaf and wanted.literal and asked is not None
    if forced:
        instructions = {one: text + profile.instruction(one).render() for one, text in instructions.items()}
        for text in instructions.values():
            embedder.check_instruction(text)
    now = {**embedder.fingerprint(), recipe.INSTRUCTION: instructions["document"]}
    return _Party(
        name=name,
        profile=profile,
        embedder=embedder,
        instructions=instructions,
        collection=collection,
        stored=not recipe.differences(collection.recipe, now),
        deaf=deaf,
        forced=forced,
    )


def _is_deaf(embedder: Embedder, profile: Profile) -> bool:
    """Whether a model is given nothing of what the Profile says, although that says something."""
    deaf = len(deaf_sides(embedder.family, profile)) == len(SIDES)
    return deaf and any(profile.instruction(side).render().strip() for side in SIDES)


def _own(library: Library, collection: StoredCollection) -> _Party:
    embedder, profile = library.embedder(collection), Profile.from_dict(collection.profile)
    remedy = f"see what is the matter: searchkit doctor -c {collection.name}"
    recipe.require_same(
        collection.name, collection.recipe, recipe.recipe_of(embedder, profile), remedy=remedy
    )
    return _Party(
        name=collection.name,
        profile=profile,
        embedder=embedder,
        instructions={side: embedder.instruction_for(profile, side) for side in SIDES},
        collection=collection,
        stored=True,
    )


# -------------------------------------------------------------------- comparing


def _compared(
    library: Library, first: _Party, second: _Party, wanted: Wanted, on_progress: OnProgress | None
) -> Difference:
    both = (first, second)
    with library.reading(first.collection.name) as (db, _):
        passages = _chosen(db, both, wanted)
    asked = list(wanted.queries) if wanted.queries is not None else _made(passages)
    if not asked:
        raise UsageError("no queries can be made from the passages", remedy="give some: --queries FILE")
    embedded: dict[tuple[int, str], Float32Matrix] = {}
    vectors = tuple(
        _vectors(one, ids, passages, embedded, on_progress)
        for one, ids in zip(both, passages.ids, strict=True)
    )
    queries = tuple(one.embedder.embed(asked, one.instructions["query"]) for one in both)
    with library.reading(first.collection.name) as (db, _):
        for one in both:
            _require_unchanged(db, one.collection)
        rankings = [spaces.ranked(db, space, matrix) for space, matrix in zip(vectors, queries, strict=True)]
        looking = moved.Looking(db, vectors, passages.ids[0], (first.instructions, second.instructions))
        found = [
            looking.at(query, (rankings[0][at], rankings[1][at]), (queries[0][at], queries[1][at]), wanted.k)
            for at, query in enumerate(asked)
        ]
    return Difference(
        first=_shown(first),
        second=_shown(second),
        passages=len(passages.ids[0]),
        of=passages.of,
        queries=len(asked),
        made=wanted.queries is None,
        measures=_measures(found, wanted.k),
        moved=tuple(sorted(found, key=lambda one: (one.same_first, one.rbo))),
        notices=tuple(_notices(both, passages, made=wanted.queries is None)),
    )


def _chosen(db: Database, both: tuple[_Party, _Party], wanted: Wanted) -> _Passages:
    """A passage of each text that both sides hold; a sample where texts have to be embedded.

    Raises: UsageError: there are none.
    """
    held = [placed(db, one.collection.collection_id) for one in both]
    texts = [np.unique(one.text_ids, return_index=True) for one in held]
    common, at_first, at_second = np.intersect1d(
        texts[0][0], texts[1][0], assume_unique=True, return_indices=True
    )
    if not len(common):
        names = " and ".join(f"'{name}'" for name in dict.fromkeys(one.collection.name for one in both))
        raise UsageError(
            f"{names} hold no passage in common: nothing can be compared",
            remedy="index the same files under profiles that cut alike, or compare profiles with -c NAME",
        )
    ids = (
        held[0].passage_ids[texts[0][1][at_first]],
        held[1].passage_ids[texts[1][1][at_second]],
    )
    drawn = np.random.default_rng(SEED)
    anew = not all(one.stored for one in both)
    rows = np.arange(len(common))
    if anew and 0 < wanted.sample < len(common):
        rows = np.sort(drawn.choice(len(common), wanted.sample, replace=False))
    chosen = (ids[0][rows], ids[1][rows])
    needed = chosen[0]
    if not anew:  # texts only for queries
        few = 2 * QUERIES if wanted.queries is None else 0
        needed = np.sort(drawn.choice(needed, min(few, len(needed)), replace=False))
    return _Passages(ids=chosen, of=len(common), read=tuple(store.passages(db, needed.tolist())))


def _made(passages: _Passages) -> list[str]:
    """Headings and first sentences of some passages, in turn."""
    drawn = np.random.default_rng(SEED)
    order = drawn.permutation(len(passages.read))
    found: dict[str, None] = {}
    for at in order:
        if query := moved.query_from(passages.read[at], heading=len(found) % 2 == 0):
            found.setdefault(query)
        if len(found) == QUERIES:
            break
    return list(found)


def _vectors(
    party: _Party,
    ids: Int64Vector,
    passages: _Passages,
    embedded: dict[tuple[int, str], Float32Matrix],
    on_progress: OnProgress | None,
) -> Vectors:
    if party.stored:
        return Stored(party.collection, ids)
    key = id(party.embedder), party.instructions["document"]
    if key not in embedded:  # both sides may have the same words before documents
        encode = Encoder(party.embedder, party.instructions, None, on_progress)
        embedded[key] = encode([one.embedded_text for one in passages.read], "document")
    return Embedded(embedded[key])


def _require_unchanged(db: Database, collection: StoredCollection) -> None:
    now = catalogue.collection_named(db, collection.name)
    if now is None or now.generation != collection.generation or now.recipe_id != collection.recipe_id:
        raise UsageError(
            f"collection '{collection.name}' was changed by another process meanwhile",
            remedy="run the same command again",
        )


def _shown(party: _Party) -> Compared:
    return Compared(
        name=party.name,
        profile=party.profile.name,
        model=party.embedder.model,
        instructions=dict[str, str](**party.instructions),
        embedded=not party.stored,
    )


def _measures(found: Sequence[Moved], k: int) -> dict[str, Mean]:
    columns = {
        f"overlap@{k}": [one.overlap for one in found],
        "rbo": [one.rbo for one in found],
        "kendall": [one.kendall for one in found if one.kendall is not None],
    }
    same = sum(one.same_first for one in found)
    measures = {name: _mean(values, mean_interval) for name, values in columns.items() if values}
    first = _mean([one.same_first for one in found], lambda values: share_interval(same, len(values)))
    return {**measures, "same first": first}


def _mean(values: Sequence[float], interval: Callable[[Float64Vector], tuple[float, float]]) -> Mean:
    column = np.asarray(values, dtype=np.float64)
    low, high = interval(column) if len(column) > 1 else (None, None)
    return Mean(mean=float(column.mean()), low=low, high=high)


def _notices(both: tuple[_Party, _Party], passages: _Passages, *, made: bool) -> list[str]:
    first, second = both
    notices = []
    if made:
        notices.append(
            "the queries are headings and first sentences of the passages themselves, which any model finds "
            "easily: weak evidence; ask your own with --queries FILE"
        )
    if len(passages.ids[0]) < passages.of:
        notices.append(
            f"{len(passages.ids[0]):,} of {passages.of:,} passages are compared, drawn at random: they had "
            "to be embedded for this run; --sample 0 takes all"
        )
    notices += _of_deaf(both)
    if first.embedder is second.embedder and first.instructions == second.instructions:
        notices.append(f"{first.embedder.model} is given the same words by both sides: nothing can differ")
    if any(one.profile.chunking != _chunking(one) for one in both):
        notices.append("a profile cuts documents in another way: the passages here are as they are stored")
    return notices


def _of_deaf(both: tuple[_Party, _Party]) -> Iterator[str]:
    for model in dict.fromkeys(one.embedder.model for one in both if one.deaf):
        deaf = [one for one in both if one.deaf and one.embedder.model == model]
        forced = [one for one in deaf if one.forced]
        names = " and ".join(f"'{one.profile.name}'" for one in forced or deaf)
        if forced:
            yield (
                f"{model} was not trained with instructions: those of {names} are put before texts all the "
                "same, and a query with it answers otherwise"
            )
        else:
            yield (
                f"{model} takes no instructions: those of {names} change nothing; those of profiles that "
                "are named are put before texts all the same with --literal"
            )


def _chunking(party: _Party) -> object:
    return Profile.from_dict(party.collection.profile).chunking
