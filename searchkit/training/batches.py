"""Which rows a step trains on: one task, drawn by weight, rows in a shuffled order. Knows no tokens.

All of it follows from the seed and the step: a run that is taken up again needs no replay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.errors import TrainingInvalid, near_names
from searchkit.training.examples import Example, Pair
from searchkit.training.settings import MOST_STEPS, DataSettings, TrainingRecipe

_Tied: TypeAlias = str | tuple[str]  # a text, or the name of a group


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The rows of a step, all of one task."""

    task: str
    rows: tuple[int, ...]  # positions among the task's examples
    queries: tuple[Pair, ...]  # (n)
    positives: tuple[Pair, ...]  # (n)
    negatives: tuple[Pair, ...]  # (m)
    owners: Int64Vector  # (m,) the row in the batch that each negative belongs to


def random_for(*parts: object) -> np.random.Generator:
    """A generator that depends on nothing but what is named."""
    digest = hashlib.sha256(repr(parts).encode("utf-8")).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype="<u4"))


def capped(
    examples: Mapping[str, Sequence[Example]], data: DataSettings, seed: int
) -> dict[str, list[Example]]:
    """At most `cap` rows of each task with a weight, drawn without order; tasks in the order of their names.

    Raises:
        TrainingInvalid: a weight or share is given to a task that has no rows, or no task has a weight.
    """
    for name in (*data.weights, *data.shares):
        if name not in examples:
            raise TrainingInvalid(
                f"a weight is given to the task '{name}', which has no rows{near_names(name, examples)}",
                remedy=f"tasks with rows: {', '.join(sorted(examples))}",
            )
    kept: dict[str, list[Example]] = {}
    for task in sorted(examples):
        rows = list(examples[task])
        if data.weights.get(task, 1.0) == 0 or data.shares.get(task, 1.0) == 0:
            continue
        if data.cap is not None and len(rows) > data.cap:
            chosen = random_for(seed, "cap", task).permutation(len(rows))[: data.cap]
            rows = [rows[at] for at in sorted(chosen)]
        kept[task] = rows
    if not kept:
        raise TrainingInvalid("every task has a weight of 0", remedy="give one of them another weight")
    return kept


class Schedule:
    """The batches of a run, by step."""

    def __init__(self, examples: Mapping[str, Sequence[Example]], recipe: TrainingRecipe) -> None:
        self._examples = examples
        self._seed = recipe.seed
        self._batch = recipe.batch
        self._negatives = recipe.negatives
        self.tasks = sorted(examples)
        self.weights = task_weights({task: len(examples[task]) for task in self.tasks}, recipe.data)
        per_epoch = sum(max(1, len(rows) // recipe.batch) for rows in examples.values())
        self.steps = recipe.steps or max(1, round(recipe.epochs * per_epoch))
        if self.steps > MOST_STEPS:
            raise TrainingInvalid(
                f"epochs is {recipe.epochs:g}: {self.steps:,} steps",
                remedy=f"expected at most {MOST_STEPS:,}",
            )
        bounds = np.cumsum([self.weights[task] for task in self.tasks])
        draws = random_for(self._seed, "tasks").random(self.steps)
        self._drawn = np.minimum(np.searchsorted(bounds, draws, side="right"), len(self.tasks) - 1)
        self._turn = np.empty(self.steps, dtype=np.int64)  # how often the step's task was drawn before
        for number in range(len(self.tasks)):
            mine = self._drawn == number
            self._turn[mine] = np.arange(mine.sum())
        self._order = lru_cache(maxsize=2 * len(self.tasks))(self._ordered)

    def turns(self) -> dict[str, int]:
        """How many steps each task has."""
        counts = np.bincount(self._drawn, minlength=len(self.tasks))
        return {task: int(count) for task, count in zip(self.tasks, counts, strict=True)}

    def batch(self, step: int) -> Batch:
        """The rows of a step, counted from 0.

        An order of a task's rows is gone through until fewer are left than a batch takes; those wait for
        another order. So no row is twice in a batch.
        """
        task = self.tasks[self._drawn[step]]
        rows = self._examples[task]
        size = min(self._batch, len(rows))
        per_order = len(rows) // size
        order, place = divmod(int(self._turn[step]), per_order)
        chosen = self._order(task, order)[place * size : (place + 1) * size]
        return self._made(task, [int(row) for row in chosen], random_for(self._seed, "texts", task, step))

    def _ordered(self, task: str, order: int) -> Int64Vector:
        return random_for(self._seed, "order", task, order).permutation(len(self._examples[task]))

    def _made(self, task: str, rows: list[int], random: np.random.Generator) -> Batch:
        examples = [self._examples[task][row] for row in rows]
        positives = [one.positives[_one_of(len(one.positives), random)] for one in examples]
        negatives: list[Pair] = []
        owners: list[int] = []
        for at, one in enumerate(examples):
            count = min(self._negatives, len(one.negatives))
            if count == len(one.negatives):
                drawn = one.negatives
            else:
                places = random.choice(len(one.negatives), size=count, replace=False)
                drawn = tuple(one.negatives[place] for place in places)
            negatives += drawn
            owners += [at] * count
        return Batch(
            task=task,
            rows=tuple(rows),
            queries=tuple(one.query for one in examples),
            positives=tuple(positives),
            negatives=tuple(negatives),
            owners=np.array(owners, dtype=np.int64),
        )


def task_weights(sizes: Mapping[str, int], data: DataSettings) -> dict[str, float]:
    """The share of the steps that each task gets; they add up to 1."""
    weights = {
        task: data.weights.get(task, size**data.alpha) * data.shares.get(task, 1.0)
        for task, size in sizes.items()
    }
    whole = sum(weights.values())
    return {task: weight / whole for task, weight in weights.items()}


def groups_of(examples: Sequence[Example]) -> dict[str, int]:
    """Texts of a task that are tied, directly or through others, share a number.

    A query is tied to its positives, and both to those of all rows that name the same group. A text that rows
    of several groups have is of the first: one wrong label must not make one group of two.

    Rows of labelled texts have to name their label as their group: pairs of texts of one label, of which each
    is in a row or two, tie only a few of them.
    """
    parent: dict[_Tied, _Tied] = {}
    group_of: dict[str, str] = {}

    def root(one: _Tied) -> _Tied:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one in examples:
        texts = [one.query[1], *(text for _, text in one.positives)]
        for text in texts:
            if one.group is None:
                parent[root(text)] = root(texts[0])
            elif group_of.setdefault(text, one.group) == one.group:
                parent[root(text)] = root((one.group,))
    numbers: dict[_Tied, int] = {}
    return {one: numbers.setdefault(root(one), len(numbers)) for one in list(parent) if isinstance(one, str)}


def _one_of(count: int, random: np.random.Generator) -> int:
    return int(random.integers(count)) if count > 1 else 0
