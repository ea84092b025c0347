"""Finds texts in a Collection that others repeat: those of a second Collection, or of files not indexed.

Groups are those around one passage of the Collection looked in. Each text goes to the same text there, else
to one that a person accepted, else to the nearest that passes and was not rejected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from searchkit.analysis.copies import Member, Members, in_order
from searchkit.analysis.joined import chains, measured
from searchkit.analysis.knn import neighbours_among
from searchkit.analysis.texts import Texts
from searchkit.analysis.threshold import Threshold, threshold_of
from searchkit.errors import RecipeMismatch, UsageError
from searchkit.library.collections import StoredCollection
from searchkit.library.duplicates import Decisions

CANDIDATES = 8  # base texts looked at for each: the nearest may have been rejected


def repeated(
    mine: Texts, base: Texts, decided: Decisions, threshold: float | None = None
) -> tuple[Threshold, list[Members]]:
    """Groups around the oldest passage of base texts. threshold: None for what the base suggests."""
    same, different = (
        [pair for pair, is_same in decided.pairs.items() if is_same == wanted] for wanted in (True, False)
    )
    limit = threshold_of(
        None if threshold is not None else measured(base),
        given=threshold,
        accepted=[_cosine(mine, base, *pair) for pair in same if _are_known(mine, base, pair)],
        rejected=[_cosine(mine, base, *pair) for pair in different if _are_known(mine, base, pair)],
    )
    accepted, nearest = _accepted(mine, base, same), _nearest(mine, base)
    rejected = {frozenset(pair) for pair in different}
    name_of = {row: one for one, row in base.hashes.items()}
    members: defaultdict[int, list[Member]] = defaultdict(list)
    for one, row in mine.hashes.items():
        candidates = [
            *((1.0, at, False) for at in [base.hashes.get(one)] if at is not None),
            *((_cross(mine, row, base, at), at, True) for at in accepted[one]),
            *((likeness, at, False) for likeness, at in nearest[row] if likeness >= limit.value),
        ]
        for likeness, at, said in candidates:
            if {one, name_of[at]} not in rejected:
                exact = name_of[at] == one
                members[at] += [Member(held, likeness, exact, said) for held in mine.passages[row]]
                break
    return limit, in_order([Members(base.passages[at][0], copies) for at, copies in members.items()])


def require_comparable(one: StoredCollection, other: StoredCollection) -> None:
    """Raise UsageError for the same Collection, RecipeMismatch where vectors cannot be compared."""
    if one.collection_id == other.collection_id:
        raise UsageError(
            f"'{one.name}' is the collection itself: each of its passages is there, of course",
            remedy="leave out --against, or name another collection with -c",
        )
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


def _accepted(mine: Texts, base: Texts, same: Sequence[tuple[bytes, bytes]]) -> defaultdict[bytes, list[int]]:
    """Base bodies that accepted pairs lead to, for each of mine the nearest first."""
    stands = chains(same)
    held: defaultdict[bytes, list[int]] = defaultdict(list)
    for one, first in stands.items():
        if one in base.hashes:
            held[first].append(base.hashes[one])
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for one in stands.keys() & mine.hashes.keys():
        row = mine.hashes[one]
        found[one] = sorted(held[stands[one]], key=lambda at: (-_cross(mine, row, base, at), at))
    return found


def _nearest(mine: Texts, base: Texts) -> dict[int, list[tuple[float, int]]]:
    """For each body the base bodies nearest to one of its texts, the nearest first."""
    near = neighbours_among(mine.vectors, base.vectors, CANDIDATES)
    found: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for row, body in enumerate(mine.bodies.tolist()):
        found[body] += _pairs(near.cosines[row], near.rows[row], base)
    return {body: sorted(pairs, key=lambda it: (-it[0], it[1])) for body, pairs in found.items()}


def _pairs(cosines: Sequence[float], rows: Sequence[int], base: Texts) -> Iterator[tuple[float, int]]:
    for score, at in zip(cosines, rows, strict=True):
        if at >= 0:
            yield float(score), int(base.bodies[at])


def _are_known(mine: Texts, base: Texts, pair: tuple[bytes, bytes]) -> bool:
    return all(one in mine.hashes or one in base.hashes for one in pair)


def _cosine(mine: Texts, base: Texts, first: bytes, second: bytes) -> float:
    """The likeness of two bodies, wherever they stand."""
    one, other = (base if it in base.hashes else mine for it in (first, second))
    return _cross(one, one.hashes[first], other, other.hashes[second])


def _cross(one: Texts, body: int, other: Texts, at: int) -> float:
    here, there = one.headings.get(body, np.array([body])), other.headings.get(at, np.array([at]))
    return float((one.vectors[here] @ other.vectors[there].T).max())
