"""How a training ends before its end: by Ctrl-C after the step, by SIGTERM among several processes at once.

Knows signals, no networks.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether somebody asked to stop."""

    asked = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within it, the first Ctrl-C only notes that it was asked for; the second one interrupts as ever.

    torchrun passes Ctrl-C on to its processes as what it is, and kills after 30 s those that have not ended:
    of a longer step, or evaluation, nothing is kept.
    """
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(number, before)

    if not _is_ours(before):
        yield stop
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ends_at_once(several: bool) -> Iterator[None]:
    """Within it, SIGTERM ends one of several processes as if nobody handled it.

    It is what torchrun sends to the others when one has died. They wait for that one in code that is not
    Python's, where a handler of Python's is not run. What is lost is made again from the last checkpoint.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not several or not _is_ours(before):
        yield
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_ours(handler: object) -> bool:
    """Whether a signal is this thread's business, and is neither ignored nor handled by other than Python."""
    here = threading.current_thread() is threading.main_thread()
    return here and (callable(handler) or handler is signal.SIG_DFL)
