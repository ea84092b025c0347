"""What one evaluation found: its measures, and what they are of, so that two can be compared item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from searchkit.arrays import Float32Matrix
from searchkit.evaluation.kinds import Kind as Kind  # who measures asks here
from searchkit.evaluation.statistics import said
from searchkit.profile import Side

# Texts of one side -> (n, dim) float32, rows of length 1, in their order.
Encode: TypeAlias = Callable[[Sequence[str], Side], Float32Matrix]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measures in percent, nan where one is not defined. `main` is the one that the field reports.

    items: named columns of equal length, a number for each item. Where `main` is a mean over items, the
    column so named holds what it is a mean of; else they are what it is computed from (`cosine`, `worth`), or
    `block`, the main measure, 0 to 1, of parts of the set that share no text. `group`: equal numbers for
    items that are one piece of evidence; without it each is one. low, high: nan where there are too few.
    """

    kind: Kind
    main: str
    measures: Mapping[str, float]
    items: Mapping[str, Sequence[float]]
    counts: Mapping[str, int]  # of queries, documents, texts, ...
    low: float  # of `main`, 95 %
    high: float
    notes: Sequence[str] = ()  # what whoever reads the figures has to know

    @property
    def score(self) -> str:
        """The main measure, for people."""
        return figure(self.measures[self.main])

    @property
    def interval(self) -> str:
        """Its interval, for people."""
        return said(self.low, self.high)

    @property
    def others(self) -> str:
        """The other measures with their names, for people."""
        return ", ".join(
            f"{name} {figure(value)}" for name, value in self.measures.items() if name != self.main
        )


def figure(value: float, form: str = ".2f") -> str:
    """A figure for people; what all are equal of has no correlation."""
    return format(value, form) if isfinite(value) else "not defined"
