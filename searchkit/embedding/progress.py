"""Telling whoever waits what takes long. Knows no terminal: who listens decides where the words go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Not logging: importing that costs 4 ms, which a query that has nothing to tell need not pay.
_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Hand what is told in this block, by this thread, to the listener: one sentence a call."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(text: str) -> None:
    """Say it to who listens, if anybody does."""
    if (listener := _listener.get()) is not None:
        listener(text)
