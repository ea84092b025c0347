"""The one writer of a Library: a lock of the operating system, and a note of who holds it."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.errors import LibraryBusy, LibraryNotWritable

if TYPE_CHECKING:
    import filelock

LOCK_NAME = "writer.lock"
HOLDER_NAME = "writer.json"


def acquire(
    folder: Path, wait_s: float, on_wait: Callable[[str], None] | None, command: str = ""
) -> filelock.BaseFileLock:
    """Take the lock. The operating system gives it back when the holder dies, however it dies.

    wait_s: how long to wait for another writer; `on_wait` is told once who it is.
    command: what the note says is being done; default the command line.
    Raises: LibraryBusy: another process holds it. LibraryNotWritable.
    """
    import filelock  # only writers pay for it

    lock = filelock.FileLock(folder / LOCK_NAME)
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if wait_s <= 0:
                raise
            if on_wait is not None:
                on_wait(_holder(folder))
            lock.acquire(timeout=wait_s, poll_interval=0.2)
    except filelock.Timeout:
        raise LibraryBusy(
            f"the Library in {folder} is being written by {_holder(folder)}",
            remedy="run the same command again when it is done, or give it more patience: --wait SECONDS",
        ) from None
    except OSError as error:
        raise LibraryNotWritable(
            f"the Library in {folder} cannot be locked for writing: {error.strerror or error}",
            remedy="name a folder you may write to: --library DIR",
        ) from error
    try:
        note(folder, command or shlex.join(sys.argv))
    except LibraryNotWritable:
        lock.release()
        raise
    return lock


def note(folder: Path, command: str) -> bytes:
    """Say who writes; only for who holds the lock. Returns: what was noted. Raises: LibraryNotWritable."""
    holder = {"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    noted = json.dumps(holder).encode()
    try:
        (folder / HOLDER_NAME).write_bytes(noted)
    except OSError as error:
        raise not_writable(folder, str(error.strerror or error)) from error
    return noted


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER_NAME).read_text(encoding="utf-8"))
        return f"process {holder['pid']} since {holder['since']} ({holder['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def release(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Let the next writer in."""
    try:
        with suppress(OSError):  # on Windows, one who waits may be reading it
            (folder / HOLDER_NAME).unlink()
    finally:
        lock.release()


def not_writable(folder: Path, reason: str) -> LibraryNotWritable:
    """The error of a disk that is full or a folder that is read-only."""
    return LibraryNotWritable(
        f"the Library in {folder} cannot be written: {reason}; what was committed before is kept",
        remedy="mend space or permissions there, then run the same command again: it goes on",
    )
