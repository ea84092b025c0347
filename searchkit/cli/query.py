"""`searchkit query`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options
from searchkit.cli.output import clean
from searchkit.errors import QueryInvalid

if TYPE_CHECKING:
    from searchkit.collection.library import Library


@click.command("query")
@click.argument("text", required=False)
@options.answer_options
@click.option(
    "--queries",
    metavar="FILE",
    help="Ask every line of FILE, or of stdin with '-'; in .jsonl files its field 'query'.",
)
@click.option(
    "--open",
    "to_open",
    is_flag=False,
    flag_value=1,
    type=click.IntRange(min=1),
    metavar="[N]",
    help="Open the file of hit N, the first if left out, where the passage stands; after TEXT.",
)
@options.library_option
@options.format_option
def query_command(
    text: str | None,
    queries: str | None,
    to_open: int | None,
    library: Library,
    form: str,
    asked: dict[str, Any],
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
    from searchkit.cli.hits import print_results

    if to_open is not None and queries is not None:
        raise click.UsageError("--open opens a hit of one query: give TEXT instead of --queries")
    result = print_results(
        queries_of(text, queries),
        form,
        lambda query: library.query(query, **asked),
        lambda query: library.query_with_sentences(query, **asked),
    )
    if to_open is not None:
        from searchkit.cli.opening import open_hit  # most look, and open nothing

        open_hit(result, to_open, lambda text: click.echo(clean(text), err=True))


def queries_of(text: str | None, file: str | None) -> list[str]:
    """What is to be asked. Raises: click.UsageError: nothing, or twice; a line that is no query."""
    if (text is None) == (file is None):
        raise click.UsageError(
            "give either TEXT or --queries FILE" if text else "there is no TEXT: say what to look for"
        )
    if file is None:
        assert text is not None
        return [text]
    try:
        lines = _read(file)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}") from error
    json_lines = file.endswith((".jsonl", ".ndjson"))
    found = []
    # Not splitlines(): JSON may hold what that takes for the end of a line.
    for number, line in enumerate(lines.replace("\r\n", "\n").split("\n"), start=1):
        if line.strip():
            where = f"{file}, line {number}"
            found.append(_checked(_query_of(line, where) if json_lines else line, where))
    if not found:
        raise click.UsageError(f"{file} holds no query: expected one on each line")
    return found


def _read(file: str) -> str:
    """A file, or what is piped in, in UTF-8."""
    if file != "-":
        return Path(file).read_text(encoding="utf-8-sig")
    piped = getattr(sys.stdin, "buffer", None)  # a terminal's own encoding is not what files are written in
    return sys.stdin.read() if piped is None else piped.read().decode("utf-8-sig")


def _checked(query: str, where: str) -> str:
    """A query; a mistake in one costs none of the others. Raises: QueryInvalid, naming the line."""
    from searchkit.collection.query_pipeline import checked_query

    try:
        return checked_query(query)
    except QueryInvalid as error:
        raise QueryInvalid(f"{where}: {error.message}", remedy=error.remedy) from error


def _query_of(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise click.UsageError(f"{where} is no JSON: {error}") from error
    query = row.get("query") if isinstance(row, dict) else row
    if not isinstance(query, str):
        raise click.UsageError(f'{where} has no query: expected {{"query": "..."}}')
    return query
