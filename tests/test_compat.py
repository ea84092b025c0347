"""Programs written against InstructorEmbedding get the same calls and the same vectors."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file

from searchkit.compat import INSTRUCTOR
from searchkit.errors import UsageError

GOLDEN = Path(__file__).parent / "golden"
FOLDER = GOLDEN / "instructor-relu"
PAIR = ["Represent the document for retrieval: ", "the clock stopped twice"]


@pytest.fixture(scope="module")
def model() -> INSTRUCTOR:
    return INSTRUCTOR(str(FOLDER))


@pytest.fixture(scope="module")
def pairs() -> list[list[str]]:
    return json.loads((GOLDEN / "pairs.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_pairs_give_the_reference_vectors(model, pairs, batch_size):
    vectors = model.encode(pairs, batch_size=batch_size)
    assert isinstance(vectors, np.ndarray) and vectors.dtype == np.float32
    assert_allclose(vectors, np.load(FOLDER / "embeddings.npy"), rtol=0, atol=1e-5)
    assert_allclose(model.encode(pairs, normalize_embeddings=True), vectors, rtol=0, atol=0)


def test_a_folder_of_any_name_is_read_as_instructor():
    assert INSTRUCTOR(GOLDEN / "bert-mean")._embedder.family.name == "instructor"


def test_a_single_text_gives_one_vector_and_a_list_gives_rows(model):
    assert model.encode("bees").shape == (32,)
    assert model.encode(["bees"]).shape == (1, 32)
    assert model.encode([PAIR]).shape == (1, 32)
    assert model.encode([]).shape == (0, 32)


@pytest.mark.parametrize("kind", [list, tuple])
def test_two_texts_are_two_texts(model, kind):
    """The reference knows pairs only inside a batch."""
    alone = [model.encode(text) for text in PAIR]
    assert_allclose(model.encode(kind(PAIR)), np.stack(alone), rtol=0, atol=1e-6)


def test_plain_texts_have_no_instruction(model):
    assert (model.encode(["bees", PAIR])[0] == model.encode([["", "bees"]])[0]).all()


def test_the_result_is_an_array_a_tensor_or_a_list_of_tensors(model):
    array = model.encode([PAIR, "bees"])
    tensor = model.encode([PAIR, "bees"], convert_to_tensor=True)
    tensors = model.encode([PAIR, "bees"], convert_to_numpy=False)
    assert isinstance(tensor, torch.Tensor) and tensor.shape == (2, 32)
    assert isinstance(tensors, list) and all(isinstance(row, torch.Tensor) for row in tensors)
    assert (tensor.numpy() == array).all() and (torch.stack(tensors).numpy() == array).all()
    assert model.encode("bees", convert_to_tensor=True).shape == (32,)


def test_token_embeddings_come_without_padding(model):
    states = model.encode([PAIR, "bees"], output_value="token_embeddings")
    ids = model.tokenize([PAIR, "bees"])
    assert [len(tokens) for tokens in states] == ids["attention_mask"].sum(1).tolist()
    assert states[0].shape[1] == 48
    assert model.encode("bees", output_value="token_embeddings").shape == states[1].shape
    ours = model.tokenizer(PAIR[0] + PAIR[1])["input_ids"]
    assert ours == ids["input_ids"][0][: len(ours)].tolist()


def test_everything_at_once_says_which_tokens_were_pooled(model):
    row = model.encode([PAIR], output_value=None)[0]
    assert_allclose(row["sentence_embedding"], model.encode([PAIR])[0], rtol=0, atol=1e-6)
    masked = int(model.tokenize([PAIR])["context_masks"][0])
    assert row["attention_mask"].tolist() == [0] * masked + [1] * (len(row["input_ids"]) - masked)
    assert 1 < masked < len(row["input_ids"])
    assert int(row["context_masks"]) == masked
    dense = load_file(FOLDER / "2_Dense" / "model.safetensors")["linear.weight"]
    projected = dense @ row["token_embeddings"][masked:].mean(0)
    assert_allclose(projected / projected.norm(), row["sentence_embedding"], rtol=0, atol=1e-6)


def test_the_window_can_be_read_and_set():
    model = INSTRUCTOR(FOLDER)
    long = ["Represent: ", "bees and rain " * 40]
    assert model.max_seq_length == model.get_max_seq_length() == 64
    before = model.encode([long])
    model.max_seq_length = 16
    assert model.max_seq_length == 16
    assert model.tokenize([long])["input_ids"].shape == (1, 16)
    assert not np.allclose(model.encode([long]), before, atol=1e-3)


def test_the_device_can_be_named_and_changed(model):
    assert INSTRUCTOR(FOLDER, device="cpu").to("cpu").eval().device == "cpu"
    assert (model.encode(["bees"], device=model.device) == model.encode(["bees"])).all()
    with pytest.raises(UsageError, match="no device"):
        model.encode(["bees"], device="cuda:99")


def test_devices_of_torch_are_taken_and_arguments_stand_where_the_reference_has_them():
    model = INSTRUCTOR(FOLDER, None, torch.device("cpu"), None, True)
    assert (model.device, model._target_device) == ("cpu", torch.device("cpu"))
    assert model.to(torch.device("cpu")).cpu().device == "cpu"
    with pytest.raises(UsageError, match="no device 'cuda:99'"):
        model.cuda(99)
    with pytest.raises(UsageError, match="found modules"):
        INSTRUCTOR(FOLDER, [torch.nn.Identity()])


def test_a_device_for_one_call_is_not_kept(monkeypatch):
    model = INSTRUCTOR(FOLDER, device="cpu")
    expected = model.encode(["bees"])
    model.max_seq_length = 32
    opened: list[str] = []
    open_ = model._open
    monkeypatch.setattr(model, "_open", lambda device: opened.append(str(device)) or open_(device))
    for _ in range(2):
        there = model.encode(["bees"], device=torch.device("cpu", 0))
        assert_allclose(there, expected, rtol=0, atol=1e-6)
    assert (model.device, opened, model._elsewhere["cpu:0"].max_tokens) == ("cpu", ["cpu:0"], 32)


def test_the_cache_folder_is_the_hubs(tmp_path, monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda *_, cache_dir=None, **__: asked.append(cache_dir) or str(FOLDER),
    )
    INSTRUCTOR("some/instructor", cache_folder=str(tmp_path))
    assert asked == [str(tmp_path)]


def test_progress_goes_to_stderr_and_only_if_asked_for(model, capsys):
    quiet = model.encode(["bees", "rain"])
    assert capsys.readouterr() == ("", "")
    assert (model.encode(["bees", "rain"], show_progress_bar=True) == quiet).all()
    assert "embedded 2 of 2" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [[["a", "b", "c"]], [["a"]], [[1, 2]], [5]])
def test_what_is_neither_text_nor_pair_is_refused(model, bad):
    with pytest.raises(UsageError, match=r"expected a text or \[instruction, text\]"):
        model.encode(bad)


def test_an_unknown_output_is_refused(model):
    with pytest.raises(UsageError, match="output_value='logits'"):
        model.encode(["a"], output_value="logits")


def test_the_dimension_is_told(model):
    assert model.get_sentence_embedding_dimension() == 32
