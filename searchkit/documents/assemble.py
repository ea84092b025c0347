"""Puts a Document's text together from blocks and keeps count of where headings, pages and cells begin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from searchkit.documents.decode import without_surrogates
from searchkit.errors import DocumentError
from searchkit.records import Heading, JsonValue, Marks

# Values kept of one file's front matter or row: aliases in YAML can unfold without end.
METADATA_NODES = 2_000
METADATA_DEPTH = 8
HEADING_CHARACTERS = 200

_SPACE = re.compile(r"\s+")


class Assembly:
    """A text under construction: blocks are appended, an empty line between them."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._limit = limit
        self._headings: list[Heading] = []
        self._starts: list[int] = []
        self._numbers: list[int] = []
        self._number = 0  # that begins with what is appended next; 0: none does

    def heading(self, level: int, text: str) -> None:
        """Append a heading; white space in it becomes single spaces, an empty one is left out."""
        line = one_line(text)
        if line:
            start = self._append(line)
            self._headings.append(Heading(start=start, level=level, text=line[:HEADING_CHARACTERS]))

    def block(self, text: str, *, gap: str = "\n\n") -> None:
        """Append a block as it is, without the white space around it; an empty one is left out."""
        if text := text.strip("\n").rstrip():
            self._append(text, gap)

    def prose(self, text: str, headings: Iterable[Heading]) -> None:
        """Append a text whose headings, by start in `text`, are known."""
        lead = len(text) - len(text.lstrip("\n"))
        if text.strip():
            start = self._append(text.strip("\n").rstrip())
            self._headings += [replace(heading, start=start + heading.start - lead) for heading in headings]

    def mark(self, number: int) -> None:
        """Say that what is appended next stands on page, in cell or row `number`, counted from 1."""
        self._number = number

    @property
    def text(self) -> str:
        """What has been put together."""
        return "".join(self._parts)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings, by start."""
        return tuple(self._headings)

    def marks(self, unit: str, *, by_line: bool = False, sheets: Sequence[str] = ()) -> Marks:
        """The numbers said, and where the text of each begins; those without text are left out.

        sheets: of a workbook, their names; each has a heading.
        """
        return Marks(
            unit=unit,
            starts=tuple(self._starts),
            numbers=tuple(self._numbers),
            by_line=by_line,
            sheets=tuple(
                (heading.start, name) for heading, name in zip(self._headings, sheets, strict=False)
            ),
        )

    def _append(self, text: str, gap: str = "\n\n") -> int:
        if self._length:
            self._parts.append(gap)
            self._length += len(gap)
        start = self._length
        if self._number:
            self._starts.append(start)
            self._numbers.append(self._number)
            self._number = 0
        text = without_surrogates(text)
        self._parts.append(text)
        self._length += len(text)
        if self._length > self._limit:
            raise DocumentError(
                f"unfolds to more than {self._limit:,} characters of text",
                remedy="split the file, or leave it out through .searchkitignore",
            )
        return start


def one_line(text: str) -> str:
    """`text` with every run of white space as one space, none around it."""
    return _SPACE.sub(" ", text).strip()


def table_row(cells: Iterable[str]) -> str:
    """One line 'cell | cell' with empty cells at the end left out; '' if all are empty."""
    row = [one_line(cell) for cell in cells]
    while row and not row[-1]:
        row.pop()
    return " | ".join(row)


def json_value(value: Any, budget: list[int] | None = None, depth: int = 0) -> JsonValue:
    """Return `value` as JSON can hold it: dates and unknown things as text, what is too much left out."""
    budget = [METADATA_NODES] if budget is None else budget
    budget[0] -= 1
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else hex(value)  # hex: str() refuses very long numbers
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has neither infinity nor NaN
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if depth >= METADATA_DEPTH or budget[0] <= 0:
        return None
    if isinstance(value, dict):
        kept: dict[str, JsonValue] = {}
        for key, item in value.items():
            if budget[0] <= 0:
                break
            kept[without_surrogates(str(key))] = json_value(item, budget, depth + 1)
        return kept
    if isinstance(value, (list, tuple, set, frozenset)):
        items: list[JsonValue] = []
        for item in value:
            if budget[0] <= 0:
                break
            items.append(json_value(item, budget, depth + 1))
        return items
    return without_surrogates(value if isinstance(value, str) else str(value))
