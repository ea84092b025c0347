"""A run goes on only as the one that was begun: models and judged sets are known by what is in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from searchkit.errors import TrainingFailed
from searchkit.evaluation.in_training import judged_on
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import GOLDEN

pytestmark = pytest.mark.usefixtures("one_thread")
Recipe = Callable[..., TrainingRecipe]


def write_set(folder: Path, score: float) -> Path:
    """A judged set of three pairs of texts."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [("the clock", "a clock", 5.0), ("the ferry", "the rain", score), ("the sea", "an oven", 0.0)]
    lines = [json.dumps({"a": a, "b": b, "score": worth}) for a, b, worth in texts]
    (folder / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def forget(recipe: TrainingRecipe, *names: str) -> None:
    """Make the last checkpoint one of a searchkit that did not know these facts."""
    file = max((recipe.run_folder / "checkpoints").glob("step-*.safetensors"))
    with safe_open(file, "pt") as opened:
        progress: dict[str, Any] = json.loads(opened.metadata()["searchkit"])
    for name in names:
        del progress["facts"][name]
    save_file(load_file(file), file, {"searchkit": json.dumps(progress)})


@pytest.mark.parametrize("role", ["guide", "teacher"])
def test_another_model_beside_in_a_folder_of_the_same_name_is_noticed(
    recipe: Recipe, tmp_path: Path, role: str
):
    """One copied to another place is the same; a checkpoint that does not know it goes on."""

    def asked(place: str) -> TrainingRecipe:
        if role == "teacher":
            return recipe(steps=2, anchor={"weight": 1.0, "texts": 4, "model": f"{place}/model"})
        return recipe(steps=2, loss={"name": "in_batch", "guide": f"{place}/model"})

    for place in ("a", "b", "copied"):
        shutil.copytree(GOLDEN / "bert-mean", tmp_path / place / "model")
    file = tmp_path / "b" / "model" / "model.safetensors"
    save_file({name: 2 * one for name, one in load_file(file).items()}, file)
    train(asked("a"))
    assert train(asked("copied")).steps == 2
    with pytest.raises(TrainingFailed, match=f"{role} was '"):
        train(asked("b"))
    forget(asked("a"), role)
    assert train(asked("b")).steps == 2


def test_other_judged_sets_of_the_same_name_are_noticed(recipe: Recipe, tmp_path: Path):
    """Those that lie elsewhere are the same; a checkpoint that does not know what judged goes on."""

    def run(place: str) -> int:
        sets = [tmp_path / place / "alike"]
        asked = recipe(steps=2, evaluate_every=2, evaluate={"sets": [str(one) for one in sets]})
        return train(asked, evaluate=judged_on(sets)).steps

    for place, score in (("a", 1.0), ("copied", 1.0), ("b", 2.0)):
        write_set(tmp_path / place / "alike", score)
    run("a")
    assert run("copied") == 2
    with pytest.raises(TrainingFailed, match="judges was '"):
        run("b")
    forget(recipe(), "judges")
    assert run("b") == 2
