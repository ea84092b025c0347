"""`searchkit duplicates`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.analysis.duplicates import Found
    from searchkit.analysis.overlap import FoundDocuments
    from searchkit.collection.library import Library
    from searchkit.library.collections import StoredCollection
    from searchkit.library.database import Database

PAIR: dict[str, Any] = {"nargs": 2, "type": int, "multiple": True, "metavar": "A B"}


class Cosine(click.ParamType["float | None"]):
    """'auto', handed on as None, or a number."""

    name = "cosine"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Read it; the number itself is judged where it is used."""
        if value == "auto":
            return None
        try:
            return float(str(value))
        except ValueError:
            self.fail(f"'{value}' is neither 'auto' nor a number", param, ctx)


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
    type=Cosine(),
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
@click.option("-k", type=click.IntRange(1), metavar="N", help="How many groups.  [default: all; a table: 20]")
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
@click.option("--json", "form", flag_value="json", help="Print JSON for programs instead of text for people.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="csv: a line for each copy.  [default: table]",
)
def duplicates_command(
    library: Library,
    form: str,
    k: int | None,
    html: Path | None,
    level: str,
    **asked: Any,
) -> None:
    """Find passages, or documents, that say the same: exactly, or nearly. No model is needed.

    \b
    searchkit duplicates
    searchkit duplicates -c question-duplicates --threshold 0.9 --json
    searchkit duplicates --level document --html duplicates.html
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

    decided = [
        (pair, same)
        for name, same in (("accept", True), ("reject", False), ("undecide", None))
        for pair in asked.pop(name)
    ]
    wait = asked.pop("wait")
    if decided:
        _decide(library, decided, wait)
        return
    if level == "document":
        _refuse_beside_documents(asked.pop("against"), asked.pop("add"), html)
        printing.print_documents(_documents(library, **asked), form, k)
        return
    if asked.pop("contained") is not None:
        raise UsageError("--contained is about documents", remedy="add --level document")
    found = _passages(library, **asked)
    if html is None:
        printing.print_passages(found, form, k)
        return
    from searchkit.cli.duplicate_report import write

    write(found, k, html)
    printing.print_passages(found, form, 0 if form == "table" else k)
    click.echo(f"Wrote {html}", err=True)


def _refuse_beside_documents(against: str | None, add: Sequence[Path], html: Path | None) -> None:
    if against is not None or add:
        raise UsageError("--against and --add compare passages", remedy="leave out --level document")
    if html is not None:
        raise UsageError("--html shows passages side by side", remedy="leave out --level document")


def _passages(
    library: Library,
    collection: str | None,
    against: str | None,
    add: Sequence[Path],
    threshold: float | None,
) -> Found:
    if add and against is not None:
        raise UsageError("--add and --against cannot be combined", remedy="name the collection with -c")
    from searchkit.analysis.against import find_against
    from searchkit.analysis.duplicates import find
    from searchkit.collection.choosing import chosen_or_default
    from searchkit.library.database import Database

    with Database.read(library.folder) as db, db.one_state():
        mine = chosen_or_default(db, collection)
        if add:
            return _new(db, library, mine, add, threshold)
        if against is None:
            return find(db, mine, threshold)
        return find_against(db, mine, chosen_or_default(db, against), threshold)


def _new(
    db: Database, library: Library, mine: StoredCollection, paths: Sequence[Path], threshold: float | None
) -> Found:
    from searchkit.analysis.against import NewPassage, find_new
    from searchkit.cli.output import clean
    from searchkit.records import place_in_words

    read = library.unstored(paths, mine)
    for failure in read.failures:
        click.echo(f"Not read: {clean(failure.document)}: {clean(failure.reason)}", err=True)
    passages = [
        NewPassage(name, name + place_in_words(kind, one.place), one.text, one.embedded_text)
        for name, kind, one in read.passages
    ]
    return find_new(db, mine, passages, read.vectors, threshold)


def _documents(
    library: Library, collection: str | None, threshold: float | None, contained: float | None
) -> FoundDocuments:
    from searchkit.analysis.overlap import CONTAINED, find_documents
    from searchkit.collection.choosing import chosen_or_default
    from searchkit.library.database import Database

    with Database.read(library.folder) as db, db.one_state():
        least = CONTAINED if contained is None else contained
        return find_documents(db, chosen_or_default(db, collection), threshold, least)


def _decide(library: Library, decided: Sequence[tuple[tuple[int, int], bool | None]], wait: float) -> None:
    from searchkit.library import duplicates as store
    from searchkit.library.database import Database

    Database.read(library.folder).close()  # says so when there is no Library, instead of making one
    patience = options.patience(wait)
    with Database.write(library.folder, wait_s=patience.wait_s, on_wait=patience.on_wait) as db:
        hashes = {}
        for passage_id in {one for pair, _ in decided for one in pair}:
            if (text := store.text_of_passage(db, passage_id)) is None:
                raise UsageError(
                    f"there is no passage {passage_id}; nothing was noted",
                    remedy="take the numbers from: searchkit duplicates; an edited passage has a new one",
                )
            hashes[passage_id] = text
        for (a, b), _ in decided:
            if hashes[a] == hashes[b]:
                raise UsageError(
                    f"passages {a} and {b} have the same text; nothing was noted",
                    remedy="name two passages of a group that are not marked as exact",
                )
        with db.transaction() as tx:
            changed = [store.decide(tx, hashes[a], hashes[b], same) for (a, b), same in decided]
    known = {True: "duplicates", False: "no duplicates", None: "undecided"}
    for ((a, b), same), new in zip(decided, changed, strict=True):
        click.echo(f"{a} and {b} are {known[same]}" + ("" if new else ", as they were before"))
