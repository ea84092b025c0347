"""Prints duplicates: tables for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace

import click

from searchkit.analysis.duplicates import Copy, Found
from searchkit.analysis.evidence import summary
from searchkit.analysis.overlap import FoundDocuments
from searchkit.analysis.threshold import DECIDED, DEFAULT, GIVEN, Threshold
from searchkit.cli.output import clean, console, print_json, table

SHOWN = 20  # groups in a table
LONGEST = 160  # characters of a text in a table
CSV_COLUMNS = (
    *("group", "role", "passage_id", "document", "where", "cosine", "exact", "accepted"),
    *("differs_in", "text"),
)
CSV_OF_DOCUMENTS = ("group", "role", "document", "passages", "contained", "containing")


def print_passages(found: Found, form: str, k: int | None) -> None:
    """Print the first k groups; None for all, in a table for SHOWN; 0 for what was found in short."""
    if form == "json":
        print_json(replace(found, groups=found.groups[:k]))
    elif form == "csv":
        _print_csv(CSV_COLUMNS, _rows(found, k))
    else:
        click.echo(headline(found))
        if k != 0:
            _print_tables(found, k or SHOWN)


def print_documents(found: FoundDocuments, form: str, k: int | None) -> None:
    """Print the first k groups; None for all, in a table for SHOWN."""
    groups = found.groups[:k]
    if form == "json":
        print_json(replace(found, groups=groups))
    elif form == "csv":
        rows = (
            (number, role, one.document, one.passages, one.contained, one.containing)
            for number, group in enumerate(groups, start=1)
            for role, one in [("representative", group.representative), *(("copy", c) for c in group.copies)]
        )
        _print_csv(CSV_OF_DOCUMENTS, rows)
    else:
        click.echo(
            f"{found.collection}: {found.documents:,} documents, "
            f"{_counted(len(found.groups), 'group')} of duplicates\n{_threshold_line(found.threshold)}"
        )
        shown = table("document", "passages", "also in the first", "of the first")
        for group in found.groups[: k or SHOWN]:
            shown.add_row(clean(group.representative.document), f"{group.representative.passages:,}", "", "")
            for one in group.copies:
                shares = (f"{one.contained:.0%}", f"{one.containing:.0%}")
                shown.add_row(f"  {clean(one.document)}", f"{one.passages:,}", *shares)
        if found.groups:
            console().print(shown)
        _say_more(len(found.groups), k or SHOWN)


def headline(found: Found) -> str:
    """What was found, in two lines."""
    where = f" against {found.against}" if found.against else ""
    copies = sum(len(one.copies) for one in found.groups)
    counts = (
        f"{_counted(len(found.groups), 'group')} with {_counted(copies, 'copy', 'copies')}: "
        f"{found.exact:,} exact, {found.near:,} near"
        if found.groups
        else "no duplicates"
    )
    passages = _counted(found.passages, "passage")
    return f"{found.collection}{where}: {passages}, {counts}\n{_threshold_line(found.threshold)}"


def _threshold_line(one: Threshold) -> str:
    why = {
        GIVEN: "as given",
        DEFAULT: "the default, for there are too few different texts to measure it",
        DECIDED: f"measured, and moved by {one.accepted} accepted and {one.rejected} rejected pairs",
    }.get(one.how, "measured in this collection")
    chance = (
        "" if one.false_rate is None else f"; {one.false_rate:.1%} of what is this near is expected by chance"
    )
    return f"Threshold: cosine {one.value:.3f}, {why}{chance}"


def _print_tables(found: Found, k: int) -> None:
    shown = table("passage", "cosine", "differs in", "text or difference")
    for group in found.groups[:k]:
        first = group.representative
        shown.add_row(_named(first), "", "", _short(first.text))
        for one in group.copies:
            kinds = ", ".join(one.differences.kinds) if one.differences else ""
            shown.add_row(f"  {_named(one)}", f"{one.cosine:.3f}", kinds, _difference(one))
    if found.groups:
        console().print(shown)
    _say_more(len(found.groups), k)


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


def _say_more(groups: int, k: int) -> None:
    if groups > k:
        click.echo(f"{groups - k:,} more groups: show them with -k {groups}, or --json")


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _rows(found: Found, k: int | None) -> Iterator[Sequence[object]]:
    for number, group in enumerate(found.groups[:k], start=1):
        for role, one in [("representative", group.representative), *(("copy", c) for c in group.copies)]:
            plain = asdict(one)
            plain |= {"group": number, "role": role}
            plain["differs_in"] = " ".join(one.differences.kinds) if one.differences else ""
            yield ["" if plain[name] is None else plain[name] for name in CSV_COLUMNS]


def _print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    for row in (columns, *rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        click.echo(line.getvalue(), nl=False)
