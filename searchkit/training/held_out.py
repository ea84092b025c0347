"""Rows that are kept from training, and how well a model does on them. Knows an embedder by what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.training.batches import groups_of, random_for
from searchkit.training.examples import Example, Pair

LARGEST_SHARE = 4  # of a task at most one row in so many is held out


def split(
    examples: Mapping[str, Sequence[Example]], rows: int, seed: int
) -> tuple[dict[str, list[Example]], dict[str, list[Example]]]:
    """Rows to train on and rows held out, by task.

    Rows whose query is among those held out are not trained on.

    rows: of each task that are held out, as far as that is no more than a quarter.
    """
    trained: dict[str, list[Example]] = {}
    held: dict[str, list[Example]] = {}
    for task in sorted(examples):
        mine = examples[task]
        order = random_for(seed, "held out", task).permutation(len(mine))
        chosen = {int(row) for row in order[: min(rows, len(mine) // LARGEST_SHARE)]}
        held[task] = [mine[row] for row in sorted(chosen)]
        texts = {one.query[1] for one in held[task]}
        trained[task] = [
            one for row, one in enumerate(mine) if row not in chosen and one.query[1] not in texts
        ]
    return trained, {task: rows for task, rows in held.items() if rows}


def evaluate_held_out(
    held: Mapping[str, Sequence[Example]], embed: Callable[[Sequence[Pair]], Float32Matrix]
) -> dict[str, float]:
    """Per task, the mean reciprocal rank of a query's positive, and 'score', their mean.

    Its rivals are the row's own negatives and the positives of the other rows, as far as these are not tied
    to it.
    """
    ranks: dict[str, float] = {}
    for task, rows in held.items():
        groups = groups_of(rows)
        pairs = [
            *(one.query for one in rows),
            *(one.positives[0] for one in rows),
            *(pair for one in rows for pair in one.negatives[:1]),
        ]
        vectors = embed(pairs)
        queries, positives, negatives = np.split(vectors, [len(rows), 2 * len(rows)])
        cosines = queries @ positives.T
        own = np.diagonal(cosines)[:, None]
        group = np.array([groups[one.query[1]] for one in rows])
        rivals = (cosines >= own) & (group[:, None] != group)
        above = rivals.sum(1)
        with_negatives = [at for at, one in enumerate(rows) if one.negatives]
        if with_negatives:
            above[with_negatives] += (queries[with_negatives] * negatives).sum(1) >= own[with_negatives, 0]
        ranks[task] = float((1 / (1 + above)).mean())
    return {"score": float(np.mean(list(ranks.values()))), **ranks}
