"""What the points of a map are coloured by: categories, or a scale of numbers or dates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite, log
from statistics import median

from searchkit.library.filters import as_number, as_seconds
from searchkit.records import JsonValue

CATEGORY, NUMBER, DATE = "category", "number", "date"
OTHER, NONE = "other", "none"
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
    categories: tuple[tuple[str, int], ...] = ()
    greys: int = 0  # so many of them, the last, are the rest and what is in none
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False

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


def colours(field: str, values: Sequence[JsonValue], *, dates: bool = False) -> Colours:
    """Colours for the values of points, None for one that has none: numbers and dates on a scale.

    dates: numbers are seconds since 1970.
    """
    given = [one for one in values if one is not None]
    numbers = [_number(one) for one in values]
    if given and all(
        one is not None for one, value in zip(numbers, values, strict=True) if value is not None
    ):
        return _scale(field, DATE if dates else NUMBER, numbers)
    moments = [as_seconds(one) for one in values]
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
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def _number(value: JsonValue) -> float | None:
    """A finite number; None of anything else, truth values among it."""
    if isinstance(value, bool) or (isinstance(value, str) and not value.isascii()):
        return None
    try:
        found = as_number(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if found is not None and isfinite(found) else None


def _named(value: JsonValue) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    return json.dumps(value, ensure_ascii=False)
