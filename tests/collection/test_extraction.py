"""Files are read by other processes as they would be here, and what kills one costs one file."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searchkit.collection import index_pipeline, processes
from searchkit.collection.extraction import Extraction, processes_for
from searchkit.collection.library import Library
from searchkit.documents import worker
from searchkit.documents.load import load
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.library.database import Database
from searchkit.records import Document, SourceFile
from tests.collection.conftest import answers, files_under, outcome, write
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("count", [1, 3])
def test_files_are_read_as_they_would_be_here(count):
    files = [file for file in files_under(ROOT / "sample_corpus") if file.size < 200_000]
    assert {Path(file.name).suffix for file in files} >= {".md", ".pdf", ".docx", ".csv", ".eml"}
    assert answers(files, count) == [outcome(load, file) for file in files]


def test_odd_texts_travel_unchanged(tmp_path):
    write(tmp_path / "rows.jsonl", '{"text": "half a pair \\ud800, and ünïcödé 🎉"}\n{"text": broken\n')
    write(tmp_path / "empty.md", "")
    write(tmp_path / "long.txt", "a line of text\n" * 700_000)  # more than one part of a text
    files = files_under(tmp_path)
    assert len(files) == 3 and answers(files, 2) == [outcome(load, file) for file in files]


def test_a_file_whose_name_is_no_utf8_is_read(tmp_path):
    try:
        with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as file:
            file.write("Coffee is served at nine.")
    except OSError:
        pytest.skip("this file system takes no such name")
    files = files_under(tmp_path)
    assert len(files) == 1 and answers(files, 1) == [outcome(load, file) for file in files]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("sigsegv.md", DocumentError, "SIGSEGV"),
        ("sigabrt.md", DocumentError, "SIGABRT"),
        ("garbage.md", DocumentError, "crashed the reader of md"),
        ("exit.md", DocumentUnavailable, "exit code 7"),
        ("memory.md", DocumentUnavailable, "exit code 70), perhaps for want of memory"),
        ("windows.md", DocumentUnavailable, "exit code 1)"),
        ("sigkill.md", DocumentUnavailable, "SIGKILL), perhaps for want of memory"),
        ("sigterm.md", DocumentUnavailable, "SIGTERM"),
        ("sigxcpu.md", DocumentUnavailable, "too long"),
        ("hang.md", DocumentUnavailable, "too long"),
    ],
)
def test_what_kills_its_process_is_one_file_and_the_others_are_read(
    hostile, tmp_path, monkeypatch, capfd, name, error, said
):
    monkeypatch.setattr(worker, "PATIENCE_S", 2.0)
    for number in range(12):
        write(tmp_path / f"{number:02}.md", f"Page {number}.")
    write(tmp_path / f"05-{name}", "The odd one.")
    files = files_under(tmp_path)
    found = answers(files, 2)
    (odd,) = [one for file, one in zip(files, found, strict=True) if name in file.name]
    assert odd[0] is error and said in odd[1] and ".searchkitignore" in odd[2]
    rest = [one for file, one in zip(files, found, strict=True) if name not in file.name]
    assert rest == [outcome(load, file) for file in files if name not in file.name]
    assert "Traceback" not in capfd.readouterr().err


def test_what_parsers_print_does_not_get_between(hostile, tmp_path):
    for number in range(3):
        write(tmp_path / f"print-{number}.md", "Some text.")
    files = files_under(tmp_path)
    assert answers(files, 1) == [outcome(load, file) for file in files]


def test_a_crash_is_stored_as_the_files_failure_and_a_kill_is_tried_again(
    hostile, two_processes, library_folder, tmp_path
):
    docs = write(tmp_path / "docs" / "a-sigsegv.md", "Dangerous words.").parent
    write(docs / "good.md", "Harmless words.")
    killed = write(docs / "a-sigkill.md", "Words.")
    library = Library(library_folder, open_model=lambda model: WordEmbedder())
    first = library.index([docs])
    assert (first.added, first.passages) == (1, 1)
    assert sorted(failure.document for failure in first.failed) == ["a-sigkill.md", "a-sigsegv.md"]
    killed.rename(docs / "tame.md")
    again = library.index([docs])
    assert (again.added, again.unchanged) == (1, 1)
    assert [failure.document for failure in again.failed] == ["a-sigsegv.md"]  # said, and not read again
    assert library.verify() == []


@pytest.mark.parametrize(("ending", "left"), [("sigterm", 1), ("sigsegv", 0)])
def test_what_was_indexed_of_a_file_survives_what_comes_from_outside(
    hostile, library_folder, tmp_path, monkeypatch, ending, left
):
    page = write(tmp_path / "docs" / f"a-{ending}.md", "First words.")
    library = Library(library_folder, open_model=lambda model: WordEmbedder())
    assert library.index([page.parent]).passages == 1  # read here
    monkeypatch.setattr(index_pipeline, "processes_for", lambda files: 1)
    write(page, "Other words, which end their reader.")
    report = library.index([page.parent])
    assert len(report.failed) == 1 and report.passages == left and library.verify() == []


def test_a_file_edited_while_it_waits_to_be_taken_is_read_again_on_the_next_run(
    hostile, two_processes, library_folder, tmp_path
):
    """A process has loaded it long before the thread that cuts it comes to it."""
    page = write(tmp_path / "docs" / "marked.md", "The old words.")

    class Editing(WordEmbedder):
        def instruction_for(self, profile, side):  # the processes have started, nothing was taken yet
            deadline = time.monotonic() + 20
            while not (tmp_path / "was-read").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            if not (tmp_path / "was-edited").exists():
                write(page, "The new text, longer than before.")
                write(tmp_path / "was-edited", "")
            return super().instruction_for(profile, side)

    library = Library(library_folder, open_model=lambda model: WordEmbedder())
    other = write(tmp_path / "other" / "other.md", "Another page.")
    library.index([other.parent])  # from now on the model is opened only when there are files to be read
    Library(library_folder, open_model=lambda model: Editing()).index([page.parent])
    assert (tmp_path / "was-edited").exists()
    library.index([page.parent])
    assert library.query("new text").hits[0].text == "The new text, longer than before."


def test_a_folder_that_is_worked_in_lends_no_module(tmp_path, monkeypatch):
    trap = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise SystemExit"
    for name in ("json", "linecache", "queue", "searchkit"):
        write(tmp_path / "docs" / f"{name}.py", trap)
    monkeypatch.chdir(tmp_path / "docs")
    files = files_under(tmp_path / "docs")
    assert answers(files, 1) == [outcome(load, file) for file in files]
    assert not list((tmp_path / "docs").glob("*.ran"))


def test_odd_places_in_the_path_are_left_out(tmp_path, monkeypatch, started):
    write(tmp_path / "a.md", "Page.")
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path, b"bytes", 7])
    files = files_under(tmp_path)
    assert answers(files, 1) == [outcome(load, file) for file in files] and started[0].returncode is not None


def test_files_are_read_here_where_no_process_can_be_had(tmp_path, monkeypatch):
    write(tmp_path / "a.md", "Page.")
    write(tmp_path / "b.md", "Another page.")
    files = files_under(tmp_path)
    expected = [outcome(load, file) for file in files]
    monkeypatch.setattr(processes, "_BOOT", "raise SystemExit(3)")
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
    for count in (0, 1, 3):
        monkeypatch.setattr(index_pipeline, "processes_for", lambda files, n=count: n)
        folder = tmp_path / f"library-{count}"
        library = Library(folder, open_model=lambda model: WordEmbedder())
        report = library.index([ROOT / "sample_corpus"])
        made.append((content(folder), report.failed, report.passages, report.embedded))
    assert made[0] == made[1] == made[2] and len(made[0][0][1]) > 100
    assert len(started) == 4 and all(process.poll() is not None for process in started)


def test_a_small_run_starts_no_process(library, docs, started):
    assert library.index([docs]).added == 3 and started == []


@pytest.mark.parametrize(
    ("name", "size", "count", "cores", "expected"),
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
def test_processes_are_started_where_they_are_worth_it(name, size, count, cores, expected):
    file = SourceFile(path=Path(name), name=name, size=size, mtime_ns=0)
    assert processes_for([file] * count, cores) == expected


@pytest.mark.parametrize(
    ("executable", "frozen", "some"),
    [
        ("/usr/bin/python3.11", False, True),
        ("C:\\Python\\pythonw.exe", False, True),
        ("/opt/pypy3", False, True),
        ("/usr/bin/python3.11", True, False),
        ("/usr/sbin/uwsgi", False, False),  # Python runs inside of it
        ("", False, False),
        (None, False, False),
    ],
)
def test_a_program_that_is_no_python_starts_no_copy_of_itself(monkeypatch, executable, frozen, some):
    file = SourceFile(path=Path("a.pdf"), name="a.pdf", size=100_000_000, mtime_ns=0)
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert (processes_for([file]) > 0) == some


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's scheduler")
def test_cores_that_may_not_be_used_are_not_counted():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from searchkit.collection.extraction import cores_here; print(cores_here())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


@pytest.mark.parametrize("name", ["b.csv#1", "a.csvs", "a.csv#1"])
def test_a_document_of_another_name_is_refused(tmp_path, monkeypatch, name):
    """Two Documents of one name, or that of another file, would break the Library's rules."""
    write(tmp_path / "a.csv", "question\nwhy?\n")
    files = files_under(tmp_path)
    sent = [(worker.DIGEST, bytes(32))]
    for one in ("a.csv#1", name):
        sent += [*worker.document_frames(Document(name=one, kind="row", text="why?"))]
    sent += [(worker.END, worker.pack_end(None))]
    reading = Extraction(files, 1)
    monkeypatch.setattr(reading, "_frames", lambda process, source: iter(sent))
    try:
        with pytest.raises(DocumentError, match="a Document of another name"):
            list(reading.documents(files[0]))
    finally:
        reading.close()


@pytest.mark.parametrize("first", [(worker.DOCUMENT, b"[]"), (worker.DIGEST, b"short"), (worker.LOST, b"[]")])
def test_an_answer_begins_with_the_hash_of_what_was_read(tmp_path, monkeypatch, first):
    write(tmp_path / "a.md", "Page.")
    files = files_under(tmp_path)
    reading = Extraction(files, 1)
    monkeypatch.setattr(reading, "_frames", lambda process, source: iter([first]))
    try:
        with pytest.raises(DocumentError, match="an answer of kind"):
            list(reading.documents(files[0]))
    finally:
        reading.close()
