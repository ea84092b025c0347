import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from searchkit.errors import LibraryBusy, LibraryDamaged, LibraryError, LibraryNotWritable, LibraryTooNew
from searchkit.library import database, migrations
from searchkit.library.database import FILE_NAME, Database
from searchkit.library.migrations import KNOWN


def test_a_new_library_passes_its_own_checks(library_folder):
    with Database.write(library_folder) as db:
        assert db.problems() == []


def test_reading_makes_nothing(library_folder):
    with pytest.raises(LibraryError, match="searchkit index"):
        Database.read(library_folder)
    assert not library_folder.exists()


def test_a_failed_transaction_leaves_nothing_behind(library_folder):
    with Database.write(library_folder) as db:
        with pytest.raises(LibraryDamaged), db.transaction() as tx:  # noqa: PT012 - the first statement works
            tx.run("INSERT INTO recipes (fingerprint, fields, dim) VALUES ('a', '{}', 2)")
            raise LibraryDamaged("in the middle")
        assert db.rows("SELECT * FROM recipes") == []


def test_readers_see_one_state_while_a_writer_commits(library_folder):
    with Database.write(library_folder) as writer, Database.read(library_folder) as reader:
        with reader.one_state():
            before = reader.row("SELECT count(*) FROM recipes")
            with writer.transaction() as tx:
                tx.run("INSERT INTO recipes (fingerprint, fields, dim) VALUES ('a', '{}', 2)")
            assert reader.row("SELECT count(*) FROM recipes") == before == (0,)
        assert reader.row("SELECT count(*) FROM recipes") == (1,)


def test_a_second_writer_is_told_who_holds_the_library(library_folder):
    with Database.write(library_folder), pytest.raises(LibraryBusy, match=f"process {os.getpid()} since"):
        Database.write(library_folder)


def test_a_waiting_writer_gets_in_when_the_first_is_killed(library_folder):
    hold = (
        "import sys, time; from pathlib import Path; from searchkit.library.database import Database\n"
        f"db = Database.write(Path({str(library_folder)!r})); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    told = []

    def kill_holder(who):
        told.append(who)
        holder.kill()

    with Database.write(library_folder, wait_s=20, on_wait=kill_holder) as db:
        assert db.problems() == []
    assert f"process {holder.pid}" in told[0]
    holder.wait()
    holder.stdout.close()


def test_a_library_of_a_newer_searchkit_is_refused(library_folder):
    Database.write(library_folder).close()
    connection = sqlite3.connect(library_folder / FILE_NAME)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('searchkit', 'm999_from_the_future')"
    )
    connection.commit()
    connection.close()
    for open_it in (Database.read, Database.write):
        with pytest.raises(LibraryTooNew, match="m999_from_the_future"):
            open_it(library_folder)


def test_an_older_library_is_migrated_when_read(library_folder, monkeypatch):
    Database.write(library_folder).close()

    def m002_added_later(tables):
        tables.execute("CREATE TABLE later (x)")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, m002_added_later))
    monkeypatch.setattr(database, "KNOWN", (*KNOWN, "m002_added_later"))
    with Database.read(library_folder) as db:
        applied = [row[0] for row in db.rows("SELECT name FROM _sqlite_migrations ORDER BY id")]
        assert db.rows("SELECT * FROM later") == []
    assert applied == [*KNOWN, "m002_added_later"]


def test_an_older_library_that_may_not_be_written_says_who_can_help(open_folder, unprivileged, monkeypatch):
    library = open_folder / "library"
    Database.write(library).close()
    library.chmod(0o555)
    monkeypatch.setattr(database, "KNOWN", (*KNOWN, "m999_added_later"))
    with unprivileged(), pytest.raises(LibraryError, match="an older searchkit wrote") as raised:
        Database.read(library)
    assert not isinstance(raised.value, LibraryNotWritable)
    assert f"searchkit collections --library {library}" in raised.value.remedy


def test_a_library_that_is_just_being_made_is_not_there_yet(library_folder):
    library_folder.mkdir()
    sqlite3.connect(library_folder / FILE_NAME).close()
    with pytest.raises(LibraryError, match="there is no Library"):
        Database.read(library_folder)


def test_a_path_that_is_not_utf8_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(LibraryNotWritable, match="not valid UTF-8"):
        Database.write(tmp_path / "caf\udce9")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_parent_folder_is_named(open_folder, unprivileged):
    Database.write(open_folder / "inner" / "library").close()
    (open_folder / "inner").chmod(0)
    with unprivileged(), pytest.raises(LibraryError, match="cannot be looked at"):
        Database.read(open_folder / "inner" / "library")


def test_another_programs_database_is_left_alone(library_folder):
    library_folder.mkdir()
    connection = sqlite3.connect(library_folder / FILE_NAME)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (library_folder / FILE_NAME).read_bytes()
    for open_it in (Database.read, Database.write):
        with pytest.raises(LibraryDamaged, match="another program"):
            open_it(library_folder)
    assert (library_folder / FILE_NAME).read_bytes() == before


def test_a_file_that_is_no_database_is_refused(library_folder):
    library_folder.mkdir()
    (library_folder / FILE_NAME).write_bytes(b"these are not the bytes of a database" * 100)
    for open_it in (Database.read, Database.write):
        with pytest.raises(LibraryDamaged, match="not a readable searchkit database"):
            open_it(library_folder)


def test_a_damaged_page_is_reported(library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run_many(
            "INSERT INTO recipes (fingerprint, fields, dim) VALUES (?, ?, 1)",
            [(f"{i}", "x" * 2000) for i in range(100)],
        )
    path = library_folder / FILE_NAME
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : 2 * len(data) // 3] = b"\xff" * (2 * len(data) // 3 - len(data) // 3)
    path.write_bytes(data)
    with Database.read(library_folder) as db:
        assert db.problems() != []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "library").write_text("in the way")
    with pytest.raises(LibraryNotWritable, match="cannot be made"):
        Database.write(tmp_path / "library")


def test_a_read_only_library_can_be_read_but_not_written(open_folder, unprivileged):
    library = open_folder / "library"
    Database.write(library).close()
    library.chmod(0o555)
    with unprivileged():
        with Database.read(library) as db:
            assert db.rows("SELECT * FROM recipes") == []
        with pytest.raises(LibraryNotWritable):
            Database.write(library)


def test_a_reader_between_two_migrations_waits_for_them_and_not_for_the_run(tmp_path, monkeypatch):
    """The one that migrates goes on to write for minutes, under the lock."""
    for module in (migrations, database):
        monkeypatch.setattr(module, "KNOWN", migrations.KNOWN[:1])
    monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
    with Database.write(tmp_path) as writer, ThreadPoolExecutor() as pool:
        monkeypatch.undo()
        reader = pool.submit(lambda: Database.read(tmp_path).close())
        time.sleep(0.3)
        assert not reader.done()
        migrations.apply(writer._connection)
        assert reader.result(timeout=5) is None
