"""What the points of a map are coloured by: categories, or a scale of numbers or dates."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite, log
from statistics import median

from searchkit.library.filters import as_number, as_seconds
from searchkit.records import JsonValue

CATEGORY, NUMBER, DATE = "category", "number", "date"
OTHER, NONE = "other", "none"
GROUPED_FROM = 10_000  # digits of smaller numbers are not grouped: 2,024 is no year
EXACT = 1 << 53  # JavaScript rounds larger integers
_CANONICAL = re.compile(r"(?=.{1,16}$)-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
_IDENTIFIER = re.compile(r"0[0-9]*")
SKEWED = 50  # times the median is the largest: on a linear scale all but a few would look the same

# Okabe and Ito's, then those farthest from all before, to usual eyes and to those that lack one kind of cone:
# the smallest distance in OKLab between two of the first twelve is 0.08 to any eyes, of all twenty 0.05.
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#990000", "#2211dd", "#773366",
    "#aa66ff", "#99cc99", "#553399", "#bb3333", "#885577", "#dd11cc", "#ff4477", "#7733ff", "#77ccdd",
    "#883344", "#99bb66",
)  # fmt: skip
GREY = "#8a8f98"  # of what is in no category, and of the rest of many
# Nine steps of viridis, without the ends that are hard to see on black and on white.
SCALE = (
    "#471365", "#463480", "#3b528b", "#2f6c8e", "#25848e", "#1e9c89", "#2fb47c", "#5ec962", "#9bd93c",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """How points are coloured, and each point's part in that.

    categories: names with counts, the most frequent first, what is in none and the rest of many last.
    of: for each point the number of its category, or of a scale its value; None where it has none.
    """

    field: str
    kind: str
    of: tuple[float | None, ...]
    shown: tuple[str, ...]  # for each point what its value is called, '' where it has none
    raw: tuple[JsonValue, ...] = ()  # for each point its value as it is saved: what JavaScript keeps whole
    categories: tuple[tuple[str, int], ...] = ()
    greys: int = 0  # so many of them, the last, are the rest and what is in none
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False
    grouped: bool = False  # categories are themes: groups of the values, which are too many for colours

    def colour(self, category: int) -> str:
        """Of a category."""
        return GREY if category >= len(self.categories) - self.greys else PALETTE[category]

    def share(self, value: float | None) -> float | None:
        """Where a value lies on the scale, 0 to 1."""
        if value is None:
            return None
        if self.high <= self.low:
            return 0.5
        if self.logarithmic:
            return (log(value) - log(self.low)) / (log(self.high) - log(self.low))
        return (value - self.low) / (self.high - self.low)


def colours(
    field: str,
    values: Sequence[JsonValue],
    *,
    dates: bool = False,
    group_of: Mapping[str, str] | None = None,
) -> Colours:
    """Colours for the values of points, None for one that has none: numbers and dates on a scale.

    Texts are numbers only where they are written as a number would be: '007' and '1.10' are names, for as
    numbers they would be others. dates: numbers are seconds since 1970. group_of: of values, which are texts
    then, those that are coloured in their place.
    """
    made = _coloured(field, values, dates, group_of)
    return replace(made, raw=tuple(_moment_saved(one) if dates else _saved(one) for one in values))


def _coloured(
    field: str, values: Sequence[JsonValue], dates: bool, group_of: Mapping[str, str] | None
) -> Colours:
    if group_of is not None:
        texts = [None if one is None else _named(one) for one in values]
        found = _categories(field, [None if one is None else group_of.get(one, OTHER) for one in texts])
        return replace(found, shown=tuple(one or "" for one in texts), grouped=True)
    given = [one for one in values if one is not None]
    numbers = [_number(one) for one in values]
    if given and all(
        one is not None for one, value in zip(numbers, values, strict=True) if value is not None
    ):
        return _scale(field, DATE if dates else NUMBER, numbers)
    moments = [_moment(one) for one in values]
    if given and all(
        one is not None for one, value in zip(moments, values, strict=True) if value is not None
    ):
        return _scale(field, DATE, moments)
    return _categories(field, [None if one is None else _named(one) for one in values])


def _scale(field: str, kind: str, values: Sequence[float | None]) -> Colours:
    given = [one for one in values if one is not None]
    low, high = min(given), max(given)
    return Colours(
        field=field,
        kind=kind,
        of=tuple(values),
        shown=tuple("" if one is None else in_words(kind, one) for one in values),
        low=low,
        high=high,
        logarithmic=kind == NUMBER and low > 0 and high > SKEWED * median(given),
    )


def _categories(field: str, names: Sequence[str | None]) -> Colours:
    counted = Counter(one for one in names if one is not None)
    order = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    kept = order[: len(PALETTE)]
    rest = sum(count for _, count in order[len(PALETTE) :])
    without = sum(one is None for one in names)
    listed = [*kept]
    if rest:
        listed.append((OTHER, rest))
    if without:
        listed.append((NONE, without))
    number = {name: at for at, (name, _) in enumerate(kept)}
    other, none = len(kept), len(listed) - 1
    return Colours(
        field=field,
        kind=CATEGORY,
        of=tuple(none if one is None else number.get(one, other) for one in names),
        shown=tuple(one or "" for one in names),
        categories=tuple(listed),
        greys=len(listed) - len(kept),
    )


def in_words(kind: str, value: float) -> str:
    """A number or a date as a person reads it."""
    if kind == DATE:
        with suppress(OverflowError):  # beyond the years that have four digits
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)).date().isoformat()
    if abs(value) < GROUPED_FROM:
        return f"{value:.10g}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _number(value: JsonValue) -> float | None:
    """A finite number; None of anything else, truth values among it."""
    if isinstance(value, bool) or (isinstance(value, str) and not _CANONICAL.fullmatch(value.strip())):
        return None
    try:
        found = as_number(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if found is not None and isfinite(found) else None


def _moment(value: JsonValue) -> float | None:
    """A moment; none of digits that begin with 0: an article's number is no year."""
    return None if isinstance(value, str) and _IDENTIFIER.fullmatch(value.strip()) else as_seconds(value)


def _saved(value: JsonValue) -> JsonValue:
    """A value that JavaScript keeps as it is: large integers, lists and what is no number as text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < EXACT else str(value)
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return _named(value)


def _moment_saved(value: JsonValue) -> JsonValue:
    """Seconds since 1970 as ISO 8601."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError, ValueError):  # years beyond four digits, and what is no number
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)).isoformat()
    return _saved(value)


def _named(value: JsonValue) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    return json.dumps(value, ensure_ascii=False)
