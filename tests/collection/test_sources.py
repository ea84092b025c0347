import os

import pytest

from searchkit.collection.library import Library, Patience
from searchkit.errors import ModelNotFound, UsageError
from searchkit.library.database import Database
from searchkit.profile import Profile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


def test_a_removed_source_takes_its_files_along(library, docs, tmp_path):
    other = write(tmp_path / "other" / "bikes.md", "Cargo bikes carry two hundred kilos.\n").parent
    library.index([docs])
    library.index([other])
    assert library.remove("company-docs", source=other) == 1
    assert library.show().counts.files == 3 and library.verify() == []


def test_an_unknown_source_is_named_with_the_known_ones(library, docs, tmp_path):
    library.index([docs])
    with pytest.raises(UsageError, match=str(docs)):
        library.remove("company-docs", source=tmp_path / "elsewhere")


def test_refresh_goes_through_every_source_of_every_collection(library, docs, tmp_path):
    other = write(tmp_path / "other" / "bikes.md", "Cargo bikes carry two hundred kilos.\n").parent
    library.index([docs])
    library.index([other], profile="wiki-retrieval")
    write(docs / "new.md", "A new rule about travel.\n")
    write(other / "more.md", "More about bikes.\n")
    reports = {report.collection: report for report in library.refresh()}
    assert {name: report.added for name, report in reports.items()} == {
        "company-docs": 1,
        "wiki-retrieval": 1,
    }


def test_a_source_that_has_gone_keeps_what_was_indexed(library, docs, tmp_path):
    library.index([docs])
    docs.rename(tmp_path / "unmounted")
    report = library.refresh()[0]
    assert report.passages == 3 and "are kept" in report.failed[0].reason


def test_an_emptied_source_keeps_what_was_indexed(library, docs):
    library.index([docs])
    for path in [path for path in docs.rglob("*") if path.is_file()]:
        path.unlink()
    report = library.refresh()[0]
    assert report.passages == 3 and "searchkit remove company-docs --source" in report.failed[0].reason


def test_naming_a_part_of_a_source_refreshes_the_source(library, docs):
    library.index([docs])
    write(docs / "hr" / "travel.md", "Trains before planes.\n")
    report = library.index([docs / "hr"])
    assert (report.added, report.unchanged) == (1, 3) and len(library.show().sources) == 1


def test_a_folder_around_a_source_is_refused(library, docs):
    library.index([docs / "hr"])
    with pytest.raises(UsageError, match="remove it first"):
        library.index([docs])


def test_a_missing_path_changes_nothing(library, docs, library_folder):
    with pytest.raises(UsageError, match="no such file or folder"):
        library.index([docs / "nowhere"])
    assert not library_folder.exists()


def test_an_empty_folder_is_refused(library, tmp_path, library_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="it is empty"):
        library.index([tmp_path / "empty"])
    assert not library_folder.exists()


def test_a_folder_of_other_files_says_what_it_saw(library, tmp_path):
    write(tmp_path / "media" / "film.mp4", "x")
    with pytest.raises(UsageError, match=r"1 × \.mp4"):
        library.index([tmp_path / "media"])


def test_the_library_is_not_indexed_into_itself(docs, embedder):
    library = Library(docs / "indexes", open_model=lambda model: embedder)
    library.index([docs])
    write(docs / "indexes" / "notes.md", "This lies in the Library's own folder.\n")
    assert library.index([docs]).added == 0


def test_a_source_that_cannot_be_listed_keeps_what_was_indexed(open_folder, unprivileged):
    docs = write(open_folder / "docs" / "page.md", "A page about tea.").parent
    ignore = write(docs / ".gitignore", "*.tmp")
    library = Library(open_folder / "library", open_model=lambda model: WordEmbedder())
    profile = Profile.load("company-docs")
    with unprivileged():
        library.index([docs], profile=profile)
    ignore.chmod(0)  # rules that cannot be read: nothing can be said about the folder
    with unprivileged():
        report = library.index([docs], profile=profile)
        assert report.removed == 0 and report.passages == 1 and len(report.failed) == 1
        docs.chmod(0o000) if os.geteuid() == docs.stat().st_uid else None
        refreshed = library.refresh()[0]
    assert refreshed.passages == 1 and "are kept" in refreshed.failed[0].reason


def test_what_another_run_added_while_this_one_waited_is_not_removed(library, docs, library_folder):
    library.index([docs])
    holder = Database.write(library_folder)

    def finish_the_other(_):
        write(docs / "late.md", "Added while waiting.")
        holder.close()

    report = library.index([docs], patience=Patience(wait_s=10, on_wait=finish_the_other))
    assert (report.added, report.removed) == (1, 0)


def test_a_collection_whose_model_is_gone_does_not_stop_the_others(library_folder, docs, tmp_path):
    other = write(tmp_path / "other" / "page.md", "Another page.").parent
    Library(library_folder, open_model=WordEmbedder).index([docs], collection="a", model="gone")
    Library(library_folder, open_model=WordEmbedder).index([other], collection="b", model="here")

    def open_model(name):
        if name == "gone":
            raise ModelNotFound("no model 'gone'", remedy="name another")
        return WordEmbedder(name)

    write(docs / "new.md", "New in a.")
    write(other / "new.md", "New in b.")
    a, b = Library(library_folder, open_model=open_model).refresh()
    assert "no model 'gone'" in a.failed[0].reason and a.passages == 3
    assert b.added == 1 and b.failed == ()


def test_two_parts_of_one_source_refresh_it_once(library, docs):
    write(docs / "it" / "a.md", "About it.")
    library.index([docs])
    report = library.index([docs / "hr", docs / "it"])
    assert report.unchanged == 4 and len(library.show().sources) == 1


def test_a_source_named_through_a_link_stays_one_source_when_the_link_moves(library, tmp_path):
    write(tmp_path / "v1" / "page.md", "The first version.")
    write(tmp_path / "v2" / "page.md", "The second version.")
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    library.index([tmp_path / "current"])
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "v2")
    report = library.index([tmp_path / "current"])
    assert report.changed == 1 and [hit.text for hit in library.query("version").hits] == [
        "The second version."
    ]
