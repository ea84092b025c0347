"""Judges a model while it learns, on judged sets. Knows nothing of training; it is handed to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from searchkit.embedding.embedder import Embedder
from searchkit.embedding.hashes import value_sha256
from searchkit.evaluation.evaluate import Wanted, evaluate, fingerprint_of
from searchkit.evaluation.tasks import Task, named


@dataclass(frozen=True)
class Judge:
    """A function of steps done and model to the main figure of each Task, by name."""

    tasks: Sequence[Task]
    profile: str | None = None  # of Tasks that name none; None for no Instruction

    def __call__(self, step: int, embedder: Embedder) -> dict[str, float]:
        """Measure the model on all Tasks."""
        found = evaluate(embedder, self.tasks, Wanted(profile=self.profile))
        return {one.task: one.main for one in found}

    @cached_property
    def data(self) -> str:
        """A hash of the files that are judged on, wherever they lie. Raises: UsageError: one is gone."""
        return value_sha256(sorted(map(fingerprint_of, self.tasks)))


def judged_on(targets: Sequence[Path], profile: str | None = None) -> Judge:
    """What judges a model on these sets.

    Args:
        targets: folders and files of judged sets, and suites.
        profile: of Tasks that name none; None for no Instruction.

    Raises: UsageError, DataInvalid: a set is not there, or is none.
    """
    return Judge(named(targets), profile)
