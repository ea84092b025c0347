"""Asked to stop, by a system or a terminal that closes, a command ends as after Ctrl-C: in good order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopped_in_order() -> Iterator[list[int]]:
    """Within it SIGTERM and SIGHUP raise KeyboardInterrupt, the first that comes and no more.

    Yields: a list that those are added to that came. What is ignored is ignored still, as nohup wants it.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:  # a second one would break off what the first one set going
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {
        number: signal.signal(number, stop)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
