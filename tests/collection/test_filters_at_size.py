"""Filters over 100,000 passages find what an exact scan of what they allow finds."""

import hashlib

import numpy as np
import pytest

from searchkit.collection import recipe, recovery
from searchkit.collection.library import Library
from searchkit.library import collections as catalogue
from searchkit.library.database import Database
from searchkit.profile import Profile
from searchkit.vector_index.protocol import FLAT
from tests.fakes import WordEmbedder

DIM = 96  # 100,000 rows are then more than an exact snapshot takes
DOCUMENTS, EACH = 1_600, 64
QUERIES = 25
PLACES = 60  # around which vectors lie


class GivenEmbedder(WordEmbedder):
    """Embeds the text '17' as row 17 of a matrix."""

    dim = DIM

    def __init__(self, rows):
        super().__init__("given")
        self.rows = rows

    def embed(self, texts, instruction=""):
        return self.rows[[int(text) for text in texts]]

    def fingerprint(self):
        return {**super().fingerprint(), "dim": str(DIM)}


def unit(matrix):
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A Library of 1,600 documents, the vectors of its passages by id from 1, and queries."""
    source = np.random.default_rng(5)
    places = source.normal(size=(PLACES, DIM))
    rows = unit(
        places[source.integers(PLACES, size=DOCUMENTS * EACH)]
        + 0.9 * source.normal(size=(DOCUMENTS * EACH, DIM))
    )
    queries = unit(places[source.integers(PLACES, size=QUERIES)] + 0.9 * source.normal(size=(QUERIES, DIM)))
    embedder = GivenEmbedder(queries)
    folder = tmp_path_factory.mktemp("many")
    profile = Profile.load("company-docs")
    with Database.write(folder) as db:
        with db.transaction() as tx:
            tx.run("DROP TRIGGER texts_into_fulltext")  # nobody looks for words
            fields = recipe.recipe_of(embedder, profile)
            recipe_id = catalogue.put_recipe(tx, fields, DIM)
            catalogue.add_collection(tx, "many", profile.to_dict(), "given", recipe_id)
            tx.run("INSERT INTO sources VALUES (1, 1, x'2f')")
            tx.run_many("INSERT INTO files VALUES (?, 1, ?, 0, 0, x'', '[]', '')", files())
            tx.run_many("INSERT INTO documents VALUES (?, ?, ?, 'text', '', ?)", documents())
            ids = range(1, len(rows) + 1)
            tx.run_many(
                "INSERT INTO texts (text_id, hash, context, text) VALUES (?, ?, '', 'x')",
                ((i, hashlib.sha256(str(i).encode()).digest()) for i in ids),
            )
            tx.run_many(
                "INSERT INTO vectors (recipe_id, text_id, truncated, vector) VALUES (?, ?, 0, ?)",
                ((recipe_id, i, row.tobytes()) for i, row in zip(ids, rows, strict=True)),
            )
            tx.run_many(
                """INSERT INTO passages (passage_id, collection_id, document_id, text_id, position, start,
                     "end", heading) VALUES (?, 1, ?, ?, 0, 0, 1, '')""",
                ((i, 1 + (i - 1) // EACH, i) for i in ids),
            )
        recovery.publish(db, catalogue.collections(db)[0])
    return Library(folder, open_model=lambda model: embedder), rows, queries


def files():
    return ((d, f"d{d}") for d in range(1, DOCUMENTS + 1))


def documents():
    for d in range(1, DOCUMENTS + 1):
        yield d, d, f"d{d}", f'{{"half": {d % 2}, "percent": {d % 100}, "permille": {d % 1000}}}'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "fits", "promised"),
    [
        ("half = 1", lambda d: d % 2 == 1, 0.98),
        ("percent = 7", lambda d: d % 100 == 7, 0.98),
        ("permille = 1 and not path = d1001", lambda d: d == 1, 1.0),
        ("permille <= 1", lambda d: d % 1000 <= 1, 1.0),
        ("path = d801", lambda d: d == 801, 1.0),
    ],
)
def test_a_filter_of_any_share_finds_the_exact_ten(many, where, fits, promised):
    library, rows, queries = many
    assert library.show().snapshot.kind != FLAT and len(rows) > 100_000
    of = np.arange(len(rows)) // EACH + 1
    allowed = np.flatnonzero([fits(int(d)) for d in of])
    found = []
    for i, query in enumerate(queries):
        hits = library.query(str(i), mode="vector", where=where, k=10).hits
        best = np.sort(rows[allowed] @ query)[::-1][:10]
        assert len(hits) == 10 and all(fits(int(hit.document[1:])) for hit in hits)
        found.append(np.mean([hit.cosine >= best[-1] - 1e-6 for hit in hits]))
    assert np.mean(found) >= promised
