"""Keeps what was opened from a file until the file is another one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

Opened = TypeVar("Opened")


class Kept(Generic[Opened]):
    """The last opened files of a process, by folder and name without generation. Safe between threads.

    most: how many are kept; the one not asked for the longest goes first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._held: OrderedDict[tuple[Path, str], tuple[object, Opened]] = OrderedDict()

    def get(self, path: Path, version: str, open_it: Callable[[], Opened]) -> Opened:
        """What `open_it` returned for this file, called again only when the file has changed since.

        version: names the content that is wanted. A file that was replaced, or written over, is known by its
        inode, size and time stamp: the pages of one that was cut short must not be touched any more.
        Raises: OSError: the file cannot be looked at; and whatever `open_it` raises, which is not kept.
        """
        found = path.stat()
        stamp = (version, path.name, found.st_ino, found.st_size, found.st_mtime_ns)
        key = self._key(path)
        with self._lock:
            held = self._held.pop(key, None)
            if held is None or held[0] != stamp:
                held = None  # let go before the next is opened: both may be large
                held = (stamp, open_it())
            self._held[key] = held
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return held[1]

    def forget(self, path: Path) -> None:
        """Let go of what is kept of this file or of an earlier generation of it, before it is replaced.

        Windows replaces no file that is mapped.
        """
        with self._lock:
            self._held.pop(self._key(path), None)

    @staticmethod
    def _key(path: Path) -> tuple[Path, str]:
        return path.parent.absolute(), path.name.rpartition("-")[0]
