"""Which passages have the same text, and what a person decided about two texts: are they the same or not?

The body of a text is what stands in the document, without the title and headings that are put before it where
it is embedded. A decision belongs to two bodies, not to their places: it holds wherever they stand, and still
when they were indexed again. Kept are hashes under the Library's key: no word can be read from them, and who
has the Library can confirm a text that he guesses. They go when one of the texts is forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.library.database import Database, Transaction
from searchkit.library.traces import hashed


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


def body_hash(text: str) -> bytes:
    """SHA-256 of a body."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def bodies(db: Database, collection_id: int) -> dict[int, bytes]:
    """The hash of the body of each text of a Collection, by text id."""
    rows = db.scan(  # the address of a text without context is that hash
        """SELECT text_id, hash, CASE context WHEN '' THEN NULL ELSE text END FROM texts
           WHERE text_id IN (SELECT text_id FROM passages WHERE collection_id = ?)""",
        (collection_id,),
    )
    return {text_id: bytes(known) if text is None else body_hash(text) for text_id, known, text in rows}


def passage_texts(tx: Database | Transaction, passage_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """The Collection and the body of passages that there are, by id."""
    found = {}
    for passage_id in passage_ids:
        for collection, text in tx.rows(
            """SELECT c.name, t.text FROM passages p JOIN texts t USING (text_id)
               JOIN collections c USING (collection_id) WHERE p.passage_id = ?""",
            (passage_id,),
        ):
            found[passage_id] = collection, text
    return found


# -------------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class Decisions:
    """Pairs of hashes of bodies, the smaller first, and whether the two are the same."""

    pairs: Mapping[tuple[bytes, bytes], bool]


def decide(tx: Transaction, first: bytes, second: bytes, same: bool | None) -> bool:
    """Note that the bodies of two hashes are the same or not; None takes back what was noted.

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


def decisions(db: Database, hashes: Iterable[bytes]) -> Decisions:
    """What was decided about pairs of these bodies."""
    decided = db.rows("SELECT first, second, same FROM duplicate_decisions")
    if not decided:
        return Decisions({})
    key = db.rows("SELECT key FROM forgotten_key")[0][0]
    wanted = {mark for row in decided for mark in row[:2]}
    body = {mark: one for one in hashes if (mark := hashed(key, one)) in wanted}
    return Decisions(
        {
            (min(body[first], body[second]), max(body[first], body[second])): bool(same)
            for first, second, same in decided
            if first in body and second in body
        }
    )


def forget(tx: Transaction, text_id: int, text: str) -> None:
    """Delete what was decided about the body of a text that is about to go, if no other text has it."""
    key = tx.rows("SELECT key FROM forgotten_key")[0][0]
    mark = hashed(key, body_hash(text))
    if not tx.rows("SELECT 1 FROM duplicate_decisions WHERE ? IN (first, second) LIMIT 1", (mark,)):
        return  # as nearly always: looking for the text reads all of them
    if not tx.rows("SELECT 1 FROM texts WHERE text = ? AND text_id <> ? LIMIT 1", (text, text_id)):
        tx.run("DELETE FROM duplicate_decisions WHERE ? IN (first, second)", (mark,))
