"""The training loop: batches, steps, checkpoints, evaluations, the folder at the end."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from searchkit.durable import publish_folder, write_durably
from searchkit.embedding.embedder import LocalEmbedder
from searchkit.errors import TrainingFailed, TrainingInvalid
from searchkit.settings import VERSION
from searchkit.training.checkpoints import (
    RESTART,
    Progress,
    checkpoints,
    read_best,
    read_checkpoint,
    read_progress,
    sweep_best,
    write_best,
    write_checkpoint,
)
from searchkit.training.folder import write_card, write_folder
from searchkit.training.lora import merge_adapters
from searchkit.training.optimiser import make_optimiser, rate_at, set_rate
from searchkit.training.preparing import Prepared, prepare
from searchkit.training.processes import join, leave
from searchkit.training.recipe import differences, filled, recipe_facts, recipe_toml
from searchkit.training.runlog import RunLog, draw_curve
from searchkit.training.settings import TrainingRecipe
from searchkit.training.stepping import StepResult, take_step
from searchkit.training.student import Student

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
            held out, which else are only reported. The result is what it judged best.
        resume: True: there has to be a run to go on with; False: begin anew; None: whichever it is.
        show: told about the progress.

    Raises:
        TrainingInvalid: the recipe or a row is not right, or `resume` and there is nothing to go on with.
        TrainingFailed: the loss is no number, or the run was one of another recipe, data or base.
        ModelError, ModelNotFound: the base cannot be loaded.
    """
    processes = join(recipe.device)
    recipe = replace(recipe, device=processes.device)
    try:
        # Where others go on is what the first one finds, before it writes anything.
        file = processes.told(lambda: _last_checkpoint(recipe.run_folder, resume))
        prepared = prepare(recipe, processes)
        training = _Training(recipe, prepared, _judge_of(recipe, prepared, evaluate))
        if file is not None:
            training.take_up(file)
        else:
            training.begin()
        try:
            training.go(show or (lambda what, done, total: None))
            return replace(processes.told(training.finish), told_here=processes.first)
        finally:
            training.log.close()
    finally:
        leave()


def _judge_of(recipe: TrainingRecipe, prepared: Prepared, given: Evaluate | None) -> Evaluate | None:
    """What judges the model, if anything does; rows held out stand beside what is given."""
    held_out = prepared.evaluate
    if given is None and recipe.evaluate.sets:
        raise TrainingInvalid(
            "the recipe names sets to evaluate on, which the trainer itself does not read",
            remedy="give train() a function: evaluate=judged_on(...) of searchkit.evaluation.in_training",
        )
    if given is None:
        if recipe.evaluate_every and held_out is None:
            raise TrainingInvalid(
                "the recipe says evaluate_every, but there is nothing to evaluate on",
                remedy="add under [data]: held_out = 50; or under [evaluate]: sets = [...]",
            )
        return held_out
    if held_out is None:
        return given
    beside, judging = held_out, given

    def both(step: int, embedder: LocalEmbedder) -> dict[str, float]:
        figures = dict(judging(step, embedder))
        figures.setdefault("score", sum(figures.values()) / len(figures))
        return {**figures, "rows held out": beside(step, embedder)["score"]}

    return both


def _last_checkpoint(run: Path, resume: bool | None) -> Path | None:
    found = checkpoints(run / "checkpoints")
    if resume and not found:
        raise TrainingInvalid(
            f"{run} holds no checkpoint to go on from", remedy="leave out --resume to begin"
        )
    if found and resume is not False:
        return found[-1][1]
    if (run / "model").exists() and resume is not False:
        raise TrainingInvalid(
            f"{run / 'model'} is there already", remedy=f"name another folder as out, or {RESTART}"
        )
    return None


class _Training:
    """A run in this process."""

    log: RunLog

    def __init__(self, recipe: TrainingRecipe, prepared: Prepared, evaluate: Evaluate | None) -> None:
        self.recipe = recipe
        self.run = recipe.run_folder
        self.kept = self.run / "checkpoints"
        self.prepared = prepared
        self.processes = prepared.processes
        self.student: Student = prepared.student
        self.schedule = prepared.schedule
        self.evaluate = evaluate
        self.optimiser = make_optimiser(self.student, recipe.optimiser)
        self.names: dict[Tensor, str] = {weight: name for name, weight in self.student.trained.items()}
        self.facts = {
            "recipe": recipe_facts(recipe),
            "data": prepared.data,
            "base": prepared.base,
            "steps": self.schedule.steps,
        }
        self.progress = Progress(facts=self.facts)

    def begin(self) -> None:
        """Begin anew."""
        self.log = RunLog(None, up_to_step=None)
        if not self.processes.first:
            return
        shutil.rmtree(self.kept, ignore_errors=True)
        self.run.mkdir(parents=True, exist_ok=True)
        self.log = RunLog(self.run / "log.jsonl", up_to_step=None)
        write_durably(self.run / "recipe.toml", recipe_toml(self.recipe).encode("utf-8"))
        self.log.add(
            {
                "step": 0,
                "searchkit": VERSION,
                "torch": torch.__version__,
                "device": self.student.device,
                "precision": self.student.precision,
                "threads": torch.get_num_threads(),
                "processes": self.processes.count,
                "steps": self.schedule.steps,
                "rows": {task: len(rows) for task, rows in self.prepared.examples.items()},
                "turns": self.schedule.turns(),
                "data": self.prepared.data,
                "base": self.prepared.base,
            }
        )

    def take_up(self, file: Path) -> None:
        """Go on from a checkpoint."""
        progress = read_progress(file)
        defaults = {"recipe": recipe_facts(TrainingRecipe(out=""))}
        if found := differences(filled(progress.facts, defaults), self.facts):
            raise TrainingFailed(
                f"the run in {self.run} was another one: {'; '.join(found[:4])}",
                remedy=f"name another folder as out, or {RESTART}",
            )
        self.student.put(read_checkpoint(file, self.optimiser, self.names))
        self.progress = progress
        log = self.run / "log.jsonl" if self.processes.first else None
        self.log = RunLog(log, up_to_step=progress.step)

    def go(self, show: Show) -> None:
        """Take the steps that are left."""
        steps, recipe = self.schedule.steps, self.recipe
        if self.progress.step == 0 and recipe.evaluate_every:
            self._judge(show)
        while self.progress.step < steps and not self._out_of_patience:
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
        part = self.run / "model.part"
        shutil.rmtree(part, ignore_errors=True)
        write_folder(self.student, part)
        recipe = recipe_toml(self.recipe)
        turns = self.schedule.turns()
        rows = {task: (len(of), turns[task]) for task, of in self.prepared.examples.items() if turns[task]}
        write_card(part, self._card(), recipe, rows, self.recipe.card)
        (part / "training").mkdir()
        (part / "training" / "recipe.toml").write_text(recipe, encoding="utf-8")
        shutil.copyfile(self.run / "log.jsonl", part / "training" / "log.jsonl")
        draw_curve(self.log.lines, self.run / "curve.png")
        publish_folder(part, self.run / "model", shutil.rmtree)
        return Trained(
            model=self.run / "model",
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
        score = figures.pop("score") if "score" in figures else sum(figures.values()) / len(figures)
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
        draw_curve(self.log.lines, self.run / "curve.png")

    def _card(self) -> dict[str, str]:
        last = self.progress.best_step if self.progress.best_step is not None else self.progress.step
        return {
            "name": self.run.name,
            "trained from": f"{self.recipe.model} (sha256 of its weights: {self.prepared.base})",
            "family": self.student.plan.family.name,
            "dimension": str(self.student.runtime.dim),
            "window": f"{self.student.plan.window} tokens; trained with {self.recipe.query_tokens} for "
            f"queries, {self.recipe.document_tokens} for documents",
            "steps": f"{last:,} of {self.recipe.batch} rows",
            "seed": str(self.recipe.seed),
            "data": f"sha256 {self.prepared.data}",
            "searchkit": VERSION,
        }


def merge_and_mix(student: Student, recipe: TrainingRecipe) -> None:
    """Merge adapters, then mix the weights with the base's, if the recipe says so."""
    if recipe.lora.rank:
        merge_adapters(student.runtime.network)
    if recipe.mix == 1:
        return
    from dataclasses import replace as changed

    from searchkit.training.settings import LoraSettings

    base = Student(changed(recipe, lora=LoraSettings())).module.state_dict()
    with torch.no_grad():
        for name, weight in student.module.state_dict().items():
            if weight.is_floating_point():
                weight.mul_(recipe.mix).add_((1 - recipe.mix) * base[name])


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
