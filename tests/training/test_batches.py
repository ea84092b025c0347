"""Which rows a step has: of one task, each once, following from seed and step alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from searchkit.errors import TrainingInvalid
from searchkit.training.batches import Schedule, capped, groups_of
from searchkit.training.examples import Example, read_examples
from searchkit.training.held_out import split
from searchkit.training.settings import DataSettings, TrainingRecipe
from tests.training.conftest import write_rows

Recipe = Callable[..., TrainingRecipe]


@pytest.fixture
def examples(tmp_path: Path) -> dict[str, list[Example]]:
    """Three tasks of very different sizes."""
    return read_examples([write_rows(tmp_path / "many.jsonl", ("big", 90), ("middle", 20), ("small", 3))])


def test_every_batch_is_of_one_task_and_holds_no_row_twice(recipe: Recipe, examples):
    """Also the task with fewer rows than a batch takes; every row has its turn."""
    schedule = Schedule(examples, recipe(steps=120, batch=8, data={"alpha": 0.5}))
    seen: dict[str, set[int]] = {task: set() for task in examples}
    for step in range(schedule.steps):
        batch = schedule.batch(step)
        assert len(set(batch.rows)) == len(batch.rows) == min(8, len(examples[batch.task]))
        mine = examples[batch.task]
        assert batch.queries == tuple(mine[row].query for row in batch.rows)
        assert batch.negatives == tuple(mine[batch.rows[own]].negatives[0] for own in batch.owners)
        seen[batch.task] |= set(batch.rows)
    assert {task: len(rows) for task, rows in seen.items()} == {"big": 90, "middle": 20, "small": 3}


def test_a_batch_follows_from_seed_and_step_alone(recipe: Recipe, examples):
    """So that a run goes on at any step without going through those before it."""
    first, again, other = (Schedule(examples, recipe(steps=60, seed=seed)) for seed in (1, 1, 2))
    whole = [first.batch(step) for step in range(60)]
    assert [again.batch(step).rows for step in reversed(range(60))] == [one.rows for one in reversed(whole)]
    assert [other.batch(step).rows for step in range(60)] != [one.rows for one in whole]


def test_tasks_are_drawn_by_their_weights(recipe: Recipe, examples):
    """n ** alpha, or a weight of their own, times their share; 0 leaves a task out."""
    made = recipe(
        steps=4000, data={"alpha": 0.0, "weights": {"middle": 3.0, "small": 0.0}, "shares": {"big": 2.0}}
    )
    schedule = Schedule(capped(examples, made.data, 1), made)
    assert schedule.weights == {"big": 0.4, "middle": 0.6}
    assert schedule.turns()["big"] == pytest.approx(1600, abs=120)
    assert Counter(schedule.batch(step).task for step in range(4000)) == schedule.turns()


def test_epochs_count_the_whole_batches_of_all_tasks(recipe: Recipe, examples):
    """11 + 2 + 1 batches of 8 an epoch: a rest that fills no batch is none."""
    assert Schedule(examples, recipe(steps=0, epochs=2.0, batch=8)).steps == 28


def test_a_cap_and_unknown_tasks(examples):
    """At most so many rows of each; a weight for a task that is not there is refused by its near name."""
    assert {task: len(rows) for task, rows in capped(examples, DataSettings(cap=10), 1).items()} == {
        "big": 10,
        "middle": 10,
        "small": 3,
    }
    with pytest.raises(TrainingInvalid, match=r"'midle'.*did you mean: middle"):
        capped(examples, DataSettings(weights={"midle": 1.0}), 1)
    with pytest.raises(TrainingInvalid, match="every task has a weight of 0"):
        capped(examples, DataSettings(weights=dict.fromkeys(examples, 0.0)), 1)


def test_rows_held_out_are_not_trained_on(examples):
    """Nor rows that ask the same; at most a quarter of a task is held out."""
    twice = {**examples, "middle": [*examples["middle"], *examples["middle"]]}
    trained, held = split(twice, 12, 1)
    assert {task: len(rows) for task, rows in held.items()} == {"big": 12, "middle": 10}
    for task, rows in held.items():
        assert not {one.query for one in rows} & {one.query for one in trained[task]}


def test_texts_tied_by_positives_are_of_one_group():
    """Directly or through others, over the rows of a task."""

    def tied(one: str, other: str) -> Example:
        return Example(query=("", one), positives=(("", other),), negatives=(), task="t")

    groups = groups_of([tied("a", "b"), tied("c", "d"), tied("e", "b"), tied("d", "f")])
    assert groups["a"] == groups["b"] == groups["e"] != groups["c"] == groups["d"] == groups["f"]


def test_rows_of_labelled_texts_are_tied_by_the_group_they_name():
    """Each text in one row: pairs alone would tie nothing else. A text of two labels does not make one."""

    def of(label: str, one: str, other: str) -> Example:
        return Example(query=("", one), positives=(("", other),), negatives=(), task="t", group=label)

    rows = [of(f"label {n % 2}", f"q{n}", f"p{n}") for n in range(20)]
    groups = groups_of([*rows, of("label 0", "q2", "p3"), of("label 1", "p2", "p5")])
    assert len(set(groups.values())) == 2
    assert len({groups[f"{side}{n}"] for side in "qp" for n in range(0, 20, 2)}) == 1
    assert groups["q0"] != groups["q1"] == groups["p3"]
