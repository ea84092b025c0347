"""Indexes a folder in a process that may be killed: from outside, or by itself at the n-th step.

Steps are the moments around which the state on disk changes: before and within every transaction and
after its commit, and around every act of publishing a snapshot.
"""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import contextmanager
from pathlib import Path

from searchkit.collection import extraction, index_pipeline
from searchkit.collection.library import Library
from searchkit.library.database import Database
from searchkit.vector_index import choose, snapshot
from tests.fakes import WordEmbedder

steps = itertools.count(1)


def watch(kill_at: int) -> None:
    """Count steps, and die at number `kill_at` (0: never)."""

    def step() -> None:
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function):
        def stepped(*args, **kwargs):
            step()
            result = function(*args, **kwargs)
            step()
            return result

        return stepped

    plain_transaction = Database.transaction

    @contextmanager
    def transaction(self):
        step()
        with plain_transaction(self) as tx:
            yield tx
            step()
        step()

    Database.transaction = transaction
    snapshot._fsync = around(snapshot._fsync)
    snapshot.checksum_of = around(snapshot.checksum_of)
    Path.replace = around(Path.replace)
    Path.unlink = around(Path.unlink)


def main(arguments: list[str]) -> int:
    """Index. arguments: Library, documents, the step to die at, how. Returns: how many steps it took."""
    library, docs, kill_at, *how = arguments
    index_pipeline.FIRST_BATCH = index_pipeline.LARGEST_BATCH = (
        16  # texts a commit: as many commits as can be
    )
    index_pipeline.SMALLEST_BATCH = 1
    choose.TAIL_ROWS = 10  # and a new snapshot at the end
    if "ahead" in how:
        extraction.WORTH_PROCESSES_S = 0.0  # other processes read, however little there is
    if "codes" in how:
        choose.FLAT_BYTES = 0  # what is published are codes, however few
    watch(int(kill_at))
    Library(Path(library), open_model=lambda model: WordEmbedder()).index([Path(docs)])
    return next(steps) - 1
