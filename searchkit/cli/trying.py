"""What `searchkit tune`, `robustness` and `ablate` share: how sets are named, and what is said of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from searchkit.cli import options
from searchkit.evaluation.kinds import KINDS
from searchkit.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from searchkit.embedding.embedder import Embedder
    from searchkit.evaluation.tasks import Task

Command = TypeVar("Command", bound=Callable[..., Any])
TRIABLE = tuple(kind for kind in KINDS if kind != "prompts")
UNTRAINED = (
    "Note: {} was not trained with instructions; they stood before the texts as they are. "
    "What is found holds for literal texts only: no profile changes what such a model reads."
)


def set_options(command: Command) -> Command:
    """How a judged set is read, and by which model, handed on one by one."""
    for option in (
        options.json_option,
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn."
        ),
        click.option(
            "--precision", default="auto", metavar="NAME", help="float32, bfloat16 or int8.  [default: auto]"
        ),
        click.option(
            "--max-tokens", type=click.IntRange(8), metavar="N", help="The window.  [default: the model's]"
        ),
        click.option("--model", metavar="ID|DIR", help=f"What is measured.  [default: {DEFAULT_MODEL}]"),
        click.option(
            "--label", "labels", multiple=True, metavar="COLUMN", help="A column of labels.  [default: label]"
        ),
        click.option("--split", metavar="NAME", help="Only this part, such as test."),
        click.option(
            "--kind", type=click.Choice(TRIABLE), help="What is asked of a set.  [default: by its columns]"
        ),
    ):
        command = option(command)
    return command


def side_option(default: str) -> Callable[[Command], Command]:
    """--side, handed on as `changed`."""
    return click.option(
        "--side",
        "changed",
        type=click.Choice(["query", "both"]),
        help=f"Whose instruction changes, of retrieval and reranking.  [default: {default}]",
    )


def embedder(asked: dict[str, Any]) -> Embedder:
    """The model that was asked for, open."""
    from searchkit.embedding.embedder import open_embedder

    return open_embedder(
        asked["model"] or DEFAULT_MODEL, precision=asked["precision"], max_tokens=asked["max_tokens"]
    )


def tasks(targets: Sequence[Path], asked: dict[str, Any]) -> list[Task]:
    """The sets that were named, those of suites among them."""
    from searchkit.evaluation.tasks import named

    labels = tuple(asked["labels"]) or None
    return named(targets, kind=asked["kind"], split=asked["split"], labels=labels)


def say_untrained(model: str) -> None:
    """Say that a model's figures are those of texts it was not trained to read as instructions."""
    click.echo(UNTRAINED.format(model), err=True)
