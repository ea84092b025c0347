"""A Library whose vectors are given instead of embedded: for measurements at sizes nobody waits to embed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.collection import recovery
from searchkit.library import collections as catalogue
from searchkit.library.database import Database
from searchkit.vector_index.protocol import VectorIndex

STEP = 20_000  # rows a transaction
TEXT = "A passage of the usual length, so that the database is as large as a real one. " * 4


def store(folder: Path, base: Float32Matrix, texts: Sequence[str] | None = None) -> None:
    """Make a Library of one Collection; row i becomes passage i + 1, a fresh file gives out ids in order.

    texts: of the rows; None for filling that nobody searches for, and that is not indexed as full text.
    """
    seen: set[bytes] = set()
    with Database.write(folder) as db:
        with db.transaction() as tx:
            if texts is None:
                tx.run("DROP TRIGGER texts_into_fulltext")
            recipe = catalogue.put_recipe(tx, {"weights": "given"}, base.shape[1])
            collection = tx.run(
                "INSERT INTO collections (name, profile, model, recipe_id) VALUES ('given', '{}', '', ?)",
                (recipe,),
            )
            source = tx.run("INSERT INTO sources (collection_id, root) VALUES (?, x'2f')", (collection,))
            file = tx.run(
                """INSERT INTO files (source_id, name, size, mtime_ns, sha256, failures, reader)
                   VALUES (?, 'all', 0, 0, x'', '[]', '')""",
                (source,),
            )
            document = tx.run(
                """INSERT INTO documents (file_id, name, kind, title, metadata)
                   VALUES (?, 'all', '', '', '{}')""",
                (file,),
            )
        for first in range(0, len(base), STEP):
            part = np.ascontiguousarray(base[first : first + STEP], dtype="<f4")
            ids = range(first + 1, first + 1 + len(part))
            with db.transaction() as tx:
                tx.run_many(
                    "INSERT INTO texts (text_id, hash, context, text) VALUES (?, ?, '', ?)",
                    (
                        (
                            i,
                            _address(i, texts[i - 1] if texts else f"{i} {TEXT}", seen),
                            texts[i - 1] if texts else f"{i} {TEXT}",
                        )
                        for i in ids
                    ),
                )
                tx.run_many(
                    "INSERT INTO vectors (recipe_id, text_id, truncated, vector) VALUES (?, ?, 0, ?)",
                    ((recipe, i, row.tobytes()) for i, row in zip(ids, part, strict=True)),
                )
                tx.run_many(
                    """INSERT INTO passages (passage_id, collection_id, document_id, text_id, position,
                         start, "end", heading) VALUES (?, ?, ?, ?, ?, 0, 1, '')""",
                    ((i, collection, document, i, i) for i in ids),
                )


def _address(row: int, text: str, seen: set[bytes]) -> bytes:
    """The hash that a text is stored under; a row that repeats one has its own, for it has its own vector."""
    found = hashlib.sha256(text.encode()).digest()
    if found in seen:
        return hashlib.sha256(f"{row} {text}".encode()).digest()
    seen.add(found)
    return found


def open_stored(folder: Path) -> tuple[Database, VectorIndex]:
    """Open its database and its snapshot for reading."""
    db = Database.read(folder)
    index = recovery.open_snapshot(db, catalogue.collections(db)[0])
    assert index is not None
    return db, index
