"""Of an index run's wall time, how much does not go to the model?

Indexes folders with all-MiniLM-L6-v2, each in a process of its own, and notes the wall time spent in
`Embedder.embed_counted` against that of the whole run, opening the model included. `--idle-reader` makes
the same run with nothing read ahead (no processes, no thread), for the difference. As its last line JSON.

    python -m benchmarks.pipeline [FOLDER]... [--idle-reader] [--save]

Without FOLDER: the corpora under $SEARCHKIT_SHARED, else sample_corpus.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks._conditions import ROOT, report

CORPORA = ("gov_docs", "ant_manual_html", "powershell_docs", "office_files")
SAMPLE_S = 0.05  # between looks at the memory of the run and its processes


def folders() -> list[Path]:
    """What is measured when nothing is named."""
    shared = os.environ.get("SEARCHKIT_SHARED")
    if not shared:
        print("SEARCHKIT_SHARED is not set: measuring sample_corpus only")
        return [ROOT / "sample_corpus"]
    return [Path(shared) / "corpora" / name / "files" for name in CORPORA]


def name_of(folder: Path) -> str:
    """A corpus' files lie in a folder 'files'."""
    return folder.parent.name if folder.name == "files" else folder.name


def measure(folder: Path, *, ahead: bool) -> dict[str, Any]:
    """Index one folder in a process of its own. Returns: what `run` says, and the peak of memory."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "benchmarks.pipeline", str(folder), "--run-in", work]
        started = time.perf_counter()
        with subprocess.Popen(
            [*command, *([] if ahead else ["--idle-reader"])], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as running:
            memory = Memory(running.pid)
            out, _ = running.communicate()
            memory.end()
        process_s = time.perf_counter() - started
        assert running.returncode == 0, out
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    outside = 1 - figures["model_s"] / figures["wall_s"]
    figures |= {
        "folder": name_of(folder),
        "process_s": round(process_s, 2),
        "share_outside": round(outside, 4),
        "peak_rss_mb": memory.peak_mb(),
    }
    print(
        f"{figures['folder']:16} {figures['files']:5} files {figures['passages']:6} passages "
        f"{figures['wall_s']:7.1f} s, model {figures['model_s']:7.1f} s, outside {outside:6.1%} "
        f"({figures['parts']}), {figures['commits']} commits, peak {figures['peak_rss_mb']} MB",
        flush=True,
    )
    return figures


def run(folder: Path, work: Path, *, ahead: bool) -> dict[str, Any]:
    """Index `folder` in this process and look at the clock around each part of the main thread."""
    from searchkit import Library
    from searchkit.collection import index_pipeline, recovery
    from searchkit.embedding.embedder import open_embedder
    from searchkit.library import documents, vectors
    from searchkit.library.database import Database
    from searchkit.settings import BASE_MODEL

    clock: dict[str, float] = {}
    calls: dict[str, int] = {}

    def timed(part: str, function: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                clock[part] = clock.get(part, 0.0) + time.perf_counter() - started
                calls[part] = calls.get(part, 0) + 1

        return wrapped

    def open_model(*model: Any, **how: Any) -> Any:
        embedder = open_embedder(*model, **how)
        embedder.embed_counted = timed("model", embedder.embed_counted)  # type: ignore[method-assign]
        return embedder

    if not ahead:
        index_pipeline.processes_for = lambda files: 0
    documents.put_texts = timed("store", documents.put_texts)
    documents.put_file = timed("store", documents.put_file)
    documents.collect_garbage = timed("garbage", documents.collect_garbage)
    vectors.put_vectors = timed("store", vectors.put_vectors)
    vectors.hashes_with_vector = timed("known", vectors.hashes_with_vector)
    recovery.publish_if_due = timed("publish", recovery.publish_if_due)
    Database.transaction = _timed_commit(Database.transaction, clock)  # type: ignore[method-assign]
    library = Library(work / "library", open_model=timed("open", open_model))
    started = time.perf_counter()
    done = library.index([folder], model=BASE_MODEL)
    wall = time.perf_counter() - started
    assert library.verify() == []
    return {
        "files": done.added,
        "failed": len(done.failed),
        "passages": done.passages,
        "embedded": done.embedded,
        "wall_s": round(wall, 2),
        "model_s": round(clock["model"], 2),
        "texts_per_s": round(done.embedded / clock["model"], 1),
        "commits": calls["model"],
        "parts": {
            **{part: round(seconds, 2) for part, seconds in clock.items() if part != "model"},
            "rest": round(wall - sum(clock.values()), 2),
        },
    }


def _timed_commit(transaction: Any, clock: dict[str, float]) -> Any:
    """Database.transaction with the time of its COMMIT, which waits for the disk, on the clock."""
    from contextlib import contextmanager

    @contextmanager
    def timed(self: Any) -> Any:
        with transaction(self) as tx:
            yield tx
            started = time.perf_counter()
        clock["commit"] = clock.get("commit", 0.0) + time.perf_counter() - started

    return timed


class Memory:
    """Looks at the memory of a process and of those it started, together, until told to end."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        self._thread.join()

    def peak_mb(self) -> int | None:
        """The largest sum seen; pages that processes share count once for each. None where unknown."""
        return self._peak >> 20 or None

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._peak = max(self._peak, sum(_rss(pid) for pid in _family(self._pid)))


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        tasks = Path(f"/proc/{pid}/task").iterdir()
        found = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    except OSError:
        return [pid]
    return [pid, *{int(child) for child in children.split()} | found]


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def main() -> None:
    """Measure folders and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--idle-reader", action="store_true", help="read nothing ahead of the model")
    parser.add_argument("--run-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    if arguments.run_in:
        print(json.dumps(run(arguments.folders[0], arguments.run_in, ahead=not arguments.idle_reader)))
        return
    found = [measure(folder, ahead=not arguments.idle_reader) for folder in (arguments.folders or folders())]
    name = "pipeline-idle-reader" if arguments.idle_reader else "pipeline"
    report(name, {"corpora": found}, save=arguments.save)


if __name__ == "__main__":
    main()
