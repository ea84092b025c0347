"""Snapshot files: written beside, made durable, then published by one rename; checked when opened."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.vector_index.protocol import FLAT, DamagedIndex

if TYPE_CHECKING:
    from searchkit.vector_index.faiss_index import FaissIndex

PART_SUFFIX = ".part"
_OURS = re.compile(r"flat-\d+-\d+-g\d{8,}\.faiss(\.part)?")

# A query reads a snapshot of up to this size once to check it (15 ms for 10,000 x 384); larger ones are
# checked in full by `searchkit verify`, and by their size whenever they are opened.
CHECKED_BYTES = 64 << 20


def file_name(collection_id: int, recipe_id: int, generation: int) -> str:
    """The name of a snapshot: its kind and all that can make it stale."""
    return f"{FLAT}-{collection_id}-{recipe_id}-g{generation:08d}.faiss"


def publish(final: Path, write: Callable[[Path], None]) -> tuple[int, str]:
    """Write a file through `write(path)` and give it its name only when it is complete and on disk.

    Returns: its size in bytes and its checksum.
    """
    part = final.with_name(final.name + PART_SUFFIX)
    write(part)
    _fsync(part)
    size, checksum = part.stat().st_size, checksum_of(part)
    part.replace(final)  # the only instant at which anything changes
    _fsync(final.parent)
    return size, checksum


def check(path: Path, *, size: int, checksum: str, full: bool = False) -> None:
    """Compare a snapshot file with what the Library noted of it.

    full: compare the checksum of a file of any size.
    Raises: DamagedIndex: the file is missing, or has another size or checksum.
    """
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DamagedIndex(f"the file is missing: {error.strerror}") from error
    if found != size:
        raise DamagedIndex(f"the file has {found} bytes, {size} were written")
    if (full or size <= CHECKED_BYTES) and checksum_of(path) != checksum:
        raise DamagedIndex("its checksum differs from the one written")


def open_snapshot(path: Path, *, size: int, checksum: str, full: bool = False) -> FaissIndex:
    """Check a snapshot file and open it.

    Raises: DamagedIndex: as for `check`, or the file is no index of ours.
    """
    check(path, size=size, checksum=checksum, full=full)
    from searchkit.vector_index.faiss_index import (
        FaissIndex,
    )  # 0.15 s that a run without changes need not pay

    return FaissIndex(path)


def sweep(folder: Path, keep: set[str]) -> list[str]:
    """Delete unfinished and superseded snapshots, and nothing that is not ours. Returns the names deleted."""
    gone = []
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in keep:
            with suppress(OSError):  # Windows keeps a file that a reader has mapped; the next run tries again
                path.unlink()
                gone.append(path.name)
    return sorted(gone)


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    if path.is_dir():
        if os.name == "nt":
            return  # Windows cannot open a folder; its rename is durable with the file
        descriptor = os.open(path, os.O_RDONLY)
    else:
        descriptor = os.open(path, os.O_RDWR)  # Windows flushes only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
