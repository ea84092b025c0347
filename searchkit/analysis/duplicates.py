"""Finds the passages of a Collection that say the same, exactly or nearly, in groups around one of them.

Texts are stored once, so exact duplicates are passages of one text. Near ones are texts whose vectors are
close: the nearest neighbours of every text (knn.py), those above a threshold that the Collection itself
suggests (threshold.py), grouped without chains (grouping.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.analysis.evidence import Evidence, evidence
from searchkit.analysis.grouping import Pairs, stars
from searchkit.analysis.knn import Neighbourhood, neighbours
from searchkit.analysis.texts import Texts, texts_of
from searchkit.analysis.threshold import Threshold, null_of, threshold_of
from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.errors import UsageError
from searchkit.library import documents as store
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.library.duplicates import Decisions, decisions
from searchkit.records import place_in_words

# Of each text. More of them near to one text are met by way of their own neighbours.
NEIGHBOURS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A passage of a group, and how it compares with the representative.

    cosine: of the two texts; exact: the texts are the same, character by character; accepted: a person said
    that they are.
    """

    passage_id: int | None  # None of a passage that is not stored
    document: str
    where: str
    text: str
    cosine: float
    exact: bool
    accepted: bool = False
    differences: Evidence | None = None  # None where there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Passages that say the same as the first, which stands for them."""

    representative: Copy
    copies: tuple[Copy, ...]  # the nearest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Duplicates among the passages of a Collection; the largest group comes first.

    passages, texts: how many were compared; exact, near: how many passages repeat a text, or nearly, that
    stands for them. against: the Collection that representatives are of, '' for the same one.
    """

    collection: str
    threshold: Threshold
    passages: int
    texts: int
    exact: int
    near: int
    groups: tuple[Group, ...] = ()
    against: str = ""


@dataclass(frozen=True, slots=True)
class Grouped:
    """Texts in groups of rows, the representative of each first; a text that stands alone is in none."""

    texts: Texts
    threshold: Threshold
    groups: list[list[int]]
    accepted: frozenset[tuple[int, int]]


def find(db: Database, collection: StoredCollection, threshold: float | None = None) -> Found:
    """Group the passages of a Collection. threshold: a cosine; None for what the Collection suggests.

    To be used within db.one_state(). Raises: UsageError: the threshold is no cosine. LibraryDamaged.
    """
    grouped = grouped_texts(db, collection, threshold)
    by_row = grouped.texts.passages_by_row()
    inside = {row for rows in grouped.groups for row in rows}
    alone = [[row] for row, held in enumerate(by_row) if len(held) > 1 and row not in inside]
    everything = [*grouped.groups, *alone]
    shown = [int(grouped.texts.passage_ids[at]) for rows in everything for row in rows for at in by_row[row]]
    passages = {
        one.passage_id: one for one in store.passages(db, shown)
    }  # at once: there may be 10,000 groups
    groups = [_group(grouped, by_row, passages, rows) for rows in everything]
    groups.sort(key=lambda one: (-len(one.copies), -one.copies[0].cosine, one.representative.passage_id or 0))
    exact = sum(len(held) - 1 for held in by_row if len(held))
    copies = sum(len(one.copies) for one in groups)
    return Found(
        collection=collection.name,
        threshold=grouped.threshold,
        passages=len(grouped.texts.rows),
        texts=len(grouped.texts.ids),
        exact=exact,
        near=copies - exact,
        groups=tuple(groups),
    )


def grouped_texts(db: Database, collection: StoredCollection, threshold: float | None) -> Grouped:
    """The texts of a Collection in groups."""
    checked(threshold)
    texts = texts_of(db, collection)
    decided = decisions(db, texts.ids.tolist())
    near = neighbours(texts.vectors, NEIGHBOURS)
    together, apart = rows_of(texts, decided)
    limit = threshold_of(
        null_of(texts.vectors, near),
        given=threshold,
        accepted=[cosine(texts, *pair) for pair in together],
        rejected=[cosine(texts, *pair) for pair in apart],
    )
    left, right, scores = edges(near, limit.value)

    def belongs(leader: int, rows: Sequence[int]) -> Sequence[bool]:
        near_enough = texts.vectors[list(rows)] @ texts.vectors[leader] >= limit.value
        return [bool(one) for one in near_enough]

    pairs = Pairs(left, right, scores)
    return Grouped(texts, limit, stars(pairs, belongs, together, apart), frozenset(together))


def checked(threshold: float | None) -> None:
    """Raise UsageError unless it is a cosine that can tell anything apart."""
    if threshold is not None and not 0 < threshold <= 1:  # a NaN is neither
        raise UsageError(
            f"the threshold is {threshold:g}, expected a cosine above 0 and up to 1",
            remedy="leave it out to have it measured, or try: --threshold 0.9",
        )


def cosine(texts: Texts, one: int, other: int) -> float:
    """Of two rows."""
    return float(texts.vectors[one] @ texts.vectors[other])


def rows_of(texts: Texts, decided: Decisions) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of rows that a person called the same, and those called different; of others, none."""
    row = {text_id: at for at, text_id in enumerate(texts.ids.tolist())} if decided else {}
    same: list[tuple[int, int]] = []
    different: list[tuple[int, int]] = []
    for (first, second), is_same in sorted(decided.pairs.items()):
        if first in row and second in row:
            (same if is_same else different).append((row[first], row[second]))
    return same, different


def edges(near: Neighbourhood, least: float) -> tuple[Int64Vector, Int64Vector, Float32Vector]:
    """Pairs of rows with a cosine of at least `least`, each once, the smaller row first."""
    here, at = np.nonzero(near.cosines >= least)
    left, right = here.astype(np.int64), near.rows[here, at]
    pairs = np.stack([np.minimum(left, right), np.maximum(left, right)])
    _, first = np.unique(pairs, axis=1, return_index=True)
    return pairs[0, first], pairs[1, first], near.cosines[here, at][first]


def _group(
    grouped: Grouped,
    by_row: Sequence[Int64Vector],
    passages: Mapping[int, StoredPassage],
    rows: Sequence[int],
) -> Group:
    """The passages of a group's texts."""
    texts, leader = grouped.texts, rows[0]
    row_of = {int(texts.passage_ids[at]): row for row in rows for at in by_row[row]}
    found = [passages[passage_id] for passage_id in row_of]
    first = next(one for one in found if row_of[one.passage_id] == leader)
    copies = []
    compared: dict[str, Evidence] = {}
    for one in found:
        if one is first:
            continue
        row = row_of[one.passage_id]
        if one.text not in compared:
            compared[one.text] = evidence(first.text, one.text)
        copies.append(
            copy_of(
                one,
                1.0 if row == leader else cosine(texts, leader, row),
                first,
                accepted=(min(row, leader), max(row, leader)) in grouped.accepted,
                differences=compared[one.text],
            )
        )
    copies.sort(key=lambda one: (-one.cosine, one.passage_id or 0))
    return Group(representative=copy_of(first, 1.0, first), copies=tuple(copies))


def copy_of(
    one: StoredPassage,
    likeness: float,
    first: StoredPassage,
    *,
    accepted: bool = False,
    differences: Evidence | None = None,
) -> Copy:
    """A passage beside the representative."""
    exact = one.text == first.text
    return Copy(
        passage_id=one.passage_id,
        document=one.document,
        where=one.document + place_in_words(one.kind, one.place),
        text=one.text,
        cosine=round(min(likeness, 1.0), 6),
        exact=exact,
        accepted=accepted,
        differences=None if exact else differences,
    )
