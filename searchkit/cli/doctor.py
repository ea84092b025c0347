"""`searchkit doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from searchkit.cli import options, output

if TYPE_CHECKING:
    from searchkit.collection.checks import Check
    from searchkit.collection.library import Library

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "bright_black"}


@click.command("doctor")
@options.collection_option("Only this collection, and the Library as a whole.  [default: all]")
@options.library_option
@options.json_option
def doctor_command(collection: str | None, library: Library, as_json: bool) -> int:
    """Check that a Library is whole, finds what it should, and that its models still give its vectors.

    \b
    versions       what is installed
    database       what SQLite, the full text and interrupted forgetting say
    space          room to write snapshots, log and database anew
    stored         texts, vectors and snapshot agree, as for searchkit verify
    snapshot       recall@10 beside an exact scan, on sampled questions
    model          it opens
    recipe         weights, tokenizer, pooling, window, precision are those of the stored vectors
    instructions   what the model is given before texts is what it was given
    family         how the model is read is known, not guessed
    ignored        the model reads the profile's instructions
    canaries       stored passages, embedded again, give the stored vectors
    batch          a text gives the same vector alone and among others

    Exit code 1 where a check fails, 0 with warnings: for cron and CI. A check that cannot be carried out
    fails, what rests on it is skipped, and the others go on.
    """
    from dataclasses import asdict

    from searchkit.collection.doctor import examine

    report = examine(library, collection)
    if as_json:
        checks = [asdict(check) for check in report.checks]
        output.print_json({"status": report.status, "library": str(report.library), "checks": checks})
    else:
        before = None
        for check in report.checks:
            if check.collection != before:
                click.echo(("\n" if before is not None else "") + _heading(check, str(report.library)))
                before = check.collection
            _print(check)
    return 1 if report.status == "fail" else 0


def _heading(check: Check, library: str) -> str:
    return f"collection {output.clean(check.collection)}" if check.collection else f"Library {library}"


def _print(check: Check) -> None:
    status = click.style(f"{check.status:7}", fg=COLOURS[check.status])
    click.echo(f"  {status}  {check.name:12}  {output.clean(check.found)}")
    if check.status != "ok":
        for name, text in (("expected", check.expected), ("helps", check.remedy)):
            if text:
                click.echo(f"{'':25}{name}: {output.clean(text)}")
