"""Whatever `forget` is killed at, what it began is finished by whoever comes next, and nothing is left."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from tests.crash.forget_victim import NAME
from tests.fakes import WordEmbedder

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RANDOM_KILLS = 12
SENTENCES = [
    f"Wintersteiner number {number} of Quellengasse told anecdote {number * 7919} of Zwetschgenknoedel."
    for number in range(400)
]
TRACES = [b"wintersteiner", b"quellengasse", b"zwetschgenknoedel", *(s.lower().encode() for s in SENTENCES)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A library with a document of some hundred passages among others, and what an unbroken run does."""
    folder = tmp_path_factory.mktemp("forget")
    docs, before = folder / "docs", folder / "before"
    (docs / "hr").mkdir(parents=True)
    (docs / NAME).write_text("\n\n".join(f"# Visit {i}\n\n{text}" for i, text in enumerate(SENTENCES)))
    for number in range(300):
        (docs / f"{number:03}.md").write_text(f"# Item {number}\n\nItem {number} costs {number * 3}.\n")
    open_library(before).index([docs])
    assert all(trace in held_by(before) for trace in TRACES[:3])
    shutil.copytree(before, folder / "unbroken")
    started = time.perf_counter()
    steps = run(folder / "unbroken")
    took = time.perf_counter() - started
    assert not [trace for trace in TRACES if trace in held_by(folder / "unbroken")]
    return {"folder": folder, "docs": docs, "before": before, "steps": steps, "took": took}


def open_library(folder: Path) -> Library:
    return Library(folder, open_model=lambda model: WordEmbedder())


def held_by(library: Path) -> bytes:
    """All bytes of a library, the note of who writes among them."""
    return b"".join(path.read_bytes() for path in library.iterdir()).lower()


def start(library: Path, kill_at: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.crash.forget_victim", str(library), str(kill_at)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    return process


def run(library: Path, kill_at: int = 0) -> int:
    """Run the victim to its end. Returns: how many steps it took; 0 when it was killed."""
    with start(library, kill_at) as process:
        out, _ = process.communicate()
    return int(out) if out else 0


def begun(library: Path) -> bool:
    """Whether the document is found no more: then everything of it has to go, whoever comes next."""
    return not open_library(library).query("Wintersteiner", mode="text").hits


def require_clean(library: Path) -> None:
    assert not [trace for trace in TRACES if trace in held_by(library)]
    assert open_library(library).verify() == []
    assert open_library(library).query("item 7 costs").hits


def test_it_has_steps_to_be_killed_at(scene):
    assert scene["steps"] >= 20


@pytest.mark.parametrize("finish", ["forget", "refresh"])
def test_killed_at_every_step_it_is_finished_by_the_next_that_writes(scene, finish):
    undone = 0
    for kill_at in range(1, scene["steps"] + 1):
        library = scene["folder"] / f"{finish}-{kill_at}"
        shutil.copytree(scene["before"], library)
        assert run(library, kill_at) == 0, f"step {kill_at} did not kill"
        if begun(library):
            if finish == "forget":
                open_library(library).forget()
            else:
                (report,) = open_library(library).refresh()
                assert report.added == 0 and "left out" in " ".join(report.notices)
            require_clean(library)
        else:
            undone += 1
            assert open_library(library).verify() == []
        shutil.rmtree(library)
    assert 0 < undone < 5  # killed before the one commit that counts, nothing has happened


def test_until_then_verify_says_so(scene):
    said = 0
    for kill_at in range(1, scene["steps"] + 1, 4):
        library = scene["folder"] / f"verify-{kill_at}"
        shutil.copytree(scene["before"], library)
        run(library, kill_at)
        traces = [trace for trace in TRACES if trace in held_by(library)]
        said += (pending := "searchkit forget" in " ".join(open_library(library).verify()))
        assert pending or not begun(library) or not traces
        shutil.rmtree(library)
    assert said > 3


def test_killed_at_random_moments_and_asked_again_it_completes(scene):
    dice = random.Random(20261122)
    landed = 0
    while landed < RANDOM_KILLS:
        library = scene["folder"] / "random"
        shutil.copytree(scene["before"], library)
        with start(library) as process:
            time.sleep(dice.uniform(0, scene["took"]))
            landed += process.poll() is None
            process.kill()
        open_library(library).forget(NAME)
        require_clean(library)
        shutil.rmtree(library)
