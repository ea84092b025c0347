"""A Python process that reads files, what ends it when it says nothing, and what its end means."""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any

from searchkit.documents import worker as wire
from searchkit.records import SourceFile

TICK_S = 1.0

# Nothing is imported but by our own path, and -P leaves the folder that is worked in out of Python's: it may
# be the one to be indexed, with a json.py in it.
_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from searchkit.documents.worker import main; main()"

# How a process ends that a parser has broken. Other signals and exit codes come from outside or for want of
# memory: they say nothing of the file.
_CRASHES = {
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP")
    if hasattr(signal, name)  # Windows lacks some
}
_FIRST_WINDOWS_ERROR = 0xC0000000
_WINDOWS_CLOSED = 0xC000013A  # Ctrl-C, or its console was closed


def is_crash(code: int) -> bool:
    """Whether an exit code, negative for a signal, is that of a process that broke by itself."""
    return -code in _CRASHES or (code >= _FIRST_WINDOWS_ERROR and code != _WINDOWS_CLOSED)


def end_in_words(code: int) -> str:
    """An exit code as people know it: 'SIGKILL', 'exit code 1'."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}" if code < _FIRST_WINDOWS_ERROR else f"exit code {code:#x}"


class Process:
    """A Python process that answers for files."""

    def __init__(self) -> None:
        # Ctrl-C in a terminal goes to a whole group: the one that asks hears it, and ends the others.
        group: dict[str, Any] = {"process_group": 0}
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        places = [place for place in sys.path if isinstance(place, str)]  # Python takes no others either
        command = [sys.executable, "-P", "-c", _BOOT, *places]
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


class Silence:
    """Kills a process that says nothing while it is being listened to.

    It counts ticks of its own instead of looking at a clock: a run that was stopped, as by Ctrl-Z, has not
    been listening in the meantime.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._left = math.inf
        self._process: Process | None = None
        threading.Thread(target=self._watch, name="searchkit-silence", daemon=True).start()

    @contextlib.contextmanager
    def ends(self, process: Process, seconds: float) -> Iterator[None]:
        """Within, and never after, `process` is killed when it has been quiet for so many seconds."""
        with self._lock:
            self._process, self._left = process, seconds
        try:
            yield
        finally:
            with self._lock:
                self._process = None

    def end(self) -> None:
        """Stop watching."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(TICK_S):
            with self._lock:
                self._left -= TICK_S
                if self._process is not None and self._left <= 0:
                    self._process.silent = True
                    self._process.kill()
                    self._process = None
