"""Which Documents hold the same: how many of the passages of one have a duplicate in the other.

    contained(a, b) = share of the passages of a whose group has a passage of b, too

An old version of a handbook, a policy pasted into a page: mostly contained one way and less so the other. Two
Documents are duplicates when one of them is contained in the other by CONTAINED or more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from searchkit.analysis.grouping import Pairs, stars
from searchkit.analysis.joined import Joined
from searchkit.analysis.threshold import Threshold

CONTAINED = 0.5
# Documents with a passage in common that are compared one with another. Of a footer that thousands have,
# each is compared with the one before and with the first: who shares more meets again by another passage.
ALL_COMPARED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCopy:
    """A Document of a group, and how it compares with the representative.

    contained: share of its passages that the representative has, too; containing: share of those of the
    representative that it has.
    """

    document: str
    passages: int
    contained: float
    containing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentGroup:
    """Documents that hold the same as the first, which stands for them: the longest, of equals the oldest.

    A shorter one stands where all of a group overlap with it, and not all with the longest.
    """

    representative: DocumentCopy
    copies: tuple[DocumentCopy, ...]  # the most contained first


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocuments:
    """Duplicates among the Documents of a Collection; the largest group comes first. total: of groups."""

    collection: str
    threshold: Threshold
    documents: int
    passages: int
    total: int
    groups: tuple[DocumentGroup, ...] = ()


class Documents:
    """Documents by what they hold: for each, the keys of its passages and how often each stands there.

    Rows are Documents, the longest first, then the oldest. Passages of one group have one key.
    """

    def __init__(self, joined: Joined) -> None:
        texts = joined.texts
        key = np.arange(len(texts.bodies))
        for rows in joined.groups:
            key[rows] = rows[0]
        held: defaultdict[int, Counter[int]] = defaultdict(Counter)
        keys = key[texts.bodies[texts.rows]].tolist()
        for document, row in zip(texts.document_ids.tolist(), keys, strict=True):
            held[document][row] += 1
        self.ids = sorted(held, key=lambda one: (-held[one].total(), one))
        self.keys = [held[one] for one in self.ids]

    def contained(self, one: int, other: int) -> float:
        """Share of the passages of one that the other has, too."""
        mine, theirs = self.keys[one], self.keys[other]
        return sum(count for key, count in mine.items() if key in theirs) / mine.total()

    def score(self, one: int, other: int) -> float:
        """The larger share of the two ways."""
        return max(self.contained(one, other), self.contained(other, one))

    def met(self) -> Iterator[tuple[int, int]]:
        """Pairs that have something in common, the smaller row first, each once."""
        by_key: defaultdict[int, list[int]] = defaultdict(list)
        for row, keys in enumerate(self.keys):
            for key in keys:
                by_key[key].append(row)
        seen: set[tuple[int, int]] = set()
        for rows in by_key.values():
            few = len(rows) <= ALL_COMPARED
            pairs = combinations(rows, 2) if few else ((a, b) for a, b in _sparse(rows))
            for pair in pairs:
                if pair not in seen:
                    seen.add(pair)
                    yield pair


def _sparse(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield from pairwise(rows)
    yield from ((rows[0], row) for row in rows[2:])


def overlapping(documents: Documents, least: float = CONTAINED) -> list[list[int]]:
    """Rows of Documents in groups, the representative first. least: the share that has to be contained."""
    scored = [(*pair, documents.score(*pair)) for pair in documents.met()]
    passing = [one for one in scored if one[2] >= least]

    def belongs(leader: int, rows: Sequence[int]) -> Sequence[bool]:
        return [documents.score(leader, row) >= least for row in rows]

    pairs = Pairs(
        np.array([one[0] for one in passing], dtype=np.int64),
        np.array([one[1] for one in passing], dtype=np.int64),
        np.array([one[2] for one in passing], dtype=np.float32),
    )
    return stars(pairs, belongs, first_stands=True)


def shown_documents(
    documents: Documents, made: Sequence[Sequence[int]], names: Mapping[int, str]
) -> list[DocumentGroup]:
    """Groups by name, the largest first. names: by Document; those without one are gone."""
    groups = []
    for rows in made:
        leader, *others = (row for row in rows if documents.ids[row] in names or row == rows[0])
        if documents.ids[leader] in names and others:
            groups.append(_group(documents, names, leader, others))
    return sorted(
        groups, key=lambda one: (-len(one.copies), -one.copies[0].contained, one.representative.document)
    )


def _group(
    documents: Documents, names: Mapping[int, str], leader: int, others: Sequence[int]
) -> DocumentGroup:
    def shown(row: int) -> DocumentCopy:
        return DocumentCopy(
            document=names[documents.ids[row]],
            passages=documents.keys[row].total(),
            contained=round(documents.contained(row, leader), 4),
            containing=round(documents.contained(leader, row), 4),
        )

    copies = sorted(map(shown, others), key=lambda one: (-one.contained, -one.containing, one.document))
    return DocumentGroup(representative=shown(leader), copies=tuple(copies))
