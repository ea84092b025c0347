"""What makes a build fail: a measure below a bound, or a result significantly worse than a kept one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchkit.errors import UsageError, near_names
from searchkit.evaluation.results import Result, compare, read_all

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Bound:
    """The least that a measure may be, in percent. measure: None for the main one of each Task."""

    measure: str | None
    least: float


def bound(text: str) -> Bound:
    """Read '60', '0.6', '60%' or 'ndcg@10=0.6'; up to 1 a number is a share, above it percent.

    Raises: UsageError.
    """
    name, equals, number = text.rpartition("=")
    try:
        value = float(number.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100 or (equals and not name.strip()):  # nan is neither
        raise UsageError(
            f"'{text}' is no bound", remedy="expected a share or percent: --fail-under 60, or ndcg@10=0.6"
        )
    share = value <= 1 and not number.strip().endswith("%")
    return Bound(name.strip() or None, 100 * value if share else value)


def require_measures(bounds: Sequence[Bound], known: Collection[str]) -> None:
    """Raises: UsageError: a bound names a measure that no Task has. known: those of all Tasks."""
    for one in bounds:
        if one.measure is not None and one.measure not in known:
            names = sorted(known)
            raise UsageError(
                f"there is no measure '{one.measure}'{near_names(one.measure, names)}",
                remedy=f"expected one of: {', '.join(names)}",
            )


def below(found: Sequence[Result], bounds: Sequence[Bound]) -> list[str]:
    """A line for each measure below its bound. Raises: UsageError: no Task has a measure of that name."""
    require_measures(bounds, {name for result in found for name in result.measured.measures})
    return [
        f"{result.task}: {name} is {value:.2f}, below {one.least:g}"
        for one in bounds
        for result in found
        if (name := one.measure or result.measured.main) in result.measured.measures
        # not >=: what is not a number passes no bound
        and not (value := result.measured.measures[name]) >= one.least
    ]


def unbounded(found: Sequence[Result], bounds: Sequence[Bound]) -> list[str]:
    """A line for each bound and each Task that has no such measure: of that one it says nothing."""
    return [
        f"{result.task}: there is no {one.measure}, so that its bound says nothing of it"
        for one in bounds
        for result in found
        if one.measure is not None and one.measure not in result.measured.measures
    ]


def kept(path: Path) -> dict[str, Result]:
    """The results that others are held against. Raises: UsageError, DataInvalid."""
    if not path.exists():
        raise UsageError(
            f"there is no baseline {path}", remedy="make one with the same command and: --out FOLDER"
        )
    return read_all(path)


def require_comparable(tasks: Sequence[str], baseline: Mapping[str, Result]) -> None:
    """Before anything is measured.

    Raises: UsageError: the baseline has no such Task, or so few items that nothing could be significant.
    """
    for name in tasks:
        if (one := baseline.get(name)) is None:
            raise UsageError(
                f"the baseline has no '{name}', it has {', '.join(sorted(baseline))}",
                remedy="make one with the same command and: --out FOLDER",
            )
        (itself,) = compare({name: one}, {name: one})
        if itself.too_few:
            raise UsageError(
                f"no result of '{name}' can be significantly worse: {itself.too_few}",
                remedy="judge more, better a hundred; or set a bound: --fail-under",
            )


def worse(found: Sequence[Result], baseline: Mapping[str, Result]) -> list[str]:
    """A line for each Task that is significantly worse than in the baseline (p < 0.05, adjusted: `compare`).

    Raises: UsageError: as `require_comparable`; the baseline is of another collection, or of other questions.
    """
    require_comparable([one.task for one in found], baseline)
    for one in found:
        for what in ("collection", "mode"):
            now, then = one.details.get(what), baseline[one.task].details.get(what)
            if now != then:
                raise UsageError(
                    f"{one.task}: the baseline is of {what} '{then}', this is of '{now}'",
                    remedy="make one with the same command and: --out FOLDER",
                )
    return [
        f"{one.task}: {one.main} is {one.second:.2f}, was {one.first:.2f} "
        f"({one.difference:+.2f}, p {one.p:.4f}"
        + (f"; {one.worse} worse, {one.better} better)" if one.better or one.worse else ")")
        for one in compare(baseline, {one.task: one for one in found})
        if one.difference < 0 and one.p < SIGNIFICANT
    ]


def other_conditions(found: Sequence[Result], baseline: Mapping[str, Result]) -> list[str]:
    """A line for each thing in which a baseline was measured otherwise: it may have made the difference."""
    lines = []
    for one in found:
        if (before := baseline.get(one.task)) is None:
            continue
        now, then = _conditions(one), _conditions(before)
        lines += [
            f"{one.task}: the baseline has {name} {then[name]!r}, this is {now[name]!r}"
            for name in now
            if then[name] != now[name]
        ]
    return lines


def _conditions(one: Result) -> dict[str, object]:
    return {"model": one.model, "profile": one.profile, "instructions": dict(one.instructions)}
