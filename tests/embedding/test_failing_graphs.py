"""A graph that cannot be made, kept or run costs speed, never the model; or it says what helps."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from searchkit.embedding import artefacts, exporting, onnx_runtime, runtimes
from searchkit.embedding.embedder import export_model, open_embedder
from searchkit.embedding.progress import listening
from searchkit.errors import ModelError

from .conftest import is_graph, of_run

pytestmark = pytest.mark.usefixtures("one_thread")


def test_without_a_cache_to_write_to_torch_runs_the_model_and_says_why(
    golden, open_folder, unprivileged, monkeypatch
):
    model = Path(shutil.copytree(golden / "bert-mean", open_folder / "model"))
    for file in model.rglob("*.*"):
        file.chmod(0o644)
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    open_embedder(model, precision="float32", runtime="torch")  # imports what belongs to root alone
    of_run(model)
    monkeypatch.setenv("SEARCHKIT_CACHE", str(closed / "cache"))
    with unprivileged():
        embedder = of_run(model)
        assert not is_graph(embedder)
        (notice,) = embedder.notices[1:]  # the first is about the family
        assert "cannot be kept in the cache" in notice and "set SEARCHKIT_CACHE" in notice
        assert embedder.embed(["bees"]).shape == (1, 48)
        with pytest.raises(ModelError, match=r"cannot be kept in the cache(?s:.*)set SEARCHKIT_CACHE"):
            open_embedder(model, precision="float32", runtime="onnx")
        with pytest.raises(ModelError, match="set SEARCHKIT_CACHE"):
            export_model(model)


@pytest.fixture
def full_disk(cache, monkeypatch):
    """A cache that takes nothing more, beside a folder for temporary files that does."""
    elsewhere = cache.parent / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artefacts, "_write_facts", full)
    return elsewhere


@pytest.mark.parametrize("wanted", [{"precision": "int8"}, {"space": "int8-1"}], ids=str)
def test_8_bits_without_a_cache_are_made_for_one_process_and_it_says_so(golden, full_disk, wanted):
    said = []
    with listening(said.append):
        embedder = open_embedder(golden / "bert-mean", **wanted)
    assert is_graph(embedder) and embedder.precision == "int8"
    assert "set SEARCHKIT_CACHE" in embedder.notices[-1] and "No space left" in embedder.notices[-1]
    assert "for this run alone" in said[-1]
    if sys.platform != "win32":
        assert not list(full_disk.glob("searchkit-*"))
    assert embedder.embed(["bees"]).shape == (1, 48)


def test_a_graph_that_is_still_mapped_is_removed_when_the_process_ends(golden, full_disk, monkeypatch):
    """Windows removes no file that is mapped."""
    at_exit = []
    monkeypatch.setattr(runtimes.atexit, "register", lambda *call: at_exit.append(call))
    with monkeypatch.context() as patch:
        patch.setattr(runtimes.shutil, "rmtree", lambda *_, **__: None)
        embedder = open_embedder(golden / "bert-mean", precision="int8")
    (left,) = full_disk.glob("searchkit-*")
    ((remove, *arguments),) = at_exit
    remove(*arguments)
    assert not left.exists() and embedder.runtime._session is None


@pytest.mark.parametrize(
    ("wanted", "otherwise"),
    [({"precision": "int8"}, "precision='float32'"), ({"space": "int8-1"}, "under another name")],
    ids=str,
)
def test_8_bits_that_can_be_written_nowhere_are_an_error_that_helps(
    golden, full_disk, monkeypatch, wanted, otherwise
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for name in ("write", "constant"):
        with monkeypatch.context() as patch:
            patch.setattr(exporting.GraphBuilder, name, full)
            with pytest.raises(ModelError, match=f"(?s)No space left.*set SEARCHKIT_CACHE; or .*{otherwise}"):
                open_embedder(golden / "bert-mean", **wanted)
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(ModelError, match=f"(?s)No space left.*set SEARCHKIT_CACHE; or .*{otherwise}"):
        open_embedder(golden / "bert-mean", **wanted)
    assert not list(full_disk.glob("searchkit-*"))


@pytest.mark.parametrize("at", ["graph", "facts"])
def test_on_a_full_disk_torch_runs_the_model_and_says_why(golden, cache, monkeypatch, at):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    if at == "graph":
        monkeypatch.setattr(exporting.GraphBuilder, "write", full)
    else:
        monkeypatch.setattr(artefacts, "_write_facts", full)
    embedder = of_run(golden / "bert-mean")
    assert not is_graph(embedder)
    assert [notice for notice in embedder.notices if "No space left on device" in notice]
    assert not list((cache / "onnx").glob("*.part"))

    monkeypatch.undo()
    monkeypatch.setenv("SEARCHKIT_CACHE", str(cache))
    assert is_graph(of_run(golden / "bert-mean"))


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


FAILURES = {
    "opening": (
        onnx_runtime.onnxruntime,
        "InferenceSession",
        RuntimeError("no such operator"),
        "no such operator",
    ),
    "running": (
        onnx_runtime.onnxruntime.InferenceSession,
        "run",
        RuntimeError("bad luck"),
        "run by onnxruntime",
    ),
    "memory": (exporting, "make_artefact", MemoryError(), "more memory than there is"),
    "disk": (exporting, "make_artefact", OSError(28, "No space left"), "set SEARCHKIT_CACHE"),
    "library": (exporting, "make_artefact", ImportError("no DLL"), "pip install --force-reinstall"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_graph_that_fails_leaves_the_model_to_torch_and_is_tried_again(golden, cache, monkeypatch, failure):
    owner, name, error, said = FAILURES[failure]
    folder = golden / "bert-mean"
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, raising(error))
        for runtime in ("auto", "quick"):
            embedder = open_embedder(folder, precision="float32", runtime=runtime)
            assert type(embedder.runtime).__name__ == "TorchRuntime"
            assert "run by torch and not as a graph" in embedder.notices[-1] and said in embedder.notices[-1]
        with pytest.raises(
            ModelError, match=rf"(?s)cannot be run as a graph.*{said}.*or use runtime='torch'"
        ):
            open_embedder(folder, precision="float32", runtime="onnx")
        with pytest.raises(
            ModelError, match=rf"(?s)cannot be run in 8 bits.*{said}.*or use precision='float32'"
        ):
            open_embedder(folder, precision="int8")
    assert is_graph(of_run(folder))


def test_a_graph_that_fails_on_a_users_text_is_an_error_that_helps(golden, monkeypatch):
    embedder = open_embedder(golden / "bert-mean", precision="float32", runtime="onnx")
    with monkeypatch.context() as patch:
        patch.setattr(embedder.runtime, "_session", None)
        with pytest.raises(ModelError, match=r"(?s)cannot be run by onnxruntime.*runtime='torch'"):
            embedder.embed(["bees"])
    run = onnx_runtime.run_session
    monkeypatch.setattr(onnx_runtime, "run_session", lambda *given: [run(*given)[0] * np.float32("nan")])
    with pytest.raises(ModelError, match=r"(?s)as a graph the network gives no numbers.*runtime='torch'"):
        embedder.embed(["bees"])
