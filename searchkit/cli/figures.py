"""Results of evaluations, printed: one by one, side by side, and beside what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import output

if TYPE_CHECKING:
    from searchkit.evaluation.paper import Published
    from searchkit.evaluation.results import Result
    from searchkit.evaluation.tasks import Task


def check(chosen: Sequence[Task]) -> None:
    """Raise UsageError before anything is measured where a Task's `paper` cannot stand beside it."""
    from searchkit.evaluation import paper

    for one in chosen:
        paper.beside(one.name, one.kind, one.paper)


def published_beside(found: Sequence[Result]) -> list[Published | None]:
    """What was published of the set of each Result, in their order."""
    from searchkit.evaluation import paper

    return [paper.beside(one.task, one.measured.kind, one.paper) for one in found]


def print_results(found: Sequence[Result], as_json: bool, against: str | None) -> None:
    """Print Results as they came; against: 'paper' for what was published beside them."""
    from searchkit.evaluation import results

    theirs = None if against is None else published_beside(found)
    if as_json:
        output.print_json(results.plain(found) if theirs is None else _joined(results.plain(found), theirs))
        return
    if theirs is not None:
        _print_beside(found, theirs)
        return
    shown = output.table("task", "kind", "measure", "score", "95 %", "others")
    for one in found:
        measured = one.measured
        shown.add_row(
            output.clean(one.task), measured.kind, measured.main, measured.score, measured.interval,
            measured.others,
        )  # fmt: skip
    output.console().print(shown)
    _print_notes(found)


def print_side_by_side(
    columns: Mapping[str, Mapping[str, Result]], as_json: bool, against: str | None
) -> None:
    """Print Results of several folders, a column for each. columns: folder -> Task -> Result."""
    from searchkit.evaluation import paper, results

    if as_json:
        made = {}
        for folder, found in columns.items():
            kept = list(found.values())
            rows = results.plain(kept)
            made[folder] = rows if against is None else _joined(rows, published_beside(kept))
        output.print_json(made)
        return
    theirs = () if against is None else paper.columns()
    shown = output.table("task", "measure", *_headings(list(columns)), *theirs)
    for task in dict.fromkeys(task for found in columns.values() for task in found):
        there = [found[task] for found in columns.values() if task in found]
        figures = [found[task].measured.score if task in found else "" for found in columns.values()]
        # A Task of one name may be measured in two ways: say which figure is which.
        measures = ", ".join(dict.fromkeys(one.measured.main for one in there))
        beside = published_beside(there[:1])[0] if theirs else None
        shown.add_row(output.clean(task), measures, *figures, *_figures(beside, theirs))
    output.console().print(shown)
    for folder, found in columns.items():
        models = ", ".join(dict.fromkeys(one.model for one in found.values()))
        click.echo(f"{output.clean(folder)}: {output.clean(models)}")
    _print_notes([one for found in columns.values() for one in found.values()])
    if theirs:
        click.echo(paper.sources())


def _headings(folders: Sequence[str]) -> list[str]:
    """What folders are called over a column: by their last part, where that tells them apart."""
    names = [PurePath(one).name for one in folders]
    return [output.clean(one) for one in (names if len(set(names)) == len(names) else folders)]


def _print_beside(found: Sequence[Result], theirs: Sequence[Published | None]) -> None:
    from searchkit.evaluation import paper

    names = paper.columns()
    shown = output.table("task", "measure", "ours", "95 %", *names)
    for one, published in zip(found, theirs, strict=True):
        shown.add_row(
            output.clean(one.task), one.measured.main, one.measured.score, one.measured.interval,
            *_figures(published, names),
        )  # fmt: skip
    output.console().print(shown)
    _print_notes(found)
    click.echo(paper.sources())


def _joined(rows: list[dict[str, Any]], theirs: Sequence[Published | None]) -> list[dict[str, Any]]:
    """Rows of JSON with `against`: the set, its measure and the figures; null where there are none."""
    return [
        {
            **row,
            "against": None
            if one is None
            else {"set": one.name, "measure": one.measure, "figures": dict(one.figures)},
        }
        for row, one in zip(rows, theirs, strict=True)
    ]


def _figures(published: Published | None, names: Sequence[str]) -> list[str]:
    return ["" if published is None else f"{published.figures[name]:.2f}" for name in names]


def _print_notes(found: Sequence[Result]) -> None:
    """What has to be known of the figures; once, where several folders say the same."""
    for line in dict.fromkeys(f"{one.task}: {note}" for one in found for note in one.measured.notes):
        click.echo(output.clean(line))
