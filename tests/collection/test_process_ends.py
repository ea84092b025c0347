"""How processes that read files end: when they are told to, when nobody asks any more, when they hang."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from searchkit.collection import extraction, processes
from searchkit.collection.extraction import Extraction
from searchkit.collection.library import Library
from searchkit.documents import worker
from tests.collection.conftest import files_under, write
from tests.fakes import WordEmbedder
from tests.processes import all_end, is_running

ROOT = Path(__file__).parents[2]


def test_processes_that_have_started_end_when_another_cannot(tmp_path, monkeypatch, started):
    watched = extraction.Process

    def second_fails():
        if started:
            raise RuntimeError("can't start new thread")
        return watched()

    monkeypatch.setattr(extraction, "Process", second_fails)
    write(tmp_path / "a.md", "Page.")
    with pytest.raises(RuntimeError):
        Extraction(files_under(tmp_path), 2)
    assert len(started) == 1 and started[0].poll() is not None


@pytest.mark.parametrize(
    ("code", "crash"),
    [
        (-signal.SIGSEGV, True),
        (-signal.SIGABRT, True),
        (0xC0000005, True),  # Windows: access violation
        (0xC0000409, True),  # Windows: abort()
        (0xC000013A, False),  # Windows: its console was closed
        (-signal.SIGTERM, False),
        (-signal.SIGINT, False),
        (-9, False),
        (0, False),
        (1, False),  # Windows: taskkill
        (worker.FAILED, False),
    ],
)
def test_only_what_a_parser_does_to_its_process_is_a_crash(code, crash):
    assert processes.is_crash(code) == crash


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


ORPHANS = """
import os, sys, time
from pathlib import Path
from searchkit.collection import processes
from searchkit.collection.extraction import Extraction
from searchkit.documents.discover import discover

processes._BOOT = processes._BOOT.replace("from searchkit.documents.worker import main", sys.argv[2])
reading = Extraction(discover(Path(sys.argv[1])).files, 2)
if reading._is_ready(reading._places[0], 0):
    time.sleep(1)
    print(*[one._popen.pid for one in reading._places], flush=True)
    os.kill(os.getpid(), 9)
"""
READS = "from searchkit.documents.worker import main"
OBEYS = (
    "from searchkit.documents import worker; worker.PATIENCE_S = 0.5; "
    "from tests.collection.hostile_worker import main"
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "main"), [("a.md", READS), ("spin.md", OBEYS)])
def test_processes_end_when_the_one_that_asked_has_died(tmp_path, name, main):
    """Killed, it can end nobody: they notice that nobody asks any more, or the kernel does."""
    write(tmp_path / name, "Page.")
    command = [sys.executable, "-c", ORPHANS, str(tmp_path), main]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2 and done.returncode == -9
    if name == "spin.md":
        assert is_running(pids[0])
    assert all_end(pids, within_s=20)


@pytest.mark.slow
def test_a_run_that_was_stopped_for_a_while_gives_up_no_file(tmp_path):
    """Ctrl-Z, and `fg` some time later: the run has not been listening."""
    write(tmp_path / "slow.md", "Page.")
    code = (
        "import sys; from pathlib import Path\n"
        "from searchkit.collection import processes\n"
        "from searchkit.collection.extraction import Extraction\n"
        "from searchkit.documents import worker\n"
        "from searchkit.documents.discover import discover\n"
        "processes._BOOT = processes._BOOT.replace('searchkit.documents.worker', sys.argv[2])\n"
        "processes.TICK_S, worker.PATIENCE_S = 0.1, 1.5\n"  # of the 2 s that the file takes
        "(file,) = discover(Path(sys.argv[1])).files; reading = Extraction([file], 1)\n"
        "reading._is_ready(reading._places[0], 0); print('asked', flush=True)\n"
        "print([one.text for one in reading.documents(file)])"
    )
    command = [sys.executable, "-c", code, str(tmp_path), "tests.collection.hostile_worker"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "asked\n"
        time.sleep(0.2)
        running.send_signal(signal.SIGSTOP)
        time.sleep(1.6)
        running.send_signal(signal.SIGCONT)
        assert running.stdout.read() == "['Page.']\n"


def test_no_process_is_killed_after_it_has_been_listened_to(monkeypatch):
    monkeypatch.setattr(processes, "TICK_S", 0.05)
    begun, done = threading.Event(), threading.Event()

    class Slow:
        def kill(self):
            begun.set()
            time.sleep(0.3)
            done.set()

    silence = processes.Silence()
    try:
        with silence.ends(Slow(), 0.01):
            assert begun.wait(5)
        assert done.is_set()
    finally:
        silence.end()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which process it would end")
def test_where_memory_runs_out_a_reader_is_more_expendable_than_its_run(tmp_path, started):
    write(tmp_path / "a.md", "Page.")
    reading = Extraction(files_under(tmp_path), 1)
    try:
        assert reading._is_ready(reading._places[0], 0)
        found = Path(f"/proc/{started[0].pid}/oom_score_adj").read_text()
        assert int(found) >= worker.MORE_EXPENDABLE
    finally:
        reading.close()
