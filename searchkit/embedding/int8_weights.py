"""A network's weights in a file of integers of 8 bits: a quarter of the bytes. Knows tensors and one file.

Each row of a matrix has a scale of its own. Only the file is small: to be run, weights are made float32
again, and a graph in 8 bits is exported from them as from any others. Kept so are either the weights
themselves, or what training changed of another model's: differences are small, and so is what rounding costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

LEVELS = 127
SCALE = ".row_scales"  # after a matrix's name
SMALLEST = 4096  # numbers; of less the saving is not worth the rounding


def packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices (rows, columns) as int8 with (rows,) float32 scales beside; all else as it is, in float32."""
    made: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if not tensor.is_floating_point():
            made[name] = tensor.contiguous()
            continue
        exact = tensor.detach().float()
        if exact.ndim != 2 or exact.numel() < SMALLEST:
            made[name] = exact.contiguous()
            continue
        largest = exact.abs().amax(dim=1)
        scales = torch.where(largest > 0, largest, torch.ones_like(largest)) / LEVELS
        made[name] = torch.round(exact / scales[:, None]).to(torch.int8).contiguous()
        made[name + SCALE] = scales
    return made


def read_packed(file: Path) -> dict[str, Tensor]:
    """The weights of a file, in float32. Raises: anything; the caller says what it means."""
    from safetensors.torch import load_file

    held = load_file(file)
    scales = {name.removesuffix(SCALE): held.pop(name) for name in list(held) if name.endswith(SCALE)}
    if set(scales) - set(held):
        raise ValueError(f"it has scales for {', '.join(sorted(set(scales) - set(held))[:3])} alone")
    return {
        name: tensor.float() * scales[name][:, None] if name in scales else tensor
        for name, tensor in held.items()
    }


def changed(weights: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What has to be added to a base's weights, in float32; nothing of those that are equal.

    Raises: ValueError: names or shapes are not the same, or integers differ.
    """
    if {name: one.shape for name, one in weights.items()} != {name: one.shape for name, one in base.items()}:
        raise ValueError("its weights are of other names or shapes")
    made: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if torch.equal(tensor, base[name]):
            continue
        if not tensor.is_floating_point():
            raise ValueError(f"{name} differs, which is of integers")
        made[name] = tensor.detach().float() - base[name].float()
    return made
