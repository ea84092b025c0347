"""Rows about things and colours, tiny networks to train on them, and recipes as short as they can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchkit.training.recipe import recipe_of
from searchkit.training.settings import TrainingRecipe

GOLDEN = Path(__file__).parents[1] / "golden"
THINGS = (
    "clock",
    "ferry",
    "stork",
    "keeper",
    "lamp",
    "oven",
    "rain",
    "tower",
    "bee",
    "chair",
    "table",
    "sea",
)
ASK = "Represent the question for retrieving documents: "
TELL = "Represent the document for retrieval: "


def row(at: int, task: str = "things") -> dict[str, Any]:
    """A row of its own for each number."""
    thing, other = THINGS[at % len(THINGS)], THINGS[(at + 1 + at // len(THINGS)) % len(THINGS)]
    return {
        "query": [ASK, f"where is the {thing} of house {at}"],
        "pos": [TELL, f"house {at} keeps its {thing} beside the {other}"],
        "neg": [TELL, f"house {at + 1} sold the {other} before the rain"],
        "task_name": task,
    }


def write_rows(file: Path, *tasks: tuple[str, int]) -> Path:
    """A JSONL file with so many rows of each task."""
    lines = [json.dumps(row(at, task)) for task, count in tasks for at in range(count)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., TrainingRecipe]:
    """A function that makes a recipe over two tasks, with tables and keys changed as given."""
    write_rows(tmp_path / "rows.jsonl", ("things", 40), ("houses", 24))

    def make(**changes: Any) -> TrainingRecipe:
        table: dict[str, Any] = {
            "out": "run",
            "model": str(GOLDEN / "bert-mean"),
            "steps": 6,
            "batch": 8,
            "query_tokens": 40,
            "document_tokens": 48,
            "precision": "float32",
            "device": "cpu",
            "data": {"files": ["rows.jsonl"]},
        }
        for key, value in changes.items():
            table[key] = {**table.get(key, {}), **value} if isinstance(value, dict) else value
        return recipe_of(table, folder=tmp_path)

    return make
