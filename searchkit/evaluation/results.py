"""Results of evaluations as files: one for each Task, written whole or not at all, and two compared."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation import grouping, statistics
from searchkit.evaluation.measured import Kind, Measured
from searchkit.evaluation.similarity import MEASURES
from searchkit.evaluation.statistics import Evidence

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured of one Task, with all that it depends on."""

    task: str
    measured: Measured
    model: str
    fingerprint: Mapping[str, str]  # of the model
    instructions: Mapping[str, str]  # literal, by side
    profile: str | None
    data: str  # SHA-256 of the set's files
    paper: str | None = None
    took_s: float = 0.0
    version: str = ""
    format: int = field(default=FORMAT)
    details: Mapping[str, Any] = field(default_factory=dict)  # what else was seen: JSON, no part of the key

    @property
    def key(self) -> str:
        """Equal keys: the same measurement, which need not be made again."""
        return key_of(self.task, self.measured.kind, self.fingerprint, self.instructions, self.data)

    @property
    def main(self) -> float:
        """The figure that the field reports, in percent."""
        return self.measured.measures[self.measured.main]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the second of two results of a Task has more than the first, in points of its main measure."""

    task: str
    main: str
    first: float
    second: float
    low: float  # of the difference, 95 % for all Tasks that are compared together; nan: see too_few
    high: float
    p: float  # two-sided; adjusted, where several Tasks are compared, for how many they are
    better: int  # items, where the measure is a mean over them
    worse: int
    too_few: str | None = None  # why nothing can be told from chance

    @property
    def difference(self) -> float:
        """Second less first."""
        return self.second - self.first


class Damaged(DataInvalid):
    """A file was cut off, or is no text: what it held cannot be known, and may be measured again."""


def key_of(
    task: str, kind: Kind, fingerprint: Mapping[str, str], instructions: Mapping[str, str], data: str
) -> str:
    """Result.key, known before anything is measured."""
    parts = [task, kind, dict(fingerprint), dict(instructions), data]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def place(folder: Path, task: str) -> Path:
    """The file in which a folder keeps the Result of a Task."""
    return folder / f"{task.replace('/', '.')}.json"


def held(path: Path, key: str) -> Result | None:
    """The Result that a file keeps; None if there is no file.

    Raises: Damaged. UsageError: it is of another measurement than this key, which would be written over.
    """
    if not path.exists():
        return None
    found = read(path)
    if found.key != key:
        raise UsageError(
            f"{path} holds another measurement: other texts, model or instructions",
            remedy="name another folder, or write over it with --again",
        )
    return found


def write(result: Result, folder: Path, *, again: bool = False) -> Path:
    """Write a Result into a folder, by its Task's name. Returns: the file.

    Raises: UsageError: that file holds another measurement, and `again` does not say that it may go; or it
    cannot be written.
    """
    path = place(folder, result.task)
    if not again:
        with contextlib.suppress(Damaged):
            held(path, result.key)
    part = path.with_name(f"{path.name}-{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as out:
            json.dump(without_nan(asdict(result)), out, ensure_ascii=False, allow_nan=False)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", remedy="name another folder"
        ) from error
    return path


def read(path: Path) -> Result:
    """Read a Result. Raises: Damaged. DataInvalid: the file holds none, or one of a newer searchkit."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise Damaged(f"{path} is damaged, it holds no result of searchkit eval: {error}") from error
    try:
        if table["format"] != FORMAT:
            raise DataInvalid(f"{path} is of format {table['format']}, this searchkit reads {FORMAT}")
        measured = _measured(table.pop("measured"))
        return Result(
            measured=measured, **{one.name: table[one.name] for one in fields(Result) if one.name in table}
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataInvalid(f"{path} holds no result of searchkit eval: {error!r}") from error


def _measured(table: Mapping[str, Any]) -> Measured:
    """As it was before JSON, which knows neither nan nor tuples."""
    found = Measured(**table)
    return replace(
        found,
        measures={name: _number(value) for name, value in found.measures.items()},
        items={name: [_number(value) for value in column] for name, column in found.items.items()},
        low=_number(found.low),
        high=_number(found.high),
        notes=tuple(found.notes),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def without_nan(value: Any) -> Any:
    """The same with None, JSON's null, in place of what is not defined."""
    if isinstance(value, Mapping):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_all(path: Path) -> dict[str, Result]:
    """The Results of a folder, or of one file, by Task. Raises: UsageError: there are none."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = {one.task: one for one in map(read, files)}
    if not found:
        raise UsageError(f"{path} holds no results", remedy="make some with: searchkit eval SET --out FOLDER")
    return found


def comparable(
    first: Mapping[str, Result], second: Mapping[str, Result]
) -> tuple[dict[str, Result], dict[str, Result], list[str]]:
    """What `compare` can compare of both, and a line on each Task that it cannot."""
    left_out = [f"'{task}' is only in the first" for task in first if task not in second]
    left_out += [f"'{task}' is only in the second" for task in second if task not in first]
    both = []
    for task in first:
        if task in second and _of_the_same(first[task], second[task]):
            both.append(task)
        elif task in second:
            left_out.append(f"'{task}' is of different texts or kinds of task")
    return {task: first[task] for task in both}, {task: second[task] for task in both}, left_out


def _of_the_same(first: Result, second: Result) -> bool:
    one, other = first.measured, second.measured
    return first.data == second.data and one.kind == other.kind and _length(one) == _length(other)


def compare(first: Mapping[str, Result], second: Mapping[str, Result]) -> list[Difference]:
    """Compare Task by Task what both have, over the same items, in the ways of statistics.py.

    For several Tasks p is adjusted after Holm, and the intervals hold together (Bonferroni).
    Raises: UsageError: no Task is in both, or its texts differ.
    """
    both = [task for task in first if task in second]
    if not both:
        raise UsageError(
            f"no task is in both: {', '.join(first)}; and {', '.join(second)}",
            remedy="evaluate the same sets with: searchkit eval SET --out FOLDER",
        )
    made = [_difference(first[task], second[task], len(both)) for task in both]
    adjusted = statistics.holm([one.p for one in made])
    return [replace(one, p=p) for one, p in zip(made, adjusted, strict=True)]


def _difference(first: Result, second: Result, comparisons: int) -> Difference:
    one, other = first.measured, second.measured
    if not _of_the_same(first, second):
        raise UsageError(
            f"the results of '{first.task}' are of different texts or kinds of task",
            remedy="evaluate both on the same files",
        )
    found, too_few = _evidence(one, other, (second.main - first.main) / 100, comparisons)
    by_item = np.asarray(other.items.get(one.main, ())) - np.asarray(one.items.get(one.main, ()))
    return Difference(
        task=first.task, main=one.main, first=first.main, second=second.main,
        low=100 * found.low, high=100 * found.high, p=found.p,
        better=int((by_item > 0).sum()), worse=int((by_item < 0).sum()),
        too_few=too_few if math.isnan(found.p) else None,
    )  # fmt: skip


def _evidence(one: Measured, other: Measured, difference: float, comparisons: int) -> tuple[Evidence, str]:
    """What the difference of two measurements of the same items is worth, and what to say if nothing."""
    columns = {name: np.asarray(values) for name, values in one.items.items()}
    others = {name: np.asarray(values) for name, values in other.items.items()}
    if "block" in columns:
        by_block = others["block"] - columns["block"]
        too_few = f"texts of each label are too few for {statistics.LEAST_BLOCKS} blocks that share none"
        return statistics.of_blocks(by_block, difference, comparisons=comparisons), too_few
    groups = columns.get("group", np.arange(_length(one)))
    different = f"{grouping.count(groups)} different items"
    if one.main in columns:  # a mean over items
        by_item = others[one.main] - columns[one.main]
        found = statistics.of_means(by_item, groups, comparisons=comparisons)
        return found, f"{different}, expected {statistics.LEAST} or more"
    measure = MEASURES[one.kind][one.main]

    def more(rows: Int64Vector) -> float:
        worth = columns["worth"][rows]
        return measure(others["cosine"][rows], worth) - measure(columns["cosine"][rows], worth)

    found = statistics.of_joint(more, groups, comparisons=comparisons)
    return found, f"{different}, expected {statistics.LEAST_JOINT} or more, and {one.main} defined for both"


def _length(one: Measured) -> int:
    return len(next(iter(one.items.values()))) if one.items else 0


def plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The stable JSON form, without the items; what is not defined is null."""
    rows = [
        {
            "task": one.task,
            "kind": one.measured.kind,
            "main": one.measured.main,
            "score": one.main,
            "low": one.measured.low,
            "high": one.measured.high,
            "measures": dict(one.measured.measures),
            "counts": dict(one.measured.counts),
            "notes": list(one.measured.notes),
            "model": one.model,
            "instructions": dict(one.instructions),
            "profile": one.profile,
            "paper": one.paper,
            "took_s": one.took_s,
            **({"details": dict(one.details)} if one.details else {}),
        }
        for one in results
    ]
    return [without_nan(row) for row in rows]
