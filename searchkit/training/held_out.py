"""Rows that are kept from training, and how well a model does on them. Knows an embedder by what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix
from searchkit.training.batches import random_for
from searchkit.training.examples import Example, Pair

BoolMatrix: TypeAlias = npt.NDArray[np.bool_]
LARGEST_SHARE = 4  # of a task at most one row in so many is held out


def split(
    examples: Mapping[str, Sequence[Example]], rows: int, seed: int
) -> tuple[dict[str, list[Example]], dict[str, list[Example]]]:
    """Rows to train on and rows held out, by task.

    Rows whose query is among those held out are not trained on; a task of which that would leave none has no
    rows held out.

    rows: of each task that are held out, as far as that is no more than a quarter.
    """
    trained: dict[str, list[Example]] = {}
    held: dict[str, list[Example]] = {}
    for task in sorted(examples):
        mine = examples[task]
        order = random_for(seed, "held out", task).permutation(len(mine))
        chosen = {int(row) for row in order[: min(rows, len(mine) // LARGEST_SHARE)]}
        texts = {mine[row].query[1] for row in chosen}
        left = [one for row, one in enumerate(mine) if row not in chosen and one.query[1] not in texts]
        trained[task] = left or list(mine)
        held[task] = [mine[row] for row in sorted(chosen)] if left else []
    return trained, {task: rows for task, rows in held.items() if rows}


def rivals_of(rows: Sequence[Example], groups: Mapping[str, int]) -> BoolMatrix:
    """(rows, rows) whose positive is a wrong answer to whose query: one that is not tied to it.

    groups: of the texts of all rows of the task; the few held out tie hardly any of them.
    """
    queries = np.array([groups[one.query[1]] for one in rows])
    positives = np.array([groups[one.positives[0][1]] for one in rows])
    wrong: BoolMatrix = queries[:, None] != positives
    np.fill_diagonal(wrong, False)  # of a text that has two labels, only one is its group
    return wrong


def with_rivals(
    held: Mapping[str, Sequence[Example]], groups: Mapping[str, Mapping[str, int]]
) -> dict[str, Sequence[Example]]:
    """By task, rows whose positive has something to be told from; tasks without such rows are left out."""
    kept = {}
    for task, rows in held.items():
        rivals = rivals_of(rows, groups[task]).sum(axis=1)
        kept[task] = [one for at, one in enumerate(rows) if rivals[at] or one.negatives]
    return {task: rows for task, rows in kept.items() if rows}


def evaluate_held_out(
    held: Mapping[str, Sequence[Example]],
    groups: Mapping[str, Mapping[str, int]],
    embed: Callable[[Sequence[Pair]], Float32Matrix],
) -> dict[str, float]:
    """Per task, the mean reciprocal rank of a query's positive, and 'score', their mean.

    Its rivals are the row's own first negative and the positives of the other rows that are not tied to it.

    Args:
        held: rows as `with_rivals` gives them.
        groups: by task, of all texts of queries and positives, as `groups_of` gives them.
        embed: pairs to rows of length 1.
    """
    ranks: dict[str, float] = {}
    for task, rows in held.items():
        pairs = [
            *(one.query for one in rows),
            *(one.positives[0] for one in rows),
            *(pair for one in rows for pair in one.negatives[:1]),
        ]
        vectors = embed(pairs)
        queries, positives, negatives = np.split(vectors, [len(rows), 2 * len(rows)])
        cosines = queries @ positives.T
        own = np.diagonal(cosines)[:, None]
        above = ((cosines >= own) & rivals_of(rows, groups[task])).sum(1)
        with_negatives = [at for at, one in enumerate(rows) if one.negatives]
        if with_negatives:
            above[with_negatives] += (queries[with_negatives] * negatives).sum(1) >= own[with_negatives, 0]
        ranks[task] = float((1 / (1 + above)).mean())
    return {"score": float(np.mean(list(ranks.values()))), **ranks}
