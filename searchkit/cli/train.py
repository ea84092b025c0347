"""`searchkit train RECIPE.toml`, and what makes rows for it: train_rows.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searchkit.cli import output, progress
from searchkit.cli.groups import GroupWithDefault
from searchkit.cli.train_rows import data_command, mine_command
from searchkit.settings import expanded

if TYPE_CHECKING:
    from searchkit.training.settings import TrainingRecipe


@click.group("train", cls=GroupWithDefault)
def train_command() -> None:
    """Train a model to follow Instructions, from rows of your own: searchkit train RECIPE.toml ...

    \b
    searchkit train data --faq faq.csv --out rows.jsonl
    searchkit train mine rows.jsonl --out mined.jsonl
    searchkit train mine.toml --dry-run
    searchkit train mine.toml
    """


train_command.add_command(data_command)
train_command.add_command(mine_command)


@train_command.command("run")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option(
    "--resume/--restart",
    default=None,
    help="Go on from the last checkpoint, or begin anew.  [default: go on]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be trained and how long it would take.")
def run_command(recipe: Path, resume: bool | None, dry_run: bool) -> None:
    """Train as RECIPE.toml says. Ended in any way, the same command goes on from the last checkpoint.

    \b
    out = "runs/mine"              # the model will be runs/mine/model
    steps = 1000
    batch = 32
    evaluate_every = 100
    [data]
    files = ["rows/*.jsonl"]       # relative to the recipe
    held_out = 50                  # rows of each task that judge the model

    On several GPUs: torchrun --nproc-per-node 4 --no-python searchkit train RECIPE.toml
    """
    from searchkit.training.recipe import load_recipe

    read = load_recipe(recipe)
    evaluate = None
    if read.evaluate.sets:
        from searchkit.evaluation.in_training import judged_on

        targets = [read.folder / expanded(one) for one in read.evaluate.sets]
        evaluate = judged_on(targets, read.evaluate.profile or None)
    if dry_run:
        from searchkit.training.processes import place

        if place().rank == 0:
            _show_plan(read)
        return
    from searchkit.training.trainer import train

    with progress.steps() as show:
        done = train(read, evaluate=evaluate, resume=resume, show=show)
    if not done.told_here:
        return
    at = "the last step"
    if done.best_step is not None:  # its scores are in the log, which may be gone
        of = f" of {len(done.scores)} evaluations" if done.scores else ""
        at = f"step {done.best_step}, the best{of}"
    click.echo(f"{done.model}: {done.steps} steps, the weights of {at}")


def _note(notice: str) -> None:
    click.echo(f"Note: {notice}", err=True)


def _show_plan(read: TrainingRecipe) -> None:
    from searchkit.training.planning import plan_training

    plan = plan_training(read)
    shown = output.table("task", "rows", "left out", "steps", "loss")
    for one in plan.tasks:
        shown.add_row(one.task, f"{one.rows:,}", f"{one.left_out:,}", f"{one.steps:,}", one.loss)
    output.console().print(shown)
    tasks = sum(one.rows > 0 for one in plan.tasks)
    click.echo(
        f"{plan.rows:,} rows of {tasks} tasks; {plan.steps:,} steps of {read.batch} rows, "
        f"about {plan.tokens:,.0f} tokens each"
    )
    click.echo(
        f"{plan.weights:,} weights trained in {plan.precision} on {plan.device}; a step takes about "
        f"{plan.seconds:.1f} s, all of them {_duration(plan.seconds * plan.steps)}, evaluations not counted"
    )
    for notice in plan.notices:
        _note(notice)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
