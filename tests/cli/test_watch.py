"""`searchkit watch` in a process of its own, as it runs for weeks."""

import queue
import re
import shutil
import signal
import threading
import time

import pytest

from searchkit.collection.library import Library
from searchkit.library.database import Database
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

pytestmark = pytest.mark.slow

PATIENCE_S = 30


class Watch:
    """A running `searchkit watch`, read line by line."""

    def __init__(self, running):
        self.running = running
        self.lines = queue.Queue()
        for stream in (running.stdout, running.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self.lines.put(line.rstrip("\n"))

    def line_with(self, pattern):
        """Wait for a line. Returns: all lines up to it."""
        deadline, seen = time.monotonic() + PATIENCE_S, []
        while time.monotonic() < deadline:
            try:
                seen.append(self.lines.get(timeout=0.2))
            except queue.Empty:
                continue
            if re.search(pattern, seen[-1]):
                return seen
        raise AssertionError(f"no line with {pattern!r} in {seen}")

    def quiet_for(self, seconds):
        time.sleep(seconds)
        return self.lines.empty()

    def stop(self, how=signal.SIGINT):
        self.running.send_signal(how)
        return self.running.wait(timeout=PATIENCE_S)


@pytest.fixture
def library(library_folder, docs):
    made = Library(library_folder, open_model=lambda model: WordEmbedder())
    made.index([docs])
    return made


@pytest.fixture
def watch(process, library):
    def start(*arguments):
        options = ["--library", library.folder, "--debounce", "0.1"]
        return Watch(process("watch", *options, *arguments))

    return start


def found(library, text):
    return [hit.document for hit in library.query(text, mode="text").hits]


def test_what_changes_is_found_a_moment_later(watch, library, docs):
    running = watch()
    running.line_with("company-docs: 2 unchanged")
    write(docs / "new.md", "The canteen opens at eleven.")
    running.line_with("company-docs: 1 added")
    assert found(library, "canteen") == ["new.md"]
    (docs / "new.md").rename(docs / "hr" / "canteen.md")
    running.line_with("1 moved")
    # as editors save: beside, then renamed over it
    write(docs / "hr" / ".canteen.md.swp", "The canteen opens at noon.").replace(docs / "hr" / "canteen.md")
    running.line_with("1 changed")
    assert found(library, "noon") == ["hr/canteen.md"]
    shutil.rmtree(docs / "hr")
    running.line_with("2 removed")
    assert running.stop() == 130
    running.line_with("Stopped watching")
    assert library.verify() == []


def test_a_burst_is_one_refresh_or_a_few(watch, docs):
    running = watch("--debounce", "0.5")
    running.line_with("2 unchanged")
    for number in range(200):
        write(docs / "many" / f"{number}.txt", f"Rule number {number}.")
        time.sleep(0.002)
    lines, added = [], 0
    while added < 200:
        lines += running.line_with("added")
        added = sum(int(count) for line in lines for count in re.findall(r"(\d+) added", line))
    assert added == 200 and len(lines) <= 4
    running.stop()


def test_sigterm_ends_it_cleanly_with_0(watch, library):
    running = watch()
    running.line_with("2 unchanged")
    assert running.stop(signal.SIGTERM) == 0
    Database.write(library.folder).close()


def test_what_is_ignored_wakes_nobody(watch, docs, monkeypatch):
    write(docs / ".gitignore", "build/\n")
    running = watch()
    running.line_with("2 unchanged")
    for name in ("build/a.md", ".hidden.md", "node_modules/b.md", "c.exe", "d.md~"):
        write(docs / name, "nothing of interest")
    assert running.quiet_for(2)
    write(docs / ".gitignore", "")  # an ignore file decides what else is read
    running.line_with("1 added")
    running.stop()


def test_a_broken_file_is_said_once_and_watching_goes_on(watch, library, docs):
    running = watch()
    running.line_with("2 unchanged")
    write(docs / "broken.pdf", "no pdf")
    running.line_with(r"broken\.pdf: ")
    write(docs / "new.md", "The canteen opens at eleven.")
    lines = running.line_with("1 added")
    assert "broken" not in " ".join(lines) and running.quiet_for(1)
    assert found(library, "canteen") == ["new.md"]
    running.stop()


def test_a_busy_library_is_waited_for(watch, library, docs):
    running = watch("--wait", "30")
    running.line_with("2 unchanged")
    with Database.write(library.folder):
        write(docs / "new.md", "The canteen opens at eleven.")
        running.line_with("Waiting: the Library is being written by process")
    running.line_with("1 added")
    running.stop()


def test_a_source_that_goes_is_waited_for(watch, library, docs):
    running = watch()
    running.line_with("2 unchanged")
    away = docs.rename(docs.with_name("away"))
    running.line_with("there is no such file or folder; the 2 files indexed from it are kept")
    write(away / "new.md", "The canteen opens at eleven.")
    away.rename(docs)
    running.line_with("1 added")
    write(docs / "newer.md", "The garage closes at nine.")  # it is watched as before
    running.line_with("1 added")
    assert found(library, "garage") == ["newer.md"]
    running.stop()


def test_a_single_file_and_a_source_added_meanwhile_are_watched(watch, library, docs, tmp_path):
    alone = write(tmp_path / "alone.md", "It stands by itself.")
    library.index([alone], collection="one")
    running = watch()
    running.line_with("one: 1 unchanged")
    write(tmp_path / "part", "It stands by itself no more.").replace(alone)
    running.line_with("one: 1 changed")
    write(tmp_path / "more" / "a.md", "Another folder.")
    library.index([tmp_path / "more"], collection="two")
    running.line_with("two: 1 unchanged")
    write(tmp_path / "more" / "b.md", "Another file.")
    running.line_with("two: 1 added, 1 unchanged")
    running.stop()


def test_only_the_collection_named_is_watched(watch, library, docs, tmp_path):
    write(tmp_path / "more" / "a.md", "Another folder.")
    library.index([tmp_path / "more"], collection="two")
    running = watch("-c", "two")
    running.line_with("two: 1 unchanged")
    write(docs / "new.md", "The canteen opens at eleven.")
    assert running.quiet_for(2)
    running.stop()


def test_what_was_forgotten_does_not_come_back_by_an_edit(watch, library, docs):
    running = watch()
    running.line_with("2 unchanged")
    library.forget("hr/leave.md")
    write(docs / "hr" / "leave.md", "Parental leave, edited.")
    running.line_with("Note: 1 file is left out")
    assert found(library, "parental") == []
    running.stop()


@pytest.mark.parametrize("arguments", [[], ["-c", "nope"]])
def test_nothing_to_watch_is_an_error(process, library_folder, arguments):
    Database.write(library_folder).close()
    running = process("watch", "--library", library_folder, *arguments)
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 2 and "no source to watch" in err and "searchkit index FOLDER" in err
