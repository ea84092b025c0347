"""What was forgotten stays away: under every name and spelling, until it is named, and where it was named."""

import os
import shutil

import pytest

from searchkit.library.database import Database
from tests.collection.conftest import SECRET, assert_gone, bytes_of, undo_places, write

ODD = ["plain.md", "sub/b#1.md", "Report%C3%A9.md", "caf%E9.md", "100%25.md", "50%.md", "sub/%2525 x.md"]


def test_a_forgotten_file_stays_away_until_it_is_named(library, docs, secret, library_folder):
    library.index([docs])
    library.forget("hr/wintersteiner-besuch.md")
    for again in (library.refresh()[0], library.index([docs])):
        assert again.added == 0 and "hr/wintersteiner-besuch.md" in " ".join(again.notices)
    write(secret, f"Edited. {SECRET}")
    assert library.refresh()[0].added == 0
    assert_gone(library_folder)
    assert library.index([secret]).added == 1
    assert library.refresh()[0].notices == () and library.query("Wintersteiner", mode="text").hits


def test_a_forgotten_file_stays_away_under_another_name(library, docs, secret, library_folder):
    library.index([docs])
    library.forget("hr/wintersteiner-besuch.md")
    moved = secret.rename(docs / "harmless.md")
    assert library.refresh()[0].added == 0
    assert library.index([moved]).added == 1


def test_an_edit_since_the_last_run_does_not_bring_it_back_under_another_name(library, docs, secret):
    library.index([docs])
    write(secret, f"Edited, and not indexed since. {SECRET}")
    library.forget("hr/wintersteiner-besuch.md")
    secret.rename(docs / "harmless.md")
    assert library.refresh()[0].added == 0


def test_a_library_from_before_places_forgets_under_every_name(library, docs, secret, library_folder):
    library.index([docs])
    undo_places(library_folder)
    library.forget("hr/wintersteiner-besuch.md")
    secret.rename(docs / "harmless.md")
    assert library.refresh()[0].added == 0


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("alone", [False, True])
def test_any_name_is_found_by_its_path_stays_away_and_comes_back(library, docs, library_folder, name, alone):
    raw = name if "C3" in name else os.fsdecode(os.fsencode(name).replace(b"%E9", b"\xe9"))
    path = write(docs / raw, SECRET)
    library.index([path if alone else docs], collection="a")
    assert library.forget(str(path)).documents == 1
    with Database.read(library_folder) as db:
        roots = [row[0] for row in db.rows("SELECT root FROM sources")]
    assert os.fsencode(path) not in roots
    assert library.forget(str(path)).documents == 0
    write(path, f"Edited. {SECRET}")
    if not alone:
        (report,) = library.refresh()
        assert report.added == 0 and "left out" in " ".join(report.notices)
    report = library.index([path], collection="a")
    assert report.added == 1 and "comes back" in " ".join(report.notices)


def test_a_folder_reached_by_a_link_is_one_place(library, docs, secret):
    secret.parent.rename(docs / ".hid")
    (docs / "hr").symlink_to(docs / ".hid", target_is_directory=True)
    library.index([docs])
    assert library.forget(str(docs / ".hid" / secret.name)).documents == 1
    write(docs / ".hid" / secret.name, f"Edited. {SECRET}")
    assert library.refresh()[0].added == 0
    assert library.index([docs / ".hid" / secret.name]).added == 1


def test_a_source_that_is_a_link_may_be_pointed_elsewhere(library, docs, secret, tmp_path):
    current = tmp_path / "current"
    current.symlink_to(docs, target_is_directory=True)
    library.index([current])
    library.forget("hr/wintersteiner-besuch.md")
    other = shutil.copytree(docs, tmp_path / "next")
    back = write(other / "hr" / secret.name, f"Edited. {SECRET}")
    current.unlink()
    current.symlink_to(other, target_is_directory=True)
    assert library.refresh()[0].added == 0
    assert library.index([back]).added == 1


def test_only_the_collection_that_asks_gets_it_back(library, docs, secret):
    library.index([docs], collection="a")
    library.index([docs], collection="b")
    library.forget("hr/wintersteiner-besuch.md")
    assert library.index([secret], collection="a").notices == (
        "1 file comes back that was forgotten (wintersteiner-besuch.md)",
    )
    reports = {report.collection: report for report in library.refresh()}
    assert reports["a"].notices == () and reports["b"].added == 0
    assert library.index([docs], collection="c").added == 3  # and no Collection that is made later
    library.forget("hr/wintersteiner-besuch.md")
    assert "left out" in " ".join(library.index([docs], collection="a").notices)


def test_a_twin_that_was_indexed_beside_it_stays(library, docs, secret):
    twin = docs / "twin.md"
    shutil.copy(secret, twin)
    library.index([docs])
    library.forget("hr/wintersteiner-besuch.md")
    twin.touch()
    assert library.refresh()[0].removed == 0 and library.query("Wintersteiner", mode="text").hits


def test_a_row_stays_away_wherever_it_moves_in_its_table(library, docs, library_folder):
    rows = ["Ann Lee,Marketing department", "Bob Quellengasse,Legal affairs", "Cora Smith,Engineering"]
    table = write(docs / "staff.csv", "\n".join(["name,place", *rows, ""]))
    library.index([docs])
    library.forget("staff.csv#2")
    assert b"Bob Quellengasse" not in bytes_of(library_folder)
    write(table, "\n".join(["name,place", "Dan New,Kitchen", *rows, ""]))
    assert "1 passage is left out" in " ".join(library.refresh()[0].notices)
    found = {hit.text for hit in library.query("affairs department kitchen", k=10, where="type = csv").hits}
    assert len(found) == 3 and "Bob" not in " ".join(found)
    library.index([table])
    assert library.query("Quellengasse", mode="text").hits


def test_the_only_row_of_a_table_can_be_forgotten(library, docs):
    table = write(docs / "one.csv", "name,place\nBob Quellengasse,Legal affairs\n")
    library.index([docs])
    library.forget("one.csv#1")
    write(table, table.read_text() + "Ann Lee,Marketing\n")
    (report,) = library.refresh()
    assert report.failed == () and report.changed + report.added == 1


def test_a_table_with_nothing_but_forgotten_rows_is_no_failure(library, docs):
    table = write(docs / "one.csv", "name,place\nBob Quellengasse,Legal affairs\n")
    library.index([docs])
    library.forget("one.csv#1")
    write(table, table.read_text() + "\n")
    (report,) = library.refresh()
    assert report.failed == () and "1 passage is left out" in " ".join(report.notices)


def test_a_file_with_several_documents_goes_whole(library, docs, library_folder):
    write(docs / "staff.csv", "name,place\nBob Quellengasse,Legal affairs\nAnn Wintersteiner,Marketing\n")
    library.index([docs])
    assert library.forget("staff.csv").documents == 2
    assert library.refresh()[0].added == 0
    assert b"Quellengasse" not in bytes_of(library_folder)


def test_a_source_that_is_the_file_itself_goes_with_it(library, docs, secret, library_folder):
    library.index([secret], collection="a")
    library.forget(str(secret))
    assert library.show("a").sources == ()
    assert_gone(library_folder)


def test_no_name_is_kept_of_what_stays_away(library, docs, secret, library_folder):
    library.index([docs])
    library.forget("hr/wintersteiner-besuch.md")
    library.refresh()
    library.forget()
    assert_gone(library_folder)


def test_removing_a_collection_lets_go_of_its_marks(library, docs, library_folder):
    library.index([docs], collection="a")
    library.forget("vpn.txt", collection="a")
    library.remove("a")
    with Database.read(library_folder) as db:
        assert db.rows("SELECT * FROM forgotten") == []
