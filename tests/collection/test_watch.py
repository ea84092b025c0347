"""Watching as a generator, without the command line."""

import time

import pytest

from searchkit.collection import refresh, watching
from searchkit.collection.library import Library
from searchkit.errors import CollectionNotFound, LibraryBusy, ModelError
from searchkit.library.database import Database
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "TICK_S", 0.1)
    monkeypatch.setattr(watching, "RETRY_S", 0.2)


def test_reports_come_as_files_change_and_the_model_is_opened_once(library_folder, docs):
    opened = []

    def open_model(model):
        opened.append(model)
        return WordEmbedder()

    library = Library(library_folder, open_model=open_model)
    library.index([docs])
    reports = library.watch(debounce_s=0.05)
    assert next(reports).unchanged == 3
    for number in range(3):
        write(docs / f"new-{number}.md", f"New text number {number}.")
        assert next(reports).added == 1
    reports.close()
    assert len(opened) == 1


@pytest.fixture
def refreshed(monkeypatch):
    """Every refresh that was made, however little came of it."""
    made = []
    plain = Library.refresh

    def counted(self, *args, **kwargs):
        made.append(args)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Library, "refresh", counted)
    return made


def run_for(reports, monkeypatch, ticks, at=None):
    """Let it watch for so many ticks, and call `at[n]` at the n-th."""
    plain, looked = watching._roots, []

    def stop_after_some(*args):
        looked.append(args)
        if at and len(looked) in at:
            at[len(looked)]()
        if len(looked) > ticks:
            raise KeyboardInterrupt
        return plain(*args)

    monkeypatch.setattr(watching, "_roots", stop_after_some)
    with pytest.raises(KeyboardInterrupt):
        for _ in reports:
            pass


@pytest.mark.parametrize("polling", ["", "1"])
def test_a_library_inside_a_source_does_not_wake_itself(tmp_path, embedder, monkeypatch, refreshed, polling):
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", polling)
    monkeypatch.setenv("WATCHFILES_POLL_DELAY_MS", "20")
    docs = tmp_path / "docs"
    write(docs / "a.md", "A page.")
    library = Library(docs / "indexes", open_model=lambda model: embedder)
    library.index([docs])
    run_for(library.watch(debounce_s=0.05), monkeypatch, ticks=20)
    assert len(refreshed) == 2  # one, and one once the watcher stands


def test_what_is_ignored_costs_no_refresh(library, docs, monkeypatch, refreshed):
    write(docs / ".gitignore", "build/\n")
    library.index([docs])

    def change():
        for name in ("build/a.md", ".hidden.md", "node_modules/b.md", "c.exe", "d.md~"):
            write(docs / name, "nothing of interest")

    (docs / "build").mkdir()
    run_for(library.watch(debounce_s=0.05), monkeypatch, ticks=20, at={8: change})
    assert len(refreshed) == 2


def test_a_library_that_is_busy_for_too_long_is_said_once_and_tried_again(library, docs, library_folder):
    library.index([docs])
    told = []
    reports = library.watch(debounce_s=0.05, on_error=told.append)
    next(reports)
    write(docs / "new.md", "A new page.")
    writer = Database.write(library_folder)
    plain = watching._roots
    looked = []

    def released_after_some(*args):
        looked.append(args)
        if len(looked) == 10:
            writer.close()
        return plain(*args)

    watching._roots = released_after_some
    try:
        assert next(reports).added == 1
    finally:
        watching._roots = plain
    assert [type(error) for error in told] == [LibraryBusy]


def test_without_a_listener_errors_are_raised(library, docs, library_folder):
    library.index([docs])
    with Database.write(library_folder), pytest.raises(LibraryBusy):
        next(library.watch(debounce_s=0.05))


def test_what_failed_is_tried_again_although_no_file_changes(library, docs, monkeypatch):
    """Later each time, and said once."""
    library.index([docs])
    plain, tries = refresh.prepare, []

    def failing_at_first(*args):
        tries.append(time.monotonic())
        if len(tries) <= 4:
            raise ModelError("the model is gone")
        return plain(*args)

    monkeypatch.setattr(refresh, "prepare", failing_at_first)
    monkeypatch.setattr(watching, "RETRY_S", 0.1)
    write(docs / "new.md", "A new page.")
    reports = library.watch(debounce_s=0.05)
    assert next(reports).failed[0].reason == "the model is gone"
    assert next(reports).added == 1 and len(tries) == 5
    assert tries[4] - tries[3] > 1.5 * (tries[3] - tries[2]) > 0.2


def test_sources_that_give_no_events_are_looked_at_from_time_to_time(library, docs, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_S", 0.3)
    monkeypatch.setattr(watching, "_concerns", lambda *args: False)
    library.index([docs])
    reports = library.watch(debounce_s=0.05)
    next(reports)
    write(docs / "new.md", "A new page.")
    assert next(reports).added == 1
    write(docs / "newer.md", "A newer page.")
    assert next(reports).added == 1


def test_a_file_that_never_rests_costs_neither_other_refreshes_nor_new_watches(
    library, docs, tmp_path, monkeypatch, refreshed
):
    log = write(tmp_path / "log.txt", "first line")
    library.index([docs], collection="a")
    library.index([log], collection="b")
    set_up, plain = [], watching._changes

    def counted(*args):
        set_up.append(args)
        return plain(*args)

    monkeypatch.setattr(watching, "_changes", counted)
    append = dict.fromkeys(range(3, 9), lambda: write(log, log.read_text() + " and more"))
    run_for(library.watch(debounce_s=0.3), monkeypatch, ticks=14, at=append)
    names = [args[0] for args in refreshed]
    assert len(set_up) == 1 and names.count("a") == 2 and names.count("b") == 3
    assert library.query("more", collection="b", mode="text").hits


def test_a_library_that_cannot_be_read_for_a_moment_ends_nothing(library, docs, monkeypatch):
    library.index([docs])
    told, plain, looked = [], watching._roots, []

    def away(*args):
        looked.append(args)
        if 3 <= len(looked) <= 6:
            raise LibraryBusy("the Library is being copied")
        return plain(*args)

    monkeypatch.setattr(watching, "_roots", away)
    reports = library.watch(debounce_s=0.05, on_error=told.append)
    run_for(reports, monkeypatch, ticks=16, at={9: lambda: write(docs / "new.md", "A new page.")})
    assert [error.message for error in told] == ["the Library is being copied"]
    assert library.query("page", mode="text").hits


def test_when_nothing_is_left_to_watch_that_is_said_once(library, docs, monkeypatch):
    library.index([docs], collection="a")
    told = []
    reports = library.watch("a", debounce_s=0.05, on_error=told.append)
    run_for(reports, monkeypatch, ticks=12, at={4: lambda: library.remove("a")})
    assert [type(error) for error in told] == [CollectionNotFound]


def test_too_many_watches_say_what_helps(library, docs, monkeypatch):
    import watchfiles

    def refuse(*paths, **how):
        raise OSError(28, "no space left on device")

    library.index([docs])
    monkeypatch.setattr(watchfiles, "watch", refuse)
    reports = library.watch()
    next(reports)
    with pytest.raises(watching.SearchkitError, match="cannot be watched") as raised:
        next(reports)
    assert "max_user_watches" in raised.value.remedy
