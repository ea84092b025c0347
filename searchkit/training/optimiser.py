"""How weights are moved: AdamW, a rate for each step and each layer. Knows no losses."""

from __future__ import annotations

import math

import torch
from torch import nn

from searchkit.training.settings import OptimiserSettings
from searchkit.training.student import Student


def make_optimiser(student: Student, settings: OptimiserSettings) -> torch.optim.AdamW:
    """AdamW over the trained weights, in groups of one layer; each group's `share` is its part of the rate.

    Biases and norms are not decayed.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in student.trained.items():
        share = settings.layer_decay ** (student.layers - student.depth(name))
        decay = settings.decay if weight.ndim > 1 else 0.0
        groups.setdefault((share, decay), []).append(weight)
    made = [
        {"params": weights, "share": share, "weight_decay": decay, "lr": settings.rate * share}
        for (share, decay), weights in groups.items()
    ]
    return torch.optim.AdamW(made, lr=settings.rate, fused=student.device.split(":")[0] in ("cpu", "cuda"))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's rate to its share of this one."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]


def rate_at(step: int, steps: int, settings: OptimiserSettings) -> float:
    """The rate of a step, counted from 0: up in a straight line, then down as the schedule says."""
    warm = math.ceil(settings.warmup * steps)
    if step < warm:
        return settings.rate * (step + 1) / warm
    if settings.schedule == "constant":
        return settings.rate
    done = (step - warm) / max(1, steps - warm)
    if settings.schedule == "cosine":
        return settings.rate * 0.5 * (1 + math.cos(math.pi * done))
    return settings.rate * (1 - done)
