"""A training that is killed at any change on disk goes on to the same losses and weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from searchkit.training.recipe import recipe_toml
from searchkit.training.settings import TrainingRecipe

POINTS = 9


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forks of one process")
def test_killed_anywhere_it_goes_on_to_the_same_losses_and_weights(
    recipe: Callable[..., TrainingRecipe], tmp_path: Path
):
    """kill -9 spread over all that changes on disk: log lines, checkpoints, best weights, the folder."""
    asked = recipe(steps=6, checkpoint_every=2, evaluate_every=3, data={"held_out": 4})
    file = tmp_path / "recipe.toml"
    file.write_text(recipe_toml(asked), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.training.victim", str(file), str(POINTS)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["losses"] == 6 and found["changes"] > 60
    assert len(found["equal"]) == POINTS and all(found["equal"].values()), found
