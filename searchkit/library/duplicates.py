"""Which passages share a text, and what a person decided about two texts: are they the same or not?

A decision belongs to the two texts, not to their places: it holds wherever they stand, and still when they
were indexed again. Kept are hashes under the Library's key: of a text that was forgotten nothing comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.library.database import Database, Transaction
from searchkit.library.forgotten import hashed


@dataclass(frozen=True, slots=True)
class Placed:
    """The passages of a Collection, by id: (n,) each."""

    passage_ids: Int64Vector
    document_ids: Int64Vector
    text_ids: Int64Vector


def placed(db: Database, collection_id: int) -> Placed:
    """All passages of a Collection with the Document and the text of each."""
    rows = db.rows(
        """SELECT passage_id, document_id, text_id FROM passages WHERE collection_id = ?
           ORDER BY passage_id""",
        (collection_id,),
    )
    table = np.array(rows, dtype=np.int64).reshape(len(rows), 3)
    return Placed(table[:, 0], table[:, 1], table[:, 2])


def text_of_passage(db: Database, passage_id: int) -> bytes | None:
    """The hash of a passage's text; None where there is no such passage."""
    row = db.row("SELECT hash FROM passages JOIN texts USING (text_id) WHERE passage_id = ?", (passage_id,))
    return None if row is None else bytes(row[0])


# -------------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class Decisions:
    """Pairs of text ids, the smaller first, and whether the two are the same."""

    pairs: Mapping[tuple[int, int], bool]

    def __bool__(self) -> bool:
        return bool(self.pairs)


def decide(tx: Transaction, first: bytes, second: bytes, same: bool | None) -> bool:
    """Note that the texts of two hashes are the same or not; None takes back what was noted.

    Returns: whether that changed anything.
    """
    key = tx.rows("SELECT key FROM forgotten_key")[0][0]
    pair = sorted((hashed(key, first), hashed(key, second)))
    if same is None:
        return bool(tx.changed("DELETE FROM duplicate_decisions WHERE first = ? AND second = ?", pair))
    return bool(
        tx.changed(
            """INSERT INTO duplicate_decisions (first, second, same) VALUES (?, ?, ?)
               ON CONFLICT (first, second) DO UPDATE SET same = excluded.same WHERE same <> excluded.same""",
            (*pair, int(same)),
        )
    )


def decisions(db: Database, text_ids: Sequence[int]) -> Decisions:
    """What was decided about pairs of these texts."""
    decided = db.rows("SELECT first, second, same FROM duplicate_decisions")
    if not decided:
        return Decisions({})
    key = db.rows("SELECT key FROM forgotten_key")[0][0]
    wanted = {mark for row in decided for mark in row[:2]}
    ids = {}
    for text_id, text_hash in db.rows_among(
        "SELECT text_id, hash FROM texts WHERE text_id IN ({})", text_ids
    ):
        if (mark := hashed(key, text_hash)) in wanted:
            ids[mark] = text_id
    return Decisions(
        {
            (min(ids[first], ids[second]), max(ids[first], ids[second])): bool(same)
            for first, second, same in decided
            if first in ids and second in ids
        }
    )
