"""`searchkit shell`: one question after another, with the model loaded once.

A line is a query, or a command when it begins with ':'. The Library is opened anew for each, so that what
another process has indexed meanwhile is found.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from searchkit.cli import options
from searchkit.cli.history import History
from searchkit.cli.main import say, say_error
from searchkit.errors import ModelError, ModelNotFound, SearchkitError, UsageError, near_names
from searchkit.settings import cache_folder

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.collection.snippet import Sentence
    from searchkit.records import Hit, QueryResult

Ask: TypeAlias = Callable[[int], "tuple[QueryResult, list[Sentence]]"]  # from the Hit after so many on

PROMPT = "searchkit> "
HISTORY_FILE = "shell-history"


@click.command("shell")
@options.answer_options
@click.option("--no-history", is_flag=True, help="Neither read nor keep what is typed.")
@options.library_option
@click.pass_context
def shell_command(context: click.Context, library: Library, asked: dict[str, Any], no_history: bool) -> int:
    """Ask one question after another; the model is loaded once.

    \b
    searchkit shell
    searchkit shell -c support-tickets -k 5 --since 3m
    searchkit shell < questions.txt

    The options say how queries are asked until a command changes that; :help lists the commands. Ctrl-C
    leaves a line or a query, Ctrl-D the shell. What is typed is kept for the arrow keys, in the user's cache.
    Lines from a file are all tried; the exit code is 1 if one of them failed.
    """
    if asked["offset"]:
        raise UsageError(
            "--offset is of no use in the shell", remedy="ask, then show the next page with :more"
        )
    shell = Shell(library, asked, where=_as_written(context.params))
    shell.load()
    if hasattr(sys.stdin, "reconfigure"):  # a byte that is no UTF-8 must not end it
        sys.stdin.reconfigure(errors="replace")
    if sys.stdin.isatty() and sys.stdout.isatty():
        say(":help lists the commands, Ctrl-D ends")
        _talk(shell, None if no_history else History(cache_folder() / HISTORY_FILE))
        return 0
    return 0 if _read(shell) else 1


def _as_written(given: Mapping[str, Any]) -> str:
    """The options that made the filter, for :options."""
    found = [(option, given[name]) for option, name in options.FILTERS.items() if given.get(name)]
    return " ".join(
        f"{option} {one}" for option, value in found for one in ([value] if isinstance(value, str) else value)
    )


# -------------------------------------------------------------------- lines


def _talk(shell: Shell, history: History | None) -> None:
    """Take lines from a person until there are no more."""
    readline = _readline()
    if history is not None and readline is not None:
        for line in history.lines():
            readline.add_history(line)
    while True:
        try:
            line = input(PROMPT)
            if history is not None:
                history.add(line)
            _obey(shell, line)
        except KeyboardInterrupt:
            click.echo()
        except EOFError:
            click.echo()
            break
    if history is not None:
        history.shorten()


def _readline() -> ModuleType | None:
    """What edits lines and knows the arrow keys; input() uses it once it is imported."""
    try:
        import readline
    except ImportError:  # Windows has none: its console edits lines by itself
        return None
    return readline


def _read(shell: Shell) -> bool:
    """Take lines from a file or a program until there are no more. Returns: whether none failed."""
    well = True
    with suppress(EOFError):
        for line in sys.stdin:
            well &= _obey(shell, line.removesuffix("\n"))
    return well


def _obey(shell: Shell, line: str) -> bool:
    """Answer a line, or say what is wrong with it and return False. Raises: EOFError: it ends the shell."""
    try:
        if line.startswith(":"):
            name, _, argument = line[1:].strip().partition(" ")
            _command(name).run(shell, argument.strip())
        elif line.strip():
            shell.ask(line)
    except SearchkitError as error:
        say_error(error)
        return False
    return True


# -------------------------------------------------------------------- the state between two lines


class Shell:
    """How queries are asked, and what was found last.

    asked: as Library.query takes it; where: how its filter was written.
    """

    def __init__(self, library: Library, asked: Mapping[str, Any], where: str = "") -> None:
        self.library = library
        self.asked = {name: value for name, value in asked.items() if name != "offset"}
        self.where = where
        self.answer: QueryResult | None = None  # the last one, with the Hits of all pages that were shown
        self._again: Ask | None = None

    def load(self) -> None:
        """Open what queries will need. Raises: CollectionNotFound, LibraryError."""
        try:
            self.library.open_models(lambda name: say(f"Loading {name} ..."), **self.asked)
        except (ModelError, ModelNotFound) as error:  # by words it can be asked nevertheless
            say_error(error)

    def change(self, option: str, value: Any) -> None:
        """Ask otherwise from now on. Raises: SearchkitError: it cannot be asked so; nothing has changed."""
        from searchkit.collection.question import Question, checked

        asked = {**self.asked, option: value}
        checked(Question(text="anything", **asked))
        for name in asked["collection"] or ():
            self.library.show(name)
        self.asked = asked

    def ask(self, text: str) -> None:
        """Answer a query."""
        asked = dict(self.asked)
        self._first_page(lambda offset: self.library.query_with_sentences(text, **asked, offset=offset))

    def similar(self, hit: Hit) -> None:
        """Show the Documents most like that of a Hit."""
        k, where = self.asked["k"], self.asked["where"]
        self._first_page(
            lambda offset: self.library.similar_with_sentences(hit, k=k, where=where, offset=offset)
        )

    def more(self) -> None:
        """Show the next page of what was asked last."""
        if self._again is None or self.answer is None or not self.answer.more:
            raise UsageError(
                "there are no more hits", remedy="ask something, or show more at once with: :k 20"
            )
        self._page(self._again, self.answer.hits)

    def hit(self, argument: str) -> Hit:
        """The Hit of a number. Raises: UsageError: there is none."""
        number, found = _number(argument), self.answer.hits if self.answer else ()
        if not 1 <= number <= len(found):
            there = f"1 to {len(found)} are shown" if found else "nothing has been found yet"
            raise UsageError(
                f"there is no hit {number}: {there}", remedy="ask something, then name a hit: :show 1"
            )
        return found[number - 1]

    def _first_page(self, again: Ask) -> None:
        self._page(again, ())
        self._again = again

    def _page(self, again: Ask, before: tuple[Hit, ...]) -> None:
        from searchkit.cli.hits import print_hits

        result, sentences = again(len(before))
        self.answer = replace(result, hits=before + result.hits)
        print_hits(result, sentences, "more with :more")


# -------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Command:
    """What may stand behind a ':'."""

    argument: str
    help: str
    run: Callable[[Shell, str], None]


def _command(name: str) -> Command:
    if name not in COMMANDS:
        raise UsageError(
            f"there is no command ':{name}'{near_names(name, COMMANDS)}",
            remedy="list them with :help; a query that begins with ':' is asked with a blank before it",
        )
    return COMMANDS[name]


def _setting(
    option: str, read: Callable[[str], Any], default: Any, *, loads: bool = False
) -> Callable[[Shell, str], None]:
    """A command that changes an option, or without an argument puts back what holds when nothing is said."""

    def run(shell: Shell, argument: str) -> None:
        shell.change(option, read(argument) if argument else default)
        if option == "where":
            shell.where = argument
        if loads:
            shell.load()

    return run


def _number(argument: str) -> int:
    try:
        return int(argument)
    except ValueError as error:
        raise UsageError(f"'{argument}' is no number", remedy="expected a whole number such as 5") from error


def _share(argument: str) -> float:
    try:
        return float(argument)
    except ValueError as error:
        raise UsageError(f"'{argument}' is no number", remedy="expected a number such as 0.3") from error


def _names(argument: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(argument))
    except ValueError as error:
        raise UsageError(
            f"the names {argument} cannot be read: {error}", remedy="close the quotes"
        ) from error


def _explain(shell: Shell, _: str) -> None:
    shell.change("explain", not shell.asked["explain"])
    click.echo(f"Answers are explained: {'yes' if shell.asked['explain'] else 'no'}")


def _show(shell: Shell, argument: str) -> None:
    from searchkit.cli.hits import print_passage

    hit = shell.hit(argument)
    print_passage(shell.library.with_context(hit, max(shell.asked["context"], 1)))


def _open(shell: Shell, argument: str) -> None:
    from searchkit.cli.opening import open_hit
    from searchkit.cli.output import clean

    shell.hit(argument)
    if shell.answer is not None:
        open_hit(shell.answer, _number(argument), lambda text: say(clean(text)))


def _options(shell: Shell, _: str) -> None:
    for name, value in {**shell.asked, "where": shell.where}.items():
        shown = ", ".join(value) if isinstance(value, tuple) else value
        click.echo(f"  {name.replace('_', '-'):<14} {'-' if shown in (None, '') else shown}")


def _help(shell: Shell, _: str) -> None:
    click.echo("A line is a query. Commands; those that change something put it back without an argument:")
    for name, command in COMMANDS.items():
        click.echo(f"  {f':{name} {command.argument}':<26} {command.help}")


def _quit(shell: Shell, _: str) -> None:
    raise EOFError


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "more": Command("", "the next page of the last answer", lambda shell, _: shell.more()),
        "show": Command("N", "the whole passage of hit N, and those around it", _show),
        "similar": Command("N", "documents like that of hit N", lambda shell, n: shell.similar(shell.hit(n))),
        "open": Command("N", "open the file of hit N", _open),
        "k": Command("N", "how many passages", _setting("k", _number, None)),
        "where": Command(
            "FILTER", "only what fits: type = pdf and path glob 'hr/**'", _setting("where", str, "")
        ),
        "mode": Command("MODE", "hybrid, vector, text or fts", _setting("mode", str, "hybrid", loads=True)),
        "collection": Command("NAME ...", "what to ask", _setting("collection", _names, None, loads=True)),
        "profile": Command("NAME", "ask under its query instruction", _setting("profile", str, None)),
        "context": Command("N", "show N passages before and after each", _setting("context", _number, 0)),
        "per-document": Command("N", "at most N passages of one", _setting("per_document", _number, None)),
        "diversity": Command("X", "0 to 1: prefer what is unlike", _setting("diversity", _share, 0.0)),
        "min-relevance": Command("P", "leave out what is below", _setting("min_relevance", _share, None)),
        "rerank-profile": Command("NAME", "judge again under it", _setting("rerank_profile", str, None)),
        "rerank-model": Command("NAME", "judge again by it", _setting("rerank_model", str, None)),
        "rerank-first": Command("N", "how many are judged again", _setting("rerank_first", _number, None)),
        "explain": Command("", "say how hits were found, or no more", _explain),
        "options": Command("", "how queries are asked", _options),
        "help": Command("", "list these commands", _help),
        "quit": Command("", "end, as Ctrl-D does", _quit),
    }
)
