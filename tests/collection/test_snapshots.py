"""Snapshots of every kind as a Library makes, keeps, checks and loses them."""

import errno
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from searchkit.collection import query_pipeline, recovery
from searchkit.collection.kept import Kept
from searchkit.collection.library import Library
from searchkit.library import collections as catalogue
from searchkit.library.database import FILE_NAME, Database
from searchkit.vector_index import snapshot
from searchkit.vector_index.choose import exact_plan
from searchkit.vector_index.container import MAGIC
from searchkit.vector_index.protocol import FLAT, IVF
from tests.collection.conftest import write
from tests.fakes import WordEmbedder
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
            request = query_pipeline.Request(vector=query, allowed=allowed)
            found = query_pipeline.Ranking(db, collection, request, opened).first(10)
            assert {one.passage.passage_id for one in found} <= set(allowed.tolist())
            assert len(found) == min(10, len(allowed))


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
    reopened = Library(library_folder, open_model=library._models._open_model)
    assert found(reopened, "item 17") == before and reopened.show().snapshot is None
    reopened.index([items])
    assert found(reopened, "item 17") == before and reopened.verify() == []
    assert reopened.show().snapshot.kind == FLAT and not old.exists()


def test_a_second_query_opens_no_file_again(library, items, monkeypatch):
    library.index([items])
    opened = []
    plain = recovery._open
    monkeypatch.setattr(recovery, "_open", lambda *given: opened.append(1) or plain(*given))
    recovery._opened.forget(library.folder / library.show().snapshot.file)  # the run has looked into it
    for _ in range(3):
        library.query("item 17")
    assert len(opened) == 1
    library.rebuild()
    library.query("item 17")
    assert len(opened) == 2


def test_what_is_kept_is_what_the_file_holds(tmp_path):
    kept, opened = Kept(most=2, most_bytes=lambda: 1_000), []

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


def test_what_is_kept_takes_no_more_memory_together_than_it_may(tmp_path):
    kept = Kept(most=4, most_bytes=lambda: 100)
    for name, size in (("a-g1", 40), ("b-g1", 40), ("a-g1", 40), ("c-g1", 40)):
        kept.get(write(tmp_path / name, "x" * size), "v", lambda: None)
    assert [name for _, name in kept._held] == ["a", "c"]
    kept.get(write(tmp_path / "huge-g1", "x" * 400), "v", lambda: None)
    assert [name for _, name in kept._held] == ["huge"]


def test_a_file_that_is_slow_to_open_makes_only_those_wait_who_ask_for_it(tmp_path):
    kept, opening, go_on = Kept(most=4, most_bytes=lambda: 100), threading.Event(), threading.Event()
    slow, quick = write(tmp_path / "slow-g1", "a"), write(tmp_path / "quick-g1", "b")
    opened = []

    def open_slowly():
        opened.append(1)
        opening.set()
        return go_on.wait(20)

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(kept.get, slow, "v", open_slowly) for _ in range(2)]
        assert opening.wait(20)
        try:
            other = pool.submit(kept.get, quick, "v", lambda: "quick")
            assert other.result(timeout=20) == "quick" and not any(one.done() for one in waiting)
        finally:
            go_on.set()
        assert [one.result(timeout=20) for one in waiting] == [True, True] and len(opened) == 1


def test_what_could_not_be_opened_is_not_kept(tmp_path):
    kept, path = Kept(most=4, most_bytes=lambda: 100), write(tmp_path / "a-g1", "a")
    with pytest.raises(ZeroDivisionError):
        kept.get(path, "v", lambda: 1 // 0)
    assert not kept._held and kept.get(path, "v", lambda: "whole") == "whole"


@pytest.mark.parametrize("instead", [None, b"other rows"])
def test_a_snapshot_deleted_between_two_steps_of_a_query_answers_all_the_same(
    kind, library, items, library_folder, monkeypatch, instead
):
    """As the sweep of another process does; what is opened is mapped, and needs its name no more."""
    library.index([items])
    before = found(library, "item 17")
    plain = recovery._opened.get

    def get_and_delete(path, *rest):
        held = plain(path, *rest)
        path.unlink()
        if instead:
            path.write_bytes(instead)
        return held

    monkeypatch.setattr(recovery._opened, "get", get_and_delete)
    assert found(library, "item 17") == before


def test_every_snapshot_has_a_name_of_its_own(library, items, library_folder):
    library.index([items])
    names = {library.show().snapshot.file}
    for _ in range(2):
        library.rebuild()
        names.add(library.show().snapshot.file)
        assert [path.name for path in library_folder.glob("*.snapshot")] == [library.show().snapshot.file]
    assert len(names) == 3 and library.show().generation == library.show().snapshot.generation
    write(items / "new.txt", "A zebra crossed the yard.")
    library.index([items])
    library.rebuild()
    assert library.show().snapshot.file not in names


@pytest.mark.parametrize("reason", ["permission", "input/output"])
def test_a_snapshot_that_cannot_be_read_is_made_anew(open_folder, unprivileged, monkeypatch, reason):
    library = Library(open_folder / "library", open_model=lambda model: WordEmbedder())
    page = write(open_folder / "docs" / "page.txt", "A zebra crossed the yard.")
    with unprivileged():
        library.index([page.parent])
    path = next((open_folder / "library").glob("*.snapshot"))
    plain = snapshot.checksum_of
    if reason == "permission":
        path.chmod(0)
    else:
        broken = path.name

        def fails(path):
            if path.name == broken:
                raise OSError(errno.EIO, "Input/output error")
            return plain(path)

        monkeypatch.setattr(snapshot, "checksum_of", fails)
    with unprivileged():
        problems = library.verify()
        assert len(problems) == 1 and path.name in problems[0]
        library.index([page.parent])
        assert library.show().snapshot.file != path.name and library.verify() == []


@pytest.mark.parametrize("damage", ["format", "faiss"])
def test_a_snapshot_that_queries_cannot_use_is_made_anew(library, items, library_folder, monkeypatch, damage):
    """Of another format, or by a FAISS that writes what this one cannot read: whole, by its checksum."""
    plan = PLANS[IVF]
    monkeypatch.setattr(recovery, "choose_index", lambda rows, dim, memory: plan)
    library.index([items])
    before = library.show().snapshot
    assert before.search["faiss"] == snapshot.faiss_version() != ""
    path = library_folder / before.file
    if damage == "format":
        path.write_bytes(path.read_bytes().replace(MAGIC, MAGIC[::-1]))
    else:
        data = bytearray(path.read_bytes())
        data[:4] = b"none"
        path.write_bytes(data)
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("UPDATE snapshots SET checksum = ?", (snapshot.checksum_of(path),))
    if damage == "faiss":
        library.index([items])
        assert library.show().snapshot.file == before.file  # the same FAISS: its codes are not opened
        monkeypatch.setattr(snapshot, "faiss_version", lambda: "99.0")
    library.index([items])
    assert library.show().snapshot.file != before.file and library.verify() == []


def test_verify_sorts_no_texts(library, items, library_folder, monkeypatch):
    """What SQLite sorts, or tells apart, it may write to a temporary file."""
    library.index([items])
    asked = []
    plain = Database.scan

    def noted(db, sql, given=()):
        asked.append(sql)
        return plain(db, sql, given)

    monkeypatch.setattr(Database, "scan", noted)
    assert library.verify() == []
    with Database.read(library_folder) as db:
        (sql,) = [sql for sql in asked if "context" in sql and "passages" in sql]
        assert not any("TEMP B-TREE" in row[3] for row in db.rows(f"EXPLAIN QUERY PLAN {sql}", (1,)))


def test_verify_beside_a_rebuild_raises_no_alarm(library, items, library_folder, monkeypatch):
    """It has seen the old state for minutes; the file of that state is gone, the next one is whole."""
    library.index([items])
    plain = recovery._text_problems
    meanwhile = []

    def slow(db, collection):
        if not meanwhile:
            write(items / "new.txt", "A zebra crossed the yard.")
            meanwhile.append(library.index([items]).added)
            meanwhile.append(library.rebuild())
        return plain(db, collection)

    monkeypatch.setattr(recovery, "_text_problems", slow)
    assert library.verify() == [] and meanwhile == [1, ["company-docs"]]


def test_verify_beside_a_rebuild_sees_that_the_next_snapshot_is_damaged(
    library, items, library_folder, monkeypatch
):
    library.index([items])
    done = []

    def damage(db, collection):
        if not done:
            done.extend(library.rebuild())
            next(library_folder.glob("*.snapshot")).write_bytes(b"damaged")
        return []

    monkeypatch.setattr(recovery, "_text_problems", damage)
    assert any("the file has 7 bytes" in problem for problem in library.verify())


GIB = 1 << 30


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/\n", {"memory.max": GIB}, GIB),
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b c\n", {"a/memory.max": 2 * GIB, "a/b c/memory.max": 3 * GIB}, 2 * GIB),
        ("0::/not/seen/here\n", {"memory.max": GIB}, GIB),  # a container without a name space of its own
        ("3:cpu,memory:/docker/1\n0::/x\n", {"memory/memory.limit_in_bytes": GIB}, GIB),
        ("3:memory:/a\n1:cpu:/b\n", {"memory/a/memory.limit_in_bytes": GIB, "cpu/b/memory.max": 7}, GIB),
        ("nonsense\n", {"memory.max": GIB}, None),
        (None, {"memory.max": GIB}, None),
    ],
)
def test_the_memory_of_a_container_is_that_of_its_control_groups(tmp_path, groups, files, limit):
    if groups is not None:
        write(tmp_path / "proc" / "self" / "cgroup", groups)
    for name, value in files.items():
        write(tmp_path / "sys" / "fs" / "cgroup" / name, f"{value}\n")
    write(tmp_path / "sys" / "memory.max", "1")  # above the groups: not theirs
    assert recovery.memory_limit(tmp_path) == limit


def test_an_index_may_hold_a_share_of_the_memory_there_is(monkeypatch):
    monkeypatch.setattr(recovery, "_machine_memory", lambda: 8 * GIB)
    for limit, budget in ((None, 2 * GIB), (4 * GIB, GIB), (64 * GIB, 2 * GIB)):
        monkeypatch.setattr(recovery, "memory_limit", lambda limit=limit: limit)
        assert recovery.memory_budget() == budget
