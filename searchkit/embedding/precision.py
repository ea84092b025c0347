"""Which precision a model computes in, and whether that moves its vectors. Knows calibration, no files."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from searchkit.embedding.calibration import Parity, calibration_sha256, parity_of, parity_rows
from searchkit.embedding.hashes import recall, remember
from searchkit.embedding.processor import processor_flags, processor_lines

if TYPE_CHECKING:
    from searchkit.embedding.tokens import Tokens
    from searchkit.embedding.torch_runtime import TorchRuntime

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of processors that multiply it natively
SMALL_MODEL = 5_000_000  # parameters; below, matrices are too small to gain


def settle_precision(asked: str, runtime: TorchRuntime, tokens: Tokens, weights: str) -> str:
    """Put the runtime into the precision asked for, and name the class its vectors belong to.

    'auto' is float32 unless this machine multiplies bfloat16 natively and parity was measured.

    Args:
        asked: 'auto', 'float32' or 'bfloat16'.
        runtime: in float32.
        tokens: the model's.
        weights: hash of everything that shapes float32 vectors but the window.

    Returns: 'float32' or 'bfloat16'; precisions of one class are interchangeable.
    """
    if asked == "float32" or (asked == "auto" and not worthwhile(runtime)):
        return "float32"
    parity = measured_parity(runtime, tokens, weights)
    if asked == "bfloat16" or parity.interchangeable:
        runtime.use_bfloat16()
    runtime.settle()
    return "float32" if parity.interchangeable else runtime.precision


def worthwhile(runtime: TorchRuntime) -> bool:
    """Whether bfloat16 may be faster here: the model is large enough and the device does it natively.

    Measured on CPUs with avx512_bf16 (docs/LOG.md): MiniLM embeds half as many texts again. On CUDA
    neither speed nor the effect of the company was measured in the making of searchkit: there 'auto'
    rests on the parity that `settle_precision` measures on the machine itself.
    """
    if runtime.parameters < SMALL_MODEL:
        return False
    if runtime.device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_capability(runtime.device) >= (8, 0)
    return runtime.device == "cpu" and bool(BFLOAT16_FLAGS & processor_flags())


def measured_parity(runtime: TorchRuntime, tokens: Tokens, weights: str) -> Parity:
    """Compare bfloat16 with float32 on the calibration texts; measured once per machine and weights.

    Leaves the runtime in float32.
    """
    key = {**_machine(runtime.device), "weights": weights, "calibration": calibration_sha256()}
    known = recall("parity", key)
    if known is not None and all(isinstance(known.get(field.name), float) for field in fields(Parity)):
        return Parity(**{field.name: known[field.name] for field in fields(Parity)})
    rows = parity_rows(tokens, runtime.position_limit)
    exact = runtime.rows(rows)
    runtime.use_bfloat16()
    try:
        parity = parity_of(exact, runtime.rows(rows), runtime.rows(rows, token_budget=1))
    finally:
        runtime.use_float32()
    remember("parity", key, asdict(parity))
    return parity


def _machine(device: str) -> Mapping[str, Any]:
    import torch

    name = next((line.split(":")[1].strip() for line in processor_lines() if "model name" in line), "")
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    return {
        "device": device.split(":")[0],
        "name": name or platform.processor(),
        "flags": sorted(flag for flag in processor_flags() if flag.startswith(("avx", "amx", "fma"))),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
