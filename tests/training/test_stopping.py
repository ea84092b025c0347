"""Ctrl-C is noted, and one of several processes ends by SIGTERM wherever it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from searchkit.training.stopping import ends_at_once, stopping

PROGRAM = """
import time
from searchkit.cli.stopping import stopped_in_order
from searchkit.training.stopping import ends_at_once, stopping
with stopped_in_order(), ends_at_once(SEVERAL), stopping() as stop:
    try:
        print("here", flush=True)
        while not stop.asked:
            time.sleep(0.01)
        print("asked", flush=True)
    finally:
        print("in order", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there SIGTERM ends a process whatever it says")
@pytest.mark.parametrize(
    ("several", "number", "code", "said"),
    [
        (True, signal.SIGTERM, -signal.SIGTERM, ""),
        (False, signal.SIGTERM, -signal.SIGINT, "in order\n"),
        (True, signal.SIGINT, 0, "asked\nin order\n"),
    ],
)
def test_one_of_several_processes_ends_at_once(several: bool, number: int, code: int, said: str):
    """When others wait for one that has died no Python runs; alone it ends in good order. Ctrl-C waits."""
    program = PROGRAM.replace("SEVERAL", str(several))
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        process.send_signal(number)
        assert process.stdout.read() == said
        assert process.wait(30) == code


@pytest.mark.parametrize("several", [True, False])
def test_handlers_are_given_back(several: bool):
    """Of a program that trains and goes on."""
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with ends_at_once(several), stopping():
        assert signal.getsignal(signal.SIGINT) is not before[0]
        assert (signal.getsignal(signal.SIGTERM) is signal.SIG_DFL) or not several
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_is_ignored_is_ignored_still():
    """As nohup and others want it."""
    before = [signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        with ends_at_once(True), stopping() as stop:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        assert not stop.asked
    finally:
        for one, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(one, handler)
