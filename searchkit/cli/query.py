"""`searchkit query`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.library.filter_grammar import Filter


@click.command("query")
@click.argument("text")
@options.collection_option("The collection to ask.  [default: the only one, else company-docs]")
@click.option(
    "-k", type=click.IntRange(min=1), metavar="N", help="How many passages.  [default: the profile's]"
)
@options.mode_options
@options.filter_options
@options.profile_option("Ask under another profile's query instruction.")
@options.model_option
@click.option(
    "--open",
    "to_open",
    is_flag=False,
    flag_value=1,
    type=click.IntRange(min=1),
    metavar="[N]",
    help="Open the file of hit N, the first if left out, where the passage stands.",
)
@options.library_option
@options.json_option
def query_command(
    text: str,
    collection: str | None,
    k: int | None,
    mode: str | None,
    where: Filter | str,
    profile: str | None,
    model: str | None,
    to_open: int | None,
    library: Library,
    as_json: bool,
) -> None:
    """Find the passages that answer TEXT, best first.

    \b
    searchkit query "how do I get a new laptop"
    searchkit query "VPN drops every hour" -c support-tickets -k 5 --json
    searchkit query E-204 --text --since 3m --where "status != solved"
    searchkit query "how do I get a new laptop" --open

    Fields of a FILTER: path, document, type, title, heading, page, size, modified, created, author, language,
    tags, and every name in front matter, properties and table columns. Comparisons: = != < <= > >= in has
    contains glob exists, joined by and, or, not and brackets.
    """
    asked: dict[str, Any] = {
        "collection": collection,
        "k": k,
        "profile": profile,
        "model": model,
        "mode": mode or "hybrid",
        "where": where,
    }
    if as_json:
        result = library.query(text, **asked)
        output.print_json(result)
    else:
        result, sentences = library.query_with_sentences(text, **asked)
        output.print_hits(result, sentences)
    if to_open is not None:
        from searchkit.cli.opening import open_hit  # most look, and open nothing

        open_hit(result, to_open, lambda text: click.echo(output.clean(text), err=True))
