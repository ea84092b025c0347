"""Pieces of Markdown that tables of figures are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a header line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def secs(seconds: float) -> str:
    """Seconds to two decimals."""
    return f"{seconds:.2f} s"
