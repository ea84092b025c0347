"""Ctrl-C in a training: the step is finished and kept first. Knows signals, no networks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stop:
    """Whether somebody asked to stop."""

    asked = False


@contextmanager
def stopping(several: bool) -> Iterator[Stop]:
    """Within it, the first Ctrl-C only notes that it was asked for; the second one interrupts as ever.

    several: whether there are other processes: whoever started them passes Ctrl-C on as SIGTERM.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals are none of this thread's business
        return
    before: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(number, before[signal.Signals(number)])

    for one in (signal.SIGINT, signal.SIGTERM) if several else (signal.SIGINT,):
        before[one] = signal.getsignal(one)
        if callable(before[one]) or before[one] is signal.SIG_DFL:  # else it is ignored, or not Python's
            signal.signal(one, note)
        else:
            del before[one]
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
