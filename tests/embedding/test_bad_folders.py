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
    assert "tokenizer.json cannot be read" in refusal(folder)


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


def test_an_adapter_in_the_networks_own_folder(copied):
    folder = copied("bert-mean")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "0_Transformer").mkdir()
    (folder / "0_Transformer" / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert "holds an adapter" in refusal(folder)


@pytest.mark.parametrize("path", ["../1_Pooling", "/etc", "a/../../b", "C:\\x", "..\\x", "a\0b"])
def test_paths_that_lead_out_of_the_folder(copied, path):
    folder = copied("bert-mean")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert "not inside of the model's folder" in refusal(folder)


def test_shards_outside_of_the_folder(copied, golden):
    folder = copied("bert-mean")
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": str(golden / "bert-mean" / "model.safetensors")}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert "not inside of the model's folder" in refusal(folder)


ODD_FACTS = [
    ("config_sentence_transformers.json", {"prompts": ["a"]}),
    ("config_sentence_transformers.json", {"prompts": {"query": 5}}),
    ("config_sentence_transformers.json", {"searchkit": "x"}),
    ("config_sentence_transformers.json", {"searchkit": {"family": 5}}),
    ("config_sentence_transformers.json", {"default_prompt_name": 5}),
    ("sentence_bert_config.json", {"max_seq_length": "abc"}),
    ("sentence_bert_config.json", {"max_seq_length": [1]}),
    ("sentence_bert_config.json", {"max_seq_length": 20.5}),
    ("sentence_bert_config.json", {"max_seq_length": True}),
    ("sentence_bert_config.json", {"do_lower_case": "no"}),
    ("1_Pooling/config.json", {"pooling_mode": 5}),
    ("1_Pooling/config.json", {"pooling_mode": {"mean": 1}}),
    ("1_Pooling/config.json", {"include_prompt": "no"}),
    ("2_Dense/config.json", {"in_features": "48"}),
    ("2_Dense/config.json", {"out_features": [1]}),
    ("2_Dense/config.json", {"bias": "no"}),
    ("config.json", {"pad_token_id": "x", "model_type": "roberta", "max_position_embeddings": 50}),
    ("config.json", {"auto_map": 5}),
    ("config.json", {"model_type": 5}),
    ("tokenizer_config.json", {"add_eos_token": True, "eos_token": 5}),
    ("tokenizer_config.json", {"add_eos_token": True, "eos_token": {"content": 1}}),
]


@pytest.mark.parametrize(("file", "facts"), ODD_FACTS, ids=lambda value: json.dumps(value))
def test_facts_of_a_kind_they_cannot_be_of(copied, file, facts):
    folder = copied("instructor-relu", to="instructor-odd")
    content = json.loads((folder / file).read_text(encoding="utf-8")) if (folder / file).is_file() else {}
    (folder / file).write_text(json.dumps({**content, **facts}), encoding="utf-8")
    assert file.rpartition("/")[2] in refusal(folder)


def test_an_end_token_without_a_name_is_none(copied):
    folder = copied("instructor-relu", to="instructor-odd")
    edit_json(folder / "tokenizer_config.json", add_eos_token=True, eos_token={"x": 1})
    assert open_embedder(folder).embed(["bees"]).shape == (1, 32)


@pytest.mark.parametrize("weight_map", [[1], "x", {"a": 5}])
def test_an_index_of_weights_that_is_none(copied, weight_map):
    folder = copied("bert-mean")
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    assert "model.safetensors.index.json: " in refusal(folder)


@pytest.mark.parametrize("file", ["config.json", "modules.json", "1_Pooling/config.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, "5", "null", '{"a": 1, ', "[5]"])
def test_json_that_is_damaged(copied, file, text):
    folder = copied("bert-mean")
    (folder / file).write_text(text, encoding="utf-8")
    assert file.rpartition("/")[2] in refusal(folder)


def test_a_closed_folder_within_the_models(golden, open_folder, unprivileged):
    folder = Path(shutil.copytree(golden / "bert-mean", open_folder / "model"))
    (folder / "1_Pooling").chmod(0)
    with unprivileged():
        assert "ermission denied" in refusal(folder)


def test_weights_of_a_larger_network_than_the_config_says(copied):
    folder = copied("bert-mean")
    edit_json(folder / "config.json", num_hidden_layers=1)
    assert "16 tensors that config.json has no place for" in refusal(folder)


@pytest.mark.parametrize("head", ["cls.predictions.bias", "classifier.weight", "embeddings.position_ids"])
def test_heads_a_network_was_trained_with_do_no_harm(copied, golden, head):
    folder = copied("bert-mean")
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, head: torch.zeros(48)}, folder / "model.safetensors", metadata={"format": "pt"})
    expected = open_embedder(golden / "bert-mean").embed(["bees"])
    assert (open_embedder(folder).embed(["bees"]) == expected).all()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(copied, number):
    folder = copied("bert-mean")
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][:] = number
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"gives no numbers"):
        open_embedder(folder).embed(["bees"])


@pytest.mark.parametrize(
    ("bias", "shape", "said"),
    [(True, (3,), "a bias of"), (True, (32, 1), "a bias of"), (False, (32,), "linear.bias")],
)
def test_a_dense_layer_with_another_bias(copied, bias, shape, said):
    folder = copied("instructor-relu")
    file = folder / "2_Dense" / "model.safetensors"
    save_file({**load_file(file), "linear.bias": torch.zeros(shape)}, file)
    edit_json(folder / "2_Dense" / "config.json", bias=bias)
    assert f"holds {said}" in refusal(folder)


def test_a_refused_family_is_refused_when_it_is_named(golden):
    assert "does not load" in refusal(golden / "bert-mean", family="nv-embed")


def test_an_instructor_whose_dense_layer_was_left_out(copied):
    folder = copied("instructor-relu")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps(modules[:2]), encoding="utf-8")
    folder = folder.rename(folder.with_name("instructor-cut"))
    assert "has no Dense layer" in refusal(folder)
    assert open_embedder(folder, family="instructor").dim == 48


def test_a_file_in_place_of_a_folder(golden):
    assert "is a file" in refusal(golden / "bert-mean" / "model.safetensors")


def test_a_window_beyond_the_networks_positions(golden):
    assert "ask for 1 to 50 tokens" in refusal(golden / "bert-mean", max_tokens=51)
