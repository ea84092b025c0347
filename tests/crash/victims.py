"""Victims without the wait: one process loads what they need, and forks itself for each of them.

To load takes a second, several times as long as what a victim does until it is killed. The process that
forks has opened nothing and started no thread, so what dies is all that a whole process would have been.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO

ROOT = Path(__file__).parents[2]
FORKS = hasattr(os, "fork")
WITHOUT = "this system has neither fork nor SIGKILL"


class Victim:
    """One that runs, or has ended and keeps its number until it is waited for."""

    def __init__(self, ask: IO[str], answers: IO[str], pid: int) -> None:
        self._ask, self._answers, self.pid = ask, answers, pid

    def kill(self) -> None:
        """Whatever it is at; one that has ended does not mind."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int | None:
        """Wait for its end. Returns: how many steps it took; None where it was killed."""
        print("end", file=self._ask, flush=True)
        code, steps = json.loads(self._answers.readline())
        assert (code == -signal.SIGKILL and steps is None) or (code == 0 and steps > 0), (code, steps)
        return steps


@contextmanager
def victims(module: ModuleType) -> Iterator[Callable[..., Victim]]:
    """Start, one after the other, processes that call `module.main`, which returns how many steps it took."""
    command = [sys.executable, "-m", __name__, module.__name__]
    # A library of mathematics would start threads when it is loaded, and they do not survive a fork.
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=one_thread, text=True, **pipes) as running:
        ask, answers = running.stdin, running.stdout
        assert ask is not None and answers is not None

        def start(*arguments: object) -> Victim:
            print(json.dumps([str(one) for one in arguments]), file=ask, flush=True)
            return Victim(ask, answers, int(answers.readline()))

        yield start
        ask.close()  # it ends when nobody asks any more


def _fork_for_each_line(module: ModuleType) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a victim prints is no answer
    for line in iter(sys.stdin.readline, ""):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_victim(module, json.loads(line), writing)
        os.close(writing)
        print(pid, file=answers)
        sys.stdin.readline()
        with os.fdopen(reading) as file:
            said = file.read()
        _, status = os.waitpid(pid, 0)
        steps, loaded = json.loads(said) if said else (None, ())
        print(json.dumps([os.waitstatus_to_exitcode(status), steps]), file=answers)
        for name in loaded:  # the next ones find it loaded
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _be_victim(module: ModuleType, arguments: list[str], writing: int) -> None:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what is asked next is not for it
        before = set(sys.modules)
        steps = module.main(arguments)
        os.write(writing, json.dumps([steps, sorted(set(sys.modules) - before)]).encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _fork_for_each_line(importlib.import_module(sys.argv[1]))
