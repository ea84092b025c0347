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


def json_option(command: Command) -> Command:
    """--json, handed on as `as_json`."""
    option: Callable[[Command], Command] = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people."
    )
    return option(command)
