"""The training loop: batches, steps, checkpoints, evaluations, the folder at the end."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from searchkit.durable import publish_folder, write_durably
from searchkit.embedding.embedder import LocalEmbedder
from searchkit.embedding.progress import tell
from searchkit.errors import TrainingFailed, TrainingInvalid
from searchkit.settings import VERSION
from searchkit.training.checkpoints import (
    RESTART,
    Progress,
    clear,
    read_best,
    read_checkpoint,
    read_progress,
    sweep_best,
    write_best,
    write_checkpoint,
)
from searchkit.training.facts import changes, computing_facts, recipe_facts
from searchkit.training.folder import write_card, write_folder, write_history
from searchkit.training.merging import merge_and_mix
from searchkit.training.optimiser import make_optimiser, rate_at, set_rate
from searchkit.training.preparing import Prepared, prepare
from searchkit.training.processes import Processes, join, leave
from searchkit.training.recipe import recipe_toml, seen_from
from searchkit.training.run_folder import (
    CURVE,
    KEPT,
    LOG,
    MODEL,
    MODEL_PART,
    RECIPE,
    last_checkpoint,
    lock,
)
from searchkit.training.runlog import RunLog, draw_curve, read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.stepping import StepResult, take_step
from searchkit.training.stopping import Stop, ends_at_once, stopping
from searchkit.training.student import Student

if TYPE_CHECKING:
    import filelock

# What judges a model in training: (steps done, the model) to figures; 'score' decides, larger is better.
Evaluate = Callable[[int, LocalEmbedder], Mapping[str, float]]
# Told what is being done, how much of it is done, and of how much.
Show = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a training."""

    model: Path  # folder of the result
    steps: int  # taken, those before an interruption too
    best_step: int | None  # whose weights the result has; None without evaluations: the last one's
    scores: Mapping[int, float] = field(default_factory=dict)  # by step
    told_here: bool = True  # whether this process is the one, of several, that speaks


def train(
    recipe: TrainingRecipe,
    *,
    evaluate: Evaluate | None = None,
    resume: bool | None = None,
    show: Show | None = None,
) -> Trained:
    """Train as the recipe says, and write the model into the run's folder, as `model`.

    A run that was ended goes on from its last checkpoint, to the same losses as if it had not been.

    Args:
        recipe: of the training.
        evaluate: judges the model every `evaluate_every` steps, and before the first; None for the rows
            held out, which else are only reported. The result is what it judged best. If it has an
            attribute `data`, a hash of what it judges on, a run does not go on with another one.
        resume: True: there has to be a run to go on with; False: begin anew; None: whichever it is.
        show: told about the progress.

    Raises:
        TrainingInvalid: the recipe or a row is not right, or `resume` and there is nothing to go on with.
        TrainingFailed: the loss or a score is no number, the run was one of another recipe, data or base, or
            another process trains in its folder.
        ModelError, ModelNotFound: the base cannot be loaded.
        KeyboardInterrupt: by Ctrl-C, once the step is done and kept; at once by the second.

    One of several processes ends by SIGTERM at once, as torchrun ends those that one has left alone.
    """
    processes = join(recipe.device)
    recipe = replace(recipe, device=processes.device)
    with ends_at_once(processes.count > 1):
        try:
            return _train(recipe, processes, evaluate, resume, show or (lambda what, done, total: None))
        finally:
            leave()


def _train(
    recipe: TrainingRecipe, processes: Processes, evaluate: Evaluate | None, resume: bool | None, show: Show
) -> Trained:
    # Once to refuse before rows are read, and once more when nobody else can begin there.
    processes.told(lambda: last_checkpoint(recipe.run_folder, recipe.folder, resume))
    prepared = prepare(recipe, processes, judged=evaluate is not None)
    training = _Training(recipe, prepared, _judge_of(recipe, prepared, evaluate))
    try:
        file = processes.told(lambda: training.enter(resume))
        if file is not None:
            training.take_up(file)
        else:
            training.begin()
        with stopping() as stop:
            training.go(show, stop)
        return replace(processes.told(training.finish), told_here=processes.first)
    finally:
        training.close()


def _judge_of(recipe: TrainingRecipe, prepared: Prepared, given: Evaluate | None) -> Evaluate | None:
    """What judges the model, if anything does; rows held out stand beside what is given."""
    held_out = prepared.evaluate
    if given is None and recipe.evaluate.sets:
        raise TrainingInvalid(
            "the recipe names sets to evaluate on, which the trainer itself does not read",
            remedy="give train() a function: evaluate=judged_on(...) of searchkit.evaluation.in_training",
        )
    if given is None or held_out is None:
        return given or held_out
    beside, judging = held_out, given

    def both(step: int, embedder: LocalEmbedder) -> dict[str, float]:
        figures = dict(judging(step, embedder))
        figures["score"] = _score(step, figures)
        return {**figures, "rows held out": beside(step, embedder)["score"]}

    return both


def _score(step: int, figures: Mapping[str, float]) -> float:
    """What decides between evaluations: 'score', else the mean."""
    if not figures:
        raise TrainingFailed(
            f"the evaluation after step {step} gave no figure", remedy="evaluate on something, or not at all"
        )
    score = figures.get("score", sum(figures.values()) / len(figures))
    if not math.isfinite(score):
        odd = ", ".join(sorted(name for name, one in figures.items() if not math.isfinite(one)))
        raise TrainingFailed(
            f"the score of the evaluation after step {step} is {score} ({odd})",
            remedy="nothing is better or worse than that: mend what it is measured on, or leave it out",
        )
    return score


class _Training:
    """A run in this process."""

    def __init__(self, recipe: TrainingRecipe, prepared: Prepared, evaluate: Evaluate | None) -> None:
        self.recipe = recipe
        self.run = recipe.run_folder
        self.kept = self.run / KEPT
        self.prepared = prepared
        self.processes = prepared.processes
        self.student: Student = prepared.student
        self.schedule = prepared.schedule
        self.evaluate = evaluate
        self.optimiser = make_optimiser(self.student, recipe.optimiser)
        self.names: dict[Tensor, str] = {weight: name for name, weight in self.student.trained.items()}
        self.facts: dict[str, Any] = {
            "recipe": recipe_facts(recipe),
            "data": prepared.data,
            "base": prepared.base,
            "guide": prepared.guide,
            "teacher": prepared.teacher,
            # What is judged on, where the judge tells: held-out rows are among the data.
            "judges": str(getattr(evaluate, "data", "")),
            "steps": self.schedule.steps,
            "computing": computing_facts(
                recipe, device=self.student.device, precision=self.student.precision
            ),
        }
        self.progress = Progress(facts=self.facts)
        self.log = RunLog(None, [])
        self._lock: filelock.BaseFileLock | None = None

    def enter(self, resume: bool | None) -> Path | None:
        """Have the run's folder to oneself, in the first process. Returns: where to go on, None to begin."""
        self._lock = lock(self.run)
        for notice in self.prepared.notices:
            tell(f"Note: {notice}")
        return last_checkpoint(self.run, self.recipe.folder, resume)

    def begin(self) -> None:
        """Begin anew."""
        if not self.processes.first:
            return
        clear(self.kept)
        header = {
            "step": 0,
            "searchkit": VERSION,
            "torch": torch.__version__,
            **self._computing(),
            "steps": self.schedule.steps,
            "windows": self.student.windows,
            "rows": {task: len(rows) for task, rows in self.prepared.examples.items()},
            "left_out": dict(self.prepared.left_out),
            "notices": list(self.prepared.notices),
            "turns": self.schedule.turns(),
            "data": self.prepared.data,
            "base": self.prepared.base,
        }
        # The first line tells whose folder it is: nothing else is written before it.
        self.log = RunLog(self.run / LOG, [header])
        copy = recipe_toml(seen_from(self.recipe, self.run))
        write_durably(self.run / RECIPE, copy.encode("utf-8"))

    def take_up(self, file: Path) -> None:
        """Go on from a checkpoint."""
        progress = read_progress(file)
        if found := changes(progress.facts, self.facts):
            raise TrainingFailed(
                f"the run in {self.run} was another one: {'; '.join(found[:4])}",
                remedy=f"name another folder as out, or {RESTART}",
            )
        self.student.put(read_checkpoint(file, self.optimiser, self.names))
        computed = {**progress.facts.get("computing", {}), **self.facts["computing"]}
        self.progress = replace(progress, facts={**self.facts, "computing": computed})
        if self.processes.first:
            log = self.run / LOG
            self.log = RunLog(log, read_log(log, up_to_step=progress.step))
            self.log.add({"step": progress.step, "went_on": self._computing()})

    def close(self) -> None:
        """Leave the run's folder to others."""
        self.log.close()
        if self._lock is not None:
            self._lock.release()

    def go(self, show: Show, stop: Stop) -> None:
        """Take the steps that are left."""
        steps, recipe = self.schedule.steps, self.recipe
        if self.progress.best_step is None and recipe.evaluate_every:
            self._judge(show)
        while self.progress.step < steps and not self._out_of_patience:
            if self.processes.told(lambda: stop.asked):
                self._keep()
                raise KeyboardInterrupt
            show("training", self.progress.step, steps)
            self._step(self.progress.step)
            self.progress = replace(self.progress, step=self.progress.step + 1)
            done = self.progress.step
            judged = recipe.evaluate_every and (done % recipe.evaluate_every == 0 or done == steps)
            if judged:
                self._judge(show)
            if judged or done % recipe.checkpoint_every == 0 or done == steps:
                self._keep()

    def finish(self) -> Trained:
        """Write the model, of the best weights where they were judged."""
        best = self.progress.best_step
        if best is not None:
            self.student.put(read_best(self.kept, best))
        merge_and_mix(self.student, self.recipe)
        part = self.run / MODEL_PART
        shutil.rmtree(part, ignore_errors=True)
        write_folder(self.student, part)
        recipe = recipe_toml(self.recipe)
        turns = self.schedule.turns()
        rows = {task: (len(of), turns[task]) for task, of in self.prepared.examples.items() if turns[task]}
        write_card(part, self._card(), recipe, rows, self.recipe.card)
        write_history(part, recipe, self.run / LOG, self.student.plan.checkpoint.source.folder)
        draw_curve(self.log.lines, self.run / CURVE)
        publish_folder(part, self.run / MODEL, shutil.rmtree)
        if best == 0:
            tell("Note: no evaluation was better than that before step 1: the result is the base, untrained.")
        return Trained(
            model=self.run / MODEL,
            steps=self.progress.step,
            best_step=best,
            scores={one["step"]: one["score"] for one in self.log.lines if "score" in one},
        )

    @property
    def _out_of_patience(self) -> bool:
        return 0 < self.recipe.patience <= self.progress.worse

    def _step(self, number: int) -> None:
        started = time.perf_counter()
        rate = rate_at(number, self.schedule.steps, self.recipe.optimiser)
        set_rate(self.optimiser, rate)
        result = take_step(self.prepared, self.recipe, number)
        norm = self._clipped()
        if not (math.isfinite(result.loss) and math.isfinite(norm)):
            raise TrainingFailed(
                f"the loss of step {number + 1} (task {result.task}) is {result.loss}, its gradient {norm}",
                remedy='lower the rate, or say precision = "float32"',
            )
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.log.add(_line(number + 1, result, rate, norm, time.perf_counter() - started))

    def _clipped(self) -> float:
        weights = [weight for weight in self.names if weight.grad is not None]
        limit = self.recipe.optimiser.clip or math.inf
        return float(torch.nn.utils.clip_grad_norm_(weights, limit))

    def _judge(self, show: Show) -> None:
        progress = self.progress
        show("evaluating", progress.step, self.schedule.steps)
        figures = self.processes.told(self._figures)
        score = _score(progress.step, figures)
        figures.pop("score", None)
        self.log.add({"step": progress.step, "score": score, "figures": figures})
        if progress.best_step is None or score > progress.best_score:
            if self.processes.first:
                write_best(self.kept, progress.step, self.student.weights())
            self.progress = replace(progress, best_step=progress.step, best_score=score, worse=0)
        else:
            self.progress = replace(progress, worse=progress.worse + 1)

    def _figures(self) -> dict[str, float]:
        if self.evaluate is None:
            raise AssertionError("an evaluation without a judge")
        return dict(self.evaluate(self.progress.step, self.student.embedder(str(self.run))))

    def _keep(self) -> None:
        if not self.processes.first:
            return
        self.log.sync()
        write_checkpoint(self.kept, self.progress, self.student.weights(), self.optimiser, self.names)
        sweep_best(self.kept)
        draw_curve(self.log.lines, self.run / CURVE)

    def _computing(self) -> dict[str, Any]:
        return {
            "device": self.student.device,
            "precision": self.student.precision,
            "threads": torch.get_num_threads(),
            "processes": self.processes.count,
        }

    def _card(self) -> dict[str, str]:
        best, taken = self.progress.best_step, self.progress.step
        steps = f"{taken if best is None else best:,} of {self.recipe.batch} rows"
        queries, documents = self.student.windows
        return {
            "name": self.run.name,
            "trained from": f"{self.recipe.model} (sha256 of its weights: {self.prepared.base})",
            "family": self.student.plan.family.name,
            "dimension": str(self.student.runtime.dim),
            "window": f"{self.student.plan.window} tokens; trained with {queries} for queries, "
            f"{documents} for documents",
            "steps": f"0; none of {taken:,} was better than the base" if best == 0 else steps,
            "seed": str(self.recipe.seed),
            "data": f"sha256 {self.prepared.data}",
            "searchkit": VERSION,
        }


def _line(step: int, result: StepResult, rate: float, norm: float, seconds: float) -> dict[str, Any]:
    return {
        "step": step,
        "task": result.task,
        "loss": result.loss,
        "parts": dict(result.parts),
        "rate": rate,
        "norm": norm,
        "rows": result.rows,
        "tokens": result.tokens,
        "seconds": round(seconds, 3),
    }
