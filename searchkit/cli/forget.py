"""`searchkit forget`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from searchkit.cli import options, output

if TYPE_CHECKING:
    from searchkit.collection.forgetting import Forgotten
    from searchkit.collection.library import Library


@click.command("forget")
@click.argument("document", required=False)
@options.collection_option("Forget it in this collection only.  [default: in all]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.wait_option
@options.library_option
@options.json_option
def forget_command(
    document: str | None, collection: str | None, yes: bool, wait: float, library: Library, as_json: bool
) -> int:
    """Erase DOCUMENT from the Library with every trace, and prove it.

    DOCUMENT is named as results name it, or by the file's path. Its text, title, metadata, vectors and words
    go from the database and from every snapshot, then all files of the Library are searched for its bytes.
    Without DOCUMENT, traces of what was removed or changed before are erased.

    The file itself is never touched. It is left out by later runs, under another name too, until you name it:
    searchkit index FILE. Of a table, single rows can be forgotten; one that is edited later comes back.

    The clusters of its collections are deleted, for their names are words of texts; searchkit cluster makes
    them again.

    Texts that other documents hold as well stay. Killed at any moment, the next command that writes goes on.
    What the file system, the disk or a backup keeps of former files is beyond searchkit's reach. Pages and
    reports already written, by searchkit map or duplicates --html, keep the texts that they show.

    \b
    searchkit forget hr/leave.md
    searchkit forget staff.csv#12 -c people
    """
    if document is not None:
        names, passages = library.held(document, collection=collection)
        if names and not yes and not _confirmed(document, names, passages):
            click.echo("Nothing was forgotten.")
            return 1
    done = library.forget(document, collection=collection, patience=options.patience(wait))
    if as_json:
        output.print_json(done)
    else:
        _print(done)
    return 0


def _confirmed(document: str, names: tuple[str, ...], passages: int) -> bool:
    what = f"'{document}' ({passages:,} passages in {', '.join(names)})"
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to confirm that {what} be forgotten: give --yes")
    return click.confirm(f"Forget {what}? That cannot be undone; the file itself stays.")


def _print(done: Forgotten) -> None:
    if done.collections:
        click.echo(
            f"Forgot '{done.document}': {done.documents:,} documents, {done.passages:,} passages "
            f"in {', '.join(done.collections)}."
        )
    elif done.document:
        click.echo(f"Nothing is held of '{done.document}' any more.")
    if done.shared:
        click.echo(f"  {done.shared:,} of the passages are also held by other documents: their text stays.")
    if done.classifiers:
        names = ", ".join(output.clean(name) for name in done.classifiers)
        click.echo(
            f"  Deleted classifiers trained from what is gone: {names}; train them anew with: "
            "searchkit classify train"
        )
    for name in done.clusters:
        click.echo(
            f"  The clusters of {name} are deleted, for they were made of it; make them again: "
            f"searchkit cluster -c {name}"
        )
    proof = done.proof
    searched = f"{proof.files:,} files, {proof.bytes / 1e6:,.1f} MB, for {proof.pieces:,} pieces of it"
    but = f" but {proof.elsewhere:,} that other documents hold, too" if proof.elsewhere else ""
    click.echo(f"  Searched {searched}: none is left{but}.")
    click.echo(
        "  Pages and reports written before (searchkit map, duplicates --html) keep their texts: delete them."
    )
