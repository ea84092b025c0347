"""A process that reads files like the real one, but does what the names of some files tell it to."""

import errno
import os
import re
import signal
import sys
import time

from searchkit.documents import worker
from searchkit.documents.load import load

SIGNALS = {f"{name.lower()}.md": getattr(signal, name) for name in dir(signal) if name.startswith("SIG")}


def obey(source, **rest):
    yield from load(source, **rest)
    told = source.name.rpartition("-")[2]
    if told in SIGNALS:
        os.kill(os.getpid(), SIGNALS[told])
    elif "exit" in source.name:
        os._exit(7)
    elif "hang" in source.name:
        time.sleep(600)
    elif "slow" in source.name:
        time.sleep(2.0)
    elif "spin" in source.name:
        print("spinning", flush=True)
        re.match("(a+)+$", "a" * 60 + "b")  # holds Python's lock for longer than the world is old
    elif "garbage" in source.name:
        os.write(3, b"no frame at all, and longer than the header of one")
    elif "memory" in source.name:
        worker.pack_end = fail(MemoryError())
    elif "windows" in source.name:
        worker.pack_end = fail(OSError(errno.EINVAL, "Invalid argument"))
    elif "print" in source.name:
        print("parsers print")
        os.write(1, b"even in C\n")
    elif "marked" in source.name:
        (source.path.parent.parent / "was-read").touch()


def fail(error):
    def failing(*_):
        raise error

    return failing


def main():
    worker.load = obey
    worker.main()


if __name__ == "__main__":
    sys.exit("is imported by the processes that tests start")
