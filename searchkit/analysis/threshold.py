"""From which cosine on two texts are duplicates: measured in each Collection, for it is another in each.

What is no duplicate has near neighbours, too, and how near is seen beyond the nearest ones: duplicates come in
twos and threes, so that the neighbours of a text from rank FROM_RANK to the last are its null distribution.
Cosines fall about evenly with the logarithm of the rank; the line through both ends says where the nearest
neighbour of the text would lie if it had no duplicate, and how far that scatters (the maximum of many draws is
a Gumbel distribution):

    P(null nearest >= t) = 1 - exp(-exp(-(t - place) / scale))      summed over texts: false(t)
    rate(t)              = false(t) / number of texts that do have a neighbour at t or above

The threshold is the smallest t at which the rate is FALSE_RATE or less. Pairs that a person accepted or rejected
move it: see `decided`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.analysis.knn import Neighbourhood
from searchkit.arrays import Float64Vector

FROM_RANK = 3  # counted from 1
FALSE_RATE = 0.1
LEAST_TEXTS = 30  # fewer say nothing of a distribution
WITHOUT_MEASURE = 0.9
GRID = np.round(np.arange(0.3, 1.0, 0.001), 3)
HIGHEST = 0.999

# How far the measured threshold may be off, and how sharp a person's judgement is, both in cosine.
DOUBT, BLUR = 0.05, 0.02

GIVEN, MEASURED, DECIDED, DEFAULT = "given", "measured", "decided", "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From which cosine on two texts are duplicates, and why.

    how: GIVEN by the user, MEASURED, DECIDED (measured, and moved by decisions), or DEFAULT where
    there are too few texts. false_rate: of the texts with a neighbour this near, the share expected to have
    it by chance; None where that is not known. accepted, rejected: decisions that were counted.
    """

    value: float
    how: str
    false_rate: float | None = None
    accepted: int = 0
    rejected: int = 0


def measured(
    near: Neighbourhood,
    *,
    given: float | None = None,
    accepted: Sequence[float] = (),
    rejected: Sequence[float] = (),
) -> Threshold:
    """The threshold for a Collection. near: of its texts; accepted, rejected: cosines of decided pairs."""
    rates = false_rates(near)
    if given is not None:
        return Threshold(value=given, how=GIVEN, false_rate=_rate_at(rates, given))
    value, how = WITHOUT_MEASURE, DEFAULT
    if rates is not None:
        good = np.flatnonzero(rates <= FALSE_RATE)
        value, how = (float(GRID[good[0]]) if len(good) else HIGHEST), MEASURED
    if accepted or rejected:
        value, how = decided(value, accepted, rejected), DECIDED
    return Threshold(
        value=value,
        how=how,
        false_rate=_rate_at(rates, value),
        accepted=len(accepted),
        rejected=len(rejected),
    )


def false_rates(near: Neighbourhood) -> Float64Vector | None:
    """rate(t) at each t of GRID, never rising; None where there are too few texts or neighbours."""
    cosines = near.cosines.astype(np.float64)
    n, k = cosines.shape
    if n < LEAST_TEXTS or k <= FROM_RANK:
        return None
    slope = (cosines[:, FROM_RANK - 1] - cosines[:, -1]) / np.log(k / FROM_RANK)
    scale = np.maximum(slope, 1e-3)
    place = cosines[:, FROM_RANK - 1] + slope * np.log(FROM_RANK)
    nearest = np.sort(cosines[:, 0])
    rates = np.empty(len(GRID))
    for at, t in enumerate(GRID):
        false = float(-np.expm1(-np.exp(np.minimum(-(t - place) / scale, 50))).sum())
        found = n - int(np.searchsorted(nearest, t, side="left"))
        rates[at] = false / found if found else 0.0
    return np.minimum.accumulate(np.minimum(rates, 1.0))


def _rate_at(rates: Float64Vector | None, value: float) -> float | None:
    if rates is None:
        return None
    return round(float(rates[min(int(np.searchsorted(GRID, value)), len(GRID) - 1)]), 4)


def decided(before: float, accepted: Sequence[float], rejected: Sequence[float]) -> float:
    """The most likely threshold after decisions.

    before: what was measured, taken to be off by DOUBT; a pair is accepted with a probability that rises
    from 0 to 1 around the threshold, over about BLUR on both sides. So one decision moves it little, and
    twenty that contradict it move it to where they agree.
    """
    grid = np.append(GRID, 1.0)
    likely = -(((grid - before) / DOUBT) ** 2) / 2
    for cosines, sign in ((accepted, 1.0), (rejected, -1.0)):
        for cosine in cosines:
            likely -= np.logaddexp(0.0, -sign * (cosine - grid) / BLUR)
    return float(grid[int(np.argmax(likely))])
