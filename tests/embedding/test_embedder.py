"""What an Embedder promises to those who use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.embedding import batching, tokens
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.errors import ModelError, UsageError
from searchkit.profile import Instruction, Profile

from .conftest import edit_json

SHORT = Profile(name="p", document=Instruction(literal="Note: "), query=Instruction(literal="Ask: "))
LONG = Profile(name="p", document=Instruction(literal="Represent " + "very " * 40 + "long: "))


def test_the_door_is_light():
    """Neither the file of the interface nor the compatible class loads a heavy library."""
    script = "import searchkit.embedding.embedder, searchkit.compat, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "tokenizers", "huggingface_hub"} & set(loaded.stdout.split())


def test_rows_have_length_one_and_keep_their_order(bert):
    texts = [f"the ferry leaves at {hour} " * (hour % 7 + 1) for hour in range(40)]
    vectors = bert.embed(texts)
    assert (vectors.shape, vectors.dtype) == ((40, bert.dim), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (vectors[[3, 17]] == bert.embed([texts[3], texts[17]])).all()


def test_no_texts_give_no_rows(bert):
    assert bert.embed([]).shape == bert.embed_pairs([]).shape == (0, bert.dim)
    assert bert.count_tokens([]) == []


def test_equal_pairs_go_through_the_network_once(bert, monkeypatch):
    seen: list[int] = []
    run = bert.runtime.rows
    monkeypatch.setattr(bert.runtime, "rows", lambda rows: seen.append(len(rows.ids)) or run(rows))
    vectors = bert.embed_pairs([("", "bees"), ("I: ", "bees"), ("", "bees")])
    assert seen == [2]
    assert (vectors[0] == vectors[2]).all()
    assert not (vectors[0] == vectors[1]).all()


def test_blocks_do_not_change_vectors(bert, monkeypatch):
    texts = [f"bees {n} " * (n % 9 + 1) for n in range(30)]
    whole = bert.embed(texts)
    monkeypatch.setattr(batching, "BLOCK_TEXTS", 7)
    assert (bert.embed(texts) == whole).all()


def test_a_row_is_the_same_in_any_company(bert, instructor, golden_pairs):
    for embedder in (bert, instructor):
        together = embedder.embed_pairs(golden_pairs)
        alone = np.concatenate([embedder.embed_pairs([pair]) for pair in golden_pairs])
        assert np.abs(together - alone).max() <= 1e-6  # not bit for bit: these networks are tiny


def test_truncation_is_counted(bert):
    counted = bert.embed_counted(["bees", "bees and rain " * 30], "Note: ")
    plain = bert.count_tokens(["Note: bees"])[0]
    assert counted.truncated.tolist() == [False, True]
    assert counted.token_counts[0] == plain + 2
    assert counted.token_counts.dtype == np.int64
    assert (counted.vectors == bert.embed(["bees", "bees and rain " * 30], "Note: ")).all()


def test_a_text_that_just_fills_the_window_is_not_truncated(bert):
    room = bert.max_tokens - 2
    counted = bert.embed_counted(["a " * room, "a " * (room + 1)])
    assert counted.token_counts.tolist() == [bert.max_tokens, bert.max_tokens + 1]
    assert counted.truncated.tolist() == [False, True]


HUGE = """
import re, sys
from searchkit.embedding.embedder import open_embedder
texts = {
    "prose": "the ferry leaves the harbour. " * 1_700_000,
    "word": "x" * 50_000_000,
    "blanks": " " * 50_000_000 + "bees",
    "accents": "a\u0301\u4e00\U0001f642" * 4_000_000,
}
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
embedder = open_embedder(sys.argv[1])
embedder.embed(["the ferry leaves the harbour. " * 1000])
before = peak()
counted = embedder.embed_counted([texts[sys.argv[2]]], "Note: ")
print(peak() - before, counted.truncated[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's own peak")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bert-mean", "prose"),
        ("instructor-relu", "prose"),
        ("qwen3-embedding-tiny", "prose"),
        ("bert-mean", "word"),
        ("bert-mean", "blanks"),
        ("instructor-relu", "accents"),
    ],
)
def test_a_text_of_fifty_megabytes_is_embedded_in_bounded_memory(golden, name, text):
    """Its head fills the window; the rest is neither tokenised nor copied more than once or twice."""
    command = [sys.executable, "-c", HUGE, str(golden / name), text]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(output[0]) < 400_000, f"{int(output[0]) / 1000} MB more than before"  # KiB
    assert output[1] == "True"


@pytest.mark.parametrize("name", ["bert-mean", "instructor-relu", "qwen3-embedding-tiny"])
def test_the_head_of_a_text_has_the_tokens_of_the_whole(golden, golden_pairs, name, monkeypatch):
    embedder = open_embedder(golden / name)
    bodies = [
        "the ferry leaves the harbour. " * 2000,
        "  \n " * 900 + "bees, and rain. " * 1500,
        "x" * 30_000,
        " ".join("bees" * n for n in range(300)),
        "\u8239\u79bb\u5f00\u6e2f\u53e3\u3002" * 3000,
        "a\u0301\u0302 " * 4000,
        "bees" + " " * 20_000 + "rain " * 3000,
        "short",
    ]
    pairs = [(instruction, body) for body in bodies for instruction in ("", "Note: ", "rain " * 5000)]
    heads = embedder.tokenise(pairs)
    cut = embedder.embed_pairs(pairs)
    monkeypatch.setattr(tokens, "SMALLEST_HEAD", 10_000_000)
    whole = embedder.tokenise(pairs)
    assert all((one == other).all() for one, other in zip(heads.ids, whole.ids, strict=True))
    assert (heads.masked == whole.masked).all() and (heads.merged == whole.merged).all()
    seen, window = np.minimum(whole.counts, heads.counts), embedder.max_tokens
    assert (heads.counts == seen).all() and ((seen > window) == (whole.counts > window)).all()
    assert (heads.counts < whole.counts).any()
    assert (cut == embedder.embed_pairs(pairs)).all()


@pytest.mark.parametrize("name", ["bert-mean", "instructor-relu", "qwen3-embedding-tiny"])
def test_odd_texts_have_vectors(golden, name):
    embedder = open_embedder(golden / name)
    vectors = embedder.embed(["\0", "lone \ud800", "x" * 100_000, "a b " * 25_000, "🙂" * 1000, "\n"])
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_single_str_is_not_taken_for_a_list(bert):
    for call in (bert.embed, bert.count_tokens, bert.embed_counted):
        with pytest.raises(UsageError, match=r"pass \[text\]"):
            call("one text")


def test_what_is_no_text_is_refused(bert):
    for call in (bert.embed, bert.count_tokens, bert.embed_counted):
        with pytest.raises(UsageError, match="found a NoneType"):
            call(["bees", None])
    for pairs in (["ab"], [("a", "b", "c")], [("a",)]):
        with pytest.raises(UsageError, match=r"expected \(instruction, text\)"):
            bert.embed_pairs(pairs)
    with pytest.raises(UsageError, match="found a int"):
        bert.embed_pairs([("a", 1)])


def test_an_instruction_that_eats_the_window_is_refused_when_indexing_but_embedded_when_asked(instructor):
    with pytest.raises(UsageError, match="may take fewer than 25%"):
        instructor.instruction_for(LONG, "document")
    with pytest.raises(UsageError):
        instructor.check_instruction(LONG.document.render())
    assert instructor.embed(["bees"], LONG.document.render()).shape == (1, instructor.dim)


def test_an_instruction_reaches_the_families_that_take_one(bert, instructor):
    assert instructor.instruction_for(SHORT, "document") == "Note: "
    assert instructor.instruction_for(SHORT, "query") == "Ask: "
    assert bert.instruction_for(SHORT, "document") == ""


def test_notices_tell_what_the_model_does_with_the_profile(bert, instructor):
    assert instructor.notices_for(SHORT) == ()
    assert any("takes no Instruction" in notice for notice in bert.notices_for(SHORT))
    merging = Profile(name="p", document=Instruction(literal="Represent the t"), query=SHORT.query)
    assert any("off by a token" in notice for notice in instructor.notices_for(merging))


def test_equal_files_have_equal_fingerprints_wherever_they_lie(golden, copied):
    folder = copied("bert-mean", to="elsewhere")
    edit_json(folder / "config.json", _name_or_path="someone/else", transformers_version="4.0.0")
    one, other = open_embedder(golden / "bert-mean"), open_embedder(folder)
    assert one.fingerprint() == other.fingerprint()
    assert all(isinstance(value, str) for value in one.fingerprint().values())


def test_whatever_moves_vectors_changes_the_fingerprint(golden, copied):
    original = open_embedder(golden / "instructor-relu").fingerprint()

    def changed(**options) -> set[str]:
        other = open_embedder(options.pop("folder", golden / "instructor-relu"), **options).fingerprint()
        return {key for key in original if original[key] != other[key]}

    assert changed(max_tokens=32) == {"max_tokens"}
    assert changed(family="plain") == {"instruction"}
    assert changed(folder=with_bias(copied("instructor-relu", to="instructor-bias"))) == {"weights", "tail"}
    assert changed(folder=golden / "instructor-gated") >= {"weights", "network"}
    spoiled = copied("instructor-relu", to="instructor-x")
    edit_json(spoiled / "config.json", layer_norm_epsilon=1e-5)
    edit_json(spoiled / "1_Pooling" / "config.json", pooling_mode="max")
    assert changed(folder=spoiled) == {"network", "pooling"}


def with_bias(folder: Path) -> Path:
    """The folder with a bias of zeros in its Dense layer."""
    file = folder / "2_Dense" / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "linear.bias": torch.zeros(len(tensors["linear.weight"]))}, file)
    edit_json(folder / "2_Dense" / "config.json", bias=True)
    return folder


def test_a_tokenizer_is_known_by_its_content_however_a_library_writes_it(golden, copied):
    def fingerprint(folder: Path) -> str:
        return open_embedder(folder).fingerprint()["tokenizer"]

    # As of version 0.1.0: another value would part every Collection from its model.
    original = "a860e93713495223a334efa8ba905b412cc5ad69d10afec4fe284270e226d72b"
    assert fingerprint(golden / "bert-mean") == original
    folder = copied("bert-mean")
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    padding = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None}
    content["padding"] = {**padding, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    file.write_text(json.dumps(dict(reversed(content.items())), indent=3), encoding="utf-8")
    assert fingerprint(folder) == original
    content["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(content), encoding="utf-8")
    assert fingerprint(folder) != original


def test_texts_that_melt_into_the_instruction_are_counted(instructor):
    texts = ["the ferry", "harbour", "bees"]
    assert instructor.embed_counted(texts, "Represent the document: ").border_merges == 0
    merging = instructor.embed_counted(texts, "Represent the t").border_merges
    alone = instructor.tokenise([("", "Represent the t")]).ids[0][:-1].tolist()
    rows = instructor.tokenise([("Represent the t", text) for text in texts]).ids
    assert merging == sum(row[: len(alone)].tolist() != alone for row in rows) > 0


def test_weights_are_hashed_again_when_the_file_changes(copied):
    folder = copied("bert-mean")
    before = open_embedder(folder).fingerprint()["weights"]
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert open_embedder(folder).fingerprint()["weights"] != before


def test_a_bare_transformers_checkpoint_is_pooled_by_the_mean_and_this_is_said(golden, copied, golden_pairs):
    folder = copied("bert-mean")
    for name in ("modules.json", "1_Pooling"):
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
    embedder = open_embedder(folder)
    assert any("does not say how it pools" in notice for notice in embedder.notices)
    expected = np.load(golden / "bert-mean" / "embeddings.npy")
    assert np.allclose(embedder.embed_pairs(golden_pairs), expected, atol=1e-5)


def test_a_checkpoint_may_leave_its_instructions_out_of_the_pooling(golden, copied):
    folder = copied("bert-mean")
    edit_json(folder / "1_Pooling" / "config.json", include_prompt=False)
    masked, pooled = open_embedder(folder), open_embedder(golden / "bert-mean")
    assert (masked.embed(["bees"]) == pooled.embed(["bees"])).all()
    assert not np.allclose(masked.embed(["bees"], "Note: "), pooled.embed(["bees"], "Note: "), atol=1e-3)


def test_lower_casing_is_honoured(golden, copied):
    folder = copied("instructor-relu", to="instructor-lower")
    edit_json(folder / "sentence_bert_config.json", do_lower_case=True)
    lower = open_embedder(folder)
    assert (lower.embed(["BEES"]) == lower.embed(["bees"])).all()
    cased = open_embedder(golden / "instructor-relu")
    assert not (cased.embed(["BEES"]) == cased.embed(["bees"])).all()


def test_every_pooling_gives_a_finite_row_for_every_text(copied, golden_pairs):
    folder = copied("bert-mean")
    modes = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
    edit_json(folder / "1_Pooling" / "config.json", pooling_mode=modes)
    embedder = open_embedder(folder, family="instructor")
    vectors = embedder.embed_pairs(golden_pairs)
    assert vectors.shape == (len(golden_pairs), 6 * 48)
    assert np.isfinite(vectors).all()


def test_another_window_shares_the_network(bert):
    narrow = bert.windowed(10)
    assert (narrow.max_tokens, narrow.fingerprint()["max_tokens"]) == (10, "10")
    assert narrow.runtime is bert.runtime
    with pytest.raises(ModelError, match="1 to 50"):
        bert.windowed(51)


def test_out_of_memory_halves_the_batch(golden, golden_pairs, monkeypatch):
    bert = open_embedder(golden / "bert-mean", runtime="torch")
    expected = bert.embed_pairs(golden_pairs)
    forward = bert.runtime._forward

    def scarce(tokens, batch):
        if len(batch) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return forward(tokens, batch)

    monkeypatch.setattr(bert.runtime, "_budget", bert.runtime._budget)
    monkeypatch.setattr(bert.runtime, "_forward", scarce)
    assert np.abs(bert.embed_pairs(golden_pairs) - expected).max() <= 1e-6
    monkeypatch.setattr(
        bert.runtime, "_forward", lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError())
    )
    with pytest.raises(ModelError, match="does not fit into the memory"):
        bert.embed(["bees"])


@pytest.mark.parametrize("device", ["gpu", "cpu:x", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(golden, device):
    with pytest.raises(UsageError, match="no device"):
        open_embedder(golden / "bert-mean", device=device)


def test_the_interface_is_kept(bert):
    """Whoever is typed against Embedder can use what open_embedder returns."""
    embedder: Embedder = bert
    for name in dir(Embedder):
        if not name.startswith("_"):
            assert hasattr(embedder, name)
