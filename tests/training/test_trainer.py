"""Training a tiny network: it learns, it goes on where it was ended, the same seed gives the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from searchkit.embedding.embedder import open_embedder
from searchkit.training.runlog import read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import ASK, GOLDEN

pytestmark = pytest.mark.usefixtures("one_thread")
Recipe = Callable[..., TrainingRecipe]


def losses(recipe: TrainingRecipe) -> list[float]:
    return [one["loss"] for one in read_log(recipe.run_folder / "log.jsonl") if "loss" in one]


def weights(recipe: TrainingRecipe) -> bytes:
    return (recipe.run_folder / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("model", ["bert-mean", "instructor-relu"])
def test_sixty_steps_lower_the_loss(recipe: Recipe, model: str):
    """The mean loss of the last ten steps is well below that of the first ten."""
    asked = recipe(model=str(GOLDEN / model), steps=60, optimiser={"rate": 2e-3}, loss={"temperature": 0.05})
    train(asked)
    curve = losses(asked)
    assert np.mean(curve[-10:]) < 0.8 * np.mean(curve[:10])


def test_the_same_seed_gives_the_same_weights_and_another_one_others(recipe: Recipe):
    """Byte for byte on a CPU in float32."""
    made = []
    for out, seed in (("one", 1), ("again", 1), ("other", 2)):
        asked = recipe(out=out, seed=seed)
        train(asked)
        made.append(weights(asked))
    assert made[0] == made[1] != made[2]


def test_a_run_that_was_ended_goes_on_to_the_same_losses_and_weights(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    """Ended in the middle of a step, taken up from the checkpoint before it; with dropout and an anchor."""
    from searchkit.training import trainer

    changes = {"steps": 9, "checkpoint_every": 2, "anchor": {"weight": 1.0, "texts": 4}}
    whole = recipe(out="whole", **changes)
    train(whole)
    ended = recipe(out="ended", **changes)
    take_step = trainer.take_step

    def dies(prepared, asked, number):
        if number == 5:
            raise KeyboardInterrupt
        return take_step(prepared, asked, number)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "take_step", dies)
        with pytest.raises(KeyboardInterrupt):
            train(ended)
    assert train(ended).steps == 9
    assert losses(ended) == losses(whole)
    assert weights(ended) == weights(whole)


def test_the_folder_is_read_as_one_that_follows_instructions(recipe: Recipe):
    """Its mark names the family; vectors are those that the network had when training ended."""
    asked = recipe(steps=2)
    made = train(asked)
    opened = open_embedder(made.model, precision="float32", runtime="torch")
    assert opened.family.name == "instructed"
    assert opened.notices == ()
    with_instruction = opened.embed(["the clock"], ASK)
    assert np.abs(with_instruction - opened.embed(["the clock"])).max() > 1e-3
    assert json.loads((made.model / "1_Pooling" / "config.json").read_text())["include_prompt"] is False
