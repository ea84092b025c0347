"""Forgetting: what goes, what stays, what stays away, and that the proof would notice."""

import shutil
import sqlite3
import sys
import zlib

import numpy as np
import pytest

from searchkit.collection import forgetting
from searchkit.collection.library import Library, Patience
from searchkit.errors import LibraryBusy, LibraryDamaged, LibraryNotWritable, UsageError
from searchkit.library import database
from searchkit.library import documents as store
from searchkit.library.database import Database
from searchkit.vector_index import choose
from tests.collection.conftest import SECRET, assert_gone, bytes_of, write
from tests.fakes import WordEmbedder


class DenseEmbedder(WordEmbedder):
    """Vectors without zeros, as a model's are."""

    @staticmethod
    def _rows(texts):
        seeds = [zlib.crc32(text.encode()) for text in texts]
        rows = [np.random.default_rng(seed).normal(size=64) for seed in seeds]
        matrix = np.array(rows, dtype=np.float32).reshape(len(texts), 64)
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True).clip(min=1e-9)


@pytest.fixture
def library(library_folder):
    return Library(library_folder, open_model=DenseEmbedder)


@pytest.fixture
def older(monkeypatch):
    """Write as an earlier searchkit did where SQLite leaves deleted bytes where they are."""
    plain = database._prepare_for_writing

    def prepare(connection, folder):
        plain(connection, folder)
        connection.execute("PRAGMA secure_delete = OFF")

    monkeypatch.setattr(database, "_prepare_for_writing", prepare)


def vectors_in(folder):
    with Database.read(folder) as db:
        return dict(db.rows("SELECT t.text, v.vector FROM texts t JOIN vectors v USING (text_id)"))


def test_nothing_is_left_in_any_file(library, docs, secret, library_folder):
    library.index([docs])
    (vector,) = [vector for text, vector in vectors_in(library_folder).items() if SECRET in text]
    before = bytes_of(library_folder)
    assert SECRET.encode() in before and vector[:24] in before  # so that the test could fail
    done = library.forget("hr/wintersteiner-besuch.md")
    assert (done.collections, done.documents, done.shared) == (("company-docs",), 1, 0)
    assert done.passages >= 1 and done.proof.pieces >= 20 and done.proof.files >= 2
    assert_gone(library_folder)
    assert not [i for i in range(0, len(vector), 24) if vector[i : i + 24] in bytes_of(library_folder)]
    assert library.verify() == [] and len(library.query("leave").hits) == 3


def test_the_file_itself_is_not_touched(library, docs, secret):
    before = secret.read_bytes()
    library.index([docs])
    library.forget("hr/wintersteiner-besuch.md")
    assert secret.read_bytes() == before


def test_earlier_versions_of_it_are_gone_too(library, docs, secret, library_folder, older):
    library.index([docs])
    write(secret, "# Something else\n\nThat has nothing to do with what stood here.\n")
    library.refresh()
    library.forget("hr/wintersteiner-besuch.md")
    assert_gone(library_folder)


def test_without_a_document_traces_of_what_was_removed_are_erased(
    library, docs, secret, library_folder, older
):
    library.index([docs])
    secret.unlink()
    library.refresh()
    assert SECRET.encode() in bytes_of(library_folder)  # so that the test could fail
    library.forget()
    assert_gone(library_folder)


def test_snapshots_of_codes_are_written_anew(library, docs, secret, library_folder, monkeypatch):
    monkeypatch.setattr(choose, "FLAT_BYTES", 0)
    for number in range(60):
        write(docs / f"{number}.md", f"Rule {number} of the house.")
    library.index([docs])
    before = library.show().snapshot
    library.forget("hr/wintersteiner-besuch.md")
    after = library.show().snapshot
    assert before.kind == after.kind == "ivf" and after.rows == before.rows - 1
    assert not (library_folder / before.file).exists()


def test_a_text_that_another_document_holds_stays_and_is_counted(library, docs, library_folder):
    shared = "The canteen opens at eleven and closes when the soup is gone."
    write(docs / "one.md", shared)
    write(docs / "two.md", shared)
    library.index([docs])
    done = library.forget("one.md")
    assert (done.passages, done.shared) == (1, 1)
    assert library.query("canteen soup").hits[0].document == "two.md"
    assert library.verify() == []


def test_a_phrase_that_another_document_holds_is_not_taken_for_a_trace(library, docs, secret):
    write(docs / "list.md", f"A collection of anecdotes. {SECRET}, among others.")
    library.index([docs])
    assert library.forget("hr/wintersteiner-besuch.md").proof.elsewhere > 0


def test_words_of_the_schema_and_capitals_are_not_taken_for_traces(library, docs):
    write(docs / "sql.md", "# document_id\n\ncollection passages document_id snapshots hardware")
    write(docs / "caps.md", "# HARDWARE PORTAL\n\nHARDWARE and Collections")
    library.index([docs])
    library.forget("sql.md")
    assert library.verify() == []


def test_one_collection_can_forget_what_another_keeps(library, docs, secret):
    library.index([docs], collection="a")
    library.index([docs], collection="b")
    done = library.forget("hr/wintersteiner-besuch.md", collection="a")
    assert done.collections == ("a",) and done.shared == done.passages
    reports = {report.collection: report for report in library.refresh()}
    assert reports["a"].added == 0 and "left out" in " ".join(reports["a"].notices)
    assert "left out" not in " ".join(reports["b"].notices)
    assert library.query("Zwetschgenknoedel", collection="b", mode="text").hits
    assert not library.query("Zwetschgenknoedel", collection="a", mode="text").hits


def test_without_a_collection_all_forget_it(library, docs, secret, library_folder):
    library.index([docs], collection="a")
    library.index([docs / "hr"], collection="b")
    assert library.held(str(secret)) == (("a", "b"), 2)
    assert library.forget(str(secret)).collections == ("a", "b")
    assert_gone(library_folder)


def test_texts_that_an_interrupted_run_left_go_too(library, docs, secret, library_folder):
    library.index([docs], collection="a")
    library.index([docs / "vpn.txt"], collection="b")
    with Database.write(library_folder) as db, db.transaction() as tx:
        store.put_texts(tx, 2, [(b"a hash", "", f"A later version. {SECRET}")])
    library.forget("hr/wintersteiner-besuch.md")
    assert_gone(library_folder)


# -------------------------------------------------------------------- names


def test_two_files_of_one_name_must_be_told_apart(library, docs, tmp_path):
    other = write(tmp_path / "other" / "vpn.txt", "Another text about tunnels altogether.")
    library.index([docs])
    library.index([tmp_path / "other"])
    with pytest.raises(UsageError, match=r"2 files are called 'vpn\.txt'"):
        library.forget("vpn.txt")
    assert library.forget(str(other)).documents == 1
    assert library.query("tunnel", mode="text").hits[0].document == "vpn.txt"


def test_a_name_that_is_not_there_is_answered_with_near_ones(library, docs):
    library.index([docs])
    with pytest.raises(UsageError, match=r"holds no document 'hr/leaf.md' \(did you mean: hr/leave.md"):
        library.forget("hr/leaf.md")


def test_a_wrong_name_is_no_forgotten_one_while_a_forgetting_is_interrupted(library, docs, library_folder):
    library.index([docs])
    with Database.write(library_folder) as db:
        forgetting.begin(db, forgetting.look_up(db, "hr/leave.md", None), everywhere=True)
    with pytest.raises(UsageError, match=r"did you mean: laptop.md") as raised:
        library.forget("laptpo.md")
    assert "interrupted 'forget' may have left traces" in raised.value.remedy


def test_a_row_is_named_by_the_path_of_its_table(library, docs):
    table = write(docs / "staff.csv", "name,place\nBob Quellengasse,Legal affairs\nAnn Lee,Marketing\n")
    library.index([docs])
    assert library.held(f"{table}#1") == (("company-docs",), 1)
    assert library.forget(f"{table}#1").documents == 1
    assert library.query("Ann Lee", mode="text").hits and library.forget(f"{table}#1").documents == 0


def test_forgetting_twice_is_no_error(library, docs, secret):
    library.index([docs])
    library.forget("hr/wintersteiner-besuch.md")
    for name in ("hr/wintersteiner-besuch.md", str(secret)):
        assert library.forget(name).documents == 0


def test_a_row_whose_forgetting_was_interrupted_can_be_named_again(library, docs, library_folder):
    write(docs / "staff.csv", "name,place\nBob Quellengasse,Legal affairs\nAnn Lee,Marketing\n")
    library.index([docs])
    with Database.write(library_folder) as db:
        forgetting.begin(db, forgetting.look_up(db, "staff.csv#1", None), everywhere=True)
    done = library.forget("staff.csv#1")
    assert (done.documents, done.proof.pieces > 0) == (0, True)
    assert b"Quellengasse" not in bytes_of(library_folder) and library.verify() == []


# -------------------------------------------------------------------- what stands in the way


def test_a_trace_that_is_left_is_noticed_and_the_wish_is_kept(library, docs, secret, library_folder):
    library.index([docs])
    write(library_folder / "copy.txt", f"somebody's notes: {SECRET}")
    with pytest.raises(LibraryDamaged, match=r"copy\.txt still holds bytes"):
        library.forget("hr/wintersteiner-besuch.md")
    assert "interrupted 'forget'" in " ".join(library.verify())
    (library_folder / "copy.txt").unlink()
    assert library.forget().proof.pieces >= 20
    assert library.verify() == []


def test_a_free_page_with_a_trace_is_noticed(library, docs, secret, library_folder, monkeypatch):
    """Without VACUUM and zeros over what is deleted, SQLite leaves it where it was."""
    library.index([docs])
    plain = Database.rows

    def without_vacuum(self, sql, parameters=()):
        return [] if sql == "VACUUM" else plain(self, sql, parameters)

    monkeypatch.setattr(Database, "rows", without_vacuum)
    begin = forgetting.begin

    def carelessly(db, files, **how):
        plain(db, "PRAGMA secure_delete = OFF")
        return begin(db, files, **how)

    monkeypatch.setattr(forgetting, "begin", carelessly)
    with pytest.raises(LibraryDamaged, match=r"library\.db still holds bytes"):
        library.forget("hr/wintersteiner-besuch.md")


def test_a_reader_of_the_old_state_is_waited_for_and_then_named(library, docs, secret, library_folder):
    library.index([docs])
    with Database.read(library_folder) as reader, reader.one_state():
        reader.rows("SELECT count(*) FROM texts")
        with pytest.raises(LibraryBusy, match="still reads the Library") as raised:
            library.forget("hr/wintersteiner-besuch.md", patience=Patience(wait_s=0.3))
        assert "searchkit forget" in raised.value.remedy
    assert not library.query("Wintersteiner", mode="text").hits
    write(docs / "more.md", "One more page.")
    library.refresh()  # the next that writes goes on
    assert_gone(library_folder)
    assert library.verify() == []


def test_a_reader_does_not_keep_another_writer_from_its_work(library, docs, secret, library_folder):
    library.index([docs])
    with Database.read(library_folder) as reader, reader.one_state():
        reader.rows("SELECT count(*) FROM texts")
        with pytest.raises(LibraryBusy):
            library.forget("hr/wintersteiner-besuch.md")
        write(docs / "more.md", "One more page.")
        assert library.refresh()[0].added == 1
        assert "interrupted 'forget'" in " ".join(library.verify())


def test_a_snapshot_that_is_gone_is_made_anew(library, docs, secret, library_folder):
    """A cache may be deleted: that of another Collection does not stand in the way."""
    library.index([docs], collection="a")
    library.index([docs / "vpn.txt"], collection="b")
    lost = library_folder / library.show("b").snapshot.file
    lost.unlink()
    assert library.forget("hr/wintersteiner-besuch.md").proof.snapshots == 2
    assert library.verify() == []


def test_what_cannot_be_proven_keeps_nobody_from_writing(library, docs, secret, library_folder):
    library.index([docs])
    write(library_folder / "copy.txt", f"somebody's notes: {SECRET}")
    with pytest.raises(LibraryDamaged):
        library.forget("hr/wintersteiner-besuch.md")
    write(docs / "more.md", "One more page.")
    assert library.refresh()[0].added == 1 and library.rebuild() == ["company-docs"]
    assert "interrupted 'forget'" in " ".join(library.verify())


def test_a_reader_that_comes_after_the_proof_is_no_error(library, docs, secret, library_folder, monkeypatch):
    library.index([docs])
    plain, readers = forgetting._prove, []

    def prove(db, *how):
        readers.append(Database.read(library_folder))
        readers[0].rows("BEGIN")
        readers[0].rows("SELECT count(*) FROM texts")
        return plain(db, *how)

    monkeypatch.setattr(forgetting, "_prove", prove)
    assert library.forget("hr/wintersteiner-besuch.md").documents == 1
    readers[0].close()
    assert library.verify() == []
    assert_gone(library_folder)


def test_no_note_names_what_is_forgotten(library, docs, secret, library_folder, monkeypatch):
    """Not even for as long as it takes: the process may be killed meanwhile, and the note be left."""
    library.index([docs])
    seen, plain = [], forgetting.begin
    monkeypatch.setattr(sys, "argv", ["searchkit", "forget", "hr/wintersteiner-besuch.md"])

    def begin(*args, **how):
        seen.append((library_folder / "writer.json").read_text())
        return plain(*args, **how)

    monkeypatch.setattr(forgetting, "begin", begin)
    write(docs / "note.md", "# searchkit forget\n\nWhat the note itself says is not taken for a trace.")
    library.index([docs])
    library.forget("note.md")
    library.forget("hr/wintersteiner-besuch.md")
    assert len(seen) == 2 and '"searchkit forget"' in seen[1] and "besuch" not in "".join(seen)


def test_a_frequent_writer_does_not_try_to_finish_each_time(library, docs, library_folder, monkeypatch):
    library.index([docs])
    write(library_folder / "copy.txt", "Parental leave lasts fourteen weeks at full pay.")
    with pytest.raises(LibraryDamaged):
        library.forget("hr/leave.md")
    tried, plain = [], forgetting.finish
    monkeypatch.setattr(forgetting, "finish", lambda *args, **how: tried.append(args) or plain(*args, **how))
    for _ in range(3):
        library.refresh()
    assert len(tried) == 1
    with Database.read(library_folder) as reader, reader.one_state():
        reader.rows("SELECT count(*) FROM texts")
        write(docs / "new.md", "A new page.")
        monkeypatch.setattr(forgetting, "PAUSE_S", 0.0)
        forgetting._not_before.clear()
        library.refresh()
        library.refresh()
    assert len(tried) == 2  # the second saw at once that it would be in vain


def test_space_is_looked_for_where_sqlite_will_want_it(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "second"))
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "first"))
    assert database.temporary_folder() == tmp_path / "first"
    (tmp_path / "first").rmdir()
    assert database.temporary_folder() == tmp_path / "second"
    (tmp_path / "second").rmdir()
    assert database.temporary_folder().is_dir()


def test_too_little_space_is_said_before_anything_is_done(library, docs, secret, monkeypatch):
    library.index([docs])
    monkeypatch.setattr(forgetting.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(LibraryNotWritable, match="is written anew"):
        library.forget("hr/wintersteiner-besuch.md")
    assert library.query("Wintersteiner", mode="text").hits


def test_pages_and_ids_stay_as_they_were(library, docs, library_folder):
    library.index([docs])
    before = {hit.document: hit.passage_id for hit in library.query("the", k=9, mode="vector").hits}
    library.forget("vpn.txt")
    after = {hit.document: hit.passage_id for hit in library.query("the", k=9, mode="vector").hits}
    assert after == {name: at for name, at in before.items() if name != "vpn.txt"}
    connection = sqlite3.connect(library_folder / "library.db")
    assert connection.execute("PRAGMA page_size").fetchone() == (32_768,)
    connection.close()
