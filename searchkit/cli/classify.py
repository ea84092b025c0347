"""`searchkit classify`: train, predict, list, show, remove."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output, progress

if TYPE_CHECKING:
    from searchkit.analysis.classified_texts import ReadTexts
    from searchkit.analysis.classifying import FromCollection, FromFile
    from searchkit.collection.library import Library
    from searchkit.library.filter_grammar import Filter


def abstention(context: click.Context, parameter: click.Parameter, value: str) -> str | float:
    """'auto', 'never' or a number, which is judged where it is used."""
    if value in ("auto", "never"):
        return value
    try:
        return float(value)
    except ValueError:
        message = f"'{value}' is neither 'auto' nor 'never' nor a number"
        raise click.BadParameter(message, context, parameter) from None


@click.group("classify")
def classify_command() -> None:
    """Train classifiers from labelled texts, and ask them.

    A classifier is a logistic regression on the vectors of a model. It is stored in the Library with the
    model, the instruction and the precision of the texts it was trained on, and reads no others.

    \b
    searchkit classify train tickets --labels labelled.jsonl --label-field team
    searchkit classify train topics -c company-docs --field meta.topic
    searchkit classify predict tickets "my invoice is wrong" --proba
    searchkit classify predict tickets --file new.csv --format csv
    """


@classify_command.command("train")
@click.argument("name")
@click.option(
    "--labels", type=click.Path(path_type=Path), metavar="FILE", help="Labelled texts: JSONL, CSV or TSV."
)
@click.option("--label-field", metavar="NAME", help="Its field with the label.  [default: label]")
@click.option("--text-field", metavar="NAME", help="Its field with the text.  [default: text]")
@options.profile_option("The instruction before every text.  [default: classification]")
@click.option(
    "--model", metavar="ID|DIR", help="A model's name, hub id or folder.  [default: the embedded one]"
)
@options.collection_option("Learn from the stored passages of a collection instead; needs no model.")
@click.option(
    "--field", metavar="NAME", help="The label in its documents' metadata, as meta.topic; or their type."
)
@click.option(
    "--precision", type=float, default=0.9, show_default=True, metavar="P", help="Of the answers it gives."
)
@click.option("--seed", type=int, default=0, metavar="N", help="Another one folds the texts otherwise.")
@click.option("--replace", is_flag=True, help="In place of a classifier of that name.")
@options.library_option
@options.wait_option
@options.json_option
def train_command(name: str, library: Library, wait: float, as_json: bool, **asked: Any) -> int:
    """Train the classifier NAME, say how good it is on texts held out, and store it.

    Each text has one label. Classes with a single text are left out. Texts that are the same, and passages of
    one document, are never both learnt and asked in measuring.
    """
    from searchkit.analysis import classifying
    from searchkit.cli import classify_lists as lists

    source = _source(asked)
    wanted = classifying.Wanted(precision=asked["precision"], seed=asked["seed"], replace=asked["replace"])
    with progress.steps() as on_progress:
        report = classifying.train(
            library,
            name,
            source,
            wanted=wanted,
            patience=options.patience(wait),
            on_progress=on_progress,
        )
    for notice in report.notices:
        click.echo(f"Note: {notice}", err=True)
    lists.say_what_was_left_out(report)
    if as_json:
        output.print_json(report)
    else:
        lists.print_report(report)
    return options.PARTLY_DONE if report.failed else 0


def _source(asked: dict[str, Any]) -> FromFile | FromCollection:
    """Where the labels come from. Raises: click.UsageError: from nowhere, or options of both."""
    from searchkit.analysis.classifying import FromCollection, FromFile

    of_file = {"label_field": "--label-field", "text_field": "--text-field", "profile": "--profile"}
    given = {key: asked[key] for key in (*of_file, "model") if asked[key] is not None}
    if asked["labels"] is None:
        if asked["field"] is None:
            raise click.UsageError("give --labels FILE, or -c COLLECTION --field NAME")
        if given:
            raise click.UsageError(
                f"--{next(iter(given)).replace('_', '-')} belongs to --labels: a collection has its own"
            )
        return FromCollection(field=asked["field"], collection=asked["collection"])
    if asked["field"] is not None or asked["collection"] is not None:
        raise click.UsageError("give either --labels FILE or -c COLLECTION --field NAME")
    return FromFile(path=asked["labels"], **given)


@classify_command.command("predict")
@click.argument("name")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file",
    metavar="FILE|-",
    help="The texts of a JSONL, CSV or TSV file; of .txt, .md, or piped in, a line each.",
)
@click.option("--text-field", default="text", show_default=True, metavar="NAME", help="Of that file.")
@options.collection_option("The stored passages of a collection; needs no model.")
@options.filter_options
@click.option(
    "--abstain",
    callback=abstention,
    default="auto",
    metavar="auto|never|P",
    help="Say 'unsure' where precision would suffer, never, or below probability P; of what is unlike "
    "everything learnt, too, but for never.  [default: auto]",
)
@click.option("--proba", is_flag=True, help="Show the probability of every class.")
@options.library_option
@options.format_option
def predict_command(name: str, texts: tuple[str, ...], library: Library, form: str, **asked: Any) -> int:
    """Say which class texts belong to, or that it is unsure.

    Unsure is what is less probable than the precision promised in training takes, and what is unlike
    everything learnt: there the label is empty (JSON: null), and the best guess stands beside it.
    """
    from searchkit.analysis import classifying
    from searchkit.cli import classify_lists as lists

    given = [bool(texts), asked["file"] is not None, asked["collection"] is not None]
    if sum(given) != 1:
        raise click.UsageError("give TEXT, or --file FILE, or -c COLLECTION, and one of them only")
    if asked["where"] and asked["collection"] is None:
        raise click.UsageError("filters choose among stored passages: give -c COLLECTION")
    read: ReadTexts | None = None
    if asked["collection"] is not None:
        where: Filter | str = asked["where"]
        found = classifying.predict_collection(
            library, name, asked["collection"], where=where, abstain=asked["abstain"], proba=asked["proba"]
        )
    else:
        if asked["file"] is not None:
            read = _texts_of(asked["file"], asked["text_field"])
        with progress.steps() as on_progress:
            found = classifying.predict(
                library,
                name,
                read.texts if read else texts,
                abstain=asked["abstain"],
                proba=asked["proba"],
                on_progress=on_progress,
            )
    lists.say_rows_left_out(read.failed if read else ())
    lists.say_what_was_cut(found)
    lists.print_predictions(name, found, form, proba=asked["proba"], lines=read.lines if read else ())
    if asked["abstain"] == "auto" and found:
        lists.say_if_all_is_unsure(classifying.show(library, name))
    return options.PARTLY_DONE if read and read.failed else 0


def _texts_of(file: str, text_field: str) -> ReadTexts:
    from searchkit.analysis.classified_texts import lines_of, read_texts

    if file != "-":
        return read_texts(Path(file), text_field)
    piped = getattr(sys.stdin, "buffer", None)
    return lines_of(sys.stdin.read().encode() if piped is None else piped.read(), "what was piped in")


@classify_command.command("list")
@options.library_option
@options.json_option
def list_command(library: Library, as_json: bool) -> None:
    """List the classifiers of the Library."""
    from searchkit.analysis import classifying
    from searchkit.cli import classify_lists as lists

    lists.print_classifiers(classifying.listed(library), as_json)


@classify_command.command("show")
@click.argument("name")
@options.library_option
@options.json_option
def show_command(name: str, library: Library, as_json: bool) -> None:
    """Show a classifier: what it was trained from, how good it is, which vectors it reads."""
    from searchkit.analysis import classifying
    from searchkit.cli import classify_lists as lists

    lists.print_classifier(classifying.show(library, name), as_json)


@classify_command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.wait_option
@options.library_option
def remove_command(name: str, yes: bool, wait: float, library: Library) -> int:
    """Remove a classifier from the Library."""
    from searchkit.analysis import classifying

    classifying.show(library, name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"nobody is there to confirm that '{name}' be removed: give --yes")
        if not click.confirm(f"Remove classifier '{name}'?"):
            click.echo("Nothing was removed.")
            return 1
    classifying.remove(library, name, patience=options.patience(wait))
    click.echo(f"Removed classifier '{name}'.")
    return 0
