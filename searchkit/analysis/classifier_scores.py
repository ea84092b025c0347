"""How good predictions are: right, as probable as they say, and sure from which probability on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchkit.arrays import BoolVector, Float64Matrix, Float64Vector, Int64Vector

BINS = 15  # of probability, equally wide: Guo et al. 2017, arXiv 1706.04599
LEAST_PROBABILITY = 1e-15  # of the right class in a log loss: one certain mistake shall not be infinite
# Precision is promised by the lower bound of a one-sided interval of 90 % (Wilson 1927): what happens to be
# right in few texts is no promise. 0.9 takes at least 15 texts, all of them right.
Z = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """Of one class: how much of what is called so is (precision), how much of it is found (recall)."""

    label: str
    texts: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """From which probability on answers are right often enough, and how many of all texts get one."""

    threshold: float
    coverage: float
    precision: float  # of those texts


def class_scores(true: Int64Vector, said: Int64Vector, classes: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class; 0 where nothing is called so."""
    k = len(classes)
    right = np.bincount(true[true == said], minlength=k)
    called, there = np.bincount(said, minlength=k), np.bincount(true, minlength=k)
    return tuple(
        ClassScore(
            label=label,
            texts=int(there[row]),
            precision=float(right[row] / max(called[row], 1)),
            recall=float(right[row] / max(there[row], 1)),
            f1=float(2 * right[row] / max(called[row] + there[row], 1)),
        )
        for row, label in enumerate(classes)
    )


def log_loss(probabilities: Float64Matrix, true: Int64Vector) -> float:
    """Minus the mean logarithm of the right class's probability."""
    own = probabilities[np.arange(len(true)), true]
    return float(-np.log(np.maximum(own, LEAST_PROBABILITY)).mean())


def calibration_error(top: Float64Vector, right: BoolVector) -> float:
    """Expected calibration error: by how far the likeliest class's probability is off, on average."""
    bins = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    off = np.zeros(BINS)
    np.add.at(off, bins, right - top)
    return float(np.abs(off).sum() / max(len(top), 1))


def lower_bound(right: Float64Vector, count: Float64Vector) -> Float64Vector:
    """The share that is right at least, where `right` of `count` were."""
    share, z2 = np.minimum(right / count, 1.0), Z * Z  # sums of weights round
    middle = share + z2 / (2 * count)
    half = Z * np.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    bound: Float64Vector = (middle - half) / (1 + z2 / count)
    return bound


def reach(
    top: Float64Vector,
    right: BoolVector,
    known: BoolVector,
    precision: float,
    weights: Float64Vector | None = None,
) -> Reach | None:
    """The lowest probability from which on answers are right with this precision; None: there is none.

    top, right, known: (n,) of held-out texts; those that are not `known` get no answer. weights: (n,), None
    where each text is evidence of its own. Passages of one Document are right or wrong together: with weights
    of 1 in all of a Document it counts once. The bound must hold of Documents, the share of texts too.
    """
    order = np.argsort(-top[known], kind="stable")
    ranked, hit = top[known][order], right[known][order].astype(np.float64)
    weight = np.ones(len(ranked)) if weights is None else weights[known][order]
    hits, count = np.cumsum(hit), np.arange(1, len(ranked) + 1, dtype=np.float64)
    bound = lower_bound(np.cumsum(hit * weight), np.cumsum(weight))
    ends_run = np.append(ranked[1:] < ranked[:-1], True)[: len(ranked)]  # equal ones go together
    # A hair of tolerance: 0.9 shall be kept by what is 0.9 but for rounding.
    enough = np.flatnonzero(ends_run & (np.minimum(bound, hits / count) >= precision - 1e-9))
    if not len(enough):
        return None
    last = int(enough[-1])
    return Reach(
        threshold=float(ranked[last]),
        coverage=float(count[last] / len(top)),
        precision=float(hits[last] / count[last]),
    )
