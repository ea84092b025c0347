"""A linear layer in integers of 8 bits. Knows matrices and the inputs they were seen with.

Activations get one scale per layer, measured beforehand ("static"): a text's vector then does not depend on
the texts it is embedded with, as it does where the scale is taken from the batch. Weights get one scale per
output. What makes 8 bits too few are input channels a hundred times larger than the others; they are evened
out by scaling channels down and their weights up, after SmoothQuant (arXiv 2211.10438).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Float32Vector

# How much of a channel's size moves into the weights: 0 nothing, 1 all. Choosing it per layer, by the
# square error on calibration texts, made the worst of unseen texts no better (docs/LOG.md).
EXPONENT = 0.75
SMALLEST = 1e-5  # a channel never seen to move, or without weight, counts as this large
# Inputs of unseen texts go beyond those of the calibration; what exceeds the range is clipped.
HEADROOM = 1.05
LEVELS = 255  # of an unsigned byte
WEIGHT_LEVELS = 127
SAMPLED_PER_BATCH = 32  # inputs kept of every batch, to measure what is lost
CONSTANTS = (EXPONENT, SMALLEST, HEADROOM, LEVELS, WEIGHT_LEVELS, SAMPLED_PER_BATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedLinear:
    """A layer as integers: rows * smoothing → bytes → @ weight → * scale * weight_scales."""

    smoothing: Float32Vector  # (in,) what inputs are multiplied with
    scale: np.float32  # of the smoothed inputs: value = (byte - zero_point) * scale
    zero_point: np.uint8
    weight: npt.NDArray[np.int8]  # (in, out)
    weight_scales: Float32Vector  # (out,)
    error: float  # mean square of what is lost, as a share of the output's mean square


class Seen:
    """The inputs of one layer over many texts: their range per channel, and a sample of them."""

    def __init__(self, width: int) -> None:
        self.low = np.zeros(width, dtype=np.float32)  # (in,) of each channel; zero is always within
        self.high = np.zeros(width, dtype=np.float32)
        self._parts: list[Float32Matrix] = []

    def add(self, rows: Float32Matrix) -> None:
        """Take note of inputs: (n, in)."""
        self.low = np.minimum(self.low, rows.min(axis=0))
        self.high = np.maximum(self.high, rows.max(axis=0))
        # Rows stand in the order of texts: evenly spread ones come from all of them.
        self._parts.append(rows[:: max(1, len(rows) // SAMPLED_PER_BATCH)].copy())

    @property
    def sample(self) -> Float32Matrix:
        """(n, in) some of the inputs."""
        return np.concatenate(self._parts)


def quantise(seen: Seen, weight: Float32Matrix) -> QuantisedLinear:
    """Put a layer into 8 bits, with scales for the inputs seen.

    weight: (in, out).
    """
    exact = seen.sample @ weight
    power = max(float(np.square(exact).mean()), float(np.finfo(np.float32).tiny))
    largest = np.maximum(np.maximum(-seen.low, seen.high), SMALLEST)
    heaviest = np.maximum(np.abs(weight).max(axis=1), SMALLEST)
    smoothing = (heaviest ** (1 - EXPONENT) / largest**EXPONENT).astype(np.float32)
    integers, weight_scales = _per_column(weight / smoothing[:, None])
    low, high = (
        HEADROOM * float(np.min(seen.low * smoothing)),
        HEADROOM * float(np.max(seen.high * smoothing)),
    )
    scale = np.float32(max(high - low, SMALLEST) / LEVELS)
    zero_point = np.uint8(np.clip(np.rint(-low / scale), 0, LEVELS))
    levels = np.rint(seen.sample * smoothing / scale) + np.float32(zero_point)
    read = np.clip(levels, 0, LEVELS) - np.float32(zero_point)
    made = (read @ integers.astype(np.float32)) * (scale * weight_scales)
    return QuantisedLinear(
        smoothing=smoothing,
        scale=scale,
        zero_point=zero_point,
        weight=integers,
        weight_scales=weight_scales,
        error=float(np.square(exact - made).mean()) / power,
    )


def _per_column(weight: Float32Matrix) -> tuple[npt.NDArray[np.int8], Float32Vector]:
    """Integers in [-127, 127] and one scale per column."""
    largest = np.abs(weight).max(axis=0)
    scales = (np.where(largest > 0, largest, 1.0) / WEIGHT_LEVELS).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales
