"""Whatever `index` is killed at, the next run completes and nothing shows that it happened."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from searchkit.library.database import Database
from searchkit.library.lock import HOLDER_NAME
from searchkit.vector_index.protocol import IVF
from tests.crash import victim
from tests.crash.victims import FORKS, WITHOUT, victims
from tests.fakes import WordEmbedder

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.skipif(not FORKS, reason=WITHOUT)]

RANDOM_PARTS, RANDOM_KILLS = 4, 25  # and so many kills in each
PUBLISH_STEPS = 16  # the last ones: writing, naming and noting a snapshot, sweeping
QUERIES = ["item 7 costs", "edited just now", "moved words", "added afterwards", "what weighs 3"]
PARTS = 8  # of all steps: each part is a test, and workers share them


@pytest.fixture(scope="module")
def start():
    with victims(victim) as start:
        yield start


@pytest.fixture(scope="module")
def scene(tmp_path_factory, start):
    """A library of some documents, the documents changed since, and the state an unbroken run leaves."""
    folder = tmp_path_factory.mktemp("crash")
    docs, before, after = folder / "docs", folder / "before", folder / "after"
    docs.mkdir()
    for number in range(160):
        (docs / f"{number:03}.md").write_text(f"# Item {number}\n\nItem {number} costs {number * 3}.\n")
    open_library(before).index([docs])
    for number in range(40):
        (docs / f"{number:03}.md").write_text(f"# Item {number}\n\nThis was edited just now: {number}.\n")
    for number in range(40, 60):
        (docs / f"{number:03}.md").unlink()
    for number in range(60, 70):
        (docs / f"{number:03}.md").rename(docs / f"moved-{number}.md")
    for number in range(200):
        (docs / f"added-{number}.txt").write_text(f"Added afterwards, weighs {number % 11}, number {number}.")
    for library in (folder / "loading", after):  # the first one also loads what they need
        shutil.copytree(before, library)
        started = time.perf_counter()
        steps = start(library, docs, 0).wait()
        took = time.perf_counter() - started
    return {
        "start": start,
        "docs": docs,
        "before": before,
        "folder": folder,
        "steps": steps,
        "expected": state(after),
        "took": took,
    }


def open_library(folder: Path) -> Library:
    return Library(folder, open_model=lambda model: WordEmbedder())


def run(scene, library: Path, kill_at: int = 0, *how: str) -> int | None:
    """Run a victim to its end. Returns: how many steps it took; None where it was killed."""
    return scene["start"](library, scene["docs"], kill_at, *how).wait()


def state(library: Path):
    """Everything that a user could tell two libraries apart by."""
    opened = open_library(library)
    assert opened.verify() == []
    with Database.read(library) as db:
        passages = db.rows(
            """SELECT d.name, d.kind, d.title, p.position, p.start, p."end", p.heading, t.text, t.context
               FROM passages p JOIN documents d USING (document_id) JOIN texts t USING (text_id)
               ORDER BY d.name, p.position"""
        )
        rest = [
            db.rows("SELECT count(*) FROM texts"),
            db.rows("SELECT count(*) FROM vectors"),
            db.rows("SELECT name, size, sha256 FROM files ORDER BY name"),
        ]
    answers = [
        [(hit.document, hit.start, hit.text, hit.score) for hit in opened.query(query, k=10).hits]
        for query in QUERIES
    ]
    leftovers = [path.name for path in library.iterdir() if path.name.endswith(".part")]
    return passages, rest, answers, leftovers


def recover_and_compare(library: Path, scene) -> None:
    assert open_library(library).verify() == []  # a library that nobody repaired yet is whole, too
    open_library(library).query(QUERIES[0])
    run(scene, library)
    assert state(library) == scene["expected"]


def test_the_unbroken_run_did_something(scene):
    assert scene["steps"] > 50
    assert scene["expected"][2][1][0][0] < "040.md"  # the edited documents answer


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_killed_at_every_commit_and_publish_step_is_recovered_from(scene, part):
    for kill_at in range(1 + part, scene["steps"] + 1, PARTS):
        library = scene["folder"] / f"step-{kill_at}"
        shutil.copytree(scene["before"], library)
        assert run(scene, library, kill_at) is None, f"step {kill_at} did not kill"
        recover_and_compare(library, scene)
        shutil.rmtree(library)


@pytest.mark.parametrize("part", range(RANDOM_PARTS))
def test_a_run_killed_at_random_moments_is_recovered_from(scene, part):
    dice = random.Random(20261121 + part)
    landed = 0
    while landed < RANDOM_KILLS:
        library = scene["folder"] / "random"
        shutil.copytree(scene["before"], library)
        running = scene["start"](library, scene["docs"], 0)
        time.sleep(dice.uniform(0, scene["took"]))
        running.kill()
        landed += running.wait() is None
        recover_and_compare(library, scene)
        shutil.rmtree(library)


def test_a_run_with_other_processes_reading_killed_at_any_step_is_recovered_from(scene):
    """Commits fall at the same places whoever reads; every seventh step is tried, for the time it takes."""
    library = scene["folder"] / "ahead"
    shutil.copytree(scene["before"], library)
    assert run(scene, library, 0, "ahead") == scene["steps"]
    assert state(library) == scene["expected"]
    shutil.rmtree(library)
    for kill_at in range(1, scene["steps"] + 1, 7):
        shutil.copytree(scene["before"], library)
        assert run(scene, library, kill_at, "ahead") is None, f"step {kill_at} did not kill"
        recover_and_compare(library, scene)
        shutil.rmtree(library)


def test_a_publish_of_codes_killed_at_any_step_is_recovered_from(scene):
    library = scene["folder"] / "codes"
    shutil.copytree(scene["before"], library)
    assert run(scene, library, 0, "codes") == scene["steps"]
    expected = state(library)
    assert open_library(library).show().snapshot.kind == IVF and expected[:2] == scene["expected"][:2]
    shutil.rmtree(library)
    for kill_at in range(scene["steps"] - PUBLISH_STEPS, scene["steps"] + 1):
        shutil.copytree(scene["before"], library)
        assert run(scene, library, kill_at, "codes") is None, f"step {kill_at} did not kill"
        assert open_library(library).verify() == []
        run(scene, library, 0, "codes")
        assert state(library) == expected
        shutil.rmtree(library)


def test_a_first_run_killed_anywhere_is_recovered_from(scene):
    """The same from nothing: the folder, the lock and the schema are made under fire, too."""
    dice = random.Random(7)
    for _ in range(15):
        library = scene["folder"] / "fresh"
        running = scene["start"](library, scene["docs"], 0)
        time.sleep(dice.uniform(0, 0.3))
        running.kill()
        running.wait()
        run(scene, library)
        assert state(library) == scene["expected"]
        shutil.rmtree(library)


def test_a_killed_runs_lock_does_not_outlive_it(scene):
    library = scene["folder"] / "lock"
    running = scene["start"](library, scene["docs"], 0)
    while not (library / HOLDER_NAME).exists():
        time.sleep(0.001)
    running.kill()
    assert running.wait() is None
    Database.write(library).close()
