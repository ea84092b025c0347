"""Reads files ahead in processes of their own; answers for them in the order they were named.

What a parser does to its process, crash, hang or eat all memory, becomes the Failure of one file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path, PurePosixPath

from searchkit.collection.processes import Process, Silence, end_in_words, is_crash
from searchkit.documents import worker as wire
from searchkit.documents.load import load, sha256_of
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

GRACE_S = 1.0  # between the end of a dying process's pipe and that of the process

DIGEST_BYTES = 32
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

    Half of the cores are left to the model: reading is faster than embedding. Where `sys.executable` is the
    program itself, frozen or with Python inside, starting it would start the program again: there are none.
    """
    if not _is_python(sys.executable) or reading_seconds(files) < WORTH_PROCESSES_S:
        return 0
    return max(1, min(MOST_PROCESSES, (cores or cores_here()) // 2, len(files)))


def _is_python(executable: str | None) -> bool:
    name = Path(executable or "").name.lower()
    return ("python" in name or "pypy" in name) and not getattr(sys, "frozen", False)


def cores_here() -> int:
    """The cores that this process may use, which may be fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        self._silence = Silence()
        # None: no process can be had for this place, its files are read here.
        self._places: list[Process | None] = [None] * processes
        try:
            for place in range(processes):
                self._start(place)
            self._ask()
        except BaseException:  # nobody else could end those that have started
            self.close()
            raise

    def documents(
        self,
        source: SourceFile,
        on_failure: Callable[[Failure], None] | None = None,
        on_digest: Callable[[bytes], None] | None = None,
    ) -> Generator[Document, None, None]:
        """Yield the Documents of one file, like `load`; files before it that were not asked for are skipped.

        on_digest: is told the SHA-256 of the file as it was just before it was loaded, before anything else.
        Raises: DocumentUnavailable: as `load`; or its process was ended, or gave no sign of life.
        DocumentError: as `load`; or its process crashed.
        """
        while True:
            self._ask()
            head, place = self._order.popleft()
            if head is source:
                yield from self._answer(head, place, on_failure or _ignore, on_digest or _ignore)
                return
            with contextlib.suppress(DocumentError):
                for _ in self._answer(head, place, _ignore, _ignore):
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
                process = self._places[place] = Process()
            except OSError:
                self._places[place] = None
                return
        for source, asked in self._order:
            if asked == place:
                process.ask(source)

    # ---------------------------------------------------------------- answers

    def _answer(
        self,
        source: SourceFile,
        place: int,
        on_failure: Callable[[Failure], None],
        on_digest: Callable[[bytes], None],
    ) -> Iterator[Document]:
        process = self._places[place]
        if process is None or not self._is_ready(process, place):
            on_digest(sha256_of(source))
            yield from load(source, on_failure=on_failure)
            return
        whole = begun = False
        names: set[str] = set()
        frames = self._frames(process, source)
        try:
            for kind, data in frames:
                if kind == wire.DIGEST and len(data) == DIGEST_BYTES and not begun:
                    on_digest(data)
                    begun = True
                elif kind == wire.DOCUMENT and begun:
                    document = wire.document_of(data, frames)
                    of_file = document.name == source.name or document.name.startswith(f"{source.name}#")
                    if not of_file or document.name in names:
                        raise wire.BrokenFrame("a Document of another name")
                    names.add(document.name)
                    yield document
                elif kind == wire.LOST and begun:
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
            raise self._end_of(process, source, broken) from broken
        finally:
            # Crashed, or the rest is not wanted: the files that follow need a process in step.
            if not whole and not self._closed:
                process.end()
                self._start(place)

    def _is_ready(self, process: Process, place: int) -> bool:
        """Whether a process has started at all; if it cannot, files are read here."""
        if not process.ready:
            try:
                with self._silence.ends(process, wire.PATIENCE_S):
                    process.ready = wire.read_frame(process.answers) == (wire.READY, b"")
            except (wire.BrokenFrame, OSError, ValueError):
                pass
            if not process.ready:
                process.end()
                if self._closed:
                    raise Stopped
                self._places[place] = None
        return process.ready

    def _frames(self, process: Process, source: SourceFile) -> Iterator[tuple[bytes, bytes]]:
        """What a process says, to its last word. Raises: wire.BrokenFrame when that was not an END."""
        patience = wire.patience_s(source)
        while True:
            try:
                with self._silence.ends(process, patience):
                    frame = wire.read_frame(process.answers)
            except (OSError, ValueError) as error:  # closed from another thread
                raise wire.CutOff(str(error)) from error
            if frame is None:
                raise wire.CutOff("no answer")
            yield frame

    def _end_of(self, process: Process, source: SourceFile, broken: wire.BrokenFrame) -> DocumentError:
        """What the end of a process says of the file it was reading. Raises: Stopped."""
        if self._closed:
            raise Stopped
        code = process.end(grace_s=GRACE_S)
        leave_out = "leave it out through .searchkitignore"
        if process.silent or end_in_words(code) == "SIGXCPU":
            return DocumentUnavailable("took too long to be read, and was given up", remedy=leave_out)
        if process.ended_here or not isinstance(broken, wire.CutOff):
            how = f"it answered with {broken}"
        elif is_crash(code):
            how = end_in_words(code)
        else:
            return DocumentUnavailable(
                f"was being read when its process ended ({end_in_words(code)}), perhaps for want of memory",
                remedy=f"it will be read again on the next run; or {leave_out}",
            )
        kind = PurePosixPath(source.name).suffix.lstrip(".") or "text"
        return DocumentError(
            f"crashed the reader of {kind} ({how})",
            remedy=f"open the file in its program and save it again; or {leave_out}",
        )


def _ignore(_: object) -> None:
    pass
