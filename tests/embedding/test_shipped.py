"""searchkit-mini, the embedded default: whole, small, of the base it names, and it follows Instructions."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from searchkit.collection.refresh import place_of
from searchkit.embedding.embedder import LocalEmbedder, open_embedder
from searchkit.embedding.snapshots import DIFFERENCES
from searchkit.embedding.sources import find_model
from searchkit.embedding.weights import base_of
from searchkit.errors import ModelNotFound
from searchkit.settings import BASE_MODEL, DEFAULT_MODEL
from searchkit.training.recipe import load_recipe

FOLDER = Path(str(resources.files("searchkit"))) / "models" / "searchkit-mini"
THINGS = ("laptop", "invoice", "car park", "holiday request")
SAID = {
    "question": ("How do I get a new {}?", "Who can help me with my {}?", "Why was my {} refused?"),
    "praise": ("I love how easy the {} was this time.", "The {} worked out perfectly, thank you!"),
    "complaint": ("I am fed up with waiting for the {}.", "What a disappointment, the {} went wrong again."),
}
TEXTS = [(thing, mood, text.format(thing)) for thing in THINGS for mood, of in SAID.items() for text in of]


@pytest.fixture(scope="module")
def mini() -> LocalEmbedder:
    return open_embedder(DEFAULT_MODEL, precision="float32", runtime="torch", device="cpu")


def nearest(model: LocalEmbedder, instruction: str) -> tuple[float, float]:
    """Of how many texts the nearest other one is of the same thing, and of the same mood."""
    vectors = model.embed([text for *_, text in TEXTS], instruction)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    pairs = [(TEXTS[at], TEXTS[other]) for at, other in enumerate(cosines.argmax(axis=1))]
    return tuple(float(np.mean([one[label] == other[label] for one, other in pairs])) for label in (0, 1))


def test_the_instruction_says_what_is_near(mini: LocalEmbedder):
    """The same texts; the base, given the same words, keeps to things."""
    by_thing, by_mood = (
        nearest(mini, f"Represent the message for clustering by {what}: ") for what in ("topic", "sentiment")
    )
    assert by_thing[0] > 0.9 and by_mood[1] > 0.9
    assert by_mood[0] < 0.3
    base = open_embedder(BASE_MODEL, precision="float32", runtime="torch", device="cpu")
    assert nearest(base, "Represent the message for clustering by sentiment: ")[0] > 0.9


def test_without_an_instruction_it_is_near_its_base(mini: LocalEmbedder):
    """So what was found well before still is; and it is not the base itself."""
    texts = [text for *_, text in TEXTS]
    base = open_embedder(BASE_MODEL, precision="float32", runtime="torch", device="cpu")
    cosines = (mini.embed(texts) * base.embed(texts)).sum(axis=1)
    assert 0.9 < cosines.mean() < 0.999


def test_what_is_shipped_is_small_and_names_the_base_that_comes_with_it():
    base = tomllib.loads(
        resources.files("searchkit").joinpath("embedding", "base_model.toml").read_text("utf-8")
    )
    said = base_of(FOLDER / DIFFERENCES)
    assert (said.base, said.base_sha256) == (BASE_MODEL, base["files"]["model.safetensors"])
    assert sum(file.stat().st_size for file in FOLDER.rglob("*")) < 25e6


def test_its_recipes_are_those_of_the_project_and_can_be_read():
    """So that it can be made again: with what it was trained from, in two steps."""
    trained, before = (load_recipe(FOLDER / "training" / place / "recipe.toml") for place in ("", "before"))
    assert (before.model, trained.anchor.model) == (BASE_MODEL, BASE_MODEL)
    recipes = Path(__file__).parents[2] / "benchmarks"
    for kept, name in ((before, "mini-1-follow.toml"), (trained, "mini-2-remember.toml")):
        ours = load_recipe(recipes / name)
        assert (kept.steps, kept.seed, kept.data, kept.anchor, kept.loss, kept.optimiser, kept.card) == (
            ours.steps, ours.seed, ours.data, ours.anchor, ours.loss, ours.optimiser, ours.card,
        )  # fmt: skip
    card = (FOLDER / "README.md").read_text("utf-8")
    assert all(task in card for task in before.card.sources) and "license: apache-2.0" in card


def test_a_folder_of_its_name_at_hand_does_not_take_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Who names no model means it, wherever the command is run; a run of training may well be called so."""
    (tmp_path / "searchkit-mini").mkdir()
    (tmp_path / "searchkit-mini" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_model(DEFAULT_MODEL).folder == FOLDER and place_of(DEFAULT_MODEL) == DEFAULT_MODEL
    assert find_model("./searchkit-mini").folder.resolve() == tmp_path.resolve() / "searchkit-mini"
    assert place_of("./searchkit-mini") == str(tmp_path.resolve() / "searchkit-mini")


def test_an_installation_without_it_says_what_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("searchkit.embedding.sources.resources.files", lambda _: tmp_path)
    with pytest.raises(ModelNotFound, match="'searchkit-mini' is not installed") as caught:
        find_model(DEFAULT_MODEL)
    assert "pip install" in str(caught.value.remedy)
