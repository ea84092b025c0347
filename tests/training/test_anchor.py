"""Anchors: texts that stay near the vectors of the model that training began with, or of another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from searchkit.errors import TrainingInvalid
from searchkit.training.runlog import read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import GOLDEN

pytestmark = pytest.mark.usefixtures("one_thread")
Recipe = Callable[..., TrainingRecipe]


def test_an_anchor_holds_to_the_model_that_is_named(recipe: Recipe):
    """Of a second training: its own beginning, from which nothing is away yet, or the base."""
    base = str(GOLDEN / "bert-mean")
    first = train(recipe(out="first", model=base, steps=6, optimiser={"rate": 1e-2}, dropout=False)).model

    def anchored(out: str, named: str) -> float:
        anchor = {"weight": 1.0, "texts": 4, "model": named}
        asked = recipe(out=out, model=str(first), steps=1, anchor=anchor, dropout=False)
        train(asked)
        return read_log(asked.run_folder / "log.jsonl")[1]["parts"]["anchor"]

    assert abs(anchored("itself", "")) < 1e-5 < 1e-3 < anchored("to-base", base)


def test_an_anchor_whose_vectors_cannot_be_compared_is_refused(recipe: Recipe):
    """Of another width: cosines of its vectors may be compared all the same."""
    wide = {"weight": 1.0, "texts": 4, "model": "all-MiniLM-L6-v2"}
    with pytest.raises(TrainingInvalid, match=r"'all-MiniLM-L6-v2' makes vectors of 384 dimensions.* of \d+"):
        train(recipe(steps=1, anchor=wide))
    assert train(recipe(steps=1, anchor={**wide, "kind": "similarity"})).steps == 1
