"""Recipes are read whole or refused: every mistake is named, none is passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchkit.embedding.families import families
from searchkit.errors import TrainingInvalid, UsageError
from searchkit.training.preparing import prepare
from searchkit.training.recipe import load_recipe, recipe_toml
from searchkit.training.settings import TrainingRecipe
from tests.training.conftest import ASK, row

Recipe = Callable[..., TrainingRecipe]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stepz": 5}, "unknown key 'stepz' (did you mean: steps"),
        ({"optimiser": {"rat": 1e-5}}, "[optimiser]: unknown key 'rat' (did you mean: rate"),
        ({"loss": {"name": "in-batch"}}, "[loss] name is 'in-batch' (did you mean: in_batch"),
        ({"loss": {"tasks": {"things": "papper"}}}, "[loss.tasks] things is 'papper' (did you mean: paper"),
        ({"anchor": {"kind": "cosin"}}, "[anchor] kind is 'cosin' (did you mean: cosine"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"steps": True}, "steps is True"),
        ({"batch": 1}, "batch is 1"),
        ({"mix": 1.5}, "mix is 1.5"),
        ({"optimiser": {"rate": "fast"}}, "rate is 'fast'"),
        ({"loss": {"temperature": 0}}, "temperature is 0"),
        ({"data": {"files": "rows.jsonl"}}, "files is 'rows.jsonl'"),
        ({"data": {"weights": {"things": -1}}}, "[data.weights] things is -1"),
        ({"epochs": 1.0}, "both steps and epochs"),
        ({"steps": 0}, "neither steps nor epochs"),
        ({"data": {"files": []}}, "names no data"),
        ({"patience": 2}, "patience"),
        ({"out": 3}, "out is 3"),
        ({"optimizer": {"rate": 1e-5}}, "unknown key 'optimizer' (did you mean: optimiser"),
        ({"held_out": 4}, "unknown key 'held_out', which belongs under [data]"),
        ({"data": {"steps": 4}}, "unknown key 'steps', which belongs at the top, above the first [table]"),
        ({"data": {"temperature": 1}}, "which belongs under [loss] or under [anchor]"),
        ({"data": {"folder": "x"}}, "unknown key 'folder'"),
        ({"lora": {"alpha": 8.0, "targets": ["query"]}}, "[lora] says alpha, targets, but no rank"),
        ({"anchor": {"texts": 4}}, "[anchor] says texts, but no weight"),
        ({"loss": {"queries": True, "guide": "self"}}, "[loss] says queries, guide, which the loss 'paper'"),
        ({"loss": {"name": "in_batch", "guide": "bse"}}, "[loss] guide is 'bse' (did you mean: base"),
        ({"anchor": {"weight": 1.0, "instructions": []}}, "[anchor] instructions is empty"),
        ({"anchor": {"weight": 1.0, "kind": "similarity", "texts": 1}}, "[anchor] texts is 1"),
        ({"data": {"alpha": 400}}, "[data] alpha is 400"),
        ({"data": {"shares": {"things": 1e300}}}, "[data.shares] things is 1e+300"),
        ({"steps": 10**13}, "steps is 1e+13"),
        ({"lora": {"rank": 10**9}}, "[lora] rank is 1e+09"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(recipe: Recipe, change: dict[str, Any], said: str):
    """Saying what was found, with the near name; and what was expected."""
    with pytest.raises(TrainingInvalid) as raised:
        recipe(**change)
    assert said in raised.value.message and raised.value.remedy


def test_what_is_said_with_an_effect_is_let_be(recipe: Recipe, tmp_path: Path):
    """Settings of a loss that a task alone has, those of what is said to be off, guides that are models."""
    recipe(loss={"queries": True, "tasks": {"things": "in_batch"}})
    recipe(lora={"rank": 0, "alpha": 8.0}, anchor={"weight": 0.0, "texts": 4})
    (tmp_path / "bases").mkdir()
    # Of names like "gtr-t5-base", near "base" as they are, nothing but the model is meant.
    known = [one.rpartition("/")[2] for family in families().values() for one in family.models]
    for guide in ("bases", "intfloat/e5-base", "all-MiniLM-L6-v2", *known):
        recipe(loss={"name": "in_batch", "guide": guide})


def test_a_recipe_that_is_no_recipe_is_refused(tmp_path: Path):
    """No file, no TOML, a table that is none, no folder for the run."""
    for text, said in (
        (None, "cannot be read"),
        ("steps = ", "is not TOML"),
        ('out = "x"\ndata = 3', "data is 3"),
        ("steps = 3", "names no folder for the run"),
    ):
        file = tmp_path / "recipe.toml"
        if text is not None:
            file.write_text(text, encoding="utf-8")
        with pytest.raises(TrainingInvalid, match=said):
            load_recipe(file)


def test_a_recipe_written_out_is_read_back_as_an_equal_one(recipe: Recipe, tmp_path: Path):
    """With quotes, odd task names and defaults."""
    asked = recipe(
        data={"weights": {"a b.c": 2.0, 'say "so"': 1.0}, "cap": 5},
        loss={"tasks": {"things": "in_batch"}},
        anchor={"weight": 0.5, "instructions": ["", "Represent: "]},
    )
    file = tmp_path / "again.toml"
    file.write_text(recipe_toml(asked), encoding="utf-8")
    assert load_recipe(file) == asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": {"tasks": {"thing": "in_batch"}}}, r"'thing'.*did you mean: things"),
        ({"anchor": {"weight": 1.0, "tasks": ["thing"]}}, r"'thing'.*did you mean: things"),
        ({"negatives": 0}, "no hard negative"),
        ({"steps": 0, "epochs": 9e6}, r"epochs is 9e\+06: 72,000,000 steps"),
        ({"query_tokens": 9, "document_tokens": 9}, "takes more than half of the window"),
        ({"model": "no/such-model"}, "no/such-model"),
        ({"family": "instructd"}, "instructd"),
        ({"data": {"files": ["*.gz"]}}, "no file is"),
        ({"lora": {"rank": 2, "targets": ["qery"]}}, "qery|needs the package peft"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_first_step(
    recipe: Recipe, change: dict[str, Any], said: str
):
    """Recipe and rows, recipe and model."""
    with pytest.raises(UsageError, match=said):
        prepare(recipe(**change))


@pytest.mark.parametrize(
    ("change", "helps", "helped"),
    [
        (
            {"data": {"weights": {"long": 2.0}}},
            "say long = 0 under [data.weights]",
            {"data": {"weights": {"long": 0}}},
        ),
        (
            {"loss": {"tasks": {"long": "in_batch"}}},
            "leave long out of [loss.tasks]",
            {"loss": {"tasks": {}}},
        ),
        (
            {"anchor": {"weight": 1.0, "tasks": ["things", "long"]}, "data": {"shares": {"long": 2.0}}},
            "leave long out of [anchor] tasks and say long = 0 under [data.weights]",
            {
                "anchor": {"weight": 1.0, "tasks": ["things"]},
                "data": {"weights": {"long": 0}, "shares": {"long": 2.0}},
            },
        ),
    ],
)
def test_what_is_advised_for_a_task_without_room_helps(
    recipe: Recipe, tmp_path: Path, change: dict[str, Any], helps: str, helped: dict[str, Any]
):
    """Wherever the recipe names it: what is done as told is not refused in its turn."""
    long = {**row(0, "long"), "query": [ASK * 4, "where is it"]}
    with (tmp_path / "rows.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(long) + "\n")
    with pytest.raises(TrainingInvalid, match="the recipe names the task 'long'") as raised:
        prepare(recipe(query_tokens=18, document_tokens=18, **change))
    assert raised.value.remedy.endswith(helps)
    assert "long" not in prepare(recipe(query_tokens=18, document_tokens=18, **helped)).examples


def test_rows_whose_instruction_takes_the_window_are_counted(recipe: Recipe, tmp_path: Path):
    """And not trained on: of their texts too little would be read. A task of such rows alone is named."""
    prepared = prepare(recipe(query_tokens=18, document_tokens=18))
    assert prepared.left_out == {} and len(prepared.examples["things"]) == 40 and prepared.notices == ()
    long = {**row(0, "long"), "query": [ASK * 4, "where is it"]}
    lines = [json.dumps(one) for one in (long, long, {**long, "task_name": "things"})]
    (tmp_path / "long.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = {"files": ["rows.jsonl", "long.jsonl"]}
    prepared = prepare(recipe(data=data))
    assert prepared.left_out == {"long": 2, "things": 1} and set(prepared.examples) == {"things", "houses"}
    assert [one.rpartition(": ")[2] for one in prepared.notices] == ["long", "1 of 41 of things"]
    for table in ("weights", "shares"):
        with pytest.raises(TrainingInvalid, match="'long', but the Instruction of each of its 2 rows"):
            prepare(recipe(data={**data, table: {"long": 2.0}}))
    assert prepare(recipe(data={**data, "weights": {"long": 0.0}})).left_out == {"things": 1}


def test_tasks_of_which_nothing_is_learned_are_named(recipe: Recipe, tmp_path: Path):
    """In a batch of theirs the positive stands alone; a recipe of such tasks alone is refused."""
    lone = {key: value for key, value in row(0, "lone").items() if key != "neg"}
    tied = [{**lone, **row(at, "tied"), "neg": None, "group": "one"} for at in range(3)]
    lines = [json.dumps(one) for one in (lone, *tied)]
    (tmp_path / "lone.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    loss = {"name": "in_batch"}
    prepared = prepare(recipe(loss=loss, data={"files": ["rows.jsonl", "lone.jsonl"]}))
    assert [one.rpartition(": ")[2] for one in prepared.notices] == ["lone, tied"]
    free = prepare(recipe(loss={**loss, "groups": False}, data={"files": ["rows.jsonl", "lone.jsonl"]}))
    assert [one.rpartition(": ")[2] for one in free.notices] == ["lone"]
    with pytest.raises(TrainingInvalid, match="no task has two candidates to tell apart: lone, tied"):
        prepare(recipe(loss=loss, data={"files": ["lone.jsonl"]}))


def test_what_should_judge_has_to_be_there(recipe: Recipe, tmp_path: Path):
    """Evaluations without anything to evaluate on are refused before the first step, saying why."""
    with pytest.raises(TrainingInvalid, match="there is nothing to evaluate on"):
        prepare(recipe(evaluate_every=2))
    assert prepare(recipe(evaluate_every=2), judged=True).evaluate is None
    same = [{**row(at), "query": [ASK, "where is it"]} for at in range(8)]
    (tmp_path / "same.jsonl").write_text("\n".join(map(json.dumps, same)) + "\n", encoding="utf-8")
    data = {"files": ["same.jsonl"], "held_out": 2}
    with pytest.raises(TrainingInvalid, match="no task has rows that could be held out"):
        prepare(recipe(evaluate_every=2, data=data))
    prepared = prepare(recipe(data=data))
    assert len(prepared.examples["things"]) == 8 and "do not judge" in prepared.notices[0]
