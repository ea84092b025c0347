"""Trains in processes that kill themselves at the n-th change on disk, then goes on in others.

Prints, as JSON: how many changes there are, and for each point of death whether the run that went on came to
the losses and weights of one that was never killed. Each run is a fork of this process, which has trained
once, with one thread: to load torch and all that it loads anew for each would take minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from searchkit import durable
from searchkit.training import trainer
from searchkit.training.recipe import load_recipe
from searchkit.training.runlog import RunLog, read_log
from searchkit.training.settings import TrainingRecipe


def in_a_fork(work: Callable[[], None]) -> int:
    """Run in a process of its own. Returns: how it ended, as `os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def watched(recipe: TrainingRecipe, kill_at: int) -> None:
    """Train, and die at change number `kill_at` (0: never); leave the count beside the run."""
    steps = itertools.count(1)

    def around(function):
        def stepped(*args, **kwargs):
            if next(steps) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if next(steps) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return stepped

    durable.os.fsync = around(os.fsync)
    Path.replace = around(Path.replace)
    Path.unlink = around(Path.unlink)
    shutil.rmtree = around(shutil.rmtree)
    RunLog.add = around(RunLog.add)
    trainer.train(recipe)
    (recipe.run_folder / "changes").write_text(str(next(steps) - 1))


def came_of(recipe: TrainingRecipe) -> tuple[list[float], list[float], bytes]:
    lines = read_log(recipe.run_folder / "log.jsonl")
    model = recipe.run_folder / "model" / "model.safetensors"
    return (
        [one["loss"] for one in lines if "loss" in one],
        [one["score"] for one in lines if "score" in one],
        model.read_bytes(),
    )


def main() -> None:
    recipe, points = load_recipe(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)  # or a fork would wait for threads that it has not
    trainer.train(recipe)
    whole = came_of(recipe)
    shutil.rmtree(recipe.run_folder)
    assert in_a_fork(lambda: watched(recipe, 0)) == 0
    assert came_of(recipe) == whole
    changes = int((recipe.run_folder / "changes").read_text())
    equal = {}
    for point in range(points):
        kill_at = 1 + round(point * (changes - 1) / max(1, points - 1))
        killed = replace(recipe, out=f"killed-{kill_at}")
        assert in_a_fork(lambda asked=killed, at=kill_at: watched(asked, at)) == -signal.SIGKILL
        assert in_a_fork(lambda asked=killed: trainer.train(asked)) == 0
        equal[kill_at] = came_of(killed) == whole
        shutil.rmtree(killed.run_folder)
    print(json.dumps({"changes": changes, "losses": len(whole[0]), "equal": equal}))


if __name__ == "__main__":
    main()
