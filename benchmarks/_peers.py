"""Running contenders side by side: a worker process each, or whole processes with their time and memory.

Peers are no dependencies of searchkit. Each may live in an environment of its own, named by an option or an
environment variable; one that is not there is left out, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from benchmarks._conditions import ROOT

# option: (environment variable, what has to be importable there)
PYTHONS = {
    "peers": ("SEARCHKIT_BENCH_PEERS", "sentence-transformers, txtai, chromadb, lancedb"),
    "onnx": ("SEARCHKIT_BENCH_ONNX", "sentence-transformers with optimum-onnx"),
    "instructor": ("SEARCHKIT_BENCH_INSTRUCTOR", "InstructorEmbedding 1.0.1"),
}
SAMPLE_S = 0.02  # between looks at the memory of a process
# Let the last contender's threads fall asleep: they spin for a while, and would take from the next one.
PAUSE_S = 0.5
CHROMA_FILES = (
    "config.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt",
)  # fmt: skip
# Peers look for newer files and report their use over the network; both would be waited for. And modules
# are kept compiled, as they are for whoever installs them, even where the shell asks Python not to.
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "TOKENIZERS_PARALLELISM": "true",
    "PYTHONWARNINGS": "ignore",
}


class Unavailable(Exception):
    """A contender that cannot run here; the reason in one line."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A whole process that has ended well."""

    seconds: float  # from its start to its end, as who called it waits
    peak_mib: float | None  # its peak and those of its children, added; None where /proc is missing
    stdout: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of repeated runs of the same work."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The run least disturbed."""
        return min(self.seconds)

    @property
    def middle(self) -> float:
        """The median run."""
        return median(self.seconds)

    def rounded(self, digits: int = 3) -> dict[str, Any]:
        """For a report."""
        return {
            "best_s": round(self.best, digits),
            "median_s": round(self.middle, digits),
            "runs_s": [round(one, digits) for one in self.seconds],
        }


def add_pythons(parser: argparse.ArgumentParser, *wanted: str) -> None:
    """Add an option --NAME-python for each of PYTHONS that is wanted."""
    for name in wanted:
        variable, holds = PYTHONS[name]
        parser.add_argument(
            f"--{name}-python",
            default=os.environ.get(variable, sys.executable),
            metavar="PATH",
            help=f"interpreter that has {holds}  [default: ${variable}, else this one]",
        )


def alternate(runs: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, Timing]:
    """Run each contender in turn, `repeats` times round, so that a slow minute of the machine hits all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            time.sleep(PAUSE_S)
            seconds[name].append(run())
    return {name: Timing(tuple(one)) for name, one in seconds.items()}


def searchkit_command(*arguments: str) -> list[str]:
    """The command line of searchkit: the installed one where it is, else the checkout's."""
    installed = Path(sys.executable).with_name("searchkit")
    start = [str(installed)] if installed.is_file() else [sys.executable, str(ROOT / "cli.py")]
    return [*start, *arguments]


def module_command(python: str, module: str, *arguments: str) -> list[str]:
    """A module of benchmarks under another interpreter."""
    return [python, "-m", f"benchmarks.{module}", *arguments]


def run_process(command: Sequence[str]) -> Finished:
    """Run a whole process and wait for its end.

    Raises: Unavailable: it failed; with the last line that it wrote.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=err, env={**os.environ, **ENVIRONMENT}
        )
        peaks: dict[int, float] = {}
        over = threading.Event()
        # Looked at beside the waiting: a wait with a time limit would be up to a sample late.
        watch = threading.Thread(target=_watch, args=(process.pid, peaks, over))
        watch.start()
        process.wait()
        seconds = time.perf_counter() - started
        over.set()
        watch.join()
        out.seek(0), err.seek(0)
        written, complaint = (file.read().decode(errors="replace") for file in (out, err))
    if process.returncode:
        last = (complaint.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise Unavailable(last[:300])
    return Finished(seconds, round(sum(peaks.values()), 1) if peaks else None, written)


class Worker:
    """A contender in a process of its own that answers requests, one line of JSON each."""

    def __init__(self, command: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises: Unavailable: it failed; with the reason."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            written = self._errors.read().decode(errors="replace").strip().splitlines()
            raise Unavailable((written or ["it ended without a word"])[-1][:300])
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unavailable(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The worker's side: answer each line of standard input until it closes.

    Whatever the libraries print goes to standard error, so that the answers stay apart from it.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)
        for line in sys.stdin:
            try:
                result = answer(json.loads(line))
            except Exception as error:  # the boundary to peers: whatever they raise is their result
                text = str(error).strip().splitlines()
                result = {"error": f"{type(error).__name__}: {text[0] if text else ''}"[:300]}
            channel.write(json.dumps(result) + "\n")
            channel.flush()


def make_chroma_onnx(folder: Path, model: Path, onnx_python: str) -> Path:
    """The folder that Chroma's default embedding function would download, with `model`'s weights.

    Raises: Unavailable: the interpreter cannot export.
    """
    laid_out = folder / "chroma-onnx-model" / "onnx"
    if all((laid_out / name).is_file() for name in ("model.onnx", *CHROMA_FILES)):
        return laid_out.parent
    copy = folder / "exported"
    with Worker(module_command(onnx_python, "_encoders")) as exporter:
        exporter.ask(do="open", kind="sentence-transformers-onnx", model=str(model), folder=str(copy))
    laid_out.mkdir(parents=True, exist_ok=True)
    shutil.copy(copy / "onnx" / "model.onnx", laid_out)
    for name in CHROMA_FILES:  # those that it never reads need only be there
        if (copy / name).is_file():
            shutil.copy(copy / name, laid_out)
        else:
            (laid_out / name).touch()
    return laid_out.parent


def _watch(pid: int, peaks: dict[int, float], over: threading.Event) -> None:
    while not over.wait(SAMPLE_S):
        _note_peaks(pid, peaks)


def _note_peaks(pid: int, peaks: dict[int, float]) -> None:
    """Note the peak of a process and of its children, in MiB, as the kernel counts them so far."""
    with suppress(OSError, ValueError, StopIteration):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        peaks[pid] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        for child in children:
            _note_peaks(int(child), peaks)
