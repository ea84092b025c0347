"""A batch in chunks has the gradients of the whole batch, whether graphs are kept or made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from searchkit.training import stepping
from searchkit.training.preparing import prepare
from searchkit.training.settings import TrainingRecipe
from searchkit.training.stepping import take_step

pytestmark = pytest.mark.usefixtures("one_thread")
Recipe = Callable[..., TrainingRecipe]


def gradients(recipe: TrainingRecipe) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of the first step."""
    prepared = prepare(recipe)
    result = take_step(prepared, recipe, 0)
    return result.loss, {name: one.grad for name, one in prepared.student.trained.items()}


@pytest.mark.parametrize("loss", ["paper", "in_batch"])
def test_chunks_have_the_gradients_of_the_whole_batch(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, loss: str
):
    """One forward of everything; several with their graphs kept; several, each computed twice."""
    asked = recipe(batch=16, dropout=False, loss={"name": loss}, anchor={"weight": 0.5, "texts": 6})
    monkeypatch.setitem(stepping.FORWARD_TOKENS, "cpu", 1 << 20)
    whole_loss, whole = gradients(asked)
    largest = max(float(one.abs().max()) for one in whole.values())
    monkeypatch.setitem(stepping.FORWARD_TOKENS, "cpu", 96)
    for chunk_tokens in (1 << 20, 64):
        loss_of_chunks, chunked = gradients(replace(asked, chunk_tokens=chunk_tokens))
        assert loss_of_chunks == pytest.approx(whole_loss, rel=1e-5)
        for name, one in whole.items():
            torch.testing.assert_close(chunked[name], one, rtol=1e-3, atol=1e-6 * largest)


def test_with_dropout_a_chunk_computed_twice_drops_out_the_same(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    """Gradients are those of the very numbers that the loss saw: equal to those of graphs that were kept."""
    monkeypatch.setitem(stepping.FORWARD_TOKENS, "cpu", 96)
    kept_loss, kept = gradients(recipe(chunk_tokens=1 << 20))
    twice_loss, twice = gradients(recipe(chunk_tokens=96))
    without, _ = gradients(recipe(chunk_tokens=96, dropout=False))
    assert kept_loss == twice_loss != without
    assert all(torch.equal(kept[name], twice[name]) for name in kept)
