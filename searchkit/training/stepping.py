"""One step: a batch to gradients. Knows how texts, network and loss come together; moves no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from searchkit.embedding.batching import distinct
from searchkit.training.batches import random_for
from searchkit.training.examples import Pair
from searchkit.training.gradient_cache import FORWARD_TOKENS, backward
from searchkit.training.objective import Vectors
from searchkit.training.preparing import Prepared
from searchkit.training.settings import TrainingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step was about, and its loss."""

    task: str
    loss: float
    parts: Mapping[str, float]
    rows: int
    tokens: int  # that the network read, each text once


def take_step(prepared: Prepared, recipe: TrainingRecipe, number: int) -> StepResult:
    """Add the gradients of a step's batch to the weights; number: of the step, from 0."""
    student, objective = prepared.student, prepared.objective
    batch = prepared.schedule.batch(number)
    anchored = anchor_pairs(prepared, recipe, number)
    documents: list[Pair] = [*batch.positives, *batch.negatives, *(pair for pair, _ in anchored)]
    queries, query_at = distinct(batch.queries)
    others, other_at = distinct(documents)
    rows = student.tokenise(queries, others)
    sizes = [len(batch.positives), len(batch.negatives), len(anchored)]
    places = torch.split(torch.from_numpy(other_at + len(queries)), sizes)
    parts: dict[str, Tensor] = {}

    def loss_of(vectors: Tensor) -> Tensor:
        positives, negatives, more = (vectors[one.to(vectors.device)] for one in places)
        of_batch = Vectors(
            queries=vectors[torch.from_numpy(query_at).to(vectors.device)],
            positives=positives,
            negatives=negatives,
            anchored=more,
        )
        parts.update(objective.of(batch, of_batch, [text for _, text in anchored]))
        return torch.stack(list(parts.values())).sum()

    with student.learning():
        loss = backward(
            student,
            rows,
            loss_of,
            forward_tokens=FORWARD_TOKENS[student.device.split(":")[0]],
            kept_tokens=recipe.chunk_tokens,
            seed=int(random_for(recipe.seed, "dropout", number).integers(2**62)),
            processes=prepared.processes,
        )
    prepared.processes.add_up(student.trained.values())
    return StepResult(
        task=batch.task,
        loss=float(loss),
        parts={name: float(part.detach()) for name, part in parts.items()},
        rows=len(batch.queries),
        tokens=sum(rows.lengths),
    )


def anchor_pairs(prepared: Prepared, recipe: TrainingRecipe, number: int) -> Sequence[tuple[Pair, str]]:
    """What the student reads in a step to be kept near its beginning: pairs, and their texts alone."""
    if not prepared.anchor_texts:
        return []
    random = random_for(recipe.seed, "anchor", number)
    tasks = sorted(prepared.anchor_texts)
    weights = torch.tensor([prepared.schedule.weights[task] for task in tasks], dtype=torch.float64)
    shares = (weights / weights.sum()).numpy()
    drawn: list[tuple[Pair, str]] = []
    for task in random.choice(len(tasks), size=recipe.anchor.texts, p=shares):
        texts = prepared.anchor_texts[tasks[task]]
        instructions = recipe.anchor.instructions
        instruction = instructions[int(random.integers(len(instructions)))]
        text = texts[int(random.integers(len(texts)))]
        drawn.append(((instruction, text), text))
    return drawn
