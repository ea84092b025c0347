"""Files are read by other processes as they would be here, and what kills one costs one file."""

import io
import itertools
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from searchkit.collection import extraction, index_pipeline
from searchkit.collection.extraction import Extraction, processes_for
from searchkit.collection.library import Library
from searchkit.documents import worker
from searchkit.documents.discover import discover
from searchkit.documents.load import load
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.library.database import Database
from searchkit.records import SourceFile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "tokenizers", "onnxruntime", "faiss", "kreuzberg", "sqlite3", "numpy"}


@pytest.fixture
def hostile(monkeypatch):
    """Processes that do what names of files tell them to."""
    boot = extraction._BOOT.replace("searchkit.documents.worker", "tests.collection.hostile_worker")
    monkeypatch.setattr(extraction, "_BOOT", boot)
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def two_processes(monkeypatch):
    """However little there is to read."""
    monkeypatch.setattr(index_pipeline, "processes_for", lambda files: 2)


@pytest.fixture
def started(monkeypatch):
    """The processes that extractions start."""
    found = []

    class Watched(extraction._Process):
        def __init__(self):
            super().__init__()
            found.append(self._popen)

    monkeypatch.setattr(extraction, "_Process", Watched)
    return found


def answers(files, processes):
    """For every file its Documents or its error, and the rows it lost."""
    reading = Extraction(files, processes)
    try:
        return [outcome(reading.documents, file) for file in files]
    finally:
        reading.close()


def outcome(read, file):
    lost = []
    try:
        documents = list(read(file, on_failure=lost.append))
    except DocumentError as error:
        return type(error), error.message, error.remedy, lost
    return documents, lost


def files_under(folder):
    return discover(folder).files


@pytest.mark.parametrize("processes", [1, 3])
def test_files_are_read_as_they_would_be_here(processes):
    files = [file for file in files_under(ROOT / "sample_corpus") if file.size < 200_000]
    assert {Path(file.name).suffix for file in files} >= {".md", ".pdf", ".docx", ".csv", ".eml"}
    assert answers(files, processes) == [outcome(load, file) for file in files]


def test_odd_texts_travel_unchanged(tmp_path):
    write(tmp_path / "rows.jsonl", '{"text": "half a pair \\ud800, and ünïcödé 🎉"}\n{"text": broken\n')
    write(tmp_path / "empty.md", "")
    write(tmp_path / "long.txt", "a line of text\n" * 700_000)  # more than one part of a text
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as file:
        file.write("Coffee is served at nine.")
    files = files_under(tmp_path)
    assert len(files) == 4 and answers(files, 2) == [outcome(load, file) for file in files]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("segfault.md", DocumentError, "SIGSEGV"),
        ("exit.md", DocumentError, "exit code 7"),
        ("garbage.md", DocumentError, "crashed the reader of md"),
        ("killed.md", DocumentUnavailable, "killed, perhaps for want of memory"),
        ("hang.md", DocumentUnavailable, "too long"),
    ],
)
def test_what_kills_its_process_is_one_file_and_the_others_are_read(
    hostile, tmp_path, monkeypatch, name, error, said
):
    monkeypatch.setattr(extraction, "PATIENCE_S", 2.0)
    for number in range(12):
        write(tmp_path / f"{number:02}.md", f"Page {number}.")
    write(tmp_path / f"05-{name}", "The odd one.")
    files = files_under(tmp_path)
    found = answers(files, 2)
    (odd,) = [one for file, one in zip(files, found, strict=True) if name in file.name]
    assert odd[0] is error and said in odd[1] and ".searchkitignore" in odd[2]
    rest = [one for file, one in zip(files, found, strict=True) if name not in file.name]
    assert rest == [outcome(load, file) for file in files if name not in file.name]


def test_what_parsers_print_does_not_get_between(hostile, tmp_path):
    for number in range(3):
        write(tmp_path / f"print-{number}.md", "Some text.")
    files = files_under(tmp_path)
    assert answers(files, 1) == [outcome(load, file) for file in files]


def test_a_crash_is_stored_as_the_files_failure_and_a_kill_is_tried_again(
    hostile, two_processes, library_folder, tmp_path
):
    docs = write(tmp_path / "docs" / "segfault.md", "Dangerous words.").parent
    write(docs / "good.md", "Harmless words.")
    killed = write(docs / "killed.md", "Words.")
    library = Library(library_folder, open_model=lambda model: WordEmbedder())
    first = library.index([docs])
    assert (first.added, first.passages) == (1, 1)
    assert sorted(failure.document for failure in first.failed) == ["killed.md", "segfault.md"]
    killed.rename(docs / "tame.md")
    again = library.index([docs])
    assert (again.added, again.unchanged) == (1, 1)
    assert [failure.document for failure in again.failed] == ["segfault.md"]  # said, and not read again
    assert library.verify() == []


def test_files_are_read_here_where_no_process_can_be_had(tmp_path, monkeypatch):
    write(tmp_path / "a.md", "Page.")
    write(tmp_path / "b.md", "Another page.")
    files = files_under(tmp_path)
    expected = [outcome(load, file) for file in files]
    monkeypatch.setattr(extraction, "_BOOT", "raise SystemExit(3)")
    assert answers(files, 2) == expected
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert answers(files, 2) == expected


def test_files_that_are_not_asked_for_are_skipped(tmp_path):
    for number in range(30):
        write(tmp_path / f"{number:02}.md", f"Page {number}.")
    files = files_under(tmp_path)
    reading = Extraction(files, 2)
    try:
        names = [document.name for file in files[3::7] for document in reading.documents(file)]
        assert names == [file.name for file in files[3::7]]
    finally:
        reading.close()


def test_a_file_left_in_its_middle_does_not_disturb_the_next(tmp_path):
    write(tmp_path / "a.csv", "question,answer\n" + "why?,because\n" * 20_000)
    write(tmp_path / "b.md", "Page.")
    rows, page = files_under(tmp_path)
    reading = Extraction([rows, page], 1)
    try:
        some = reading.documents(rows)
        assert len(list(itertools.islice(some, 3))) == 3
        some.close()
        assert [document.text for document in reading.documents(page)] == ["Page."]
    finally:
        reading.close()


def content(folder):
    """All that a run stores, ids and order included."""
    with Database.read(folder) as db:
        return [
            db.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
            for table in ("documents", "passages", "texts", "vectors", "removals", "loose_texts")
        ] + [db.rows("SELECT file_id, name, size, sha256, failures FROM files ORDER BY file_id")]


def test_a_library_is_the_same_whoever_reads_the_files(library_folder, tmp_path, monkeypatch, started):
    made = []
    for processes in (0, 1, 3):
        monkeypatch.setattr(index_pipeline, "processes_for", lambda files, n=processes: n)
        folder = tmp_path / f"library-{processes}"
        library = Library(folder, open_model=lambda model: WordEmbedder())
        report = library.index([ROOT / "sample_corpus"])
        made.append((content(folder), report.failed, report.passages, report.embedded))
    assert made[0] == made[1] == made[2] and len(made[0][0][1]) > 100
    assert len(started) == 4 and all(process.poll() is not None for process in started)


def test_a_small_run_starts_no_process(library, docs, started):
    assert library.index([docs]).added == 3 and started == []


@pytest.mark.parametrize(
    ("name", "size", "count", "cores", "processes"),
    [
        ("a.md", 1_000_000, 5, 2, 0),  # half a second of reading
        ("a.md", 1_000_000, 20, 2, 1),
        ("a.pdf", 1_000_000, 3, 2, 1),
        ("a.pdf", 1_000_000, 3, 8, 3),  # no more than files
        ("a.pdf", 1_000_000, 30, 64, 4),
        ("a.md", 10, 1_000, 8, 0),
        ("a.md", 10, 10_000, 8, 4),
    ],
)
def test_processes_are_started_where_they_are_worth_it(name, size, count, cores, processes):
    file = SourceFile(path=Path(name), name=name, size=size, mtime_ns=0)
    assert processes_for([file] * count, cores) == processes


def test_a_frozen_program_starts_no_copy_of_itself(monkeypatch):
    file = SourceFile(path=Path("a.pdf"), name="a.pdf", size=100_000_000, mtime_ns=0)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert processes_for([file]) == 0


@pytest.mark.parametrize("embedder", ["Failing", "Interrupted"])
def test_a_run_that_is_broken_off_leaves_no_process(
    two_processes, library_folder, tmp_path, started, embedder
):
    for number in range(400):
        write(tmp_path / "docs" / f"{number:03}.txt", f"Rule number {number} speaks. " * 40)

    class Broken(WordEmbedder):
        def embed_counted(self, texts, instruction=""):
            raise {"Failing": MemoryError, "Interrupted": KeyboardInterrupt}[embedder]

    before = threading.active_count()
    with pytest.raises((MemoryError, KeyboardInterrupt)):
        Library(library_folder, open_model=lambda model: Broken()).index([tmp_path / "docs"])
    assert len(started) == 2 and all(process.poll() is not None for process in started)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)  # the one that watches for silence sleeps a second at most
    assert threading.active_count() <= before


def test_closing_frees_a_thread_that_waits_for_a_file(hostile, tmp_path):
    write(tmp_path / "hang.md", "Words.")
    (file,) = files_under(tmp_path)
    reading = Extraction([file], 1)
    raised = []

    def listen():
        try:
            list(reading.documents(file))
        except extraction.Stopped as error:
            raised.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.5)
    reading.close()
    thread.join(10)
    assert not thread.is_alive() and len(raised) == 1


def test_processes_end_when_the_one_that_asked_has_died(tmp_path):
    """Killed, it can end nobody: they notice that nobody asks any more."""
    write(tmp_path / "a.md", "Page.")
    code = (
        "import os, sys; from pathlib import Path\n"
        "from searchkit.collection.extraction import Extraction\n"
        "from searchkit.documents.discover import discover\n"
        "files = discover(Path(sys.argv[1])).files\n"
        "reading = Extraction(files, 2); list(reading.documents(files[0]))\n"
        "print(*[one._popen.pid for one in reading._places], flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2 and done.returncode == -9, done.stderr
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # nobody may be there to take its exit code


def test_a_process_that_reads_loads_nothing_heavy():
    parsers = "".join(f"import {name}\n" for name in ("pypdfium2", "openpyxl", "pptx", "lxml.etree"))
    code = "import sys, searchkit.documents.worker\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True
    )
    assert "searchkit.documents.load" in done.stdout.split() and not HEAVY & set(done.stdout.split())
    done = subprocess.run(
        [sys.executable, "-c", code + parsers + "print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not (HEAVY - {"numpy"}) & set(done.stdout.split())  # openpyxl takes numbers of numpy's, too


def test_frames_are_taken_apart_only_where_they_are_whole():
    """What a process sends that a hostile file has taken over is refused, whatever it is."""
    dice = random.Random(20261121)
    stream = io.BytesIO()
    for kind in (worker.DOCUMENT, worker.TEXT, worker.LOST, worker.END):
        worker.write_frame(stream, kind, b"[1, 2, 3]")
    whole = stream.getvalue()
    for _ in range(300):
        at = dice.randrange(len(whole))
        broken = io.BytesIO(whole[:at] + bytes([dice.randrange(256)]) + whole[at + 1 : dice.randrange(200)])
        try:
            while (frame := worker.read_frame(broken)) is not None:
                for take_apart in (worker.unpack_lost, worker.unpack_end):
                    take_apart(frame[1])
                worker.document_of(frame[1], iter(()))
        except worker.BrokenFrame:
            pass
