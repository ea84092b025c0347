"""Forgets a document in a process that may be killed: from outside, or by itself at the n-th step."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from searchkit.collection.library import Library
from searchkit.library.database import Database
from tests.crash import victim
from tests.fakes import WordEmbedder

NAME = "hr/wintersteiner.md"


def watch(kill_at: int) -> None:
    """Die at number `kill_at` (0: never) of an index run's steps and of forgetting's own."""
    victim.watch(kill_at)
    plain = Database.rows

    def step() -> None:
        if next(victim.steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def rows(self, sql, parameters=()):
        stepped = sql.startswith(("VACUUM", "PRAGMA wal_checkpoint"))
        if stepped:
            step()
        found = plain(self, sql, parameters)
        if stepped:
            step()
        return found

    Database.rows = rows


def main(arguments: list[str]) -> int:
    """Forget. arguments: the Library, the step to die at. Returns: how many steps it took."""
    library, kill_at = arguments
    watch(int(kill_at))
    Library(Path(library), open_model=lambda model: WordEmbedder()).forget(NAME)
    return next(victim.steps) - 1
