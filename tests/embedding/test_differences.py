"""A trained model kept as what training changed of its base: small, exact, and never added elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from searchkit.embedding.embedder import open_embedder
from searchkit.embedding.opening import open_in_torch
from searchkit.embedding.quantising import quantise_model, write_quantised
from searchkit.embedding.snapshots import DIFFERENCES
from searchkit.errors import ModelError, ModelNotFound, UsageError
from tests.embedding.conftest import GOLDEN

TEXTS = ["where is the clock?", "a", "the keeper counts bees, and the rain begins " * 9]


def trained(base: Path, folder: Path) -> Path:
    """A copy of a model whose weights moved a little, but for its word embeddings."""
    shutil.copytree(base, folder)
    weights = load_file(folder / "model.safetensors")
    noise = torch.Generator().manual_seed(2)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and "word_embeddings" not in name:
            weights[name] = tensor + 0.05 * tensor.std() * torch.randn(tensor.shape, generator=noise)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def over(base: Path, model: Path, out: Path) -> Path:
    plan, _, runtime = open_in_torch(model, device="cpu")
    write_quantised(plan, runtime, out, str(base))
    return out


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "bert-mean", tmp_path / "base"))


@pytest.fixture
def small(base: Path, tmp_path: Path) -> Path:
    return over(base, trained(base, tmp_path / "trained"), tmp_path / "small")


def test_vectors_are_those_of_the_trained_model(base: Path, small: Path, tmp_path: Path):
    """Nearer than weights in 8 bits come, and not those of the base; what was not trained is not kept."""
    given = {"runtime": "torch", "precision": "float32", "device": "cpu"}
    ours, exact, before = (open_embedder(one, **given) for one in (small, tmp_path / "trained", base))
    wanted = exact.embed(TEXTS, "Represent it: ")
    assert ((ours.embed(TEXTS, "Represent it: ") * wanted).sum(1) > 0.999995).all()
    assert ((before.embed(TEXTS, "Represent it: ") * wanted).sum(1) < 0.9999).all()
    held = load_file(small / DIFFERENCES)
    assert held and not any("word_embeddings" in name for name in held)
    assert not (small / "model.safetensors").exists()
    assert len({one.fingerprint()["weights"] for one in (ours, exact, before)}) == 3


def test_the_graph_of_it_is_that_of_the_trained_model(small: Path, tmp_path: Path):
    """What runs it fast is exported from the sum."""
    ours, exact = (
        open_embedder(one, runtime="onnx", precision="float32", device="cpu")
        for one in (small, tmp_path / "trained")
    )
    assert ((ours.embed(TEXTS) * exact.embed(TEXTS)).sum(1) > 0.999995).all()


def test_the_form_is_told_in_numbers(base: Path, tmp_path: Path):
    """In the place of the weights in 8 bits, and smaller than they."""
    forms = quantise_model(trained(base, tmp_path / "trained"), tmp_path / "small", None, over=str(base))
    assert [one.name for one in forms][:2] == ["float32", "int8 differences"]
    assert forms[1].ratio > 2 and forms[1].min_cosine > 0.99999


@pytest.mark.parametrize("other", ["instructor-gated", "qwen3-embedding-tiny"])
def test_a_model_that_was_not_trained_from_the_base_is_refused(other: str, tmp_path: Path):
    """Nothing is written."""
    with pytest.raises(UsageError, match="was not trained from"):
        over(GOLDEN / other, GOLDEN / "bert-mean", tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_a_base_that_changed_is_not_added_to(base: Path, small: Path):
    """The same name with other weights would make a model that nobody trained."""
    weights = load_file(base / "model.safetensors")
    name = next(one for one in weights if "LayerNorm.weight" in one)
    save_file(weights | {name: weights[name] + 0.01}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"is to be added to .* with the weights .*, found are"):
        open_embedder(small, runtime="torch")


def test_a_base_named_from_here_is_found_from_elsewhere(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The file names its whole path; the card, which is handed on, its folder alone."""
    model = trained(base, tmp_path / "trained")
    (model / "README.md").write_text("# A model\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    over(Path("base"), model, Path("small"))
    monkeypatch.chdir("/")
    assert open_embedder(tmp_path / "small", runtime="torch").dim
    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    assert "differs from `base`" in card and str(tmp_path) not in card


def test_a_base_that_is_gone_is_named(base: Path, small: Path):
    """So that it can be got again."""
    shutil.rmtree(base)
    with pytest.raises(ModelNotFound, match=r"small' holds what differs from another model: .*base'"):
        open_embedder(small, runtime="torch")


def test_made_again_it_is_the_same_file(base: Path, small: Path, tmp_path: Path):
    """By its hash collections know their model."""
    for at in range(5):
        again = over(base, tmp_path / "trained", tmp_path / f"again{at}")
        assert (again / DIFFERENCES).read_bytes() == (small / DIFFERENCES).read_bytes()


def test_a_description_of_another_network_is_refused(small: Path):
    """It shapes the vectors as much as the weights do."""
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))
    with pytest.raises(ModelError, match="is not that of"):
        open_embedder(small, runtime="torch")


def test_differences_that_do_not_say_from_what_or_do_not_fit_are_refused(small: Path):
    """A header without its base; a tensor that the base has no place for."""
    file = small / DIFFERENCES
    with safe_open(file, "pt") as opened:
        said = opened.metadata()
    held = load_file(file)
    save_file(held, file, {"format": "pt"})
    with pytest.raises(ModelError, match="does not say what it is the difference from"):
        open_embedder(small, runtime="torch")
    save_file({**held, "strange": torch.zeros(3)}, file, said)
    with pytest.raises(ModelError, match=r"cannot be added to .*strange"):
        open_embedder(small, runtime="torch")
