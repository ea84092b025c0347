"""`searchkit models list|show|export|quantise`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searchkit.cli import options, output, progress
from searchkit.export.kinds import GRAPH_PRECISIONS
from searchkit.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from searchkit.embedding.embedder import LocalEmbedder


@click.group("models")
def models_command() -> None:
    """List model families, show how a model takes instructions, export and quantise models."""


@models_command.command("list")
@options.json_option
def list_models(as_json: bool) -> None:
    """List the model families searchkit knows, and models of each."""
    from searchkit.embedding.families import families

    known = families()
    if as_json:
        fields = ("name", "description", "models", "refused")
        output.print_json([{field: getattr(one, field) for field in fields} for one in known.values()])
        return
    shown = output.table("family", "what it is", "models")
    for one in known.values():
        what = f"not loaded: {one.refused}" if one.refused else one.description
        shown.add_row(one.name, what, ", ".join(one.models))
    output.console().print(shown)


@models_command.command("show")
@click.argument("model", metavar="ID|DIR")
@options.json_option
def show_model(model: str, as_json: bool) -> None:
    """Open MODEL and show its family, window, device, precision and fingerprint.

    Shown as it is run at present: a model that is not exported yet is not exported for this.
    """
    from searchkit.embedding.embedder import open_embedder

    embedder = open_embedder(model, export=False)
    facts = {
        "model": embedder.model,
        "family": embedder.family.name,
        "dim": embedder.dim,
        "max_tokens": embedder.max_tokens,
        "device": embedder.device,
        "precision": embedder.precision,
        "fingerprint": embedder.fingerprint(),
    }
    if as_json:
        output.print_json(facts)
        return
    shown = output.table("model", embedder.model)
    for name, value in facts.items():
        if name not in ("model", "fingerprint"):
            shown.add_row(name, str(value))
    for name, value in embedder.fingerprint().items():
        shown.add_row(f"fingerprint: {name}", value)
    for notice in embedder.notices:
        shown.add_row("note", notice)
    output.console().print(shown)


@models_command.command("export")
@click.argument("model", metavar="[ID|DIR]", default=DEFAULT_MODEL)
@click.option(
    "--precision",
    type=click.Choice(GRAPH_PRECISIONS),
    multiple=True,
    help="Export in this precision; may be given twice.  [default: both]",
)
@options.json_option
def export_model(model: str, precision: tuple[str, ...], as_json: bool) -> int:
    """Export MODEL into the cache, to be run without torch.

    The first `index` or `query` with a model does the same. Says how near the exported form comes to the
    model itself: the least and the mean cosine over texts of one word to 512 tokens, or as many as it
    has positions for.

    \b
    searchkit models export
    searchkit models export ./my-model --precision int8
    """
    from searchkit.embedding.embedder import export_model

    exported = [export_model(model, precision=one) for one in dict.fromkeys(precision or GRAPH_PRECISIONS)]
    if as_json:
        output.print_json([asdict(one) for one in exported])
    else:
        shown = output.table("precision", "size", "min cosine", "mean cosine", "folder")
        for one in exported:
            size = f"{one.size / 1e6:,.1f} MB" if one.size else "none"
            cosines = [f"{c:.5f}" if c is not None else "" for c in (one.min_cosine, one.mean_cosine)]
            shown.add_row(one.precision, size, *cosines, one.refused or str(one.folder))
        output.console().print(shown)
    return options.PARTLY_DONE if any(one.refused for one in exported) else 0


@models_command.command("quantise")
@click.argument("model", metavar="ID|DIR")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path), metavar="OUT")
@click.option(
    "--on", "sets", multiple=True, type=click.Path(exists=True, path_type=Path), metavar="SET",
    help="Measure every form on this judged set, as searchkit eval does; may be given again.",
)  # fmt: skip
@options.profile_option("Whose instructions the sets get.  [default: none]")
@click.option(
    "--over", metavar="ID|DIR", help="Write only what differs from this model, which MODEL was trained from."
)
@options.json_option
def quantise_model(
    model: str, out: Path, sets: tuple[Path, ...], profile: str | None, over: str | None, as_json: bool
) -> int:
    """Write MODEL with its weights in 8 bits into the folder OUT, and compare ways to have it in 8 bits.

    OUT is about a quarter of the size on disk, and opened like MODEL, by searchkit alone; run, it takes what
    MODEL takes. With --over it holds only what training changed, and is opened where the base is found as
    well. Beside weights it gets what searchkit reads, model card, licence, and a training's recipe and log;
    no other file of MODEL's folder. What is fast is the graph that `models export` makes. Also compared:
    torch's dynamic quantisation of the linear layers.

    \b
    searchkit models quantise ./my-model ./my-model-int8 --on ./scifact
    searchkit models quantise ./my-model ./my-model-over --over all-MiniLM-L6-v2
    """
    from searchkit.embedding.quantising import quantise_model

    judge = None
    if sets:
        from searchkit.evaluation.in_training import judged_on

        judged = judged_on(sets, profile)

        def judge(embedder: LocalEmbedder) -> dict[str, float]:
            return judged(0, embedder)

    with progress.share("measuring"):
        forms = quantise_model(model, out, judge, over=over)
    if as_json:
        output.print_json([asdict(one) for one in forms])
        return options.PARTLY_DONE if any(one.refused for one in forms) else 0
    names = list(forms[0].figures)
    shown = output.table("form", "size", "ratio", "texts/s", "min cosine", "mean cosine", *names)
    for one in forms:
        size = f"{one.size / 1e6:,.1f} MB" if one.size is not None else "none"
        cells = [
            "" if value is None else format(value, form)
            for value, form in (
                (one.ratio, ".2f"), (one.texts_per_second, ",.0f"), (one.min_cosine, ".5f"),
                (one.mean_cosine, ".5f"), *((one.figures.get(name), ".2f") for name in names),
            )
        ]  # fmt: skip
        shown.add_row(one.name, size, *cells)
    output.console().print(shown)
    for one in forms:
        if one.refused:
            click.echo(f"{one.name}: none, {one.refused}", err=True)
    click.echo(f"{out}: {forms[1].name}, opened like {model}")
    return options.PARTLY_DONE if any(one.refused for one in forms) else 0
