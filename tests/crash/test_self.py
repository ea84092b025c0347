"""Whatever `eval --self` is stopped by, its copy of the texts is gone: at once, or with the next command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from searchkit.library.twin import PREFIX
from tests.fakes import WordEmbedder

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SECRET = b"wintersteiner"


@pytest.fixture
def scene(tmp_path):
    docs, library = tmp_path / "docs", tmp_path / "library"
    docs.mkdir()
    for number in range(20):
        text = f"# All about subject{number} things\n\nWintersteiner keeps it in room{number}.\n"
        (docs / f"{number}.md").write_text(text)
    open_library(library).index([docs])
    (tmp_path / "temporary").mkdir()
    return library, tmp_path / "temporary"


def open_library(folder: Path) -> Library:
    return Library(folder, open_model=lambda model: WordEmbedder())


def stopped(library: Path, temporary: Path, number: int) -> int:
    """Start --self, stop it when its copy is whole and its passages are embedded. Returns: as a shell has it.

    Where the signal comes while Python runs a string, as it does to make dataclasses of a module that is just
    imported, `python -m` ends by SIGINT although KeyboardInterrupt was caught: 130 in any shell, too.
    """
    command = [sys.executable, "-m", "tests.cli.word_searchkit", "eval", "--self", "--library", str(library)]
    # so that a batch takes longer than anybody waits
    env = {**os.environ, "SLOW_S": "60", "TMPDIR": str(temporary), "SQLITE_TMPDIR": str(temporary)}
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        deadline = time.monotonic() + 60
        while not list(library.glob(f"{PREFIX}*/*.snapshot")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert texts_in(library, temporary), "there is a copy"
        run.send_signal(number)
        run.communicate(timeout=30)
        return 128 + signal.SIGINT if run.returncode == -signal.SIGINT else run.returncode


def texts_in(library: Path, temporary: Path) -> list[Path]:
    """Files that hold the secret, but those of the Library itself."""
    files = [*library.glob("*/*"), *temporary.rglob("*")]
    return [file for file in files if file.is_file() and SECRET in file.read_bytes().lower()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda one: one.name)
def test_asked_to_stop_it_leaves_nothing(scene, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"these tests were begun with {number.name} ignored, as nohup does, and so is searchkit")
    assert stopped(*scene, number) == 130
    assert texts_in(*scene) == [] and not list(scene[0].glob(f"{PREFIX}*"))
    assert open_library(scene[0]).verify() == []


@pytest.mark.parametrize("comes_next", ["forget", "refresh"])
def test_what_a_killed_one_leaves_goes_with_the_next_that_writes(scene, comes_next):
    library, _ = scene
    assert stopped(*scene, signal.SIGKILL) == -signal.SIGKILL
    assert texts_in(*scene)  # nobody could
    if comes_next == "forget":
        open_library(library).forget("3.md")
    else:
        open_library(library).refresh()
    assert texts_in(*scene) == [] and not list(library.glob(f"{PREFIX}*"))
    assert open_library(library).verify() == []
