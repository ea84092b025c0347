"""Reads files ahead in processes of their own; answers for them in the order they were named.

What a parser does to its process, crash, hang or eat all memory, becomes the Failure of one file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import PurePosixPath
from typing import IO, Any

from searchkit.documents import worker as wire
from searchkit.documents.load import load
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, Failure, SourceFile

# Seconds to read a megabyte, rounded from the corpora of benchmarks/pipeline.py (docs/LOG.md): a workbook
# unpacks to ten times its size. What is not named here costs what text, mark-up and tables do.
SECONDS_PER_MB = {".pdf": 0.4, ".docx": 0.15, ".pptx": 0.6, ".xlsx": 2.0, ".xlsm": 2.0}
SECONDS_PER_MB_OF_TEXT = 0.1
SECONDS_PER_FILE = 0.0005
# A process is ready after 0.12 s, of which it takes one core from a model that may be loading there.
WORTH_PROCESSES_S = 1.0

MOST_PROCESSES = 4
ASKED_AHEAD = 4  # files per process: it never waits for the next name, and holds what one pipe holds

# A file that says nothing for so long is given up. The slowest kind takes 2 to 4 s per MB.
PATIENCE_S = 120.0
PATIENCE_S_PER_MB = 10.0
GRACE_S = 1.0  # between the end of a dying process's pipe and that of the process

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from searchkit.documents.worker import main; main()"
)
_MB = 1_000_000


def reading_seconds(files: Sequence[SourceFile]) -> float:
    """About how long these files take to be read, by their kinds and sizes."""
    return sum(
        SECONDS_PER_FILE
        + source.size
        / _MB
        * SECONDS_PER_MB.get(PurePosixPath(source.name).suffix.lower(), SECONDS_PER_MB_OF_TEXT)
        for source in files
    )


def processes_for(files: Sequence[SourceFile], cores: int | None = None) -> int:
    """How many processes are worth their start for these files; 0 for few or small ones.

    Half of the cores are left to the model: reading is faster than embedding. Where the program that runs
    is no Python interpreter, starting it again would start the program again: there are none.
    """
    if not sys.executable or getattr(sys, "frozen", False) or reading_seconds(files) < WORTH_PROCESSES_S:
        return 0
    return max(1, min(MOST_PROCESSES, (cores or os.cpu_count() or 1) // 2, len(files)))


class Stopped(Exception):
    """The Extraction was closed while its files were being read."""


class Extraction:
    """Processes that load `files`; `documents` is to be called in that order, by one thread.

    At most ASKED_AHEAD files per process are read ahead, and each process waits at a full pipe: memory is
    bounded by what single files need. `close` may be called from another thread.
    """

    def __init__(self, files: Sequence[SourceFile], processes: int) -> None:
        self._to_ask = deque(files)
        self._order: deque[tuple[SourceFile, int]] = deque()  # asked and not answered, with their places
        self._lock = threading.Lock()
        self._closed = False
        self._silence = _Silence()
        # None: no process can be had for this place, its files are read here.
        self._places: list[_Process | None] = [None] * processes
        for place in range(processes):
            self._start(place)
        self._ask()

    def documents(
        self, source: SourceFile, on_failure: Callable[[Failure], None] | None = None
    ) -> Generator[Document, None, None]:
        """Yield the Documents of one file, like `load`; files before it that were not asked for are skipped.

        Raises: DocumentUnavailable: as `load`; or its process was killed, or gave no sign of life.
        DocumentError: as `load`; or its process crashed.
        """
        report = on_failure or (lambda _: None)
        while True:
            self._ask()
            head, place = self._order.popleft()
            if head is source:
                yield from self._answer(head, place, report)
                return
            with contextlib.suppress(DocumentError):
                for _ in self._answer(head, place, lambda _: None):
                    pass

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        with self._lock:
            self._closed = True
        self._silence.end()
        for process in self._places:
            if process is not None:
                process.end()

    # ---------------------------------------------------------------- asking

    def _ask(self) -> None:
        """Name more files to the processes that have the least to do."""
        while self._to_ask:
            least = min(range(len(self._places)), key=lambda place: self._asked_of(place))
            if self._asked_of(least) >= ASKED_AHEAD:
                return
            source = self._to_ask.popleft()
            self._order.append((source, least))
            if (process := self._places[least]) is not None:
                process.ask(source)

    def _asked_of(self, place: int) -> int:
        return sum(asked == place for _, asked in self._order)

    def _start(self, place: int) -> None:
        """Start a process, and ask it what another had still to do at its place."""
        with self._lock:  # one that is started while `close` ends the others would stay
            if self._closed:
                raise Stopped
            try:
                process = self._places[place] = _Process()
            except OSError:
                self._places[place] = None
                return
        for source, asked in self._order:
            if asked == place:
                process.ask(source)

    # ---------------------------------------------------------------- answers

    def _answer(
        self, source: SourceFile, place: int, on_failure: Callable[[Failure], None]
    ) -> Iterator[Document]:
        process = self._places[place]
        if process is None or not self._is_ready(process, place):
            yield from load(source, on_failure=on_failure)
            return
        whole = False
        frames = self._frames(process, source)
        try:
            for kind, data in frames:
                if kind == wire.DOCUMENT:
                    yield wire.document_of(data, frames)
                elif kind == wire.LOST:
                    on_failure(wire.unpack_lost(data))
                elif kind == wire.END:
                    error = wire.unpack_end(data)
                    whole = True
                    if error is not None:
                        raise error
                    return
                else:
                    raise wire.BrokenFrame(f"an answer of kind {kind!r}")
        except wire.BrokenFrame as broken:
            raise self._end_of(process, source) from broken
        finally:
            # Crashed, or the rest is not wanted: the files that follow need a process in step.
            if not whole and not self._closed:
                process.end()
                self._start(place)

    def _is_ready(self, process: _Process, place: int) -> bool:
        """Whether a process has started at all; if it cannot, files are read here."""
        if not process.ready:
            try:
                with self._silence.ends(process, PATIENCE_S):
                    process.ready = wire.read_frame(process.answers) == (wire.READY, b"")
            except (wire.BrokenFrame, OSError, ValueError):
                pass
            if not process.ready:
                process.end()
                if self._closed:
                    raise Stopped
                self._places[place] = None
        return process.ready

    def _frames(self, process: _Process, source: SourceFile) -> Iterator[tuple[bytes, bytes]]:
        """What a process says, to its last word. Raises: wire.BrokenFrame when that was not an END."""
        patience = PATIENCE_S + PATIENCE_S_PER_MB * source.size / _MB
        while True:
            try:
                with self._silence.ends(process, patience):
                    frame = wire.read_frame(process.answers)
            except (OSError, ValueError) as error:  # closed from another thread
                raise wire.BrokenFrame(str(error)) from error
            if frame is None:
                raise wire.BrokenFrame("no answer")
            yield frame

    def _end_of(self, process: _Process, source: SourceFile) -> DocumentError:
        """What the end of a process says of the file it was reading. Raises: Stopped."""
        if self._closed:
            raise Stopped
        code = process.end(grace_s=GRACE_S)
        leave_out = "leave it out through .searchkitignore"
        if process.silent:
            return DocumentUnavailable("took too long to be read, and was given up", remedy=leave_out)
        if code == -_SIGKILL and not process.ended_here:
            return DocumentUnavailable(
                "was being read when its process was killed, perhaps for want of memory",
                remedy=f"it will be read again on the next run; or {leave_out}",
            )
        kind = PurePosixPath(source.name).suffix.lstrip(".") or "text"
        return DocumentError(
            f"crashed the reader of {kind} ({_end_in_words(code)})",
            remedy=f"open the file in its program and save it again; or {leave_out}",
        )


_SIGKILL = 9  # Windows has no signals, and no such name


def _end_in_words(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


class _Process:
    """A Python process that answers for files."""

    def __init__(self) -> None:
        # Ctrl-C in a terminal goes to a whole group: the one that asks hears it, and ends the others.
        group: dict[str, Any] = {"process_group": 0}
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        command = [sys.executable, "-c", _BOOT, json.dumps(sys.path)]
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **group)
        self.ready = False
        self.silent = False  # killed, for it gave no sign of life
        self.ended_here = False

    @property
    def answers(self) -> IO[bytes]:
        """What it says."""
        assert self._popen.stdout is not None
        return self._popen.stdout

    def ask(self, source: SourceFile) -> None:
        """Name a file to be read."""
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has died, which shows when its answer is read
            wire.write_frame(self._popen.stdin, wire.FILE, wire.pack_file(source))
            self._popen.stdin.flush()

    def kill(self) -> None:
        """End it and let go of nothing yet: another thread may be reading what it says."""
        self._popen.kill()

    def end(self, *, grace_s: float = 0.0) -> int:
        """Make sure that it is gone. Returns: its exit code, negative for a signal.

        grace_s: how long one that is just dying may take to do so by itself.
        """
        try:
            self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.ended_here = True
            self._popen.kill()
        code = self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()
        return code


class _Silence:
    """Kills a process that says nothing while it is being listened to."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._deadline = math.inf
        self._process: _Process | None = None
        threading.Thread(target=self._watch, name="searchkit-silence", daemon=True).start()

    @contextlib.contextmanager
    def ends(self, process: _Process, seconds: float) -> Iterator[None]:
        """Within, `process` is killed when so many seconds have passed."""
        self._process, self._deadline = process, time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline = math.inf

    def end(self) -> None:
        """Stop watching."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() > self._deadline and self._process is not None:
                self._process.silent = True
                self._process.kill()
