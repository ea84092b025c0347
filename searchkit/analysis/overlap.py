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

from searchkit.analysis.duplicates import Grouped, grouped_texts
from searchkit.analysis.grouping import Pairs, stars
from searchkit.analysis.threshold import Threshold
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.naming import names_of

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
    """Documents that hold the same as the first, which stands for them: a longer or an older one."""

    representative: DocumentCopy
    copies: tuple[DocumentCopy, ...]  # the most contained first


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocuments:
    """Duplicates among the Documents of a Collection; the largest group comes first."""

    collection: str
    threshold: Threshold
    documents: int
    passages: int
    groups: tuple[DocumentGroup, ...] = ()


class _Documents:
    """Documents by what they hold: for each, the keys of its passages and how often each stands there.

    Rows are Documents, the longest first, then the oldest. Passages of one group have one key.
    """

    def __init__(self, grouped: Grouped) -> None:
        texts = grouped.texts
        key = np.arange(len(texts.ids))
        for rows in grouped.groups:
            key[rows] = rows[0]
        held: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for document, row in zip(texts.document_ids.tolist(), key[texts.rows].tolist(), strict=True):
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


def find_documents(
    db: Database,
    collection: StoredCollection,
    threshold: float | None = None,
    least: float = CONTAINED,
) -> FoundDocuments:
    """Group the Documents of a Collection. threshold: of two passages, as for duplicates.find.

    least: the share that has to be contained. To be used within db.one_state(). Raises: as duplicates.find.
    """
    grouped = grouped_texts(db, collection, threshold)
    documents = _Documents(grouped)
    scored = [(*pair, documents.score(*pair)) for pair in documents.met()]
    passing = [one for one in scored if one[2] >= least]

    def belongs(leader: int, rows: Sequence[int]) -> Sequence[bool]:
        return [documents.score(leader, row) >= least for row in rows]

    pairs = Pairs(
        np.array([one[0] for one in passing], dtype=np.int64),
        np.array([one[1] for one in passing], dtype=np.int64),
        np.array([one[2] for one in passing], dtype=np.float32),
    )
    made = stars(pairs, belongs, first_stands=True)
    names = names_of(db, [documents.ids[row] for rows in made for row in rows])
    groups = [_group(documents, names, rows) for rows in made]
    groups.sort(key=lambda one: (-len(one.copies), -one.copies[0].contained, one.representative.document))
    return FoundDocuments(
        collection=collection.name,
        threshold=grouped.threshold,
        documents=len(documents.ids),
        passages=len(grouped.texts.rows),
        groups=tuple(groups),
    )


def _group(documents: _Documents, names: Mapping[int, str], rows: Sequence[int]) -> DocumentGroup:
    leader = rows[0]

    def shown(row: int) -> DocumentCopy:
        return DocumentCopy(
            document=names[documents.ids[row]],
            passages=documents.keys[row].total(),
            contained=round(documents.contained(row, leader), 4),
            containing=round(documents.contained(leader, row), 4),
        )

    copies = sorted(map(shown, rows[1:]), key=lambda one: (-one.contained, -one.containing, one.document))
    return DocumentGroup(representative=shown(leader), copies=tuple(copies))
