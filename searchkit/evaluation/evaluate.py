"""Evaluates Tasks with one model: each read, embedded, measured, and written before the next."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError
from searchkit.evaluation import results, tasks
from searchkit.evaluation.encoding import Encoder
from searchkit.evaluation.prompting import Completer
from searchkit.evaluation.results import Result
from searchkit.evaluation.tasks import Task
from searchkit.profile import SIDES, Profile, Side
from searchkit.settings import VERSION

OnTask = Callable[[str, int, int], None]  # the Task, texts embedded, of how many
OnNote = Callable[[str], None]  # what is to be said beside the results


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How Tasks are evaluated. A Task's own profile comes before the one named here.

    profile: name or file; None for no Instruction. instructions: literal texts by side, in place of a
    Profile's. out: where results are written, and kept ones found; None: nowhere. vectors: where vectors
    are kept between runs; None for nowhere. again: measure also Tasks that have a result, and write over what
    else is kept there by their names. completer: the language model that Tasks of kind 'prompts' ask.
    """

    profile: str | None = None
    instructions: Mapping[Side, str] | None = None
    out: Path | None = None
    vectors: Path | None = None
    again: bool = False
    completer: Completer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A Task, all that its Results say beside what is measured, and those that are kept."""

    task: Task
    about: Mapping[str, Any]
    kept: Sequence[Result]


def evaluate(
    embedder: Embedder, wanted_tasks: Sequence[Task], wanted: Wanted, on_task: OnTask | None = None
) -> list[Result]:
    """Measure Tasks one after the other; see `each`."""
    return list(each(embedder, wanted_tasks, wanted, on_task))


def each(
    embedder: Embedder,
    wanted_tasks: Sequence[Task],
    wanted: Wanted,
    on_task: OnTask | None = None,
    on_note: OnNote | None = None,
) -> Iterator[Result]:
    """Results as they come; Tasks of which the very result is in `out` are not measured again.

    Profiles, files and what is kept are looked at before the first Task is measured.
    Raises: UsageError, DataInvalid: a set cannot be read, or `out` holds another measurement; what was
    measured before it is written.
    """
    planned = [_planned(embedder, task, wanted, on_note) for task in wanted_tasks]
    for one in planned:
        yield from one.kept or _measured(embedder, one, wanted, on_task)


def _planned(embedder: Embedder, task: Task, wanted: Wanted, on_note: OnNote | None) -> _Planned:
    profile = task.profile or wanted.profile
    about = {
        **_measured_with(embedder, wanted.completer if task.kind == "prompts" else None),
        "instructions": dict(literals(embedder, profile, wanted.instructions)),
        "profile": profile if wanted.instructions is None else None,
        "data": fingerprint_of(task),
        "paper": task.paper,
    }
    kept = _kept(wanted.out, task, about, on_note) if wanted.out is not None and not wanted.again else []
    return _Planned(task=task, about=about, kept=kept)


def _kept(folder: Path, task: Task, about: Mapping[str, Any], on_note: OnNote | None) -> list[Result]:
    """What is kept of a Task, if it is whole; called by what it is called by now."""
    found = []
    for name in tasks.result_names(task):
        key = results.key_of(name, task.kind, about["fingerprint"], about["instructions"], about["data"])
        try:
            one = results.held(results.place(folder, name), key)
        except results.Damaged as error:
            one = None
            if on_note is not None:
                on_note(f"{error.message}; measured again")
        if one is not None:
            found.append(replace(one, profile=about["profile"], paper=about["paper"]))
    return found if len(found) == len(tasks.result_names(task)) else []


def _measured(embedder: Embedder, planned: _Planned, wanted: Wanted, on_task: OnTask | None) -> list[Result]:
    began = time.perf_counter()
    task, about = planned.task, planned.about
    told = None if on_task is None else partial(on_task, task.name)
    encode = Encoder(embedder, about["instructions"], wanted.vectors, told)
    measured = tasks.run(task, encode, wanted.completer)
    took = round(time.perf_counter() - began, 3)
    found = [
        Result(task=name, measured=one, took_s=took, version=VERSION, **about)
        for name, one in measured.items()
    ]
    if wanted.out is not None:
        for one in found:
            results.write(one, wanted.out, again=wanted.again)
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
    made = hashlib.sha256(repr((task.kind, task.split, task.labels, task.per_label)).encode())
    for file in tasks.files(task):
        made.update(file.name.encode("utf-8", "surrogateescape"))
        try:
            with file.open("rb") as stream:
                made.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
    return made.hexdigest()
