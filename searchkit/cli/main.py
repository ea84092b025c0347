"""The `searchkit` command: loads the sub-command that runs, and turns errors into words."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from searchkit.embedding.progress import listening
from searchkit.errors import SearchkitError
from searchkit.settings import TRACEBACK_VARIABLE, VERSION

INTERRUPTED = 130

# name: (module, what --help of the group says of it)
COMMANDS = {
    "index": ("searchkit.cli.index", "Add files and folders to a collection, or refresh it."),
    "query": ("searchkit.cli.query", "Find the passages that answer a question."),
    "similar": ("searchkit.cli.similar", "Find the documents that are most like one."),
    "duplicates": ("searchkit.cli.duplicates", "Find passages or documents that say the same."),
    "cluster": ("searchkit.cli.cluster", "Group the passages of a collection, and name the groups."),
    "classify": ("searchkit.cli.classify", "Train classifiers from labelled texts, and ask them."),
    "map": ("searchkit.cli.map", "Draw the passages of a collection as a map, one page of HTML."),
    "shell": ("searchkit.cli.shell", "Ask one question after another; the model is loaded once."),
    "collections": ("searchkit.cli.library", "List the collections of the Library."),
    "show": ("searchkit.cli.library", "Show a collection: profile, model, recipe, sources, counts."),
    "remove": ("searchkit.cli.library", "Remove a collection, or one of its sources."),
    "forget": ("searchkit.cli.forget", "Erase a document with every trace, and prove it."),
    "watch": ("searchkit.cli.watch", "Keep collections fresh while their files change."),
    "verify": ("searchkit.cli.library", "Check the database and the snapshots against each other."),
    "rebuild": ("searchkit.cli.library", "Write the snapshots anew from the stored vectors."),
    "doctor": (
        "searchkit.cli.doctor",
        "Check that a Library is whole and its models still give its vectors.",
    ),
    "eval": ("searchkit.cli.evaluation", "Measure how good a model and its instructions are."),
    "diff": ("searchkit.cli.diff", "Show what another profile, model or collection answers otherwise."),
    "profiles": ("searchkit.cli.profiles", "List, show, check and make instruction profiles."),
    "tune": ("searchkit.cli.tuning", "Find the instruction that serves best, or none better."),
    "robustness": ("searchkit.cli.variants", "Measure how much the wording of an instruction matters."),
    "ablate": ("searchkit.cli.variants", "Measure how much of an instruction is needed."),
    "train": ("searchkit.cli.train", "Train a model to follow instructions, from rows of your own."),
    "models": ("searchkit.cli.models", "List model families, show how a model takes instructions."),
}


class LazyGroup(click.Group):
    """Imports a sub-command's module only when it is called: `--help` must not load what it does not use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one sub-command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List sub-commands from the table above, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="searchkit")
def cli() -> None:
    """Semantic search over your own documents, with instructions that are stored and checked.

    \b
    searchkit index ./docs --profile company-docs
    searchkit query "how do I get a new laptop"
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 error, 2 usage, 3 done in part, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns: the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names and texts may not fit the terminal
    try:
        with listening(say):
            code = cli.main(arguments, prog_name="searchkit", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SearchkitError as error:
        say_error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (BrokenPipeError, SystemExit):  # click and rich turn the one into the other; nothing else exits
        return _reader_has_gone()
    except (KeyboardInterrupt, click.Abort):
        say("\nStopped. Everything committed so far is kept; the same command goes on where it stopped.")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        say(f"Error: {type(error).__name__}: {error}")
        say(f"  What was committed is kept. To see where it happened: {TRACEBACK_VARIABLE}=1 searchkit ...")
        return 1


def _reader_has_gone() -> int:
    """What `head` and `less` do when they have seen enough is no error of ours."""
    # Python would complain once more when it closes stdout.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def say(text: str) -> None:
    """Print to stderr."""
    click.echo(text, err=True)


def say_error(error: SearchkitError) -> None:
    """Print what was found and what was expected to stderr, and what helps."""
    say(f"Error: {error.message}")
    if error.remedy:
        say(f"  {error.remedy}")
