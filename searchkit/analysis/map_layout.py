"""Places vectors on a plane so that near ones stay near: t-SNE, or UMAP where that is installed.

The same vectors give the same places, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.analysis.knn import neighbours
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from openTSNE.affinity import PerplexityBasedNN

Places: TypeAlias = npt.NDArray[np.float64]  # (n, 2)
# Told, while it computes, how far it is: from 0 to 1.
OnProgress: TypeAlias = Callable[[float], None]

METHODS = ("tsne", "umap")
PERPLEXITY = 30.0
NEIGHBOURS_PER_PERPLEXITY = 3  # farther ones weigh nothing
LEAST_TSNE = 8  # different vectors; fewer are shown by their two principal components
FFT_ROWS = 12_000  # from there on the grid of the FFT costs less than the tree of Barnes and Hut (LOG)
THREADS_FROM = 3_000  # rows; fewer are done sooner than threads that wait for each other on a busy machine
EARLY_ROUNDS, ROUNDS, TOLD_EVERY = 250, 500, 25
UMAP_NEIGHBOURS = 15
COPY_STEP = 0.0035  # of the map's width: from a passage to the next one with the same vector
MOST_SPREAD = 0.03  # from the first of many copies to the last
GOLDEN_ANGLE = np.pi * (3 - 5**0.5)  # between two seeds of a sunflower, which never lie on each other


def positions(
    vectors: Float32Matrix, *, method: str = "tsne", seed: int = 0, on_progress: OnProgress | None = None
) -> Places:
    """Where each vector lies on the map.

    vectors: (n, dim) float32 of length 1. Returns: (n, 2) float64 in 0 to 1, both axes in one scale;
    equal vectors lie around one place, as seeds in a sunflower.
    Raises: UsageError: umap-learn is not installed.
    """
    first, copy_of = _different(vectors)
    if method == "umap":
        umap = require_umap()
    different = np.ascontiguousarray(vectors[first])
    if len(different) < LEAST_TSNE:
        placed = _principal(different)
    elif method == "umap":
        placed = _umap(umap, different, seed)
    else:
        placed = _tsne(different, seed, on_progress)
    if not np.isfinite(placed).all():  # vectors that differ by less than float32 can tell
        placed = _principal(different)
    return _fitted(_spread(_fitted(placed), copy_of))


def require_umap() -> Any:
    """The module `umap`. Raises: UsageError: it is not installed."""
    try:
        import umap
    except ImportError as error:
        raise UsageError(
            "a map by UMAP needs the package umap-learn, which is not installed",
            remedy="install it with: pip install umap-learn, or leave out --method umap",
        ) from error
    return umap


def _different(vectors: Float32Matrix) -> tuple[list[int], Int64Vector]:
    """The first row of each different vector, and for every row which of them it is."""
    first: list[int] = []
    seen: dict[bytes, int] = {}
    copy_of = np.empty(len(vectors), dtype=np.int64)
    for row, vector in enumerate(vectors):
        place = seen.setdefault(vector.tobytes(), len(first))
        if place == len(first):
            first.append(row)
        copy_of[row] = place
    return first, copy_of


def _principal(vectors: Float32Matrix) -> Places:
    """The two directions in which few vectors differ most."""
    placed = np.zeros((len(vectors), 2))
    if len(vectors) > 1:
        centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
        left, sizes, directions = np.linalg.svd(centred, full_matrices=False)
        # Either sign is right; the same one each time.
        signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
        found = (left * sizes * signs)[:, :2]
        placed[:, : found.shape[1]] = found
    return placed


def _tsne(vectors: Float32Matrix, seed: int, on_progress: OnProgress | None) -> Places:
    from openTSNE import TSNEEmbedding
    from openTSNE.initialization import pca

    affinities = _affinities(vectors)
    start = pca(vectors, random_state=seed).astype(np.float64)
    rows = len(vectors)

    def from_round(done: int) -> dict[str, Any]:
        def tell(this_round: int, error: float, embedding: object) -> None:
            if on_progress is not None:
                on_progress((done + this_round) / (EARLY_ROUNDS + ROUNDS))

        return {"callbacks": tell, "callbacks_every_iters": TOLD_EVERY}

    embedding = TSNEEmbedding(
        start,
        affinities,
        negative_gradient_method="fft" if rows >= FFT_ROWS else "bh",
        n_jobs=_threads(len(vectors)),
        random_state=seed,
    )
    embedding = embedding.optimize(EARLY_ROUNDS, exaggeration=12, momentum=0.5, **from_round(0))
    embedding = embedding.optimize(ROUNDS, momentum=0.8, **from_round(EARLY_ROUNDS))
    return np.asarray(embedding, dtype=np.float64)


def _affinities(vectors: Float32Matrix) -> PerplexityBasedNN:
    """How much each vector belongs to its neighbours, by distance."""
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / NEIGHBOURS_PER_PERPLEXITY)
    near = neighbours(vectors, int(NEIGHBOURS_PER_PERPLEXITY * perplexity))
    missing = near.rows < 0  # looked for in lists, a row may have fewer: its nearest stands for the rest
    rows = np.where(missing, near.rows[:, :1], near.rows)
    cosines = np.where(missing, near.cosines[:, :1], near.cosines).astype(np.float64)
    distances = np.sqrt(np.maximum(0, 2 - 2 * cosines))  # of unit vectors
    return PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=PrecomputedNeighbors(rows, distances),
        n_jobs=_threads(len(vectors)),
    )


def _threads(rows: int) -> int:
    """As openTSNE counts them: -1 for all there are. The places do not depend on it."""
    return -1 if rows >= THREADS_FROM else 1


def _umap(umap: Any, vectors: Float32Matrix, seed: int) -> Places:
    neighbours_of_each = min(UMAP_NEIGHBOURS, len(vectors) - 1)
    # One thread: with more, UMAP's places are others each time.
    made = umap.UMAP(n_neighbors=neighbours_of_each, metric="cosine", random_state=seed, n_jobs=1, init="pca")
    return np.asarray(made.fit_transform(vectors), dtype=np.float64)


def _spread(placed: Places, copy_of: Int64Vector) -> Places:
    """A place for every row: the first copy in the middle, the others around it."""
    order = np.argsort(copy_of, kind="stable")
    copies = np.bincount(copy_of, minlength=len(placed))
    starts = np.cumsum(copies) - copies
    nth = np.empty(len(copy_of), dtype=np.float64)
    nth[order] = np.arange(len(order)) - starts[copy_of[order]]
    around = np.stack([np.cos(nth * GOLDEN_ANGLE), np.sin(nth * GOLDEN_ANGLE)], axis=1)
    step = np.minimum(COPY_STEP, MOST_SPREAD / np.sqrt(np.maximum(copies, 1)))[copy_of]
    spread: Places = placed[copy_of] + around * (step * np.sqrt(nth))[:, None]
    return spread


def _fitted(placed: Places) -> Places:
    """In the middle of the square from 0 to 1, as large as fits, both axes in one scale."""
    if not len(placed):
        return placed
    low, high = placed.min(axis=0), placed.max(axis=0)
    size = float((high - low).max())
    fitted: Places = (placed - (low + high) / 2) / (size if size > 0 else 1) + 0.5
    return fitted
