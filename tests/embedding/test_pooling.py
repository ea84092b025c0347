"""Every pooling equals arithmetic done by hand, and sees only the tokens that take part."""

from __future__ import annotations

import pytest
import torch

from searchkit.embedding.checkpoint import POOLING_MODES
from searchkit.embedding.pooling import MODES, pooled

# One text of four tokens: the first is a masked Instruction, the last is padding.
HIDDEN = torch.tensor([[[90.0, 91.0], [1.0, 8.0], [4.0, 2.0], [70.0, 71.0]]])
TAKING_PART = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
NOTHING = torch.zeros(1, 4)


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("cls", [1.0, 8.0]),
        ("lasttoken", [4.0, 2.0]),
        ("max", [4.0, 8.0]),
        ("mean", [(1 + 4) / 2, (8 + 2) / 2]),
        ("mean_sqrt_len_tokens", [(1 + 4) / 2**0.5, (8 + 2) / 2**0.5]),
        ("weightedmean", [(2 * 1 + 3 * 4) / 5, (2 * 8 + 3 * 2) / 5]),
    ],
)
def test_a_pooling_equals_arithmetic_by_hand(mode, row):
    assert torch.allclose(pooled(HIDDEN, TAKING_PART, (mode,)), torch.tensor([row]))


def test_several_poolings_stand_side_by_side():
    both = pooled(HIDDEN, TAKING_PART, ("cls", "max"))
    assert both.tolist() == [[1.0, 8.0, 4.0, 8.0]]


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean", "max"])
def test_nothing_to_pool_gives_a_zero_row(mode):
    assert pooled(HIDDEN, NOTHING, (mode,)).tolist() == [[0.0, 0.0]]


def test_every_mode_a_checkpoint_may_name_is_there():
    assert set(MODES) == set(POOLING_MODES)
