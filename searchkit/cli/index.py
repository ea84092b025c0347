"""`searchkit index`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Callable

    from searchkit.collection.index_pipeline import Progress
    from searchkit.collection.library import Library


@click.command("index")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@options.collection_option("The collection's name.  [default: the profile's name]")
@options.profile_option()
@options.model_option
@options.library_option
@options.wait_option
@options.json_option
def index_command(
    paths: tuple[Path, ...],
    collection: str | None,
    profile: str | None,
    model: str | None,
    library: Library,
    wait: float,
    as_json: bool,
) -> int:
    """Add files and folders to a collection, or refresh what it has.

    Only what changed is read, and only new text is embedded. Without PATH every source is refreshed.

    \b
    searchkit index ./docs --profile wiki-retrieval
    searchkit index
    """
    with _progress() as on_progress:
        on: dict[str, Any] = {"patience": options.patience(wait), "on_progress": on_progress}
        if paths:
            reports = [library.index(paths, profile=profile, collection=collection, model=model, **on)]
        elif profile or model:
            raise click.UsageError(
                "--profile and --model need a PATH: without one, stored sources are refreshed"
            )
        else:
            reports = library.refresh(collection, **on)
    for report in reports:
        for notice in report.notices:
            click.echo(f"Note: {notice}", err=True)
        if as_json:
            output.print_json(output.index_report_json(report))
        else:
            output.print_index_report(report)
    return options.PARTLY_DONE if any(report.failed for report in reports) else 0


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with rate and time left on stderr; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[files]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        line = bar.add_task("indexing", total=None, files="", rate="")

        def show(progress: Progress) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            bar.update(
                line,
                total=max(progress.bytes_total, 1),
                completed=progress.bytes_done,
                files=f"{progress.files_done:,}/{progress.files_total:,} files",
                rate=f"{progress.embedded / elapsed:,.0f} passages/s" if elapsed > 1 else "",
            )

        yield show
