"""Evaluates Tasks with one model: each read, embedded, measured, and written before the next."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from searchkit.embedding.embedder import Embedder
from searchkit.evaluation import results, tasks
from searchkit.evaluation.encoding import Encoder
from searchkit.evaluation.prompting import Completer
from searchkit.evaluation.results import Result
from searchkit.evaluation.tasks import Task
from searchkit.profile import SIDES, Profile, Side
from searchkit.settings import VERSION

OnTask = Callable[[str, int, int], None]  # the Task, texts embedded, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How Tasks are evaluated. A Task's own profile comes before the one named here.

    profile: name or file; None for no Instruction. instructions: literal texts by side, in place of a
    Profile's. out: where results are written, and kept ones found; None: nowhere. vectors: where vectors
    are kept between runs; None for nowhere. again: measure also Tasks that have a result. completer: the
    language model that Tasks of kind 'prompts' ask.
    """

    profile: str | None = None
    instructions: Mapping[Side, str] | None = None
    out: Path | None = None
    vectors: Path | None = None
    again: bool = False
    completer: Completer | None = None


def evaluate(
    embedder: Embedder, wanted_tasks: Sequence[Task], wanted: Wanted, on_task: OnTask | None = None
) -> list[Result]:
    """Measure Tasks one after the other; those whose very result is in `out` are not measured again.

    Raises: UsageError, DataInvalid: a set cannot be read; what was measured before it is written.
    """
    found = []
    for task in wanted_tasks:
        found += _evaluated(embedder, task, wanted, on_task)
    return found


def _evaluated(embedder: Embedder, task: Task, wanted: Wanted, on_task: OnTask | None) -> list[Result]:
    began = time.perf_counter()
    profile = task.profile or wanted.profile
    instructions = literals(embedder, profile, wanted.instructions)
    data = fingerprint_of(task)
    make = partial(
        Result,
        **_measured_with(embedder, wanted.completer if task.kind == "prompts" else None),
        instructions=dict[str, str](**instructions),
        profile=profile if wanted.instructions is None else None,
        data=data,
        paper=task.paper,
        version=VERSION,
    )
    if wanted.out is not None and not wanted.again and (kept := _kept(wanted.out, task, make)):
        return kept
    told = None if on_task is None else partial(on_task, task.name)
    encode = Encoder(embedder, instructions, wanted.vectors, told)
    measured = tasks.run(task, encode, wanted.completer)
    took = round(time.perf_counter() - began, 3)
    found = [make(task=name, measured=one, took_s=took) for name, one in measured.items()]
    if wanted.out is not None:
        for one in found:
            results.write(one, wanted.out)
    return found


def _measured_with(embedder: Embedder, completer: Completer | None) -> dict[str, Any]:
    """What the figures are of: the model, with the one that answered where one did."""
    if completer is None:
        return {"model": embedder.model, "fingerprint": embedder.fingerprint()}
    return {
        "model": f"{embedder.model}, answers by {completer.model}",
        "fingerprint": {**embedder.fingerprint(), "completer": completer.fingerprint()},
    }


def literals(
    embedder: Embedder, profile: str | None, given: Mapping[Side, str] | None = None
) -> dict[Side, str]:
    """The literal text before the texts of each side. Raises: UsageError: it is too long for the window."""
    if given is not None:
        for text in given.values():
            embedder.check_instruction(text)
        return {side: given.get(side, "") for side in SIDES}
    if profile is None:
        return dict.fromkeys(SIDES, "")
    loaded = Profile.load(profile)
    return {side: embedder.instruction_for(loaded, side) for side in SIDES}


def fingerprint_of(task: Task) -> str:
    """SHA-256 of the files that the Task reads, and of what it reads of them."""
    made = hashlib.sha256(repr((task.kind, task.split, task.labels)).encode())
    files = (
        sorted(one for one in task.path.rglob("*") if one.is_file()) if task.path.is_dir() else [task.path]
    )
    for file in files:
        made.update(file.name.encode("utf-8", "surrogateescape"))
        with file.open("rb") as stream:
            made.update(hashlib.file_digest(stream, "sha256").digest())
    return made.hexdigest()


def _kept(folder: Path, task: Task, make: Callable[..., Result]) -> list[Result]:
    names = tasks.result_names(task)
    files = [folder / f"{name.replace('/', '.')}.json" for name in names]
    if not all(file.exists() for file in files):
        return []
    kept = [results.read(file) for file in files]
    same = all(one.key == make(task=one.task, measured=one.measured).key for one in kept)
    return kept if same else []
