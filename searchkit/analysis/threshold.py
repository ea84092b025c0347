"""From which cosine on two texts are duplicates: measured in each Collection, for it is another in each.

What is no duplicate has near neighbours, too. Two null distributions say how near:

    chance(t)  = share of texts whose third neighbour is at t or above. Duplicates come in twos and threes, so
                 that the third is mostly none: in a handbook of commands it is far nearer than among news.
    unrelated  = mean cosine of all pairs of texts; a way of 0 leads there, of 1 to the same text.

The threshold is where chance(t) falls to CHANCE, but not less than LEAST_WAY, where a Collection
has no duplicates and its nearest are just the least unlike, and not more than MOST_WAY, where texts have many
versions and the third neighbour is a duplicate. What is expected to be found by chance, of all that is found:

    false rate = chance(t) / share of texts whose first neighbour is at t or above

Pairs that a person accepted or rejected move the threshold: see `decided`. On four of five judged sets the
groups come within a tenth of the best F1 of any threshold (LOG "which passages are duplicates?"). They do
not where texts are alike throughout, as product descriptions are: there half of the third neighbours, no
duplicates, are beyond LEAST_WAY. Nothing in the cosines tells that from texts in many versions, so it is
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector

NULL_RANK = 3  # of a text's neighbours, from 1
SAMPLED = 2_048  # texts whose neighbours say enough: the share of a tail of 8 % is known to 0.6 %
CHANCE = 0.08
LEAST_WAY, MOST_WAY = 2 / 3, 0.9
LEAST_TEXTS = 30  # fewer say nothing of a distribution
WITHOUT_MEASURE = 0.9
BLOCK = 8_192  # rows summed at a time

# How far the measured threshold may be off, and how sharp a person's judgement is, both in cosine.
DOUBT, BLUR = 0.05, 0.02
GRID = np.linspace(0.3, 1.0, 701)

GIVEN, MEASURED, DECIDED, DEFAULT = "given", "measured", "decided", "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From which cosine on two texts are duplicates, and why.

    how: GIVEN by the user, MEASURED, DECIDED (measured, and moved by decisions), or DEFAULT where there are
    too few texts. false_rate: of the texts with a neighbour this near, the share expected to have it by
    chance; None where that is not known. accepted, rejected: decisions that were counted. alike: measured
    where most texts have several others near to them, so that a person should look whether it is right.
    """

    value: float
    how: str
    false_rate: float | None = None
    accepted: int = 0
    rejected: int = 0
    alike: bool = False


@dataclass(frozen=True, slots=True)
class Null:
    """How near to each other texts of a Collection are that are no duplicates.

    first, third: (n,) float32 cosines of the neighbours of each text, ascending; unrelated: see above.
    """

    first: Float32Vector
    third: Float32Vector
    unrelated: float

    @property
    def threshold(self) -> float:
        """The cosine that follows from it, to three decimals."""
        return round(
            float(np.clip(np.quantile(self.third, 1 - CHANCE), self._at(LEAST_WAY), self._at(MOST_WAY))), 3
        )

    @property
    def alike(self) -> bool:
        """Whether most texts have a third neighbour that elsewhere could be a duplicate."""
        return bool(np.median(self.third) > self._at(LEAST_WAY))

    def _at(self, way: float) -> float:
        return self.unrelated + way * (1 - self.unrelated)

    def false_rate(self, threshold: float) -> float:
        """What is expected to be found by chance, of all that is found; 0 where nothing is."""
        found, chance = (
            len(one) - int(np.searchsorted(one, threshold, side="left")) for one in (self.first, self.third)
        )
        return round(chance / found, 4) if found else 0.0


def null_of(vectors: Float32Matrix, rows: Int64Vector, cosines: Float32Matrix) -> Null | None:
    """Measure it; None where there are too few texts.

    rows: (n,) those of the vectors that are of different texts; cosines: (m, NULL_RANK) float32 to the
    neighbours of some of them, the nearest first, NaN where one is not known.
    """
    n = len(rows)
    known = cosines[np.isfinite(cosines[:, :NULL_RANK]).all(axis=1)] if n >= LEAST_TEXTS else cosines
    if min(n, len(known)) < LEAST_TEXTS:
        return None
    total = np.zeros(vectors.shape[1])
    for start in range(0, n, BLOCK):
        total += vectors[rows[start : start + BLOCK]].sum(axis=0, dtype=np.float64)
    # Of all pairs but a text with itself, without looking at any of them.
    unrelated = (float(total @ total) - n) / (n * (n - 1))
    return Null(np.sort(known[:, 0]), np.sort(known[:, NULL_RANK - 1]), unrelated)


def threshold_of(
    null: Null | None,
    *,
    given: float | None = None,
    accepted: Sequence[float] = (),
    rejected: Sequence[float] = (),
) -> Threshold:
    """The threshold for a Collection. accepted, rejected: cosines of pairs that a person decided."""
    value, how = (WITHOUT_MEASURE, DEFAULT) if null is None else (null.threshold, MEASURED)
    if given is not None:
        value, how = given, GIVEN
    elif accepted or rejected:
        value, how = decided(value, accepted, rejected), DECIDED
    return Threshold(
        value=value,
        how=how,
        false_rate=None if null is None else null.false_rate(value),
        accepted=len(accepted),
        rejected=len(rejected),
        alike=how == MEASURED and null is not None and null.alike,
    )


def decided(before: float, accepted: Sequence[float], rejected: Sequence[float]) -> float:
    """The most likely threshold after decisions.

    before: what was measured, taken to be off by DOUBT; a pair is accepted with a probability that rises
    from 0 to 1 around the threshold, over about BLUR on both sides. So one decision moves it little, and
    twenty that contradict it move it to where they agree.
    """
    likely = -(((GRID - before) / DOUBT) ** 2) / 2
    for cosines, sign in ((accepted, 1.0), (rejected, -1.0)):
        for cosine in cosines:
            likely -= np.logaddexp(0.0, -sign * (cosine - GRID) / BLUR)
    return round(float(GRID[int(np.argmax(likely))]), 3)
