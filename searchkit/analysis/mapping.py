"""A map of a Collection: each passage, or Document, a point on a plane, near to what is like it.

Read in one committed state, computed from the stored vectors with nothing held open; no model is loaded, but
for a query whose hits are to be marked. It is asked first, so that its hits are among the points; what is
gone when these are read is no hit. map_page.py and map_picture.py write what this returns.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.analysis import map_layout
from searchkit.analysis.map_colours import PALETTE, Colours, colours
from searchkit.analysis.map_layout import OnProgress
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.collection.library import Library
from searchkit.errors import LibraryDamaged, UsageError
from searchkit.library import clusters, documents
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.filter_grammar import Filter, parse_filter
from searchkit.library.filters import CLUSTER, allowed_passages
from searchkit.library.values import is_time, values
from searchkit.library.vectors import CollectionVectors, passages_without_vector
from searchkit.records import JsonValue, place_in_words

LEVELS = ("passage", "document")
LIMIT = 100_000  # points that a page can show while it stays quick
WITHOUT_CLUSTERS = "type"  # what a Collection without clusters is coloured by
HITS = 30  # of a query that are marked
TOGETHER = 2_000  # passages read at a time
THEME_WORDS = 3  # that a theme is called by
# Characters that the search on a page knows of a Document's further passages, and of those of all Documents.
SEARCHED, SEARCHED_IN_ALL = 20_000, 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a map shows, and how.

    color_by: a field that filters know; None for clusters, or where there are none for the type.
    where: only these passages. limit: of more points so many are taken, at random.
    query: whose hits to mark; each is shown, whatever the limit.
    """

    method: str = "tsne"
    color_by: str | None = None
    where: str | Filter = ""
    level: str = "passage"
    limit: int = LIMIT
    seed: int = 0
    query: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A passage, or a Document shown by its first one. x, y: 0 to 1, upwards.

    further: texts of the Document's other passages, for the search on the page, cut at SEARCHED characters.
    """

    x: float
    y: float
    passage_id: int
    document: str
    where: str  # document and place, as a Hit's
    heading: str
    text: str
    passages: int = 1
    further: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Points with what they are coloured by. hits: rank of those that a query found, from 1, by point."""

    collection: str
    method: str
    level: str
    total: int  # points there are, before some were chosen
    points: tuple[Point, ...]
    colours: Colours
    query: str = ""
    hits: Mapping[int, int]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Coloured:
    """What points are coloured by. group_of: of values that are too many for colours of their own."""

    field: str
    value_of: Mapping[int, JsonValue]  # by passage
    group_of: Mapping[str, str] | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read of a Collection: a row each for the passages that are shown, by id."""

    total: int
    passages: Sequence[StoredPassage]
    vectors: Float32Matrix
    coloured: _Coloured
    values: Sequence[JsonValue]


def layout(
    library: Library,
    collection: str | None = None,
    wanted: Wanted | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Map:
    """Lay out the passages of a Collection.

    collection: its name; None for the default one. The same Collection gives the same map.
    Raises: UsageError: what is wanted cannot be. FilterInvalid, CollectionNotFound. LibraryDamaged: a vector
    is missing or is none.
    """
    wanted = checked(wanted or Wanted())
    found: dict[int, int] = {}
    if wanted.query is not None:
        with library.reading(collection) as (_, chosen):
            collection = chosen.name
        found = _hits(library, collection, wanted)
    with library.reading(collection) as (db, chosen):
        name, read = chosen.name, _read(db, chosen, wanted, found)
    rows = _rows_of_documents(read.passages) if wanted.level == "document" else _each(read.passages)
    vectors = _means(read.vectors, rows) if wanted.level == "document" else read.vectors
    placed = map_layout.positions(vectors, method=wanted.method, seed=wanted.seed, on_progress=on_progress)
    searched = max(1, min(SEARCHED, SEARCHED_IN_ALL // len(rows)))
    points = tuple(
        _point(read.passages, own, (float(x), float(y)), searched)
        for own, (x, y) in zip(rows, placed, strict=True)
    )
    return Map(
        collection=name,
        method=wanted.method,
        level=wanted.level,
        total=read.total,
        points=points,
        colours=colours(
            read.coloured.field,
            [_most_frequent([read.values[row] for row in own]) for own in rows],
            dates=is_time(read.coloured.field),
            group_of=read.coloured.group_of,
        ),
        query=wanted.query or "",
        hits=_best_of(read.passages, rows, found),
        notices=_notices(name, wanted, read, points, searched),
    )


def checked(wanted: Wanted) -> Wanted:
    """The same, if it can be carried out. Raises: UsageError."""
    for what, value, known in (
        ("method", wanted.method, map_layout.METHODS),
        ("level", wanted.level, LEVELS),
    ):
        if value not in known:
            raise UsageError(f"no {what} is called '{value}'", remedy=f"there are: {', '.join(known)}")
    if wanted.color_by is not None and not wanted.color_by.strip():
        raise UsageError("the field to colour by is empty", remedy="name one, or leave it out")
    if wanted.limit < 1:
        raise UsageError(f"at most {wanted.limit} points were asked for", remedy="ask for 1 or more")
    if wanted.seed < 0:
        raise UsageError(f"the seed is {wanted.seed}", remedy="give 0 or more")
    if wanted.method == "umap":
        map_layout.require_umap()
    return wanted


def _notices(
    collection: str, wanted: Wanted, read: _Read, points: Sequence[Point], searched: int
) -> tuple[str, ...]:
    """What the user should know of a map."""
    notices = list(read.coloured.notices)
    if len(points) < read.total:
        notices.insert(
            0,
            f"{len(points):,} of {read.total:,} {wanted.level}s, taken at random"
            f"{' but for the hits' if wanted.query else ''}, are shown",
        )
    if wanted.color_by is None and read.coloured.field != CLUSTER:
        notices.append(
            f"'{collection}' has no clusters yet, and is coloured by {read.coloured.field}; make them with: "
            f"searchkit cluster -c {collection}"
        )
    if cut := sum(len(one.further) >= searched for one in points):
        notices.append(
            f"the search on the page knows the first passage of each document and {searched:,} characters "
            f"after it: {cut:,} documents are longer"
        )
    return tuple(notices)


# -------------------------------------------------------------------- reading


def _read(db: Database, collection: StoredCollection, wanted: Wanted, hits: Collection[int]) -> _Read:
    """The passages to be shown with vectors and values."""
    named = collection.name
    damaged = f"see what else is wrong: searchkit verify {named}"
    if lacking := passages_without_vector(db, collection.collection_id, collection.recipe_id):
        raise LibraryDamaged(f"{lacking} passages of '{named}' have no vector, expected all", remedy=damaged)
    record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
    ids = record.ids()
    if not len(ids):
        raise UsageError(
            f"collection '{named}' has no passages, expected at least one",
            remedy="add files with: searchkit index FOLDER",
        )
    where = parse_filter(wanted.where) if isinstance(wanted.where, str) and wanted.where else wanted.where
    if where and not isinstance(where, str):
        ids = allowed_passages(db, collection.collection_id, where, now=time.time())
        if not len(ids):
            raise UsageError(f"no passage of '{named}' fits the filter", remedy="widen it, or leave it out")
    coloured = _coloured(db, collection, wanted.color_by)
    ids, total = _chosen(db, ids, wanted, hits)
    ids, vectors = record.of(ids)
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    if odd := ids[~((lengths > 0.5) & (lengths < 2))].tolist():  # NaN is neither
        raise LibraryDamaged(
            f"the vector of passage {odd[0]} is no direction, expected a length of 1 ({len(odd)} are so)",
            remedy=damaged,
        )
    passages: list[StoredPassage] = []
    for start in range(0, len(ids), TOGETHER):
        passages += documents.passages(db, ids[start : start + TOGETHER].tolist())
    return _Read(total, passages, vectors, coloured, [coloured.value_of.get(one) for one in ids.tolist()])


def _chosen(db: Database, ids: Int64Vector, wanted: Wanted, hits: Collection[int]) -> tuple[Int64Vector, int]:
    """The passages of the points that are shown, ascending, and how many points there are."""
    unit = ids
    if wanted.level == "document":
        rows = db.rows_among(
            "SELECT passage_id, document_id FROM passages WHERE passage_id IN ({})", ids.tolist()
        )
        document: dict[int, int] = dict(rows)
        unit = np.array([document[one] for one in ids.tolist()], dtype=np.int64)
    different = np.unique(unit)
    if len(different) <= wanted.limit:
        return ids, len(different)
    kept = np.unique(unit[np.isin(ids, list(hits))])
    others = np.setdiff1d(different, kept)
    left = max(0, wanted.limit - len(kept))
    some = np.random.default_rng(wanted.seed).choice(others, left, replace=False)
    return ids[np.isin(unit, np.concatenate((kept, some)))], len(different)


def _coloured(db: Database, collection: StoredCollection, asked: str | None) -> _Coloured:
    """What points are coloured by; many clusters by their themes."""
    run = None
    if asked is None or asked.lower() == CLUSTER:
        run = clusters.stored(db, collection.collection_id)
    if run is None:
        field = asked or WITHOUT_CLUSTERS
        return _Coloured(field, values(db, collection.collection_id, field))
    names = {one.number: one.name for one in run.clusters}
    found = clusters.assignments(db, collection.collection_id, run)
    each = zip(found.ids.tolist(), found.numbers.tolist(), strict=True)
    value_of: dict[int, JsonValue] = {passage_id: names.get(number) for passage_id, number in each}
    if len(names) <= len(PALETTE):
        return _Coloured(CLUSTER, value_of)
    if len({one.theme for one in run.clusters}) <= len(PALETTE):
        called = _themes(run)
        return _Coloured(CLUSTER, value_of, {one.name: called[one.theme] for one in run.clusters})
    most = f"of {len(names):,} clusters the {len(PALETTE)} largest have a colour, the rest is grey"
    return _Coloured(CLUSTER, value_of, notices=(most,))


def _themes(run: clusters.StoredRun) -> dict[int, str]:
    """What each theme is called: by its words, and by its number where another has the same ones."""
    words = {one.theme: ", ".join(one.theme_words[:THEME_WORDS]) for one in run.clusters}
    often = Counter(words.values())
    return {
        theme: name if name and often[name] == 1 else f"{name} ({theme})".strip()
        for theme, name in words.items()
    }


def _hits(library: Library, collection: str, wanted: Wanted) -> dict[int, int]:
    """Rank by passage of what a query finds."""
    found = library.query(wanted.query or "", collection=collection, k=HITS, where=wanted.where)
    return {hit.passage_id: hit.rank for hit in found.hits}


# -------------------------------------------------------------------- points


def _each(passages: Sequence[StoredPassage]) -> list[list[int]]:
    return [[row] for row in range(len(passages))]


def _rows_of_documents(passages: Sequence[StoredPassage]) -> list[list[int]]:
    """Rows of each Document's passages, in its order; Documents in the order of their first row."""
    held: dict[int, list[int]] = {}
    for row, one in enumerate(passages):
        held.setdefault(one.document_id, []).append(row)
    return [sorted(rows, key=lambda row: passages[row].position) for rows in held.values()]


def _means(vectors: Float32Matrix, rows: Sequence[Sequence[int]]) -> Float32Matrix:
    """The direction of the mean of each Document's vectors. Returns: (documents, dim) float32, length 1."""
    means = np.array([vectors[own].mean(axis=0, dtype=np.float64) for own in rows])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    first = vectors[[own[0] for own in rows]]  # where passages cancel out, the first stands for all
    made: Float32Matrix = np.where(lengths > 1e-6, means / np.maximum(lengths, 1e-6), first).astype(
        np.float32
    )
    return made


def _point(
    passages: Sequence[StoredPassage], rows: Sequence[int], place: tuple[float, float], searched: int
) -> Point:
    first = passages[rows[0]]
    in_document = place_in_words(first.kind, first.place) if len(rows) == 1 else ""
    return Point(
        x=place[0],
        y=place[1],
        passage_id=first.passage_id,
        document=first.document,
        where=first.document + in_document,
        heading=first.heading if len(rows) == 1 else first.title,
        text=first.text,
        passages=len(rows),
        further="\n".join(passages[row].text for row in rows[1:])[:searched],
    )


def _most_frequent(given: Sequence[JsonValue]) -> JsonValue:
    """The value that most passages have; of as many the first."""
    if len(given) == 1:
        return given[0]
    counted = Counter(repr(one) for one in given if one is not None)
    if not counted:
        return None
    best = counted.most_common(1)[0][0]
    return next(one for one in given if one is not None and repr(one) == best)


def _best_of(
    passages: Sequence[StoredPassage], rows: Sequence[Sequence[int]], found: Mapping[int, int]
) -> dict[int, int]:
    """The best rank among the passages of each point that has any."""
    best: dict[int, int] = {}
    for at, own in enumerate(rows if found else ()):
        ranks = [found[one] for row in own if (one := passages[row].passage_id) in found]
        if ranks:
            best[at] = min(ranks)
    return best
