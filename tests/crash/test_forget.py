"""Whatever `forget` is killed at, what it began is finished by whoever comes next, and nothing is left."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from tests.crash import forget_victim
from tests.crash.forget_victim import NAME
from tests.crash.victims import FORKS, WITHOUT, victims
from tests.fakes import WordEmbedder

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.skipif(not FORKS, reason=WITHOUT)]

RANDOM_KILLS = 12
SENTENCES = [
    f"Wintersteiner number {number} of Quellengasse told anecdote {number * 7919} of Zwetschgenknoedel."
    for number in range(400)
]
TRACES = [b"wintersteiner", b"quellengasse", b"zwetschgenknoedel"]  # each sentence holds all of them


@pytest.fixture(scope="module")
def start():
    with victims(forget_victim) as start:
        yield start


@pytest.fixture(scope="module")
def scene(tmp_path_factory, start):
    """A library with a document of some hundred passages among others, and what an unbroken run does."""
    folder = tmp_path_factory.mktemp("forget")
    docs, before = folder / "docs", folder / "before"
    (docs / "hr").mkdir(parents=True)
    (docs / NAME).write_text("\n\n".join(f"# Visit {i}\n\n{text}" for i, text in enumerate(SENTENCES)))
    for number in range(300):
        (docs / f"{number:03}.md").write_text(f"# Item {number}\n\nItem {number} costs {number * 3}.\n")
    open_library(before).index([docs])
    assert traces_in(before) == TRACES
    for library in (folder / "loading", folder / "unbroken"):  # the first one also loads what they need
        shutil.copytree(before, library)
        started = time.perf_counter()
        steps = start(library, 0).wait()
        took = time.perf_counter() - started
    assert not traces_in(folder / "unbroken")
    return {"start": start, "folder": folder, "before": before, "steps": steps, "took": took}


def open_library(folder: Path) -> Library:
    return Library(folder, open_model=lambda model: WordEmbedder())


def traces_in(library: Path) -> list[bytes]:
    """What is found in the bytes of a library, the note of who writes among them."""
    held = b"".join(path.read_bytes() for path in library.iterdir()).lower()
    return [trace for trace in TRACES if trace in held]


def run(scene, library: Path, kill_at: int = 0) -> int | None:
    """Run a victim to its end. Returns: how many steps it took; None where it was killed."""
    return scene["start"](library, kill_at).wait()


def begun(library: Path) -> bool:
    """Whether the document is found no more: then everything of it has to go, whoever comes next."""
    return not open_library(library).query("Wintersteiner", mode="text").hits


def require_clean(library: Path) -> None:
    assert not traces_in(library)
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
        assert run(scene, library, kill_at) is None, f"step {kill_at} did not kill"
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
        assert run(scene, library, kill_at) is None
        said += (pending := "searchkit forget" in " ".join(open_library(library).verify()))
        assert pending or not begun(library) or not traces_in(library)
        shutil.rmtree(library)
    assert said > 3


def test_killed_at_random_moments_and_asked_again_it_completes(scene):
    dice = random.Random(20261122)
    landed = 0
    while landed < RANDOM_KILLS:
        library = scene["folder"] / "random"
        shutil.copytree(scene["before"], library)
        running = scene["start"](library, 0)
        time.sleep(dice.uniform(0, scene["took"]))
        running.kill()
        landed += running.wait() is None
        open_library(library).forget(NAME)
        require_clean(library)
        shutil.rmtree(library)
