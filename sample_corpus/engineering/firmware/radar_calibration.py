"""Fit the calibration of an OT-400 radar gauge from readings in the test basin.

The basin in Graz is lowered in twelve steps. At every step the reference float and the radar are
read for two minutes. The fit is a straight line, distance_true = offset + slope * distance_radar,
with outliers beyond three scaled median absolute deviations left out (ripples from the pump).

A device passes if the slope is within 0.2 % of one, the offset within 8 mm, and no step deviates
more than 2 mm from the line. The certificate prints slope, offset and the largest deviation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_SLOPE_ERROR = 0.002
MAX_OFFSET_MM = 8.0
MAX_RESIDUAL_MM = 2.0
OUTLIER_MADS = 3.0
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Calibration:
    """Result of one run in the basin; lengths in millimetres."""

    slope: float
    offset_mm: float
    worst_residual_mm: float
    used: int
    dropped: int

    @property
    def passed(self) -> bool:
        """Whether the device may leave the factory."""
        return (
            abs(self.slope - 1) <= MAX_SLOPE_ERROR
            and abs(self.offset_mm) <= MAX_OFFSET_MM
            and self.worst_residual_mm <= MAX_RESIDUAL_MM
        )


def fit(radar_mm: np.ndarray, float_mm: np.ndarray) -> Calibration:
    """Fit one device.

    radar_mm, float_mm: shape (steps,), the medians of each step, in the same order.
    Raises ValueError when fewer than eight steps remain after outliers were removed.
    """
    keep = np.ones(len(radar_mm), dtype=bool)
    for _ in range(3):
        slope, offset = np.polyfit(radar_mm[keep], float_mm[keep], 1)
        residuals = float_mm - (offset + slope * radar_mm)
        spread = MAD_TO_SIGMA * np.median(np.abs(residuals[keep] - np.median(residuals[keep])))
        keep = np.abs(residuals) <= OUTLIER_MADS * max(spread, 0.1)
        if keep.sum() < 8:
            raise ValueError(f"only {keep.sum()} of {len(radar_mm)} steps are usable, 8 are needed: "
                             "clean the antenna, wait for the basin to settle and repeat the run")
    return Calibration(
        slope=float(slope),
        offset_mm=float(offset),
        worst_residual_mm=float(np.abs(residuals[keep]).max()),
        used=int(keep.sum()),
        dropped=int((~keep).sum()),
    )
