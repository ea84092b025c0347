"""Lets one stage of a pipeline work ahead of the next, in a thread, as far as memory is meant to go."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")

POLL_S = 0.5  # Windows delivers Ctrl-C only between waits


@contextmanager
def ahead(
    items: Iterable[Item], weigh: Callable[[Item], int], most: int, interrupt: Callable[[], None]
) -> Iterator[Iterator[Item]]:
    """Take `items` in a thread, while those taken and not yet used weigh no more than `most`.

    An item heavier than that is taken alone. What `items` raises is raised where it would have been used.
    At the end of the block the thread is stopped and waited for; `interrupt` must free it from what it
    may be waiting for. It must not touch what the block uses, unless that may be used by two threads.
    """
    stage: _Stage[Item] = _Stage(most)
    thread = threading.Thread(target=stage.fill, args=(items, weigh), name="searchkit-ahead", daemon=True)
    thread.start()
    try:
        yield stage.items()
    finally:
        stage.stop()
        interrupt()
        thread.join()


class _Stage(Generic[Item]):
    """Items between the thread that makes them and the one that uses them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def fill(self, items: Iterable[Item], weigh: Callable[[Item], int]) -> None:
        """Take all items; to be run in the thread."""
        error = None
        try:
            for item in items:
                if not self._put(item, weigh(item)):
                    break
        except BaseException as raised:
            error = raised
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def items(self) -> Iterator[Item]:
        """Yield the items in order, and raise what making them raised."""
        while True:
            with self._changed:
                while not (self._held or self._ended):
                    self._changed.wait(POLL_S)
                if not self._held:
                    break
                item, weight = self._held.popleft()
                self._weight -= weight
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Take no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _put(self, item: Item, weight: int) -> bool:
        """Hand an item over when there is room. Returns: whether more are wanted."""
        with self._changed:
            while not self._stopped and self._held and self._weight + weight > self._most:
                self._changed.wait()
            self._held.append((item, weight))
            self._weight += weight
            self._changed.notify_all()
            return not self._stopped
