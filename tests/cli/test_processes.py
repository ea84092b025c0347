"""What shows only between processes: interrupts, two writers, a reader beside a writer, full disks."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from searchkit.errors import CollectionNotFound, LibraryError
from tests.collection.conftest import write
from tests.fakes import WordEmbedder
from tests.processes import all_end

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "faiss", "kreuzberg", "onnxruntime", "sklearn", "scipy", "rich.table"}
HEAVY |= {"openTSNE", "matplotlib"}


@pytest.fixture
def many(tmp_path):
    for number in range(200):
        write(tmp_path / "many" / f"{number:03}.txt", f"Rule number {number} speaks of item {number * 7}.")
    return tmp_path / "many"


@pytest.fixture
def held(tmp_path):
    """A file: while it is there, an index run that is told of it waits after two commits."""
    return write(tmp_path / "held", "")


def wait_for_passages(library_folder, least):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(LibraryError, CollectionNotFound):  # not made yet
            if (count := Library(library_folder).show("company-docs").counts.passages) >= least:
                return count
        time.sleep(0.02)
    raise AssertionError("the index run committed nothing")


@pytest.mark.slow
def test_ctrl_c_exits_with_130_and_loses_nothing(process, many, library_folder, held):
    running = process("index", many, "--library", library_folder, env={"WAIT_WHILE": held})
    committed = wait_for_passages(library_folder, 16)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130 and "goes on where it stopped" in err and "Traceback" not in err
    again = json.loads(
        process("index", many, "--library", library_folder, "--json").communicate(timeout=60)[0]
    )
    assert again["unchanged"] >= committed and again["unchanged"] + again["added"] == 200
    assert Library(library_folder).verify() == []


def children_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(child) for child in found.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks ps in the Linux way")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_process(process, many, library_folder, held, ending):
    """Ctrl-C in a terminal reaches the whole group; the other signals reach the one process only."""
    ahead = {"WAIT_WHILE": held, "AHEAD": "1"}
    running = process("index", many, "--library", library_folder, env=ahead, start_new_session=True)
    wait_for_passages(library_folder, 16)
    children = children_of(running.pid)
    assert children
    if ending == signal.SIGINT:
        os.killpg(running.pid, ending)
    else:
        running.send_signal(ending)
    _, err = running.communicate(timeout=30)  # ends only when nobody holds its stderr any more
    assert "Traceback" not in err
    assert running.returncode == (130 if ending == signal.SIGINT else -ending)
    assert all_end(children)
    assert Library(library_folder).verify() == []


@pytest.mark.slow
def test_two_index_runs_at_once_wait_for_each_other(process, many, library_folder, held):
    first = process("index", many, "--library", library_folder, env={"WAIT_WHILE": held})
    wait_for_passages(library_folder, 16)
    second = process("index", many, "--library", library_folder, "--json", "--wait", "60")
    assert f"process {first.pid}" in second.stderr.readline()
    held.unlink()
    out, _ = second.communicate(timeout=60)
    assert first.wait(timeout=60) == 0 and json.loads(out)["unchanged"] == 200


@pytest.mark.slow
def test_an_impatient_second_writer_is_told_who_holds_the_library(process, many, library_folder, held):
    first = process("index", many, "--library", library_folder, env={"WAIT_WHILE": held})
    wait_for_passages(library_folder, 16)
    second = process("index", many, "--library", library_folder, "--wait", "0")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1 and f"is being written by process {first.pid}" in err and "--wait" in err


@pytest.mark.slow
def test_a_query_during_an_index_run_sees_what_is_committed(process, many, library_folder, held):
    running = process("index", many, "--library", library_folder, env={"WAIT_WHILE": held})
    wait_for_passages(library_folder, 16)
    out, err = process(
        "query", "rule number 3 speaks of item 21", "--library", library_folder, "--json"
    ).communicate(timeout=60)
    assert running.poll() is None and err == ""
    assert json.loads(out)["hits"][0]["document"] == "003.txt"


@pytest.mark.slow
def test_a_full_disk_stops_with_a_message_and_keeps_what_was_committed(process, many, library_folder):
    resource = pytest.importorskip("resource")

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    for number in range(200):
        write(
            many / f"{number:03}.txt", f"Rule {number}. " + " ".join(f"word{number}x{i}" for i in range(900))
        )
    running = process("index", many, "--library", library_folder, preexec_fn=small_disk)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1 and "cannot be written" in err and "Traceback" not in err
    assert Library(library_folder).verify() == []
    out, _ = process("index", many, "--library", library_folder, "--json").communicate(timeout=60)
    assert json.loads(out)["added"] + json.loads(out)["unchanged"] == 200


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_reader_that_goes_away_is_no_error(process, library_folder, tmp_path, form):
    for number in range(300):
        write(tmp_path / "docs" / f"{number}.txt", f"Line {number} " + "and words " * 60)
    Library(library_folder, open_model=WordEmbedder).index([tmp_path / "docs"])
    running = process("query", "line", "-k", "300", "--library", library_folder, *form)
    assert running.stdout.read(10)  # the rest, more than a pipe holds, finds nobody
    running.stdout.close()
    assert running.stderr.read() == "" and running.wait(timeout=60) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["index", "--help"], ["profiles", "list"]])
def test_a_light_command_loads_nothing_heavy(arguments):
    code = (
        f"import sys; from searchkit.cli.main import run; run({arguments!r})\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    unused = HEAVY - {"rich.table"} if arguments == ["profiles", "list"] else HEAVY
    assert done.returncode == 0 and not unused & loaded


# Beside what a bare Python has loaded, `searchkit --help` needs click, its needs, and small files of ours.
HELP_NEEDS_OF_OURS = {
    "searchkit",
    "searchkit.cli",
    "searchkit.cli.main",
    "searchkit.embedding",
    "searchkit.embedding.progress",
    "searchkit.errors",
    "searchkit.settings",
}
SLOW_TO_LOAD = {  # each takes 5 to 100 ms
    "asyncio", "concurrent", "ctypes", "email", "http", "importlib.metadata", "json", "lxml",
    "multiprocessing", "numpy", "pathspec", "platformdirs", "rich", "socket", "sqlite3", "ssl", "subprocess",
    "unittest", "urllib.request", "yaml",
}  # fmt: skip


def test_help_loads_what_it_prints_and_no_more():
    """It is what a user waits for first; 0.05 s, of which a bare Python takes 0.01 s (docs/LOG.md)."""
    code = (
        "import sys; sys.argv = ['searchkit', '--help']\n"
        "from searchkit.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert "Commands:" in done.stdout
    assert {name for name in loaded if name.split(".")[0] == "searchkit"} == HELP_NEEDS_OF_OURS
    assert not SLOW_TO_LOAD & loaded


def test_a_run_without_changes_loads_neither_models_nor_indexes(library_folder, tmp_path):
    write(tmp_path / "docs" / "a.md", "One page.")
    Library(library_folder, open_model=WordEmbedder).index([tmp_path / "docs"], model="words")
    code = (
        "import sys; from searchkit.cli.main import run\n"
        f"code = run(['index', '--json', '--library', {str(library_folder)!r}])\n"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stdout)["unchanged"] == 1
    assert done.stderr.split()[0] == "0" and not HEAVY & set(done.stderr.split())


def test_a_query_loads_nothing_of_what_is_said_of_whole_collections():
    """Without a filter it needs neither filters nor classifiers, duplicates, clusters or maps."""
    code = "import sys, searchkit.cli.query, searchkit.collection.library; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    stores = {f"searchkit.library.{name}" for name in ("filters", "classifiers", "clusters", "duplicates")}
    assert done.returncode == 0 and not stores & loaded
    assert not [name for name in loaded if name.startswith("searchkit.analysis")]


def test_an_undecodable_file_name_is_indexed_and_shown(process, library_folder, tmp_path):
    folder = os.fsencode(tmp_path / "docs")
    os.mkdir(folder)
    with open(folder + b"/caf\xe9.md", "w") as file:
        file.write("Coffee is served at nine.")
    out, _ = process("index", tmp_path / "docs", "--library", library_folder, "--json").communicate(
        timeout=60
    )
    assert json.loads(out)["added"] == 1
    out, _ = process("query", "coffee", "--library", library_folder, "--json").communicate(timeout=60)
    assert json.loads(out)["hits"][0]["document"] == "caf%E9.md"


def test_json_is_json_on_any_terminal(process, library_folder, tmp_path):
    write(tmp_path / "docs" / "käse.md", "Käse und Brötchen 🎉 kosten wenig.")
    process("index", tmp_path / "docs", "--library", library_folder).communicate(timeout=60)
    latin = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    out, err = process("query", "Käse", "--library", library_folder, "--json", env=latin).communicate(
        timeout=60
    )
    assert err == "" and json.loads(out)["hits"][0]["document"] == "käse.md" and out.isascii()


@pytest.mark.slow
def test_progress_with_rate_and_time_left_is_shown_on_a_terminal(many, library_folder):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "tests.cli.word_searchkit",
        "index",
        str(many),
        "--library",
        str(library_folder),
    ]
    slow = {**os.environ, "SLOW_S": "0.15", "COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(command, cwd=ROOT, env=slow, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal whose other side is closed with an error
            while part := os.read(ours, 65_536):
                shown += part
    os.close(ours)
    assert running.returncode == 0
    text = shown.decode()
    assert "/200 files" in text and "passages/s" in text and "0:00:0" in text
    assert re.search(r"\b(?!0/|200/)\d+/200 files", text)  # it follows what is embedded and stored
