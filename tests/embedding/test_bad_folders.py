"""A model folder that is not what it says gives one clear error, never random vectors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.embedding.embedder import open_embedder
from searchkit.errors import ModelError

from .conftest import edit_json


def refusal(folder: Path, **options) -> str:
    """The message of the ModelError that opening the folder raises."""
    with pytest.raises(ModelError) as caught:
        open_embedder(folder, **options)
    assert str(folder) in str(caught.value) or folder.name in str(caught.value)
    return str(caught.value)


def cut(file: Path, keep: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])


def test_a_folder_without_a_config(copied):
    folder = copied("bert-mean")
    (folder / "config.json").unlink()
    assert "has no config.json" in refusal(folder)


def test_a_config_that_is_no_json(copied):
    folder = copied("bert-mean")
    cut(folder / "config.json", 0.5)
    assert "cannot be read as JSON" in refusal(folder)


def test_a_folder_without_weights(copied):
    folder = copied("bert-mean")
    (folder / "model.safetensors").unlink()
    assert "has no weights: expected model.safetensors or pytorch_model.bin" in refusal(folder)


@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.01, 0.9])
def test_safetensors_that_were_cut_off(copied, keep):
    folder = copied("bert-mean")
    cut(folder / "model.safetensors", keep)
    assert "cut off" in refusal(folder)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_pickled_weights_that_were_cut_off(copied, keep):
    folder = copied("instructor-gated")
    cut(folder / "pytorch_model.bin", keep)
    assert ("empty" if keep == 0 else "cut off") in refusal(folder)


@pytest.mark.parametrize(
    ("file", "tensor"),
    [("pytorch_model.bin", "shared.weight"), ("2_Dense/pytorch_model.bin", "linear.weight")],
)
def test_pickled_weights_that_carry_code_are_not_run(copied, tmp_path, file, tensor):
    folder = copied("instructor-gated")

    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    torch.save({tensor: Payload()}, folder / file)
    assert "cannot be loaded" in refusal(folder)
    assert not (tmp_path / "run").exists()


def test_a_pointer_in_place_of_weights(copied):
    folder = copied("bert-mean")
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\n", encoding="ascii"
    )
    assert "git lfs pull" in refusal(folder)


def test_weights_of_other_shapes_than_the_config_says(copied):
    folder = copied("bert-mean")
    edit_json(folder / "config.json", intermediate_size=80)
    assert "cannot be loaded" in refusal(folder)


def test_weights_that_lack_a_layer_are_not_filled_up_with_random_numbers(copied):
    folder = copied("bert-mean")
    edit_json(folder / "config.json", num_hidden_layers=3)
    assert "lack 16 tensors" in refusal(folder)


def test_weights_of_another_model(copied, golden):
    folder = copied("bert-mean")
    shutil.copy(golden / "qwen3-embedding-tiny" / "model.safetensors", folder)
    assert "lack " in refusal(folder)


def test_shards_are_loaded_and_a_missing_one_is_named(copied, golden):
    folder = copied("bert-mean")
    whole = open_embedder(folder).embed(["bees"])
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {"model-00001-of-00002.safetensors": [], "model-00002-of-00002.safetensors": []}
    for at, name in enumerate(sorted(tensors)):
        shards[list(shards)[at % 2]].append(name)
    for shard, names in shards.items():
        save_file({name: tensors[name] for name in names}, folder / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, names in shards.items() for name in names}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert (open_embedder(folder).embed(["bees"]) == whole).all()

    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "not there: model-00002-of-00002.safetensors" in refusal(folder)


def test_a_folder_without_a_tokenizer(copied):
    folder = copied("bert-mean")
    (folder / "tokenizer.json").unlink()
    assert "has no usable tokenizer" in refusal(folder)


def test_a_tokenizer_that_was_cut_off(copied):
    folder = copied("bert-mean")
    cut(folder / "tokenizer.json", 0.5)
    assert "has no usable tokenizer" in refusal(folder)


def test_a_dense_layer_without_weights(copied):
    folder = copied("instructor-relu")
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert "2_Dense has no weights" in refusal(folder)


def test_a_dense_layer_of_another_shape(copied):
    folder = copied("instructor-relu")
    edit_json(folder / "2_Dense" / "config.json", out_features=40)
    assert "(32, 48) matrix, expected (40, 48)" in refusal(folder)


def test_a_dense_layer_that_does_not_fit_the_pooling(copied):
    folder = copied("instructor-relu")
    edit_json(folder / "2_Dense" / "config.json", in_features=50)
    assert "takes 50 numbers, but gets 48" in refusal(folder)


def test_an_unknown_activation(copied):
    folder = copied("instructor-relu")
    edit_json(folder / "2_Dense" / "config.json", activation_function="os.system")
    assert "activation 'os.system'" in refusal(folder)


def test_an_unknown_pooling(copied):
    folder = copied("bert-mean")
    edit_json(folder / "1_Pooling" / "config.json", pooling_mode="latent")
    assert "names no pooling that searchkit does" in refusal(folder)


@pytest.mark.parametrize("dotted", ["sentence_transformers.models.LSTM", "custom_st.Pooling"])
def test_an_unknown_module(copied, dotted):
    folder = copied("bert-mean")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = dotted
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert dotted in refusal(folder)


def test_modules_in_an_order_that_makes_no_vectors(copied):
    folder = copied("bert-mean")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps(modules[::-1]), encoding="utf-8")
    assert "lists Pooling, Transformer" in refusal(folder)


def test_an_architecture_that_is_code_of_its_authors(copied, tmp_path):
    """The folder's code is neither run nor asked about."""
    folder = copied("bert-mean")
    edit_json(
        folder / "config.json",
        model_type="their-own",
        auto_map={"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"},
    )
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')", encoding="utf-8")
    assert "without code of the model's authors" in refusal(folder, family="plain")
    assert not (tmp_path / "run").exists()


def test_code_beside_a_known_architecture_is_not_run_and_has_to_be_vouched_for(copied, tmp_path):
    folder = copied("bert-mean")
    edit_json(folder / "config.json", auto_map={"AutoModel": "theirs.Model"})
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')", encoding="utf-8")
    assert "say so: family='plain'" in refusal(folder)
    embedder = open_embedder(folder, family="plain")
    assert any("never run" in notice for notice in embedder.notices)
    assert not (tmp_path / "run").exists()


def test_an_adapter_in_place_of_a_model(copied):
    folder = copied("bert-mean")
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert "adapter" in refusal(folder)


def test_a_file_in_place_of_a_folder(golden):
    assert "is a file" in refusal(golden / "bert-mean" / "model.safetensors")


def test_a_window_beyond_the_networks_positions(golden):
    assert "ask for 1 to 50 tokens" in refusal(golden / "bert-mean", max_tokens=51)
