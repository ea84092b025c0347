"""What INSTRUCTOR's paper published, to stand beside our figures. Knows names of sets; measures nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from searchkit.errors import UsageError, near_names
from searchkit.evaluation.measured import Kind

_FILE = Path(__file__).with_name("paper.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published of one set: its measure, and a figure in percent for each of `columns()`."""

    name: str
    kind: Kind
    measure: str
    figures: Mapping[str, float]


def columns() -> tuple[str, ...]:
    """Whose figures there are: which size of INSTRUCTOR, from the paper or from who reproduced it."""
    return tuple(_table()["columns"])


def sources() -> str:
    """Where the figures are from, in a sentence, and what a comparison by name is worth."""
    table = _table()
    return (
        f"Beside ours: {table['source']}; reproduced: {table['reproduction']}. Sets are matched by their "
        "names: figures compare where it is the same set, whole."
    )


@cache
def published() -> Mapping[str, Published]:
    """All sets by the paper's names for them."""
    table = _table()
    return {
        name: Published(
            name=name,
            kind=kind,
            measure=one["measure"],
            figures=dict(zip(table["columns"], figures, strict=True)),
        )
        for kind, one in table["kind"].items()
        for name, figures in one["sets"].items()
    }


def beside(task: str, kind: Kind, paper: str | None) -> Published | None:
    """What was published of a Task's set: of the one that its `paper` names, else of one of its own name.

    Names are compared without case, blanks and punctuation. A Task that only happens to be called like a set
    that was measured in another way has nothing beside it.

    Raises: UsageError: there is no set of the name in `paper`, or it was measured in another way.
    """
    wanted = task if paper is None else paper
    found = published().get(_names().get(_plain(wanted), ""))
    if found is not None and found.kind == kind:
        return found
    if paper is None:
        return None
    if found is None:
        raise UsageError(
            f"task '{task}': the paper has no set '{wanted}'{near_names(wanted, published())}",
            remedy=f"expected one of {', '.join(published())}",
        )
    raise UsageError(
        f"task '{task}' is of kind '{kind}'; of '{found.name}' the paper has figures of "
        f"kind '{found.kind}' ({found.measure})",
        remedy=f'leave `paper` out, or ask for that: kind = "{found.kind}"',
    )


@cache
def _names() -> Mapping[str, str]:
    """Names as they are compared, to the paper's."""
    own = {_plain(name): name for name in published()}
    others = {_plain(other): name for name, many in _table()["also_called"].items() for other in many}
    return {**others, **own}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
