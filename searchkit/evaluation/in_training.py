"""Judges a model while it learns, on judged sets. Knows nothing of training; it is handed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from searchkit.embedding.embedder import Embedder
from searchkit.evaluation.evaluate import Wanted, evaluate
from searchkit.evaluation.tasks import named


def judged_on(
    targets: Sequence[Path], profile: str | None = None
) -> Callable[[int, Embedder], dict[str, float]]:
    """A function of steps done and model to the main figure of each Task, by name.

    Args:
        targets: folders and files of judged sets, and suites.
        profile: of Tasks that name none; None for no Instruction.

    Raises: UsageError, DataInvalid: a set is not there, or is none.
    """
    tasks = named(targets)
    wanted = Wanted(profile=profile)

    def judge(step: int, embedder: Embedder) -> dict[str, float]:
        found = evaluate(embedder, tasks, wanted)
        return {one.task: one.main for one in found}

    return judge
