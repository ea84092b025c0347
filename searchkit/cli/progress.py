"""Bars on stderr for what takes longer than a moment; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


@contextmanager
def steps(doing: str = "") -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar that is told what is being done, how much of it is done, and of how much; 0 of 0: not known.

    `doing` is put before what it is told.

    Yields None where nobody would see it.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    with _bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    ) as bar:
        line = bar.add_task(doing or "reading", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(line, description=f"{doing} {what}".strip(), completed=done, total=total or None)

        yield show


@contextmanager
def share(doing: str) -> Iterator[Callable[[float], None]]:
    """A bar that is told which share of the work is done, from 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    with _bar() as bar:
        line = bar.add_task(doing, total=None)
        yield lambda done: bar.update(line, total=1.0, completed=done)


def _bar(*columns: ProgressColumn) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), transient=True)
