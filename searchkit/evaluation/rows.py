"""Rows of JSONL, CSV and TSV files (.gz, too), each with its line, and what a row must hold.

Nothing is passed over: a set that breaks its layout would be measured wrongly without anybody noticing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.errors import DataInvalid, UsageError, near_names

SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
SHOWN = 60  # characters of a value in a message
LONGEST_CELL = 2**31 - 1  # characters; the standard library's 131,072 is less than many a document has


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file, which line it began in, and checked access to its fields."""

    file: Path
    line: int
    fields: Mapping[str, Any]

    def wrong(self, what: str, remedy: str = "") -> DataInvalid:
        """The error that says what is wrong in this row."""
        return DataInvalid(f"{self.file}, line {self.line}: {what}", remedy=remedy)

    def value(self, *names: str) -> Any:
        """The first of these fields that is there. Raises: DataInvalid: none is."""
        for name in names:
            if self.fields.get(name) is not None:
                return self.fields[name]
        raise self.wrong(
            f"there is no '{names[0]}'{near_names(names[0], self.fields)}; the row has "
            f"{', '.join(map(repr, self.fields)) or 'no fields'}"
        )

    def text(self, *names: str) -> str:
        """A text that is not empty."""
        found = self.value(*names)
        if not isinstance(found, str):
            raise self.wrong(f"'{names[0]}' is {_short(found)}, expected a text")
        if not found.strip():
            raise self.wrong(f"'{names[0]}' is empty", "leave the row out, or give it a text")
        return found

    def number(self, *names: str) -> float:
        """A finite number; CSV holds it as text."""
        found = self.value(*names)
        try:
            number = float(found) if not isinstance(found, bool) else None
        except (TypeError, ValueError, OverflowError):  # JSON's integers have no end
            number = None
        if number is None or number != number or abs(number) == float("inf"):
            raise self.wrong(f"'{names[0]}' is {_short(found)}, expected a number")
        return number

    def name(self, *names: str) -> str:
        """An id or a label: a text or a whole number."""
        found = self.value(*names)
        if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
            raise self.wrong(f"'{names[0]}' is {_short(found)}, expected a name or a whole number")
        return str(found)

    def texts(self, name: str, least: int = 0) -> tuple[str, ...]:
        """A list of so many texts or more, of which none is empty."""
        found = self.value(name)
        if not isinstance(found, list) or len(found) < least:
            raise self.wrong(f"'{name}' is {_short(found)}, expected a list of texts")
        for one in found:
            if not isinstance(one, str) or not one.strip():
                raise self.wrong(f"'{name}' holds {_short(one)}, expected texts that are not empty")
        return tuple(found)


def stem_of(file: Path) -> str:
    """A file's name without its ending, '.gz' before it: 'questions.v2' of 'questions.v2.jsonl.gz'."""
    return Path(file.name.removesuffix(".gz")).stem


def rows_of(file: Path) -> Iterator[Row]:
    """The rows of a file, by its name's ending.

    Raises: UsageError: the file cannot be read, or is of no such kind. DataInvalid: a line is no row.
    """
    name = file.name.removesuffix(".gz")
    if not name.endswith(SUFFIXES):
        raise UsageError(
            f"{file} is no file of rows", remedy=f"expected one of {', '.join(SUFFIXES)}, or .gz"
        )
    try:
        try:
            with _opened(file) as lines:
                if name.endswith((".csv", ".tsv")):
                    yield from _table(file, lines, "\t" if name.endswith(".tsv") else ",")
                else:
                    yield from _objects(file, lines)
        except UnicodeDecodeError as error:
            where = f"{file}, line {_not_utf8(file)}"
            raise DataInvalid(f"{where}: no UTF-8: {error.reason}", remedy="save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def unique(rows: Sequence[tuple[Row, str]], what: str) -> None:
    """Raises: DataInvalid: a name is that of an earlier row."""
    seen: dict[str, int] = {}
    for row, name in rows:
        if name in seen:
            raise row.wrong(f"{what} {name!r} is already in line {seen[name]}", "give each its own")
        seen[name] = row.line


def _not_utf8(file: Path) -> int:
    """The first line that is none; who decodes in blocks cannot tell."""
    opened = gzip.open if file.name.endswith(".gz") else open
    before = 0
    with opened(file, "rb") as lines:
        for line in lines:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                break
            before += 1
    return before + 1


def _opened(file: Path) -> io.TextIOBase:
    if file.name.endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _objects(file: Path, lines: io.TextIOBase) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataInvalid(f"{file}, line {number}: no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise DataInvalid(f"{file}, line {number}: {_short(fields)} is no JSON object")
        yield Row(file, number, fields)


def _table(file: Path, lines: io.TextIOBase, between: str) -> Iterator[Row]:
    # TSV of the field has no quotes: a lone " there is a character like any other.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # of the process; others only raise it
    reader = (
        csv.reader(lines, delimiter=between, quoting=csv.QUOTE_NONE)
        if between == "\t"
        else csv.reader(lines, strict=True)
    )
    before = 0
    header: list[str] | None = None
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num  # a quoted cell may run over several lines
            if not cells:
                continue
            if header is None:
                header = _header(file, line, cells)
            elif len(cells) != len(header):
                raise DataInvalid(f"{file}, line {line}: {len(cells)} cells, expected {len(header)}")
            else:
                yield Row(file, line, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataInvalid(f"{file}, line {before + 1}: {error}") from error


def _header(file: Path, line: int, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if "" in names or len(set(names)) < len(names):
        raise DataInvalid(
            f"{file}, line {line}: the names of the columns are {', '.join(map(repr, names))}",
            remedy="the first line names the columns, each with a name of its own",
        )
    return names


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."
