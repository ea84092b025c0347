"""`searchkit cluster --by-instruction`: two partitions of the same passages side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from searchkit.cli import output, progress

if TYPE_CHECKING:
    from searchkit.analysis.instructed import Comparison, Side
    from searchkit.collection.library import Library

SHOWN = 6  # clusters of each side in the table, the largest
WORDS_SHOWN = 5
CSV_COLUMNS = ("cluster", "name", "instructed cluster", "instructed name", "passages")


def print_comparison(library: Library, collection: str | None, sentence: str, form: str) -> None:
    """Embed the passages under another Instruction, cluster them, and print how the two agree."""
    from searchkit.analysis import instructed

    with progress.steps() as on_progress:
        found = instructed.compare(library, sentence, collection=collection, on_progress=on_progress)
    if not found.trained:
        click.echo(
            f"Note: {found.model} was not made for instructions; "
            f"each passage was read after {found.instruction!r}.",
            err=True,
        )
    if form == "csv":
        _print_csv(found)
    elif form == "table":
        _print_table(found)
    else:
        output.print_json(found)


def _print_csv(found: Comparison) -> None:
    click.echo(output.csv_line(CSV_COLUMNS), nl=False)
    for one, row in zip(found.stored, found.shared, strict=True):
        for other, count in zip(found.instructed, row, strict=True):
            if count:
                click.echo(output.csv_line([one.number, one.name, other.number, other.name, count]), nl=False)


def _print_table(found: Comparison) -> None:
    from rich.text import Text

    out = output.console()
    out.print(Text(f"v-measure {found.v_measure:.3f}, adjusted Rand {found.adjusted_rand:.3f}", style="bold"))
    out.print(Text("1 where both part the passages alike; 0 where one says nothing of the other\n"))
    if found.left_out:
        out.print(Text(f"{found.left_out:,} passages in none of the stored clusters were left out\n"))
    out.print(Text(f"Clusters under {found.instruction!r}:"))
    _print_sides(found.instructed)
    out.print(Text("Passages that the largest clusters share; stored ones down, instructed ones across:"))
    columns = found.instructed[:SHOWN]
    shared = output.table("", *(f"{one.number} {one.name}" for one in columns), "others")
    for one, row in list(zip(found.stored, found.shared, strict=True))[:SHOWN]:
        cells = [*(str(count) for count in row[: len(columns)]), str(sum(row[len(columns) :]))]
        shared.add_row(*map(Text, [f"{one.number} {one.name}", *cells]))
    out.print(shared)


def _print_sides(sides: Sequence[Side]) -> None:
    from rich.text import Text

    shown = output.table("#", "name", "passages", "words")
    for one in sides:
        cells = [str(one.number), one.name, f"{one.passages:,}", ", ".join(one.words[:WORDS_SHOWN])]
        shown.add_row(*map(Text, cells))
    output.console().print(shown)
