import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from searchkit.cli import main
from searchkit.collection import library as library_module
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def words(monkeypatch):
    """Stand in for the real models: every model name opens the word embedder."""
    monkeypatch.setattr(library_module.Library.__init__, "__kwdefaults__", {"open_model": WordEmbedder})


@pytest.fixture
def searchkit(capfd, library_folder, words):
    """Run a command in this process. Returns: exit code, stdout, stderr."""

    def run(*arguments):
        capfd.readouterr()
        options = ["--library", str(library_folder)] if arguments[0] not in ("profiles", "models") else []
        code = main.run([*map(str, arguments), *options])
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    write(folder / "laptop.md", "# Laptops\n\nCups are blue. Order a new laptop in the hardware portal.\n")
    write(folder / "hr" / "leave.md", "# Leave\n\nParental leave lasts fourteen weeks at full pay.\n")
    return folder


@pytest.fixture
def process():
    """Start the real command line in a process of its own."""
    started = []

    def start(*arguments, **options):
        command = [sys.executable, "-m", "tests.cli.word_searchkit", *map(str, arguments)]
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **options.pop("env", {})},
            **options,
        )
        started.append(running)
        return running

    yield start
    for running in started:
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
        running.wait()
        for stream in (running.stdout, running.stderr):
            stream.close()
