"""Options that several commands share, each spelled once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from searchkit.settings import DEFAULT_PROFILE, LIBRARY_VARIABLE, library_folder

if TYPE_CHECKING:
    from searchkit.collection.library import Patience
    from searchkit.library.filter_grammar import Filter

Command = TypeVar("Command", bound=Callable[..., Any])

PARTLY_DONE = 3
# The options that make one filter, and the arguments they are handed on as.
FILTERS = {"--where": "where", "--type": "kinds", "--path": "path", "--since": "since"}


def library_option(command: Command) -> Command:
    """--library DIR, handed on as `library`, a Library."""

    @functools.wraps(command)
    def with_library(*args: Any, library: Path | None, **kwargs: Any) -> Any:
        from searchkit.collection.library import Library

        return command(*args, library=Library(library or library_folder()), **kwargs)

    option = click.option(
        "--library",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help=f"Where the index lives.  [default: ${LIBRARY_VARIABLE}, else ./indexes]",
    )
    return option(with_library)  # type: ignore[return-value]


def collection_option(help_text: str) -> Callable[[Command], Command]:
    """-c NAME, handed on as `collection`."""
    return click.option("-c", "--collection", metavar="NAME", help=help_text)


def profile_option(help_text: str = "") -> Callable[[Command], Command]:
    """--profile NAME or FILE, handed on as `profile`."""
    text = help_text or f"A profile's name or TOML file.  [default: the collection's, else {DEFAULT_PROFILE}]"
    return click.option("--profile", metavar="NAME|FILE", help=text)


def model_option(command: Command) -> Command:
    """--model ID or DIR, handed on as `model`."""
    option: Callable[[Command], Command] = click.option(
        "--model", metavar="ID|DIR", help="A model's name, hub id or folder.  [default: the collection's]"
    )
    return option(command)


def wait_option(command: Command) -> Command:
    """--wait SECONDS, handed on as `wait`."""
    option: Callable[[Command], Command] = click.option(
        "--wait",
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for another process that writes.",
    )
    return option(command)


def patience(wait_s: float) -> Patience:
    """Wait that long for another writer, and say on stderr who it is."""
    from searchkit.collection.library import Patience

    def say_who(holder: str) -> None:
        click.echo(f"Waiting: the Library is being written by {holder}", err=True)

    return Patience(wait_s=wait_s, on_wait=say_who)


def mode_options(command: Command) -> Command:
    """--hybrid, --vector, --text and --fts, handed on as `mode`."""
    for name, help_text in (
        ("fts", "By an expression in SQLite's FTS5 syntax."),
        ("text", "By words only: exact terms, no model needed."),
        ("vector", "By meaning only."),
        ("hybrid", "By meaning and by words.  [default]"),
    ):
        option = click.option(f"--{name}", "mode", flag_value=name, help=help_text)
        command = option(command)
    return command


def filter_options(command: Command) -> Command:
    """--where, --type, --path and --since, handed on as one filter `where`."""

    @functools.wraps(command)
    def with_where(
        *args: Any,
        where: tuple[str, ...],
        kinds: tuple[str, ...],
        path: str | None,
        since: str | None,
        **kwargs: Any,
    ) -> Any:
        return command(*args, where=_filter(where, kinds, path, since), **kwargs)

    for names, help_text in (
        (("--since", "since"), "Files changed since then: 2026-01-31, today, 7d, 2w, 3m, 1y."),
        (("--path", "path"), "Paths of this pattern: 'hr/**', '**/*.pdf'."),
    ):
        with_where = click.option(*names, metavar="TEXT", help=help_text)(with_where)
    with_where = click.option(
        "--type",
        "kinds",
        multiple=True,
        metavar="TYPE",
        help="Documents of this type: pdf, md, mail, csv ...",
    )(with_where)
    option = click.option(
        "--where",
        multiple=True,
        metavar="FILTER",
        help="Only what fits: \"author = 'Ann Lee' and tags has policy\".",
    )
    return option(with_where)  # type: ignore[return-value]


def _filter(
    where: tuple[str, ...], kinds: tuple[str, ...], path: str | None, since: str | None
) -> Filter | str:
    """All of the options as one filter; '' where none was given."""
    shortcuts = [("--type", kind) for kind in kinds] + [("--path", path), ("--since", since)]
    for option, value in shortcuts:
        if value is not None and not value.strip():
            raise click.UsageError(f"{option} is empty: expected a value, or leave it out")
    if not (where or kinds or path or since):
        return ""
    from searchkit.library.filter_grammar import All, Comparison, Value, parse_filter

    parts = [parse_filter(one) for one in where]
    for field, operator, values in (
        ("type", "=", kinds),
        ("path", "glob", (path,)),
        ("modified", ">=", (since,)),
    ):
        if given := tuple(Value(value, quoted=True) for value in values if value):
            parts.append(Comparison(field, operator, given))
    return All(tuple(parts))


def answer_options(command: Command) -> Command:
    """Everything that says how a query is asked, handed on as `asked`: arguments of Library.query."""

    @functools.wraps(command)
    def with_asked(*args: Any, **kwargs: Any) -> Any:
        asked = {name: kwargs.pop(name) for name in ASKED}
        asked["mode"] = asked["mode"] or "hybrid"
        asked["collection"] = asked["collection"] or None
        return command(*args, asked=asked, **kwargs)

    for option in (
        click.option("--explain", is_flag=True, help="Say how each hit was found."),
        click.option(
            "--context", type=int, default=0, metavar="N", help="Show N passages before and after each."
        ),
        click.option("--rerank-first", type=int, metavar="N", help="Judge the first N again.  [default: 50]"),
        click.option(
            "--rerank-model",
            metavar="ID|DIR",
            help="Judge the first hits again by a cross-encoder or another embedder.",
        ),
        click.option(
            "--rerank-profile",
            metavar="NAME|FILE",
            help="Judge the first hits again under another profile's instructions.",
        ),
        click.option(
            "--min-relevance",
            type=float,
            metavar="P",
            help="Leave out what is below P %; 93 and more is relevant.",
        ),
        click.option(
            "--diversity",
            type=float,
            default=0.0,
            metavar="X",
            help="0 to 1: prefer passages unlike those above.  [default: 0]",
        ),
        click.option("--per-document", type=int, metavar="N", help="At most N passages of one document."),
        click.option(
            "--offset", type=int, default=0, metavar="N", help="Pass over the first N: the next page."
        ),
        model_option,
        profile_option("Ask under another profile's query instruction."),
        filter_options,
        mode_options,
        click.option("-k", type=int, metavar="N", help="How many passages.  [default: the profile's]"),
        click.option(
            "-c",
            "--collection",
            multiple=True,
            metavar="NAME",
            help="The collection to ask, or several.  [default: the only one, else company-docs]",
        ),
    ):
        with_asked = option(with_asked)
    return with_asked  # type: ignore[return-value]


ASKED = (
    "collection",
    "k",
    "mode",
    "where",
    "profile",
    "model",
    "offset",
    "per_document",
    "diversity",
    "min_relevance",
    "context",
    "explain",
    "rerank_profile",
    "rerank_model",
    "rerank_first",
)


def format_option(command: Command) -> Command:
    """--format, --json and --jsonl, handed on as `form`."""
    for name, help_text in (
        ("jsonl", "The same as --format jsonl: a line of JSON for each query."),
        ("json", "Print JSON for programs instead of text for people."),
    ):
        command = click.option(f"--{name}", "form", flag_value=name, help=help_text)(command)
    option = click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "jsonl", "csv"]),
        default="table",
        help="csv: a line for each hit.  [default: table]",
    )
    return option(command)


def list_option(csv: str) -> Callable[[Command], Command]:
    """--format and --json for what is no list of hits, handed on as `form`. csv: what its lines are."""

    def decorated(command: Command) -> Command:
        command = click.option(
            "--format",
            "form",
            type=click.Choice(["table", "json", "csv"]),
            default="table",
            help=f"csv: {csv}.  [default: table]",
        )(command)
        option: Callable[[Command], Command] = click.option(
            "--json", "form", flag_value="json", help="Print JSON for programs instead of text for people."
        )
        return option(command)

    return decorated


def vectors_folder() -> Path:
    """Where evaluations keep vectors between runs; when the command ends, what is too much goes."""
    from searchkit.evaluation.encoding import prune
    from searchkit.settings import cache_folder

    folder = cache_folder() / "evaluation"
    click.get_current_context().call_on_close(functools.partial(prune, folder))
    return folder


def json_option(command: Command) -> Command:
    """--json, handed on as `as_json`."""
    option: Callable[[Command], Command] = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people."
    )
    return option(command)
