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


def json_option(command: Command) -> Command:
    """--json, handed on as `as_json`."""
    option: Callable[[Command], Command] = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people."
    )
    return option(command)
