"""Tables as rows of fields: every line of CSV, TSV or JSONL, whole and as it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.documents.load import Limits, unreadable
from searchkit.documents.reading import LoadOptions
from searchkit.documents.rows import csv_rows, json_rows
from searchkit.errors import DocumentError, UsageError
from searchkit.records import Failure, SourceFile

CSV = (".csv", ".tsv", ".tab")
JSONL = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: its first line in the file, from 1, and its fields; those of CSV are texts, none is empty."""

    line: int
    fields: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """A field by its name; 'a.b' is field b of the object a. None where there is no such field."""
        if name in self.fields:
            return self.fields[name]
        found: Any = self.fields
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found


def table_rows(path: Path, on_failure: Callable[[Failure], None]) -> Iterator[TableRow]:
    """Yield the rows of a file; those that cannot be read go to `on_failure`, named by their line.

    Raises: UsageError: there is no such file, it cannot be read, or is no table.
    """
    suffix = path.suffix.lower()
    if suffix not in (*CSV, *JSONL):
        raise UsageError(
            f"{path} is of a kind that is not read as a table ({suffix or 'no suffix'})",
            remedy=f"expected one of: {', '.join((*JSONL, *CSV))}",
        )
    options = LoadOptions(limits=Limits())
    source = SourceFile(path=path.absolute(), name=path.name, size=0, mtime_ns=0)
    losses = _ByLine(path.name, on_failure)
    try:
        if not path.is_file():
            raise UsageError(f"there is no file {path}", remedy="name a JSONL or CSV file")
        if suffix in CSV:
            for _, (line, _), fields, _ in csv_rows(source, options, losses):
                yield TableRow(line, fields)
            return
        for number, line, value in json_rows(source, options, losses):
            if isinstance(value, str):
                value = {"text": value}
            if isinstance(value, dict):
                yield TableRow(line, value)
            else:
                losses.add(number, f"holds a JSON {type(value).__name__}, expected an object", line)
    except OSError as error:
        raise UsageError(
            f"{path} {unreadable(error).message}", remedy="name a file that can be read"
        ) from error
    except DocumentError as error:
        raise UsageError(f"{path} {error.message}", remedy=error.remedy) from error


class _ByLine:
    """Hands on rows that cannot be read, by their line where it is known."""

    def __init__(self, name: str, on_failure: Callable[[Failure], None]) -> None:
        self._name = name
        self._on_failure = on_failure

    def add(self, number: int, reason: str, line: int | None = None) -> None:
        """Hand one on."""
        where = f"row {number}" if line is None else f"line {line}"
        self._on_failure(Failure(document=f"{self._name}, {where}", reason=reason))
