"""A cross-encoder scores a pair as transformers does, whatever stands beside it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from searchkit.embedding import batching
from searchkit.embedding.cross_encoder import is_cross_encoder, open_cross_encoder
from searchkit.embedding.cross_folder import KINDS, read_cross_folder
from searchkit.embedding.pairs import shares
from searchkit.embedding.sources import find_model
from searchkit.errors import UsageError

from .conftest import edit_json
from .cross_checkpoints import WINDOW, logits, make

QUERY = "who repaired the clock in the tower?"
LONG = "the keeper counts the bees that come home to each hive when the rain begins " * 12
TEXTS = [
    "the clock stopped twice and was repaired by a watchmaker",
    "",
    "bees",
    LONG,
    "the ferry leaves the harbour at six and returns before the evening tide turns",
    LONG[40:],
    *(" ".join(["bees and rain"] * n) for n in range(1, 16)),
    "  spaced  \n out ",
    "\0 lone \ud800 Маяк 你好",
]


def sigmoid(rows: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-rows[:, 0]))


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory, one_thread):
    return make(tmp_path_factory.mktemp("cross") / "bert")


@pytest.fixture(scope="module")
def bert_cross(bert_folder):
    return open_cross_encoder(bert_folder)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_transformers_one_pair_at_a_time(tmp_path, kind, one_thread):
    folder = make(tmp_path / kind, kind)
    texts = TEXTS[:-1]
    found = open_cross_encoder(folder).score(QUERY, texts)
    assert (found.shape, found.dtype) == ((len(texts),), np.float32)
    expected = sigmoid(logits(folder, QUERY, texts))
    assert np.abs(found - expected).max() < 1e-5
    assert np.ptp(expected) > 1e-3  # a network that gives one number for all would pass as well


def test_a_score_does_not_depend_on_its_company(bert_cross):
    together = bert_cross.score(QUERY, TEXTS)
    alone = np.concatenate([bert_cross.score(QUERY, [text]) for text in TEXTS])
    backwards = bert_cross.score(QUERY, TEXTS[::-1])[::-1]
    assert np.abs(together - alone).max() < 1e-6
    assert np.abs(together - backwards).max() < 1e-6


def test_blocks_do_not_change_scores(bert_cross, monkeypatch):
    whole = bert_cross.score(QUERY, TEXTS)
    monkeypatch.setattr(batching, "BLOCK_TEXTS", 4)
    assert np.abs(bert_cross.score(QUERY, TEXTS) - whole).max() < 1e-6


def test_equal_texts_score_equally_to_the_last_bit(bert_cross):
    scores = bert_cross.score(QUERY, [*TEXTS, *TEXTS[::-1]])
    assert (scores[: len(TEXTS)] == scores[len(TEXTS) :][::-1]).all()


def test_no_texts_have_no_scores(bert_cross):
    assert bert_cross.score(QUERY, []).shape == (0,)


def test_query_and_text_are_told_apart(bert_cross):
    """The network is not symmetric: the query's tokens come first and are marked as the query's."""
    there = bert_cross.score("bees and rain", ["the old clock"])
    back = bert_cross.score("the old clock", ["bees and rain"])
    assert abs(float(there[0] - back[0])) > 1e-4


@pytest.mark.parametrize(
    ("kind", "facts", "told"),
    [
        ("bert", {"tokenizer_class": "BertTokenizer"}, True),
        ("bert", {"tokenizer_class": "PreTrainedTokenizerFast"}, True),
        ("bert", {"tokenizer_class": "TokenizersBackend"}, False),
        ("bert", {"model_input_names": ["input_ids", "attention_mask"]}, False),
        ("bert", {"model_input_names": ["input_ids", "token_type_ids"]}, True),
        ("electra", {}, True),
        ("roberta", {}, False),
        ("deberta-v2", {"tokenizer_class": "DebertaV2Tokenizer"}, False),  # its network has no such table
    ],
)
def test_a_network_is_told_the_sides_as_it_was_trained(tmp_path, kind, facts, told, one_thread):
    folder = make(tmp_path / kind, kind)
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    assert read_cross_folder(find_model(folder)).told_sides == told


def test_only_the_end_of_a_long_text_is_cut(bert_folder, bert_cross):
    first = LONG[: len(LONG) // 2]
    scores = bert_cross.score(QUERY, [first, first + "clock " * 500, "clock " + first])
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("text", ["bees", LONG, "bees and rain " * 8])
def test_a_query_longer_than_the_window_leaves_half_of_it_to_the_text(bert_folder, bert_cross, text):
    found = bert_cross.score(LONG, [text])
    assert np.abs(found - sigmoid(logits(bert_folder, LONG, [text]))).max() < 1e-5
    other = bert_cross.score(LONG, ["clock " * 40])
    assert abs(float(found[0] - other[0])) > 1e-5  # the text is still read


@pytest.mark.parametrize(
    ("query", "text", "room", "expected"),
    [
        (3, 5, 8, (3, 5)),
        (3, 6, 8, (3, 5)),
        (4, 90, 8, (4, 4)),
        (5, 90, 8, (4, 4)),
        (5, 90, 9, (4, 5)),
        (90, 5, 9, (5, 4)),
        (90, 2, 9, (7, 2)),
        (90, 90, 9, (4, 5)),
        (90, 0, 9, (9, 0)),
        (0, 90, 9, (0, 9)),
    ],
)
def test_the_longer_of_query_and_text_is_cut_first(query, text, room, expected):
    assert shares(query, text, room) == expected


def test_a_text_of_a_megabyte_is_read_as_far_as_the_window(bert_cross):
    scores = bert_cross.score(QUERY, [LONG * 1100, LONG])
    assert scores[0] == scores[1]


def test_the_activation_is_the_folders_own(tmp_path, one_thread):
    """Newest layout first; without a word a sigmoid, as sentence-transformers has it."""
    folder = make(tmp_path / "bert")
    raw = logits(folder, QUERY, TEXTS[:3])
    identity = "torch.nn.modules.linear.Identity"

    def scores() -> np.ndarray:
        return open_cross_encoder(folder).score(QUERY, TEXTS[:3])

    assert np.abs(scores() - sigmoid(raw)).max() < 1e-5
    edit_json(folder / "config.json", sbert_ce_default_activation_function=identity)
    assert np.abs(scores() - raw[:, 0]).max() < 1e-5
    edit_json(
        folder / "config.json", sentence_transformers={"activation_fn": "torch.nn.modules.activation.Tanh"}
    )
    assert np.abs(scores() - np.tanh(raw[:, 0])).max() < 1e-5
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"activation_fn": identity}))
    assert np.abs(scores() - raw[:, 0]).max() < 1e-5


def test_the_layout_with_modules_is_read(tmp_path, one_thread):
    """From sentence-transformers 5.4 on a cross-encoder has one module, and a prompt before queries."""
    folder = make(tmp_path / "bert")
    plain = open_cross_encoder(folder).score("Query: " + QUERY, TEXTS)
    (folder / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.Transformer"}])
    )
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"transformer_task": "sequence-classification", "modality_config": {}})
    )
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps(
            {
                "model_type": "CrossEncoder",
                "activation_fn": "torch.nn.modules.activation.Sigmoid",
                "prompts": {"query": "Query: "},
                "default_prompt_name": "query",
            }
        )
    )
    opened = open_cross_encoder(folder)
    assert opened.prompt == "Query: "
    assert (opened.score(QUERY, TEXTS) == plain).all()


def test_the_window_is_the_folders_own(tmp_path, one_thread):
    folder = make(tmp_path / "bert")
    assert open_cross_encoder(folder).max_tokens == WINDOW
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
    assert open_cross_encoder(folder).max_tokens == 20
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 2000}))
    assert open_cross_encoder(folder).max_tokens == WINDOW  # as many as there are positions
    (folder / "sentence_bert_config.json").write_text(json.dumps({"do_lower_case": True}))
    edit_json(folder / "tokenizer_config.json", model_max_length=int(1e30))
    assert open_cross_encoder(folder).max_tokens == WINDOW


def test_a_folder_says_what_it_is_before_its_weights_are_read(tmp_path, golden, one_thread):
    folder = make(tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    assert is_cross_encoder(folder)
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.base.Transformer", "path": ""}]')
    assert is_cross_encoder(folder)
    assert not is_cross_encoder(golden / "bert-mean")
    assert not is_cross_encoder("all-MiniLM-L6-v2")


def test_the_door_is_light():
    script = "import searchkit.embedding.cross_encoder, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "tokenizers", "huggingface_hub"} & set(loaded.stdout.split())


def test_what_is_no_text_is_refused(bert_cross):
    with pytest.raises(UsageError, match=r"pass \[text\]"):
        bert_cross.score(QUERY, "one text")
    with pytest.raises(UsageError, match="found a NoneType"):
        bert_cross.score(QUERY, ["bees", None])
    with pytest.raises(UsageError, match="found a int"):
        bert_cross.score(7, ["bees"])
