"""A bar on stderr for what takes longer than a moment; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(doing: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """Yields what is told (of what, done, of how many), or None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        line = bar.add_task(doing, total=1)

        def show(what: str, done: int, total: int) -> None:
            bar.update(line, description=f"{doing} {what}".strip(), completed=done, total=max(total, 1))

        yield show
