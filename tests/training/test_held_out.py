"""How rows held out judge: a model is right where it finds what the data calls right, and only there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from searchkit.arrays import Float32Matrix
from searchkit.training.batches import groups_of
from searchkit.training.examples import Example, Pair
from searchkit.training.held_out import evaluate_held_out, split, with_rivals


def labelled(count: int, *, named: bool = True) -> list[Example]:
    """Texts of two labels, each in one row."""
    return [
        Example(
            query=("", f"{n % 2} query {n}"),
            positives=(("", f"{n % 2} answer {n}"),),
            negatives=(),
            task="t",
            group=str(n % 2) if named else None,
        )
        for n in range(count)
    ]


def by_label(pairs: Sequence[Pair]) -> Float32Matrix:
    """A model that tells the two labels apart, and nothing else."""
    return np.array([[1, 0] if text[0] == "1" else [0, 1] for _, text in pairs], dtype=np.float32)


def score(rows: list[Example], embed: Callable[[Sequence[Pair]], Float32Matrix]) -> float:
    _, held = split({"t": rows}, 10, 1)
    groups = {"t": groups_of(rows)}
    return evaluate_held_out(with_rivals(held, groups), groups, embed)["score"]


def test_a_model_that_tells_all_labels_apart_is_right():
    """Answers of the same label are no wrong ones; a model that tells nothing has all of them above."""
    assert score(labelled(40), by_label) == 1
    assert score(labelled(40), lambda pairs: by_label([("", "1")] * len(pairs))) < 0.35


def test_rows_held_out_are_tied_by_those_that_are_trained_on():
    """Where groups follow from positives, the few rows held out do not tie each other."""
    rows = labelled(40, named=False)
    hubs = [
        Example(query=("", f"{n % 2} hub"), positives=one.positives, negatives=(), task="t")
        for n, one in enumerate(rows)
    ]
    groups = {"t": groups_of([*rows, *hubs])}
    held = {"t": rows[:10]}
    assert evaluate_held_out(with_rivals(held, groups), groups, by_label)["score"] == 1
    alone = {"t": groups_of(rows[:10])}
    assert evaluate_held_out(with_rivals(held, alone), alone, by_label)["score"] < 0.4


def test_a_task_without_wrong_answers_does_not_judge():
    """All its rows are tied: its score would be 1 whatever the model is."""
    rows = labelled(40)
    held = {"two": rows[:10], "one": rows[0:10:2]}
    groups = {task: groups_of(rows) for task in held}
    assert set(evaluate_held_out(with_rivals(held, groups), groups, by_label)) == {"score", "two"}


def test_a_text_of_two_labels_is_no_rival_of_itself():
    """Its group is the first that it was named, another than its row's."""
    rows = [*labelled(4), Example(
        query=("", "1 query 1"), positives=(("", "0 answer 9"),), negatives=(("", "1"),), task="t", group="0"
    )]  # fmt: skip
    groups = {"t": groups_of(rows)}
    right = lambda pairs: by_label([("", "0" if "9" in text else "1") for _, text in pairs])  # noqa: E731
    assert evaluate_held_out({"t": rows[4:]}, groups, right) == {"score": 0.5, "t": 0.5}


@pytest.mark.parametrize("queries", [1, 2])
def test_holding_out_leaves_something_to_train_on(queries: int):
    """Rows whose query is held out are not trained on; where that would be all of them, none is held out."""
    rows = [
        Example(query=("", f"q{n % queries}"), positives=(("", f"p{n}"),), negatives=(), task="t")
        for n in range(8)
    ]
    trained, held = split({"t": rows}, 1, 1)
    assert (len(trained["t"]), len(held.get("t", []))) == ((8, 0) if queries == 1 else (4, 1))
