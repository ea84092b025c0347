"""An exported network is made once, is used only whole, and can always be made again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from searchkit.embedding import exporting
from searchkit.embedding.artefacts import FACTS_FILE, GRAPH_FILE, Artefact, obtain, place_of, read_artefact
from searchkit.embedding.calibration import Parity
from searchkit.embedding.embedder import export_model, open_embedder
from searchkit.embedding.hashes import recall, remember
from searchkit.embedding.progress import listening
from searchkit.errors import ModelError

from .conftest import edit_json, is_graph, of_run

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
MADE = Artefact(
    precision="int8",
    dim=3,
    vocabulary=5,
    position_limit=7,
    parameters=11,
    parity=Parity(min_cosine=0.5, company_effect=0.0, mean_cosine=0.75),
    spared=("a", "b"),
)


@pytest.fixture
def folder(cache):
    """Where an artefact goes."""
    return place_of({"weights": "these"})


def write_graph(part):
    """Stands for an export: two files."""
    (part / GRAPH_FILE).write_bytes(b"a graph")
    (part / "weights.bin").write_bytes(bytes(range(200)))
    return MADE


def never(part):
    pytest.fail("made again")


def test_what_is_made_is_read_back_and_not_made_again(folder):
    made = obtain(folder, write_graph)
    assert replace(made, files={}) == MADE
    assert set(made.files) == {GRAPH_FILE, "weights.bin"}
    assert obtain(folder, never) == made == read_artefact(folder)
    assert sorted(path.suffix for path in folder.parent.iterdir()) in ([""], ["", ".lock"])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    later = file.stat().st_mtime_ns + 1_000_000_000  # hashes are remembered by it; a clock may be coarse
    file.write_bytes(content)
    os.utime(file, ns=(later, later))


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no umask")
def test_the_cache_may_be_read_by_whom_the_umask_lets(folder, cache):
    before = os.umask(0o027)
    try:
        obtain(folder, write_graph)
        remember("a-kind", {"of": "key"}, {"sha256": "value"})
    finally:
        os.umask(before)
    (entry,) = (cache / "a-kind").iterdir()
    assert recall("a-kind", {"of": "key"}) == {"sha256": "value"}
    modes = [path.stat().st_mode & 0o777 for path in (folder, folder / GRAPH_FILE, entry)]
    assert modes == [0o750, 0o640, 0o640]


def test_a_graph_cached_by_another_user_is_used(open_folder, unprivileged, monkeypatch):
    monkeypatch.setenv("SEARCHKIT_CACHE", str(open_folder / "cache"))
    folder = place_of({"weights": "these"})
    made = obtain(folder, write_graph)
    with unprivileged():
        assert obtain(folder, never) == made


def test_who_waits_for_another_process_is_told_so(folder):
    from filelock import FileLock

    folder.parent.mkdir(parents=True)
    other = FileLock(folder.with_suffix(".lock"))
    other.acquire()
    said = []

    def listen(text):
        said.append(text)
        other.release()

    with listening(listen):
        obtain(folder, write_graph)
    assert said == ["Waiting: another process is preparing the model for this machine"]


def test_a_file_of_that_name_where_the_user_stands_is_nobodys_business(golden, cache, tmp_path, monkeypatch):
    (tmp_path / "weights.bin").write_bytes(b"the user's own")
    monkeypatch.chdir(tmp_path)
    assert is_graph(of_run(golden / "bert-mean"))
    assert (tmp_path / "weights.bin").read_bytes() == b"the user's own"


DAMAGE = {
    "a bit of the graph": lambda folder: flip(folder / GRAPH_FILE),
    "a bit of the weights": lambda folder: flip(folder / "weights.bin"),
    "weights cut off": lambda folder: (folder / "weights.bin").write_bytes(b"a"),
    "weights gone": lambda folder: (folder / "weights.bin").unlink(),
    "graph gone": lambda folder: (folder / GRAPH_FILE).unlink(),
    "facts gone": lambda folder: (folder / FACTS_FILE).unlink(),
    "facts empty": lambda folder: (folder / FACTS_FILE).write_text(""),
    "facts cut off": lambda folder: (folder / FACTS_FILE).write_text('{"precision": "in'),
    "facts no object": lambda folder: (folder / FACTS_FILE).write_text("[1]"),
    "facts nested deep": lambda folder: (folder / FACTS_FILE).write_text("[" * 100_000),
    "facts binary": lambda folder: (folder / FACTS_FILE).write_bytes(b"\xff\xfe\x00"),
    "facts of another version": lambda folder: edit_json(folder / FACTS_FILE, unheard_of=1),
    "files no object": lambda folder: edit_json(folder / FACTS_FILE, files=["model.onnx"]),
    "files none": lambda folder: edit_json(folder / FACTS_FILE, files={}),
    "parity odd": lambda folder: edit_json(folder / FACTS_FILE, parity={"min_cosine": 1.0}),
    "parity no object": lambda folder: edit_json(folder / FACTS_FILE, parity=[1]),
    "spared no list": lambda folder: edit_json(folder / FACTS_FILE, spared=5),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_made_anew(folder, damage):
    made = obtain(folder, write_graph)
    damage(folder)
    assert read_artefact(folder) is None
    assert obtain(folder, write_graph) == made
    assert obtain(folder, never) == made


def test_a_file_in_place_of_the_folder_is_an_error_and_not_a_crash(folder):
    folder.parent.mkdir(parents=True)
    folder.write_text("what is this?")
    with pytest.raises(OSError, match=folder.name):
        obtain(folder, write_graph)


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_making_that_fails_leaves_nothing_behind(folder, reason):
    def fail(part):
        write_graph(part)
        raise reason

    with pytest.raises(type(reason)):
        obtain(folder, fail)
    assert [path.suffix for path in folder.parent.iterdir()] in ([], [".lock"])
    assert obtain(folder, write_graph).dim == 3


CHILD = """
import os, sys, time
from pathlib import Path
from searchkit.embedding.artefacts import Artefact, obtain
log = Path(sys.argv[2])
def make(part):
    (part / "model.onnx").write_bytes(b"a graph")
    with log.open("a") as stream:
        stream.write("made\\n")
    time.sleep(float(sys.argv[3]))
    return Artefact(precision="int8", dim=3)
print(obtain(Path(sys.argv[1]), make).dim)
"""


def child(folder, log, takes):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(log), str(takes)], cwd=ROOT, stdout=subprocess.PIPE
    )


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


@pytest.mark.slow
def test_of_several_processes_one_makes_it_and_the_others_wait(folder, tmp_path):
    running = [child(folder, tmp_path / "log", 0.5) for _ in range(3)]
    assert [one.communicate(timeout=60)[0].strip() for one in running] == [b"3"] * 3
    assert (tmp_path / "log").read_text() == "made\n"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_making_is_not_used_and_the_next_one_makes_it(folder, tmp_path):
    running = child(folder, tmp_path / "log", 60)
    wait_for(tmp_path / "log")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    assert read_artefact(folder) is None and len(list(folder.parent.glob("*.part"))) == 1
    assert obtain(folder, write_graph).dim == 3


def test_what_was_left_is_swept_when_it_is_old_and_kept_while_it_may_be_at_work(folder):
    folder.parent.mkdir(parents=True)
    ages = {"old.part": 90_000, "young.part": 80_000, "old-but-whole": 900_000}
    for name, age in ages.items():
        (folder.parent / name).mkdir()
        (folder.parent / name / GRAPH_FILE).write_bytes(b"half")
        os.utime(folder.parent / name, (time.time() - age, time.time() - age))
    obtain(folder, write_graph)
    left = {path.name for path in folder.parent.iterdir() if path.is_dir()}
    assert left == {"young.part", "old-but-whole", folder.name}


def test_a_part_that_goes_away_while_sweeping_is_no_error(folder, monkeypatch):
    """Another process finishes, and its folder is renamed between listing and looking."""
    stat = Path.stat
    folder.parent.mkdir(parents=True)
    (folder.parent / "gone.part").mkdir()

    def vanished(path, **options):
        if path.name == "gone.part":
            raise FileNotFoundError(path)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanished)
    assert obtain(folder, write_graph).dim == 3


def test_a_model_is_exported_once(golden, cache, monkeypatch):
    first = of_run(golden / "bert-mean")
    monkeypatch.setattr(exporting, "make_artefact", lambda *_, **__: pytest.fail("exported again"))
    again = of_run(golden / "bert-mean")
    assert is_graph(first) and is_graph(again)
    assert (first.embed(["bees"]) == again.embed(["bees"])).all()
    assert first.fingerprint() == again.fingerprint()


def test_equal_files_elsewhere_use_the_same_artefact_and_other_weights_another(copied, cache, monkeypatch):
    first = export_model(copied("bert-mean"), precision="float32")
    elsewhere = copied("bert-mean", to="of-another-name")
    edit_json(elsewhere / "config.json", _name_or_path="somewhere", use_cache=False)
    assert export_model(elsewhere, precision="float32").folder == first.folder
    assert export_model(elsewhere, precision="int8").folder != first.folder
    flip(elsewhere / "model.safetensors")
    assert export_model(elsewhere, precision="float32").folder != first.folder


def test_another_pooling_is_another_artefact(copied, cache):
    first, second = copied("bert-mean"), copied("bert-mean", to="pools-otherwise")
    edit_json(second / "1_Pooling" / "config.json", pooling_mode="cls")
    places = {export_model(one, precision="float32").folder for one in (first, second)}
    assert len(places) == 2


@pytest.mark.parametrize("damage", ["a bit of the weights", "weights cut off", "graph gone", "facts cut off"])
def test_a_damaged_artefact_of_a_model_is_exported_anew(golden, golden_pairs, cache, damage):
    first = of_run(golden / "bert-mean").embed_pairs(golden_pairs)
    place = export_model(golden / "bert-mean", precision="float32").folder
    DAMAGE[damage](place)
    again = of_run(golden / "bert-mean")
    assert is_graph(again) and (again.embed_pairs(golden_pairs) == first).all()
    assert read_artefact(place)


def test_a_refusal_is_remembered(copied, cache, monkeypatch):
    folder = copied("bert-mean")
    edit_json(folder / "config.json", hidden_act="silu")
    first = of_run(folder)
    assert not is_graph(first)
    refused = export_model(folder, precision="float32")
    assert "activation 'silu'" in refused.refused and refused.size == 0
    with pytest.raises(ModelError, match="activation 'silu'"):
        open_embedder(folder, precision="int8")
    monkeypatch.setattr(exporting, "make_artefact", lambda *_, **__: pytest.fail("tried again"))
    assert (of_run(folder).embed(["bees"]) == first.embed(["bees"])).all()
    with pytest.raises(ModelError, match="activation 'silu'"):
        open_embedder(folder, precision="int8")
    assert export_model(folder, precision="float32") == refused


def test_facts_are_json_that_people_can_read(golden, cache):
    place = export_model(golden / "bert-mean", precision="int8").folder
    said = json.loads((place / FACTS_FILE).read_text(encoding="utf-8"))
    assert said["precision"] == "int8" and 0.9 < said["parity"]["min_cosine"] < 1
