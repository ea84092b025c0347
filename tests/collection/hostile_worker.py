"""A process that reads files like the real one, but does what the names of some files tell it to."""

import os
import signal
import sys
import time

from searchkit.documents import worker
from searchkit.documents.load import load


def obey(source, **rest):
    yield from load(source, **rest)
    if "segfault" in source.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif "killed" in source.name:
        os.kill(os.getpid(), signal.SIGKILL)
    elif "exit" in source.name:
        os._exit(7)
    elif "hang" in source.name:
        time.sleep(600)
    elif "garbage" in source.name:
        os.write(3, b"no frame at all, and longer than the header of one")
    elif "print" in source.name:
        print("parsers print")
        os.write(1, b"even in C\n")


def main():
    worker.load = obey
    worker.main()


if __name__ == "__main__":
    sys.exit("is imported by the processes that tests start")
