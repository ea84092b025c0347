"""A folder that is no cross-encoder, or not a whole one, gives one clear error, never random scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.embedding.cross_encoder import is_cross_encoder, open_cross_encoder
from searchkit.errors import ModelError, ModelNotFound, UsageError

from .conftest import edit_json
from .cross_checkpoints import make

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "a-cross-encoder")


def refusal(folder: Path) -> str:
    """The message of the ModelError that opening the folder raises."""
    with pytest.raises(ModelError) as caught:
        open_cross_encoder(folder)
    assert folder.name in str(caught.value) and caught.value.remedy
    return str(caught.value)


def reweigh(folder: Path, change) -> None:
    """Change the tensors of a folder's safetensors in place."""
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def test_an_embedder_is_none(copied):
    message = refusal(copied("bert-mean"))
    assert "is an embedder" in message and "Transformer, Pooling" in message and "--rerank-profile" in message


def test_a_network_without_a_head_is_none(copied):
    folder = copied("bert-mean")
    (folder / "modules.json").unlink()
    assert "config.json says BertModel, expected ...ForSequenceClassification" in refusal(folder)


def test_weights_without_a_head_are_not_filled_up_with_random_ones(folder):
    reweigh(folder, lambda held: {k: v for k, v in held.items() if not k.startswith("classifier")})
    assert "have no head that scores pairs: they lack classifier.bias, classifier.weight" in refusal(folder)


def test_weights_without_a_pooler_are_not_whole(folder):
    """An embedder may do without; a cross-encoder's head reads what the pooler gives."""
    reweigh(folder, lambda held: {k: v for k, v in held.items() if "pooler" not in k})
    assert "lack 2 tensors that config.json calls for: bert.pooler.dense.bias" in refusal(folder)


def test_several_labels_are_refused_with_their_names(tmp_path):
    message = refusal(make(tmp_path / "classifier", labels=3))
    assert "tells 3 labels apart (LABEL_0, LABEL_1, LABEL_2)" in message and "expected one label" in message


def test_a_config_that_says_no_labels_means_two(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["id2label"], config["label2id"]
    (folder / "config.json").write_text(json.dumps({**config, "num_labels": None}))
    assert "tells 2 labels apart and" in refusal(folder)


def test_a_head_of_another_size_than_config_says(folder):
    reweigh(folder, lambda held: {**held, "classifier.weight": torch.zeros(3, 48)})
    assert "cannot be loaded" in refusal(folder)


def test_code_of_a_models_authors_is_never_run(folder, tmp_path):
    edit_json(
        folder / "config.json",
        auto_map={"AutoModelForSequenceClassification": "modeling.OtherForSequenceClassification"},
    )
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    assert "brings code of its authors" in refusal(folder)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["qwen3", "t5", "no-such-kind"])
def test_networks_whose_scores_nobody_has_compared_are_refused(folder, kind):
    edit_json(folder / "config.json", model_type=kind)
    message = refusal(folder)
    assert f"type '{kind}'" in message and "modernbert" in message


def test_a_generative_reranker_is_refused(folder):
    """Its score is a difference of two tokens' logits after a prompt of its own."""
    modules = [
        {"type": f"sentence_transformers.x.{kind}", "path": ""} for kind in ("Transformer", "LogitScore")
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert is_cross_encoder(folder)
    assert "lists Transformer, LogitScore; expected one Transformer" in refusal(folder)


def test_a_missing_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    assert "no usable tokenizer" in refusal(folder)


def test_a_tokenizer_without_a_template_for_pairs(folder, golden):
    """Query and text would run into one another."""
    shutil.copy(golden / "bert-mean" / "tokenizer.json", folder)
    with pytest.raises(ModelError, match="makes 'a a' of the pair"):
        open_cross_encoder(folder)


def test_missing_and_cut_off_weights(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    assert "cut off" in refusal(folder)
    (folder / "model.safetensors").unlink()
    assert "has no weights" in refusal(folder)


def test_pickled_weights_are_read_as_data_only(folder, tmp_path):
    tensors = load_file(folder / "model.safetensors")
    expected = open_cross_encoder(folder).score("clock?", ["the clock", "bees"])
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    found = open_cross_encoder(folder).score("clock?", ["the clock", "bees"])
    assert found == pytest.approx(expected, abs=1e-6)

    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    torch.save({**tensors, "classifier.weight": Payload()}, folder / "pytorch_model.bin")
    assert "cannot be loaded" in refusal(folder)
    assert not (tmp_path / "run").exists()


def test_scores_that_are_no_numbers_are_refused(folder):
    reweigh(folder, lambda held: {**held, "classifier.bias": torch.tensor([float("nan")])})
    with pytest.raises(ModelError, match=r"no numbers .* for 2 of 2 texts"):
        open_cross_encoder(folder).score("clock?", ["the clock", "bees"])


def test_an_unknown_activation(folder):
    edit_json(folder / "config.json", sbert_ce_default_activation_function="os.system")
    assert "asks for the activation 'os.system'" in refusal(folder)


def test_an_adapter(folder):
    (folder / "adapter_config.json").write_text("{}")
    assert "holds an adapter" in refusal(folder)


def test_a_window_without_room(folder):
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    with pytest.raises(ModelError, match="leaves no room for query and text"):
        open_cross_encoder(folder)


def test_a_device_that_is_not_there(folder):
    with pytest.raises(UsageError, match="no device 'tpu'"):
        open_cross_encoder(folder, device="tpu")


def test_a_model_that_is_nowhere():
    with pytest.raises(ModelNotFound, match="HF_HUB_OFFLINE"):
        open_cross_encoder("cross-encoder/ms-marco-MiniLM-L6-v2")
    with pytest.raises(ModelNotFound, match="there is no such folder"):
        is_cross_encoder("./nowhere")
