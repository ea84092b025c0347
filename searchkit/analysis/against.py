"""Finds texts in a Collection that others repeat: those of a second Collection, or of files not indexed.

Groups are those around one passage of the Collection looked in: each text goes to the nearest that passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchkit.analysis.duplicates import NEIGHBOURS, Copy, Found, Group, checked, copy_of, cosine, rows_of
from searchkit.analysis.evidence import evidence
from searchkit.analysis.knn import neighbours, neighbours_among
from searchkit.analysis.texts import Texts, texts_of
from searchkit.analysis.threshold import Threshold, null_of, threshold_of
from searchkit.arrays import Float32Matrix
from searchkit.errors import RecipeMismatch
from searchkit.library import documents as store
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.duplicates import Decisions, decisions

CANDIDATES = 8  # base texts looked at for each: the nearest may have been rejected


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage that is not stored."""

    document: str
    where: str
    text: str
    embedded_text: str  # with its context


def find_against(
    db: Database, collection: StoredCollection, other: StoredCollection, threshold: float | None = None
) -> Found:
    """The passages of a Collection that repeat one of another, around those of the other.

    The threshold is measured in the other. To be used within db.one_state().
    Raises: RecipeMismatch: their vectors cannot be compared. UsageError, LibraryDamaged.
    """
    _require_one_recipe(collection, other)
    mine, base = texts_of(db, collection), texts_of(db, other)
    ids = sorted({*mine.ids.tolist(), *base.ids.tolist()})
    decided = decisions(db, ids)
    limit = _measured(base, decided, threshold)
    row_of = {text_id: row for row, text_id in enumerate(base.ids.tolist())}
    rejected, accepted = _by_text(decided, same=False), _by_text(decided, same=True)
    near = neighbours_among(mine.vectors, base.vectors, CANDIDATES)
    repeated: dict[int, tuple[int, float]] = {}
    for row, text_id in enumerate(mine.ids.tolist()):
        for at, score in _candidates(near.rows[row], near.cosines[row], row_of.get(text_id)):
            known = int(base.ids[at])
            if score >= limit.value and known not in rejected.get(text_id, ()):
                repeated[row] = at, score
                break
        for known in sorted(accepted.get(text_id, ())):
            if row not in repeated and known in row_of:
                score = float(mine.vectors[row] @ base.vectors[row_of[known]])
                repeated[row] = row_of[known], score
    groups = _groups(db, mine, base, repeated)
    copies = [one for group in groups for one in group.copies]
    exact = sum(one.exact for one in copies)
    return Found(
        collection=collection.name,
        against=other.name,
        threshold=limit,
        passages=len(mine.rows),
        texts=len(mine.ids),
        exact=exact,
        near=len(copies) - exact,
        groups=tuple(groups),
    )


def find_new(
    db: Database,
    collection: StoredCollection,
    passages: Sequence[NewPassage],
    vectors: Float32Matrix,
    threshold: float | None = None,
) -> Found:
    """Those of new passages that repeat one of a Collection, around the stored ones; nothing is stored.

    vectors: (len(passages), dim) float32, of the Collection's recipe. To be used within db.one_state().
    Raises: UsageError, LibraryDamaged.
    """
    base = texts_of(db, collection)
    limit = _measured(base, decisions(db, base.ids.tolist()), threshold)
    near = neighbours_among(vectors, base.vectors, 1)
    held: defaultdict[int, list[tuple[NewPassage, float]]] = defaultdict(list)
    for row, one in enumerate(passages):
        if near.rows.shape[1] and near.cosines[row, 0] >= limit.value:
            held[int(near.rows[row, 0])].append((one, float(near.cosines[row, 0])))
    groups = []
    first = _first_passages(db, base, held)
    for at in sorted(held, key=lambda at: (-len(held[at]), at)):
        copies = [_new_copy(one, score, first[at]) for one, score in held[at]]
        copies.sort(key=lambda one: -one.cosine)
        groups.append(Group(representative=copy_of(first[at], 1.0, first[at]), copies=tuple(copies)))
    exact = sum(one.exact for group in groups for one in group.copies)
    return Found(
        collection="new files",
        against=collection.name,
        threshold=limit,
        passages=len(passages),
        texts=len({one.embedded_text for one in passages}),
        exact=exact,
        near=sum(len(one.copies) for one in groups) - exact,
        groups=tuple(groups),
    )


def _measured(base: Texts, decided: Decisions, threshold: float | None) -> Threshold:
    checked(threshold)
    together, apart = rows_of(base, decided)
    return threshold_of(
        null_of(base.vectors, neighbours(base.vectors, NEIGHBOURS)),
        given=threshold,
        accepted=[cosine(base, *pair) for pair in together],
        rejected=[cosine(base, *pair) for pair in apart],
    )


def _require_one_recipe(one: StoredCollection, other: StoredCollection) -> None:
    if one.recipe_id == other.recipe_id:
        return
    fields = sorted(
        name
        for name in one.recipe.keys() | other.recipe.keys()
        if one.recipe.get(name) != other.recipe.get(name)
    )
    raise RecipeMismatch(
        f"collections '{one.name}' and '{other.name}' differ in {', '.join(fields)}: "
        "vectors can be compared only within one recipe",
        remedy=f"index the sources of one again under the other's profile and model: "
        f"searchkit show {other.name}",
    )


def _by_text(decided: Decisions, *, same: bool) -> Mapping[int, set[int]]:
    found: defaultdict[int, set[int]] = defaultdict(set)
    for (first, second), is_same in decided.pairs.items():
        if is_same == same:
            found[first].add(second)
            found[second].add(first)
    return found


def _candidates(rows: Sequence[int], cosines: Sequence[float], same: int | None) -> list[tuple[int, float]]:
    """The same text first, then the nearest."""
    found = [(int(at), float(score)) for at, score in zip(rows, cosines, strict=True) if at >= 0]
    return found if same is None else [(same, 1.0), *found]


def _groups(db: Database, mine: Texts, base: Texts, repeated: Mapping[int, tuple[int, float]]) -> list[Group]:
    by_row = mine.passages_by_row()
    held: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    for row, (at, score) in repeated.items():
        held[at] += [(int(mine.passage_ids[one]), score) for one in by_row[row]]
    first = _first_passages(db, base, held)
    groups = []
    for at, found in held.items():
        score_of = dict(found)
        copies = [
            _copy(one, score_of[one.passage_id], first[at]) for one in store.passages(db, list(score_of))
        ]
        copies.sort(key=lambda one: (-one.cosine, one.passage_id or 0))
        groups.append(Group(representative=copy_of(first[at], 1.0, first[at]), copies=tuple(copies)))
    groups.sort(key=lambda one: (-len(one.copies), -one.copies[0].cosine, one.representative.passage_id or 0))
    return groups


def _first_passages(db: Database, base: Texts, rows: Mapping[int, object]) -> dict[int, StoredPassage]:
    """The oldest passage of each of some rows."""
    by_row = base.passages_by_row()
    ids = {row: int(base.passage_ids[by_row[row][0]]) for row in rows}
    found = {one.passage_id: one for one in store.passages(db, list(ids.values()))}
    return {row: found[passage_id] for row, passage_id in ids.items()}


def _copy(one: StoredPassage, score: float, first: StoredPassage) -> Copy:
    return copy_of(one, score, first, differences=evidence(first.text, one.text))


def _new_copy(one: NewPassage, score: float, first: StoredPassage) -> Copy:
    exact = one.text == first.text
    return Copy(
        passage_id=None,
        document=one.document,
        where=one.where,
        text=one.text,
        cosine=round(min(score, 1.0), 6),
        exact=exact,
        differences=None if exact else evidence(first.text, one.text),
    )
