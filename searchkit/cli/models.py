"""`searchkit models list|show`."""

from __future__ import annotations

import click

from searchkit.cli import options, output


@click.group("models")
def models_command() -> None:
    """List model families, show how a model takes instructions."""


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
    """Open MODEL and show its family, window, device, precision and fingerprint."""
    from searchkit.embedding.embedder import open_embedder

    embedder = open_embedder(model)
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
