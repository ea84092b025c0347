"""`searchkit collections`, `show`, `remove`, `verify` and `rebuild`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output

if TYPE_CHECKING:
    from searchkit.collection.info import CollectionInfo
    from searchkit.collection.library import Library
    from searchkit.library.collections import StoredSnapshot


@click.command("collections")
@options.library_option
@options.json_option
def collections_command(library: Library, as_json: bool) -> None:
    """List the collections of the Library."""
    infos = library.collections()
    if as_json:
        output.print_json([_plain(info) for info in infos])
        return
    if not infos:
        click.echo(
            f"The Library in {library.folder} has no collection. Make one with: searchkit index FOLDER"
        )
        return
    shown = output.table("collection", "profile", "model", "files", "passages", "sources")
    for info in infos:
        roots = "\n".join(str(source.root) for source in info.sources)
        counts = (f"{info.counts.files:,}", f"{info.counts.passages:,}")
        shown.add_row(info.name, info.profile.name, info.model, *counts, roots)
    output.console().print(shown)


@click.command("show")
@click.argument("collection", required=False)
@options.library_option
@options.json_option
def show_command(collection: str | None, library: Library, as_json: bool) -> None:
    """Show COLLECTION: profile, instructions, model, recipe, sources, counts."""
    info = library.show(collection)
    if as_json:
        output.print_json(_plain(info))
        return
    shown = output.table("collection", info.name)
    shown.add_row("profile", f"{info.profile.name} ({info.profile.task})")
    shown.add_row("document instruction", repr(info.profile.instruction("document").render()))
    shown.add_row("query instruction", repr(info.profile.instruction("query").render()))
    shown.add_row("model", f"{info.model}, {info.dim} dimensions")
    for source in info.sources:
        shown.add_row("source", f"{source.root} ({source.files:,} files)")
    shown.add_row("documents", f"{info.counts.documents:,}")
    truncated = f", {info.counts.truncated:,} longer than the model reads" if info.counts.truncated else ""
    shown.add_row("passages", f"{info.counts.passages:,}{truncated}")
    if info.snapshot:
        late = info.generation - info.snapshot.generation
        state = f"{late} commits behind: the rest is scanned" if late else "up to date"
        exact = ", exact" if info.snapshot.search["plan"]["promised_recall"] == 1.0 else ""
        shown.add_row("snapshot", f"{info.snapshot.kind}{exact}, {info.snapshot.rows:,} rows, {state}")
        shown.add_row("nearest rows", _searched(info.snapshot))
    else:
        shown.add_row("snapshot", "none: stored vectors are scanned")
    for name, value in sorted(info.recipe.items()):
        shown.add_row(f"recipe: {name}", repr(value) if name == "document instruction" else value)
    output.console().print(shown)


@click.command("remove")
@click.argument("collection")
@click.option("--source", type=click.Path(path_type=Path), metavar="PATH", help="Remove only this source.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.wait_option
@options.library_option
def remove_command(collection: str, source: Path | None, yes: bool, wait: float, library: Library) -> int:
    """Remove COLLECTION, or one of its sources, from the Library. The files themselves stay."""
    what = f"source {source} of collection '{collection}'" if source else f"collection '{collection}'"
    info = library.show(collection)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"nobody is there to confirm that {what} be removed: give --yes")
        if not click.confirm(f"Remove {what} ({info.counts.passages:,} passages in all) from the Library?"):
            click.echo("Nothing was removed.")
            return 1
    trained = library.trained_from(collection)
    files = library.remove(collection, source=source, patience=options.patience(wait))
    click.echo(f"Removed {what}: {files:,} files. The files themselves were not touched.")
    left = library.trained_from(collection) if source else []
    if gone := [name for name in trained if name not in left]:
        names = ", ".join(output.clean(name) for name in gone)
        click.echo(f"The classifiers that were trained from it went with it: {names}.")
    click.echo("Traces stay in the Library until their place is used again; erase them: searchkit forget")
    return 0


@click.command("verify")
@click.argument("collection", required=False)
@options.library_option
@options.json_option
def verify_command(collection: str | None, library: Library, as_json: bool) -> int:
    """Check the database and the snapshots against each other; exit code 1 when something is wrong."""
    problems = library.verify(collection)
    if as_json:
        output.print_json({"clean": not problems, "problems": problems})
    elif problems:
        for problem in problems:
            click.echo(problem, err=True)
        click.echo(
            "Snapshots are made again with: searchkit rebuild; texts and vectors by indexing again", err=True
        )
    else:
        click.echo("Clean: texts, vectors and snapshots agree.")
    return 1 if problems else 0


@click.command("rebuild")
@click.argument("collection", required=False)
@options.wait_option
@options.library_option
def rebuild_command(collection: str | None, wait: float, library: Library) -> None:
    """Write the snapshot of COLLECTION, or of all, anew from the stored vectors. Nothing is embedded."""
    for name in library.rebuild(collection, patience=options.patience(wait)):
        click.echo(f"Rebuilt the snapshot of '{name}'.")


def _searched(snapshot: StoredSnapshot) -> str:
    """How the rows nearest to a query are found, and how many of them."""
    plan, tuning = snapshot.search["plan"], snapshot.search["tuning"]
    if plan["promised_recall"] == 1.0:
        return "all of them: every row is compared"
    way = (
        f"{tuning['effort']:,} of {plan['lists']:,} lists"
        if plan["lists"]
        else f"effort {tuning['effort']:,}"
    )
    return (
        f"{tuning['measured_recall']:.1%} of the best ten on {tuning['sample']} samples, "
        f"{plan['promised_recall']:.0%} promised ({way}, {tuning['oversampling']:g} times the rows compared)"
    )


def _plain(info: CollectionInfo) -> dict[str, Any]:
    return {
        "collection": info.name,
        "profile": info.profile.to_dict(),
        "document_instruction": info.profile.instruction("document").render(),
        "query_instruction": info.profile.instruction("query").render(),
        "model": info.model,
        "dim": info.dim,
        "recipe": dict(info.recipe),
        "generation": info.generation,
        "sources": [{"root": str(source.root), "files": source.files} for source in info.sources],
        "files": info.counts.files,
        "documents": info.counts.documents,
        "passages": info.counts.passages,
        "truncated": info.counts.truncated,
        "snapshot": None
        if info.snapshot is None
        else {
            "file": info.snapshot.file,
            "kind": info.snapshot.kind,
            "generation": info.snapshot.generation,
            "rows": info.snapshot.rows,
            "bytes": info.snapshot.size,
            **info.snapshot.search,
        },
    }
