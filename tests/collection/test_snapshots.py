"""Snapshots of every kind as a Library makes, keeps, checks and loses them."""

import sqlite3

import numpy as np
import pytest

from searchkit.collection import query_pipeline, recovery
from searchkit.collection.kept import Kept
from searchkit.collection.library import Library
from searchkit.library import collections as catalogue
from searchkit.library.database import FILE_NAME, Database
from searchkit.vector_index.choose import exact_plan
from searchkit.vector_index.protocol import FLAT
from tests.collection.conftest import write
from tests.vector_index.record import PLANS

ITEMS = 300
WORDS = [
    f"{colour}{thing}" for colour in ("red", "green", "blue") for thing in ("ash", "bay", "cove", "dell")
]


@pytest.fixture(params=[FLAT, *PLANS])
def kind(request, monkeypatch):
    """Every publishing makes a snapshot of this kind."""
    plan = PLANS.get(request.param, exact_plan())
    monkeypatch.setattr(recovery, "choose_index", lambda rows, dim, memory: plan)
    return request.param


@pytest.fixture
def items(tmp_path):
    rng = np.random.default_rng(5)
    for number in range(ITEMS):
        words = " ".join(rng.choice(WORDS, size=6, replace=True))
        write(tmp_path / "items" / f"{number:03}.txt", f"Item {number} is of {words}.")
    return tmp_path / "items"


def found(library, text, **options):
    return [(hit.document, hit.score) for hit in library.query(text, **options).hits]


def scores(library, text, k=10):
    return [score for _, score in found(library, text, k=k)]


QUESTIONS = ["redash and bluebay of the greencove", "item 17", "reddell bluedell", "greenash greenash"]


def test_every_kind_answers_as_a_scan_of_the_vectors_of_record(kind, library, items, library_folder):
    library.index([items])
    assert library.show().snapshot.kind == kind and library.verify() == []
    answers = [scores(library, question) for question in QUESTIONS]
    next(library_folder.glob("*.snapshot")).unlink()
    scanned = [scores(library, question) for question in QUESTIONS]
    right = [np.mean([score >= s[-1] for score in a]) for a, s in zip(answers, scanned, strict=True)]
    assert answers == scanned if kind == FLAT else np.mean(right) >= 0.95


def test_removed_and_added_passages_are_seen_beside_every_kind(kind, library, items, library_folder):
    library.index([items])
    before = list(library_folder.glob("*.snapshot"))
    (items / "017.txt").unlink()
    write(items / "new.txt", "A zebra crossed the yard.")
    library.index([items])
    assert list(library_folder.glob("*.snapshot")) == before
    assert found(library, "zebra yard")[0][0] == "new.txt"
    assert "017.txt" not in [name for name, _ in found(library, "item 17", k=ITEMS)]
    assert len(library.query("item", k=ITEMS).hits) == ITEMS
    assert library.verify() == []


def test_only_allowed_passages_are_found(kind, library, items, library_folder):
    library.index([items])
    write(items / "new.txt", "Item 999 is of amber.")  # lies beside the snapshot, not in it
    library.index([items])
    with Database.read(library_folder) as db, db.one_state():
        (collection,) = catalogue.collections(db)
        everything = recovery._record(db, collection).ids()
        query = np.zeros(64, dtype=np.float32)
        query[3] = 1.0
        opened = recovery.open_snapshot(db, collection)
        for allowed in (everything[-1:], everything[::50], everything[::2], everything[:0]):
            hits = query_pipeline.search(db, collection, query, 10, opened, allowed=allowed)
            assert {hit.passage_id for hit in hits} <= set(allowed.tolist())
            assert len(hits) == min(10, len(allowed))


def test_show_says_how_the_nearest_are_found_and_how_well(kind, library, items):
    library.index([items])
    search = library.show().snapshot.search
    if kind == FLAT:
        assert search["plan"]["promised_recall"] == search["tuning"]["measured_recall"] == 1.0
    else:
        assert search["tuning"]["measured_recall"] > search["plan"]["promised_recall"] == 0.95
        assert search["tuning"]["effort"] > 0 and search["tuning"]["sample"] == 256


@pytest.mark.parametrize("damage", ["deleted", "cut", "flipped", "described", "undescribed"])
def test_a_lost_snapshot_of_any_kind_changes_no_right_answer(kind, library, items, library_folder, damage):
    library.index([items])
    path = next(library_folder.glob("*.snapshot"))
    data = bytearray(path.read_bytes())
    before = found(library, QUESTIONS[0], k=1)  # the file is open now
    if damage == "deleted":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 3])
    elif damage == "flipped":
        data[len(data) // 3] ^= 4
        path.write_bytes(data)
    else:
        with Database.write(library_folder) as db, db.transaction() as tx:
            tx.run("UPDATE snapshots SET search = ?", ("no json" if damage == "described" else "{}",))
    assert found(library, QUESTIONS[0], k=1) == before
    library.index([items])
    assert library.verify() == []


def test_a_vector_changed_in_the_database_is_found_beside_every_kind(kind, library, items, library_folder):
    library.index([items])
    with Database.write(library_folder) as db, db.transaction() as tx:
        vector = np.zeros(64, dtype="<f4")
        vector[0] = 1.0
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 3", (vector.tobytes(),))
    assert any("other vectors than the database" in problem for problem in library.verify())


def test_a_library_of_the_first_schema_opens_answers_and_gets_a_new_snapshot(library, items, library_folder):
    library.index([items])
    before = found(library, "item 17")
    old = library_folder / "flat-1-1-g00000005.faiss"
    next(library_folder.glob("*.snapshot")).rename(old)
    connection = sqlite3.connect(library_folder / FILE_NAME)
    connection.execute("ALTER TABLE snapshots DROP COLUMN search")
    connection.execute("UPDATE snapshots SET file = ?", (old.name,))
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm002_snapshots_are_tuned'")
    connection.commit()
    connection.close()
    reopened = Library(library_folder, open_model=library._open_model)
    assert found(reopened, "item 17") == before and reopened.show().snapshot is None
    reopened.index([items])
    assert found(reopened, "item 17") == before and reopened.verify() == []
    assert reopened.show().snapshot.kind == FLAT and not old.exists()


def test_a_second_query_opens_no_file_again(library, items, monkeypatch):
    library.index([items])
    opened = []
    plain = recovery._open
    monkeypatch.setattr(recovery, "_open", lambda *given: opened.append(1) or plain(*given))
    for _ in range(3):
        library.query("item 17")
    assert len(opened) == 1
    library.rebuild()
    library.query("item 17")
    assert len(opened) == 2


def test_what_is_kept_is_what_the_file_holds(tmp_path):
    kept, opened = Kept(most=2), []

    def ask(name, version):
        path = tmp_path / name
        return kept.get(path, version, lambda: opened.append(name) or path.read_text())

    write(tmp_path / "a-g1", "one")
    assert [ask("a-g1", "v1"), ask("a-g1", "v1")] == ["one", "one"] and opened == ["a-g1"]
    write(tmp_path / "a-g1", "changed")
    assert ask("a-g1", "v1") == "changed"
    write(tmp_path / "a-g2", "next")
    assert ask("a-g2", "v2") == "next" and len(kept._held) == 1  # the superseded one is let go
    for name in ("b-g1", "c-g1"):
        assert ask(write(tmp_path / name, name).name, "v") == name
    assert len(kept._held) == 2
    with pytest.raises(FileNotFoundError):
        ask("gone-g1", "v")
