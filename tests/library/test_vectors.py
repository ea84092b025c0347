import numpy as np
import pytest

from searchkit.errors import LibraryDamaged
from searchkit.library import collections as catalogue
from searchkit.library import vectors
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors

DIM, ROWS = 8, 50
VECTORS = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture
def db(library_folder):
    """Two Collections of one recipe: passages 1, 3, 5, ... are of the first, 2, 4, 6, ... of the second."""
    with Database.write(library_folder) as db:
        with db.transaction() as tx:
            recipe = catalogue.put_recipe(tx, {"weights": "w"}, DIM)
            for name in ("one", "two"):
                tx.run(
                    "INSERT INTO collections (name, profile, model, recipe_id) VALUES (?, '{}', '', ?)",
                    (name, recipe),
                )
            tx.run("INSERT INTO sources (source_id, collection_id, root) VALUES (1, 1, x'2f')")
            tx.run("INSERT INTO files VALUES (1, 1, 'f', 0, 0, x'', '[]', '')")
            tx.run("INSERT INTO documents VALUES (1, 1, 'f', '', '', '{}')")
            for i in range(1, ROWS + 1):
                tx.run("INSERT INTO texts VALUES (?, ?, '', 'text')", (i, bytes([i])))
                tx.run(
                    "INSERT INTO passages (passage_id, collection_id, document_id, text_id, position, start, "
                    "\"end\", heading) VALUES (?, ?, 1, ?, 0, 0, 1, '')",
                    (i, 1 if i % 2 else 2, i),
                )
            vectors.put_vectors(
                tx, recipe, [bytes([i]) for i in range(1, ROWS + 1)], VECTORS, np.zeros(ROWS, dtype=bool)
            )
        yield db


def odd(least=1):
    return [i for i in range(least, ROWS + 1) if i % 2]


@pytest.mark.parametrize("block", [1, 7, 25, 1000])
def test_blocks_hold_all_of_a_collection_in_order(db, block, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK_ROWS", block)
    blocks = list(CollectionVectors(db, 1, 1, DIM).blocks())
    assert np.concatenate([ids for ids, _ in blocks]).tolist() == odd()
    assert max(len(ids) for ids, _ in blocks) == min(block, 25)
    np.testing.assert_array_equal(np.concatenate([matrix for _, matrix in blocks]), VECTORS[::2])


def test_ids_are_those_of_the_blocks(db):
    assert CollectionVectors(db, 1, 1, DIM).ids().tolist() == odd()
    assert CollectionVectors(db, 1, 1, DIM, after=30).ids().tolist() == odd(31)
    assert list(CollectionVectors(db, 1, 1, DIM, after=49).blocks()) == []


def test_given_ids_are_answered_in_order_once_and_only_of_the_collection(db):
    ids, matrix = CollectionVectors(db, 1, 1, DIM).of(np.array([9, 2, 3, 9, 10**12, -1]))
    assert ids.tolist() == [3, 9]
    np.testing.assert_array_equal(matrix, VECTORS[[2, 8]])
    assert CollectionVectors(db, 1, 1, DIM).of(np.array([2, 4]))[1].shape == (0, DIM)


@pytest.mark.parametrize("n", [1, 10, 400])
def test_a_lookup_reads_the_passages_first_and_only_their_vectors(db, n, monkeypatch):
    """SQLite would otherwise start at the vectors and read all of them, 14 ms a row at 100,000 rows."""
    asked = []
    plain = Database.rows
    monkeypatch.setattr(
        Database,
        "rows",
        lambda self, sql, parameters=(): asked.append((sql, parameters)) or plain(self, sql, parameters),
    )
    CollectionVectors(db, 1, 1, DIM).of(np.arange(n))
    (sql, parameters), *_ = asked
    steps = [row[3] for row in plain(db, "EXPLAIN QUERY PLAN " + sql, parameters)]
    assert steps[0].startswith("SEARCH p USING") and steps[1].startswith("SEARCH v USING INDEX")
    assert "recipe_id=? AND text_id=?" in steps[1]


def test_a_vector_of_another_length_is_damage(db):
    with db.transaction() as tx:
        tx.run("UPDATE vectors SET vector = x'00000000' WHERE text_id = 5")
    with pytest.raises(LibraryDamaged, match="passage 5 has 4 bytes, expected 32"):
        list(CollectionVectors(db, 1, 1, DIM).blocks())
