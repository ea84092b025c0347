"""Prints duplicates: tables for people, JSON or CSV for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from searchkit.analysis.copies import Copy, Found, Show
from searchkit.analysis.evidence import summary
from searchkit.analysis.overlap import FoundDocuments
from searchkit.analysis.threshold import DECIDED, DEFAULT, GIVEN, Threshold
from searchkit.cli.output import clean, console, counted, csv_line, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

SHOWN, COPIES_SHOWN = 20, 10  # groups in a table, and copies of each
LONGEST = 160  # characters of a text in a table
CSV_COLUMNS = (
    *("group", "role", "passage_id", "document", "where", "cosine", "exact", "accepted"),
    *("differs_in", "text"),
)
CSV_OF_DOCUMENTS = ("group", "role", "document", "passages", "contained", "containing")


def shown(k: int | None, *, whole: bool) -> Show:
    """What is to be found out of k groups, None for all; of the whole, or of what a table has room for."""
    return Show(groups=k) if whole else Show(groups=k or SHOWN, copies=COPIES_SHOWN)


def print_passages(found: Found, form: str, *, headline_only: bool = False) -> None:
    """Print what is given of the groups; headline_only: of a table no more than what was found in short."""
    if form == "json":
        print_json(found)
    elif form == "csv":
        _print_csv(CSV_COLUMNS, _rows(found))
    else:
        click.echo(headline(found))
        if not headline_only:
            _print_tables(found)


def print_documents(found: FoundDocuments, form: str) -> None:
    """Print what is given of the groups."""
    if form == "json":
        print_json(found)
    elif form == "csv":
        rows = (
            (number, role, one.document, one.passages, one.contained, one.containing)
            for number, group in enumerate(found.groups, start=1)
            for role, one in [("representative", group.representative), *(("copy", c) for c in group.copies)]
        )
        _print_csv(CSV_OF_DOCUMENTS, rows)
    else:
        click.echo(
            f"{found.collection}: {counted(found.documents, 'document')}, "
            f"{counted(found.total, 'group')} of duplicates\n{_threshold_lines(found.threshold)}"
        )
        columns = table("document", "passages", "also in the first", "of the first")
        for group in found.groups:
            columns.add_row(
                clean(group.representative.document), f"{group.representative.passages:,}", "", ""
            )
            for one in group.copies[:COPIES_SHOWN]:
                shares = (f"{one.contained:.0%}", f"{one.containing:.0%}")
                columns.add_row(f"  {clean(one.document)}", f"{one.passages:,}", *shares)
            _add_more(columns, len(group.copies) - COPIES_SHOWN)
        if found.groups:
            console().print(columns)
        _say_more(found.total, len(found.groups))


def headline(found: Found) -> str:
    """What was found, in a few lines."""
    where = f" against {found.against}" if found.against else ""
    copies = counted(found.exact + found.near, "copy", "copies")
    counts = (
        f"{counted(found.total, 'group')} with {copies}: {found.exact:,} exact, {found.near:,} near"
        if found.total
        else "no duplicates"
    )
    passages = counted(found.passages, "passage")
    return f"{found.collection}{where}: {passages}, {counts}\n{_threshold_lines(found.threshold)}"


def _threshold_lines(one: Threshold) -> str:
    why = {
        GIVEN: "as given",
        DEFAULT: "the default, for there are too few different texts to measure it",
        DECIDED: f"measured, and moved by {one.accepted} accepted and {one.rejected} rejected pairs",
    }.get(one.how, "measured in this collection")
    chance = (
        "" if one.false_rate is None else f"; {one.false_rate:.1%} of what is this near is expected by chance"
    )
    alike = (
        "\nThe texts here are alike throughout, or stand in many versions: look at what is found, and give a "
        "--threshold where it is wrong"
        if one.alike
        else ""
    )
    return f"Threshold: cosine {one.value:.3f}, {why}{chance}{alike}"


def _print_tables(found: Found) -> None:
    columns = table("passage", "cosine", "differs in", "text or difference")
    for group in found.groups:
        first = group.representative
        columns.add_row(_named(first), "", "", _short(first.text))
        for one in group.copies:
            kinds = ", ".join(one.differences.kinds) if one.differences else ""
            columns.add_row(f"  {_named(one)}", f"{one.cosine:.3f}", kinds, _difference(one))
        _add_more(columns, group.more)
    if found.groups:
        console().print(columns)
    _say_more(found.total, len(found.groups))


def _add_more(columns: Table, more: int) -> None:
    if more > 0:
        columns.add_row(f"  and {more:,} more", "", "", "")


def _named(one: Copy) -> str:
    number = f" [{one.passage_id}]" if one.passage_id is not None else ""
    return f"{clean(one.where)}{number}"


def _difference(one: Copy) -> str:
    if one.differences is None:
        return "the same text"
    accepted = "accepted; " if one.accepted else ""
    return accepted + _short(summary(one.differences))


def _short(text: str) -> str:
    plain = clean(text)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def _say_more(total: int, given: int) -> None:
    if total > given > 0:
        click.echo(f"{total - given:,} more groups: show them with -k {total}, or all with --json")


def _rows(found: Found) -> Iterator[Sequence[object]]:
    for number, group in enumerate(found.groups, start=1):
        for role, one in [("representative", group.representative), *(("copy", c) for c in group.copies)]:
            plain = asdict(one)
            plain |= {"group": number, "role": role}
            plain["differs_in"] = " ".join(one.differences.kinds) if one.differences else ""
            yield ["" if plain[name] is None else plain[name] for name in CSV_COLUMNS]


def _print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    for row in (columns, *rows):
        click.echo(csv_line(row), nl=False)
