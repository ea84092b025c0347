"""`searchkit watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from searchkit.cli import options, output
from searchkit.cli.stopping import stopped_in_order

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.errors import SearchkitError
    from searchkit.records import IndexReport


@click.command("watch")
@options.collection_option("Watch the sources of this collection only.  [default: of all]")
@click.option(
    "--debounce",
    default=0.5,
    show_default=True,
    type=click.FloatRange(min=0.05),
    metavar="SECONDS",
    help="How long files must be left alone before they are read.",
)
@options.wait_option
@options.library_option
def watch_command(collection: str | None, debounce: float, wait: float, library: Library) -> int:
    """Keep collections fresh: refresh them, then again whenever files of their sources change.

    Prints a line for each refresh that changed something, and goes on until it is stopped. The model stays
    loaded. A source that goes, for its disk is not mounted perhaps, keeps what was indexed from it, and is
    waited for.

    \b
    searchkit watch
    searchkit watch -c wiki-retrieval --debounce 5
    """
    from searchkit.cli.main import INTERRUPTED

    with stopped_in_order() as asked_to:
        try:
            said: dict[str, IndexReport] = {}
            patience = options.patience(wait)
            for report in library.watch(collection, debounce_s=debounce, patience=patience, on_error=_say):
                _print(report, said.get(report.collection))
                said[report.collection] = report
        except KeyboardInterrupt:
            click.echo("Stopped watching. Everything committed so far is kept.", err=True)
    return 0 if asked_to else INTERRUPTED


def _say(error: SearchkitError) -> None:
    click.echo(f"Error: {error.in_one_line}", err=True)


def _print(report: IndexReport, before: IndexReport | None) -> None:
    """What was done; what could not be read and what is left out only where that is news."""
    click.echo(output.index_line(report))
    if before is None or report.notices != before.notices:
        for notice in report.notices:
            click.echo(f"  Note: {notice}", err=True)
    if before is None or report.failed != before.failed:
        output.print_failures(report)
