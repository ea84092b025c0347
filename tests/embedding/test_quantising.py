"""Weights in 8 bits: a quarter of the bytes, vectors that hardly move, and every form told in numbers."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.embedding import quantising
from searchkit.embedding.embedder import LocalEmbedder, open_embedder
from searchkit.embedding.int8_weights import SCALE, packed, read_packed
from searchkit.embedding.opening import open_in_torch
from searchkit.embedding.quantising import quantise_model, write_quantised
from searchkit.embedding.snapshots import INT8_WEIGHTS
from searchkit.errors import ModelError, UsageError
from tests.embedding.conftest import GOLDEN

MODELS = ("bert-mean", "instructor-gated", "instructor-relu")
TEXTS = ["where is the clock?", "a", "the keeper counts bees, and the rain begins " * 9]


def written(model: str, folder: Path) -> Path:
    plan, _, runtime = open_in_torch(GOLDEN / model, device="cpu")
    write_quantised(plan, runtime, folder)
    return folder


def test_a_matrix_is_kept_to_half_a_step_of_each_row(tmp_path: Path):
    """Rows of very different size each have their own scale; zeros stay zeros; small things stay exact."""
    weights = (
        torch.randn(64, 80, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, 64)[:, None]
    )
    weights[5] = 0
    rest = {"bias": torch.randn(7), "small": torch.randn(3, 4), "ids": torch.arange(5)}
    save_file(packed({"w": weights, **rest}), tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors")["w"].dtype == torch.int8
    read = read_packed(tmp_path / "w.safetensors")
    assert set(read) == {"w", *rest} and all(torch.equal(read[name], one) for name, one in rest.items())
    steps = weights.abs().amax(dim=1, keepdim=True) / 127
    assert ((read["w"] - weights).abs() <= 0.501 * steps + 1e-12).all() and (read["w"][5] == 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_the_folder_is_opened_like_the_model(model: str, tmp_path: Path):
    """Same family, window and files around the weights; vectors nearly the same, no file in float32."""
    folder = written(model, tmp_path / "small")
    ours, exact = (
        open_embedder(one, runtime="torch", precision="float32") for one in (folder, GOLDEN / model)
    )
    assert (ours.family, ours.max_tokens) == (exact.family, exact.max_tokens)
    assert [one.replace(str(folder), str(GOLDEN / model)) for one in ours.notices] == list(exact.notices)
    assert ours.fingerprint()["weights"] != exact.fingerprint()["weights"]
    for instruction in ("", "Represent the question: "):
        cosines = (ours.embed(TEXTS, instruction) * exact.embed(TEXTS, instruction)).sum(1)
        assert 0.999 < cosines.min() < 0.9999999
    assert not (folder / "model.safetensors").exists() and not (folder / "pytorch_model.bin").exists()
    modes = {stat.S_IMODE(one.stat().st_mode) for one in folder.rglob("*") if one.is_file()}
    assert len(modes) == 1 or os.name == "nt"


def test_every_form_is_told_in_numbers(tmp_path: Path):
    """Sizes and cosines of all four, and what the judge says of each."""
    asked = []

    def judge(embedder) -> dict[str, float]:
        asked.append(embedder.embed(TEXTS))
        return {"set": float(len(asked))}

    forms = quantise_model(GOLDEN / "bert-mean", tmp_path / "small", judge)
    assert [one.name for one in forms] == ["float32", "int8 weights", "int8 linears", "int8 graph"]
    assert [one.figures for one in forms] == [{"set": float(at)} for at in range(1, 5)]
    assert forms[0].ratio == 1.0 and forms[0].min_cosine == pytest.approx(1, abs=1e-6)
    for one, vectors in zip(forms[1:], asked[1:], strict=True):
        assert one.ratio > 1.3 and 0.98 < one.min_cosine <= one.mean_cosine < 0.9999999
        assert one.texts_per_second > 0 and np.abs(vectors - asked[0]).max() > 1e-6
    file = tmp_path / "small" / INT8_WEIGHTS
    dense = forms[1].size - file.stat().st_size
    assert dense == 0  # bert-mean has no Dense layer


def test_a_torch_without_dynamic_quantisation_and_a_network_without_a_graph_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The other forms are compared all the same."""
    odd = Path(shutil.copytree(GOLDEN / "bert-mean", tmp_path / "odd"))
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps({**config, "hidden_act": "silu"}))
    monkeypatch.setattr(quantising.torch.ao, "quantization", None)
    forms = {one.name: one for one in quantise_model(odd, tmp_path / "small")}
    assert "has no quantize_dynamic any more" in forms["int8 linears"].refused
    assert "silu" in forms["int8 graph"].refused
    assert forms["int8 weights"].refused == "" and forms["int8 weights"].ratio > 1.3
    none = forms["int8 graph"]
    assert {none.size, none.ratio, none.texts_per_second, none.min_cosine, none.mean_cosine} == {None}


def test_forms_are_timed_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine that grows busy meanwhile slows all of them, not the last one."""
    asked = []
    rows = LocalEmbedder.rows

    def noted(self, tokens):
        asked.append(id(self))
        return rows(self, tokens)

    monkeypatch.setattr(LocalEmbedder, "rows", noted)
    assert len(quantise_model(GOLDEN / "bert-mean", tmp_path / "small")) == 4
    assert len(set(asked[:4])) == 4 and asked == asked[:4] * quantising.ROUNDS


@pytest.mark.parametrize(
    ("said", "told"), [("no engine here\nat all", "no engine here"), ("", "RuntimeError")]
)
def test_a_processor_that_torch_has_no_engine_for_is_told(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By torch's first line, or by the error's name where torch says nothing."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(quantising.torch.ao.quantization, "quantize_dynamic", refuse)
    forms = {one.name: one for one in quantise_model(GOLDEN / "bert-mean", tmp_path / "small")}
    assert forms["int8 linears"].refused == told and forms["int8 graph"].refused == ""


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path):
    """Nor one that is a user's own beside it, however it is called."""
    (tmp_path / "small").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        quantise_model(GOLDEN / "bert-mean", tmp_path / "small")
    own = tmp_path / "other.part" / "thesis.txt"
    own.parent.mkdir()
    own.write_text("years of work")
    written("bert-mean", tmp_path / "other")
    assert own.read_text() == "years of work"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "other.part", "small"]


def test_nothing_is_left_of_a_run_that_failed(tmp_path: Path):
    """Neither under its name, so that the same command can be given again, nor beside it."""

    def failing(embedder: object) -> dict[str, float]:
        assert not (tmp_path / "small").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantise_model(GOLDEN / "bert-mean", tmp_path / "small", failing)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    """Here a file stands where its parent should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file.x cannot be made"):
        quantise_model(GOLDEN / "bert-mean", tmp_path / "file" / "x")


def test_what_is_in_8_bits_is_not_rounded_again(tmp_path: Path):
    """Its figures would be told of a float32 that is none."""
    small = written("bert-mean", tmp_path / "small")
    with pytest.raises(UsageError, match="is in 8 bits already"):
        quantise_model(small, tmp_path / "smaller")
    assert [one.name for one in tmp_path.iterdir()] == ["small"]


def test_only_what_searchkit_reads_is_handed_on(tmp_path: Path):
    """With card, licence, recipe and log; not what else a user keeps there."""
    model = Path(shutil.copytree(GOLDEN / "instructor-gated", tmp_path / "model"))
    kept = (
        "README.md", "LICENSE", "training/recipe.toml", "training/log.jsonl", "training/before/README.md",
        "training/before/before/log.jsonl",
    )  # fmt: skip
    for name in (
        *kept,
        "secrets.json",
        "notes.txt",
        "training/README.md",
        "training/rows.jsonl",
        "eval/results.json",
    ):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("---\nlicense: mit\n---\n# Mine\n")
    plan, _, runtime = open_in_torch(model, device="cpu")
    write_quantised(plan, runtime, tmp_path / "small")
    before, after = (
        {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
        for folder in (model, tmp_path / "small")
    )
    assert after - before <= {INT8_WEIGHTS, "config_sentence_transformers.json"} and set(kept) <= after
    left = {"secrets.json", "notes.txt", "training/README.md", "training/rows.jsonl", "eval/results.json"}
    assert before - after == left | {"pytorch_model.bin", "embeddings.npy"}
    card = (tmp_path / "small" / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\n---\nOnly searchkit opens this folder: its weights")
    assert card.endswith("# Mine\n")


def test_the_card_offers_no_library_that_cannot_open_the_folder(tmp_path: Path):
    """What it says of sentence-transformers is of the whole model."""
    model = Path(shutil.copytree(GOLDEN / "bert-mean", tmp_path / "model"))
    (model / "README.md").write_text(
        "---\nlibrary_name: sentence-transformers\ntags: [sentence-transformers, searchkit]\nlicense: mit\n"
        "---\n"
        "# Mine\n\nfrom sentence_transformers import SentenceTransformer\n"
    )
    plan, _, runtime = open_in_torch(model, device="cpu")
    write_quantised(plan, runtime, tmp_path / "small")
    card = (tmp_path / "small" / "README.md").read_text()
    assert card.startswith("---\ntags: [searchkit]\nlicense: mit\n---\nOnly searchkit opens this folder")
    assert "is true of the folder that this one was made of.\n\n# Mine\n" in card


def test_damaged_files_are_refused(tmp_path: Path):
    """Cut off, or scales without their matrix."""
    folder = written("bert-mean", tmp_path / "small")
    file = folder / INT8_WEIGHTS
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(ModelError, match="cut off"):
        open_embedder(folder, runtime="torch")
    file.write_bytes(whole)
    held = load_file(file)
    name = next(one for one in held if one.endswith(SCALE)).removesuffix(SCALE)
    held.pop(name)
    save_file(held, file)
    with pytest.raises(ModelError, match=r"scales for .* alone"):
        open_embedder(folder, runtime="torch")
