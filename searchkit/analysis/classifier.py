"""Applies a stored classifier to vectors, by numpy alone: probabilities, and when to say nothing.

Two things hold an answer back. Its probability lies below the one from which on answers were right as often
as promised, or the text is unlike everything that was learnt: its cosine to the mean of every class is lower
than that of nearly all labelled texts was. A probability cannot tell the second, for it only says which of
the known classes is the likeliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchkit.arrays import BoolVector, Float32Matrix, Float64Matrix, Float64Vector, Int64Vector
from searchkit.library.classifiers import Head


@dataclass(frozen=True, slots=True)
class Judged:
    """What a classifier says of n vectors.

    probabilities: (n, classes) float64, rows sum to 1; best: (n,) the likeliest class; likeness: (n,) the
    cosine to the nearest mean; sure: (n,) whether the probability is high enough; known: (n,) whether the
    text is like those that were learnt.
    """

    probabilities: Float64Matrix
    best: Int64Vector
    likeness: Float64Vector
    sure: BoolVector
    known: BoolVector


def judge(head: Head, vectors: Float32Matrix, *, threshold: float | None, always: bool = False) -> Judged:
    """Apply a classifier to vectors of length 1, (n, dim) float32.

    threshold: the probability from which on an answer is given; None for never. always: nothing is held back.
    """
    rows = vectors.astype(np.float64)
    probabilities = softmax((rows @ head.weights.T + head.intercepts) / head.temperature)
    best = probabilities.argmax(axis=1).astype(np.int64)
    likeness = nearest_cosine(rows, head.means)
    top = probabilities[np.arange(len(best)), best]
    sure = np.full(len(best), always) | (np.False_ if threshold is None else top >= threshold)
    known = np.full(len(best), always) | (likeness >= head.floor)
    return Judged(probabilities, best, likeness, sure, known)


def softmax(logits: Float64Matrix) -> Float64Matrix:
    """Probabilities, row by row; no logit is too large."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    found: Float64Matrix = raised / raised.sum(axis=1, keepdims=True)
    return found


def class_means(vectors: Float32Matrix, labels: Int64Vector, classes: int) -> Float32Matrix:
    """The mean direction of each class, (classes, dim) of length 1; 0 where a class has no direction."""
    sums = np.zeros((classes, vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, labels, vectors)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means: Float32Matrix = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 1e-6).astype(
        np.float32
    )
    return means


def nearest_cosine(rows: Float64Matrix, means: Float32Matrix) -> Float64Vector:
    """The largest cosine of each row to one of the means. Returns: (n,)."""
    nearest: Float64Vector = (rows @ means.T.astype(np.float64)).max(axis=1, initial=-1.0)
    return nearest
