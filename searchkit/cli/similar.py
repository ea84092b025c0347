"""`searchkit similar`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options

if TYPE_CHECKING:
    from searchkit.collection.library import Library


@click.command("similar")
@click.argument("document")
@options.collection_option("The collection to look in.  [default: the only one, else company-docs]")
@click.option("-k", type=int, metavar="N", help="How many documents.  [default: the profile's]")
@options.filter_options
@click.option("--offset", type=int, default=0, metavar="N", help="Pass over the first N: the next page.")
@click.option("--passages", is_flag=True, help="Show the nearest passages instead of the nearest documents.")
@options.library_option
@options.format_option
def similar_command(document: str, library: Library, form: str, **wanted: Any) -> None:
    """Find the documents that are most like DOCUMENT, best first. No model is needed.

    \b
    searchkit similar hr/leave.md
    searchkit similar ./docs/hr/leave.md -k 5 --type pdf
    searchkit similar tickets.csv#12 -c support-tickets --json

    DOCUMENT is a name as results show it, the path of an indexed file, or the end of such a name where that
    is unique. Of each of its passages the nearest one of the other document counts; the score is the mean.
    Exact copies come first, with a score of 1.
    """
    from searchkit.cli.hits import print_results

    print_results(
        [document],
        form,
        lambda name: library.similar(name, **wanted),
        lambda name: library.similar_with_sentences(name, **wanted),
    )
