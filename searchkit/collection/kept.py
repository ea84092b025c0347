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

    most: how many are kept; most_bytes: what their files may have together, asked where there are several.
    The one not asked for the longest goes first; the one asked for last stays, however large.
    """

    def __init__(self, most: int, most_bytes: Callable[[], int]) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._held: OrderedDict[tuple[Path, str], _Place[Opened]] = OrderedDict()

    def get(self, path: Path, version: str, open_it: Callable[[], Opened]) -> Opened:
        """What `open_it` returned for this file, called again only when the file has changed since.

        Only who asks for the same file waits while it is opened.

        version: names the content that is wanted. A file that was replaced, or written over, is known by its
        inode, size and time stamp: the pages of one that was cut short must not be touched any more.
        Raises: OSError: the file cannot be looked at; and whatever `open_it` raises, which is not kept.
        """
        found = path.stat()
        stamp = (version, path.name, found.st_ino, found.st_size, found.st_mtime_ns)
        key = self._key(path)
        place = self._place(key, found.st_size)
        with place.lock:
            if place.held is None or place.held[0] != stamp:
                place.held = None  # let go before the next is opened: both may be large
                try:
                    place.held = (stamp, open_it())
                except BaseException:
                    with self._lock:
                        if self._held.get(key) is place:
                            del self._held[key]
                    raise
            return place.held[1]

    def forget(self, path: Path) -> None:
        """Let go of what is kept of earlier generations of this file: Windows deletes none that is mapped."""
        with self._lock:
            self._held.pop(self._key(path), None)

    def _place(self, key: tuple[Path, str], size: int) -> _Place[Opened]:
        with self._lock:
            place = self._held.setdefault(key, _Place())
            place.size = size
            self._held.move_to_end(key)
            while len(self._held) > 1 and self._is_too_much():
                self._held.popitem(last=False)
            return place

    def _is_too_much(self) -> bool:
        together = sum(place.size for place in self._held.values())
        return len(self._held) > self._most or together > self._most_bytes()

    @staticmethod
    def _key(path: Path) -> tuple[Path, str]:
        return path.parent.absolute(), path.name.rpartition("-")[0]


class _Place(Generic[Opened]):
    """What is kept of one file; its lock is held while it is opened."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.size = 0
        self.held: tuple[object, Opened] | None = None  # with its stamp
