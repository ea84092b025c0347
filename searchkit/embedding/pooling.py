"""From token vectors to one row per text. Knows tensors; nothing of models, files or texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

SMALLEST_WEIGHT = 1e-9  # the reference's: a row with nothing to pool becomes zero, not NaN


def pooled(hidden: Tensor, taking_part: Tensor, modes: tuple[str, ...]) -> Tensor:
    """Pool token vectors, modes side by side.

    Args:
        hidden: (rows, tokens, width) float32.
        taking_part: (rows, tokens) float32, 1 for tokens that are pooled; padding and masked Instructions
            are 0.
        modes: names in MODES.

    Returns: (rows, width * len(modes)) float32.
    """
    return torch.cat([MODES[mode](hidden, taking_part) for mode in modes], dim=1)


def _mean(hidden: Tensor, taking_part: Tensor) -> Tensor:
    return _sum(hidden, taking_part) / taking_part.sum(1, keepdim=True).clamp(min=SMALLEST_WEIGHT)


def _mean_sqrt_len(hidden: Tensor, taking_part: Tensor) -> Tensor:
    return _sum(hidden, taking_part) / taking_part.sum(1, keepdim=True).clamp(min=SMALLEST_WEIGHT).sqrt()


def _weighted_mean(hidden: Tensor, taking_part: Tensor) -> Tensor:
    """The mean with token number i (from 1, masked ones counted) weighing i."""
    numbers = torch.arange(1, hidden.shape[1] + 1, device=hidden.device, dtype=hidden.dtype)
    weights = taking_part * numbers
    return _sum(hidden, weights) / weights.sum(1, keepdim=True).clamp(min=SMALLEST_WEIGHT)


def _max(hidden: Tensor, taking_part: Tensor) -> Tensor:
    highest = hidden.masked_fill(taking_part[..., None] == 0, float("-inf")).max(dim=1).values
    return torch.where(taking_part.any(1, keepdim=True), highest, torch.zeros_like(highest))


def _first(hidden: Tensor, taking_part: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), taking_part.argmax(1)]


def _last(hidden: Tensor, taking_part: Tensor) -> Tensor:
    numbers = torch.arange(1, hidden.shape[1] + 1, device=hidden.device, dtype=hidden.dtype)
    last = (taking_part * numbers).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def _sum(hidden: Tensor, weights: Tensor) -> Tensor:
    return (hidden * weights[..., None]).sum(1)


MODES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "mean": _mean,
        "mean_sqrt_len_tokens": _mean_sqrt_len,
        "weightedmean": _weighted_mean,
        "max": _max,
        "cls": _first,
        "lasttoken": _last,
    }
)
