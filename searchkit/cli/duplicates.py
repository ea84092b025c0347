"""`searchkit duplicates`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from searchkit.cli import options, progress
from searchkit.cli.output import clean, print_json
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.analysis.copies import Found, Show
    from searchkit.analysis.overlap import FoundDocuments
    from searchkit.collection.library import Library
    from searchkit.records import Failure

# Passages are numbered by SQLite, whose numbers end there.
PAIR: dict[str, Any] = {
    "nargs": 2,
    "type": click.IntRange(1, 2**63 - 1),
    "multiple": True,
    "metavar": "A B",
}
DECISIONS = ("accept", "reject", "undecide")
BESIDE_DECISIONS = {*DECISIONS, "library", "wait", "form"}
FAILURES_SHOWN = 20


def cosine(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """'auto', handed on as None, or a number, which is judged where it is used."""
    if value == "auto":
        return None
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is neither 'auto' nor a number", context, parameter) from None


@click.command("duplicates")
@options.collection_option("The collection to look in.  [default: the only one, else company-docs]")
@click.option("--against", metavar="NAME", help="Look for its passages in this other collection.")
@click.option(
    "--add",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Look for the passages of this file or folder, which is not indexed by that.",
)
@click.option(
    "--threshold",
    callback=cosine,
    default="auto",
    metavar="auto|X",
    help="The cosine from which on two texts are duplicates.  [default: auto]",
)
@click.option(
    "--level",
    type=click.Choice(["passage", "document"]),
    default="passage",
    help="Group passages, or documents by the passages they have in common.  [default: passage]",
)
@click.option(
    "--contained",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Of documents: the share of one that the other must have, too.  [default: 0.5]",
)
@click.option(
    "-k",
    type=click.IntRange(1),
    metavar="N",
    help="How many groups.  [default: all; a table: 20, with up to 10 copies of each]",
)
@click.option("--accept", **PAIR, help="Note that passages A and B are duplicates.")
@click.option("--reject", **PAIR, help="Note that passages A and B are none.")
@click.option("--undecide", **PAIR, help="Take back what was noted of A and B.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a report with the texts side by side.",
)
@options.wait_option
@options.library_option
@options.list_option("a line for each copy")
def duplicates_command(
    library: Library,
    form: str,
    k: int | None,
    html: Path | None,
    level: str,
    **asked: Any,
) -> int:
    """Find passages, or documents, that say the same: exactly, or nearly. Only --add needs the model.

    \b
    searchkit duplicates
    searchkit duplicates -c question-duplicates --threshold 0.9 --json
    searchkit duplicates --level document
    searchkit duplicates --html duplicates.html
    searchkit duplicates --against handbook-2023
    searchkit duplicates --add new-policy.docx
    searchkit duplicates --reject 12 57

    Every copy of a group is near to the passage that stands first; what differs between the two is shown, and
    marked where it is a number, a version, a date or a negation. From which cosine on texts are duplicates is
    measured in the collection, by how near to each other those are that are none.

    --accept, --reject and --undecide take two passages by the numbers in brackets. What was decided of two
    texts is kept wherever they stand, and later runs follow it; the measured threshold does, too.
    """
    from searchkit.cli import duplicate_lists as printing

    pairs = {name: asked.pop(name) for name in DECISIONS}
    wait = asked.pop("wait")
    if any(pairs.values()):
        _decide(library, pairs, wait, form)
        return 0
    show = printing.shown(k, whole=form != "table" or html is not None)
    if level == "document":
        _refuse_beside_documents(asked.pop("against"), asked.pop("add"), html)
        printing.print_documents(_documents(library, show, **asked), form)
        return 0
    if asked.pop("contained") is not None:
        raise UsageError("--contained is about documents", remedy="add --level document")
    if html is not None:
        from searchkit.cli.duplicate_report import require_folder, write

        require_folder(html)
    found = _passages(library, show, **asked)
    if html is not None:
        write(found, html)
        click.echo(f"Wrote {html}", err=True)
    printing.print_passages(found, form, headline_only=html is not None)
    _say_failures(found.failed)
    return options.PARTLY_DONE if found.failed else 0


def _refuse_beside_documents(against: str | None, add: Sequence[Path], html: Path | None) -> None:
    if against is not None or add:
        raise UsageError("--against and --add compare passages", remedy="leave out --level document")
    if html is not None:
        raise UsageError("--html shows passages side by side", remedy="leave out --level document")


def _passages(
    library: Library,
    show: Show,
    *,
    collection: str | None,
    against: str | None,
    add: Sequence[Path],
    threshold: float | None,
) -> Found:
    from searchkit.analysis import duplicates

    if add and against is not None:
        raise UsageError("--add and --against cannot be combined", remedy="name the collection with -c")
    if add:
        return duplicates.duplicates_of_files(library, add, collection, threshold=threshold, show=show)
    if against is not None:
        return duplicates.duplicates_against(library, against, collection, threshold=threshold, show=show)
    with progress.share("comparing") as on_share:
        return duplicates.duplicates(library, collection, threshold=threshold, show=show, on_share=on_share)


def _documents(
    library: Library, show: Show, *, collection: str | None, threshold: float | None, contained: float | None
) -> FoundDocuments:
    from searchkit.analysis.duplicates import duplicate_documents
    from searchkit.analysis.overlap import CONTAINED

    least = CONTAINED if contained is None else contained
    with progress.share("comparing") as on_share:
        return duplicate_documents(
            library, collection, threshold=threshold, contained=least, show=show, on_share=on_share
        )


def _decide(library: Library, pairs: dict[str, Any], wait: float, form: str) -> None:
    from searchkit.analysis.duplicates import decide

    context = click.get_current_context()
    beside = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in BESIDE_DECISIONS
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]
    if beside or form == "csv":
        raise UsageError(
            f"{', '.join(beside) or '--format csv'} says nothing of a decision; nothing was noted",
            remedy="decide first, without it, and ask again then",
        )
    made = decide(library, **pairs, patience=options.patience(wait))
    if form == "json":
        print_json({"decisions": [asdict(one) for one in made]})
        return
    known = {True: "duplicates", False: "no duplicates", None: "undecided"}
    for one in made:
        as_before = "" if one.changed else ", as they were before"
        click.echo(f"{one.first} and {one.second} are {known[one.same]}{as_before}")


def _say_failures(failed: Sequence[Failure]) -> None:
    for one in failed[:FAILURES_SHOWN]:
        click.echo(f"Not read: {clean(one.document)}: {clean(one.reason)}", err=True)
    if len(failed) > FAILURES_SHOWN:
        click.echo(f"and {len(failed) - FAILURES_SHOWN} more; see all with --json", err=True)
