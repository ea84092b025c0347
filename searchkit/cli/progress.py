"""A bar on stderr for work in steps that have names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def steps() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar that is told what is being done, how much of it is done, and of how much; 0 of 0: not known.

    Nothing where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("reading", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(line, description=what, completed=done, total=total or None)

        yield show
