"""Forgets a document in a process that may be killed: from outside, or by itself at the n-th step."""

from __future__ import annotations

import os
import signal
import sys
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


def main() -> None:
    library, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    watch(kill_at)
    print("started", flush=True)
    Library(library, open_model=lambda model: WordEmbedder()).forget(NAME)
    print(next(victim.steps) - 1, flush=True)


if __name__ == "__main__":
    main()
