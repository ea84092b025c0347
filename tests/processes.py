"""What tests ask of other processes."""

import subprocess
import time


def is_running(pid):
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(shown.strip()) and not shown.startswith("Z")  # the dead are there until somebody asks


def all_end(pids, within_s=10.0):
    """Whether all of them have ended after so many seconds at most."""
    deadline = time.monotonic() + within_s
    while any(map(is_running, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
