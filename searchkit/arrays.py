"""Array types and the few operations on them that more than one part needs."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float32Matrix: TypeAlias = npt.NDArray[np.float32]  # (rows, dim)
Float32Vector: TypeAlias = npt.NDArray[np.float32]  # (n,)
Float64Matrix: TypeAlias = npt.NDArray[np.float64]  # (rows, dim)
Float64Vector: TypeAlias = npt.NDArray[np.float64]  # (n,)
Int64Vector: TypeAlias = npt.NDArray[np.int64]  # (n,)
BoolVector: TypeAlias = npt.NDArray[np.bool_]  # (n,)


def top_k(scores: Float32Vector, k: int) -> Int64Vector:
    """Positions of the k largest scores, best first; equal scores keep their order.

    Returns: (min(k, len(scores)),) int64.
    """
    k = min(k, len(scores))
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    if k < len(scores):
        # A partition may cut anywhere through a run of equal scores, so that the kept part
        # would depend on memory layout: keep all of the run, then sort stably.
        bound = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= bound)
    else:
        kept = np.arange(len(scores))
    order = np.argsort(-scores[kept], kind="stable")[:k]
    return kept[order].astype(np.int64)
