"""Everything printed, for people and for programs; stdout for results, stderr for everything else."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.errors import UsageError
from searchkit.records import IndexReport

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 110
FAILURES_SHOWN = 20
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet calculates begins so
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def print_json(value: Any) -> None:
    """Print one JSON value on one line, in ASCII where stdout is no UTF-8."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(_finite(plain), ensure_ascii=not unicode, allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    """The same with null for what is not a number or infinite: JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def console() -> Console:
    """A rich console on stdout, of a sensible width where there is no terminal."""
    from rich.console import Console

    # Names and texts are shown as they are: '[red]' in a file's name is no markup.
    plain = Console(highlight=False, markup=False, emoji=False)
    if plain.is_terminal:
        return plain
    return Console(highlight=False, markup=False, emoji=False, width=WIDTH_WITHOUT_TERMINAL)


def clean(text: str) -> str:
    """The text on one line, without characters that a terminal would obey."""
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def check_folders(*files: Path | None) -> None:
    """Raise UsageError, before any work is done, if the folder of a file to be written is not there."""
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {file.absolute().parent}", remedy="make it first")


@contextmanager
def written() -> Iterator[None]:
    """Raise UsageError if a file that is written within cannot be."""
    try:
        yield
    except OSError as error:
        name = error.filename or "the file"  # a disk that is full tells none
        raise UsageError(f"{name} cannot be written: {error.strerror}", remedy="name another file") from error


def counted(count: int, one: str, more: str = "") -> str:
    """A number and what it counts: '1 query', '1,200 queries'; more: the plural, else with an 's'."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def table(*columns: str) -> Table:
    """A borderless table with a header line."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def p_value(p: float) -> str:
    """A value of p; '' where items are too few for one, which is nan."""
    return "" if p != p else f"{p:.4f}"


def better_worse(better: int, worse: int) -> str:
    """How many items are better, and worse; '' of a measure that is not one of single items."""
    return f"{better}, {worse}" if better or worse else ""


def csv_line(row: Sequence[object]) -> str:
    """A line of CSV, its end included. Texts that a spreadsheet would calculate begin with an apostrophe."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_inert(one) for one in row])
    return line.getvalue()


def _inert(cell: object) -> object:
    calculated = isinstance(cell, str) and cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if calculated else cell


def index_report_json(report: IndexReport) -> dict[str, Any]:
    """The stable JSON form of an IndexReport."""
    plain = asdict(report)
    plain.pop("notices")  # said on stderr
    return plain


def index_line(report: IndexReport) -> str:
    """What an index run did, in one line."""
    files = ", ".join(
        f"{count:,} {name}"
        for name, count in (
            ("added", report.added),
            ("changed", report.changed),
            ("moved", report.moved),
            ("removed", report.removed),
            ("unchanged", report.unchanged),
        )
        if count
    )
    return f"{report.collection}: {files or 'no files'} in {report.took_s:.1f} s"


def print_index_report(report: IndexReport) -> None:
    """Say what an index run did, and every file that it could not read."""
    click.echo(index_line(report))
    details = f"{report.embedded:,} embedded, {report.reused:,} reused in this run"
    if report.truncated:
        details += f", {report.truncated:,} longer than the model reads"
    click.echo(f"  {report.passages:,} passages; {details}")
    print_failures(report)


def print_failures(report: IndexReport) -> None:
    """Say which files could not be read, and why."""
    if report.failed:
        click.echo(f"  {len(report.failed)} not indexed:", err=True)
        for failure in report.failed[:FAILURES_SHOWN]:
            click.echo(f"    {clean(failure.document)}: {clean(failure.reason)}", err=True)
        if len(report.failed) > FAILURES_SHOWN:
            click.echo(f"    and {len(report.failed) - FAILURES_SHOWN} more; see all with --json", err=True)
