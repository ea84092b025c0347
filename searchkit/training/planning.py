"""What a training would do, and for how long: a few steps are taken and timed, and nothing is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from searchkit.training.optimiser import make_optimiser, set_rate
from searchkit.training.preparing import prepare
from searchkit.training.settings import TrainingRecipe
from searchkit.training.stepping import take_step

TIMED = 3  # steps, after one that is not: what is done first is done slowly


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """What is trained of a task."""

    task: str
    rows: int
    left_out: int  # their Instruction takes too much of the window
    steps: int
    loss: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What a training would do."""

    tasks: tuple[PlannedTask, ...]  # those that are left out as a whole, too
    notices: tuple[str, ...]
    steps: int
    weights: int  # numbers that are trained
    tokens: float  # of a step, on average
    seconds: float  # of a step, on average
    device: str
    precision: str

    @property
    def rows(self) -> int:
        """Rows of all tasks."""
        return sum(one.rows for one in self.tasks)


def plan_training(recipe: TrainingRecipe) -> TrainingPlan:
    """Prepare a training and time some of its steps; errors are those of `train`. Writes nothing."""
    prepared = prepare(recipe)
    optimiser = make_optimiser(prepared.student, recipe.optimiser)
    set_rate(optimiser, 0.0)
    seconds: list[float] = []
    tokens: list[int] = []
    for step in range(min(TIMED + 1, prepared.schedule.steps)):
        started = time.perf_counter()
        tokens.append(take_step(prepared, recipe, step).tokens)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - started)
    timed = seconds[1:] or seconds
    turns = prepared.schedule.turns()
    return TrainingPlan(
        tasks=tuple(
            PlannedTask(
                task=task,
                rows=len(prepared.examples.get(task, ())),
                left_out=prepared.left_out.get(task, 0),
                steps=turns.get(task, 0),
                loss=prepared.objective.name_for(task),
            )
            for task in sorted({*prepared.examples, *prepared.left_out})
        ),
        notices=prepared.notices,
        steps=prepared.schedule.steps,
        weights=sum(weight.numel() for weight in prepared.student.trained.values()),
        tokens=sum(tokens) / len(tokens),
        seconds=sum(timed) / len(timed),
        device=prepared.student.device,
        precision=prepared.student.precision,
    )
