"""Which precision a model computes in, and whether that moves its vectors. Knows calibration, no files."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searchkit.embedding.hashes import recall, remember, value_sha256
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.embedding.tokens import Tokens
    from searchkit.embedding.torch_runtime import TorchRuntime

PRECISIONS = ("auto", "float32", "bfloat16")
# A precision as close as this to float32 ranks alike, and its vectors may share a Collection with them.
MIN_COSINE = 0.9999
# How far a text's vector may depend on the texts it is embedded with, in any component.
MAX_COMPANY_EFFECT = 1e-5
SMALL_MODEL = 5_000_000  # parameters; below, matrices are too small to gain
# Calibration ends here, although a window may be longer: quadratic attention would take minutes.
LONGEST_CALIBRATION = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How bfloat16 compares with float32 on the calibration texts."""

    min_cosine: float
    company_effect: float  # largest difference of a component, row alone against row among others

    @property
    def interchangeable(self) -> bool:
        """Whether documents in one precision may be searched with queries in the other."""
        return self.min_cosine >= MIN_COSINE and self.company_effect <= MAX_COMPANY_EFFECT


def settle_precision(asked: str, runtime: TorchRuntime, tokens: Tokens, weights: str) -> str:
    """Put the runtime into the precision asked for, and name the class its vectors belong to.

    'auto' is float32 unless this machine multiplies bfloat16 natively and parity was measured.

    Args:
        asked: one of PRECISIONS.
        runtime: in float32.
        tokens: the model's.
        weights: hash of everything that shapes float32 vectors.

    Returns: 'float32' or 'bfloat16'; precisions of one class are interchangeable.
    Raises: UsageError: the precision is unknown.
    """
    if asked not in PRECISIONS:
        raise UsageError(
            f"no precision '{asked}'",
            remedy=f"known: {', '.join(PRECISIONS)}; float16 overflows in T5 and is not offered",
        )
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
    return runtime.device == "cpu" and bool({"avx512_bf16", "amx_bf16"} & processor_flags())


def measured_parity(runtime: TorchRuntime, tokens: Tokens, weights: str) -> Parity:
    """Compare bfloat16 with float32 on the calibration texts; measured once per machine and weights.

    Leaves the runtime in float32.
    """
    key = {**_machine(runtime.device), "weights": weights, "texts": value_sha256(calibration_texts())}
    known = recall("parity", key)
    if known is not None and all(isinstance(known.get(field.name), float) for field in fields(Parity)):
        return Parity(**{field.name: known[field.name] for field in fields(Parity)})
    rows = tokens.rows([("", text) for text in _up_to_window(tokens)])
    exact = runtime.rows(rows)
    runtime.use_bfloat16()
    try:
        together = runtime.rows(rows)
        alone = runtime.rows(rows, token_budget=1)
    finally:
        runtime.use_float32()
    parity = Parity(
        min_cosine=float((exact * together).sum(1).min()),
        company_effect=float(np.abs(together - alone).max()),
    )
    remember("parity", key, {"min_cosine": parity.min_cosine, "company_effect": parity.company_effect})
    return parity


def calibration_texts() -> list[str]:
    """Texts of one token to a long paragraph, in several languages and scripts."""
    file = resources.files("searchkit").joinpath("embedding", "calibration.txt")
    return file.read_text(encoding="utf-8").splitlines()


def processor_flags() -> set[str]:
    """What the processor says it can do; empty where the system does not tell."""
    lines = _processor_lines()
    return set(next((line.split(":")[1].split() for line in lines if line.startswith("flags")), ()))


def _up_to_window(tokens: Tokens) -> list[str]:
    """The calibration texts, and some joined so that lengths reach the window."""
    texts = calibration_texts()
    window = min(tokens.max_tokens, LONGEST_CALIBRATION)
    counts = np.cumsum(tokens.count(texts[::-1]))
    for share in (0.5, 0.75, 1.0):
        enough = min(int(np.searchsorted(counts, share * window)) + 1, len(texts))
        texts = [*texts, " ".join(calibration_texts()[::-1][:enough])]
    return texts


def _machine(device: str) -> Mapping[str, Any]:
    import torch

    name = next((line.split(":")[1].strip() for line in _processor_lines() if "model name" in line), "")
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    return {
        "device": device.split(":")[0],
        "name": name or platform.processor(),
        "flags": sorted(flag for flag in processor_flags() if flag.startswith(("avx", "amx", "fma"))),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
