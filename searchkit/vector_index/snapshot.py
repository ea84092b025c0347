"""Snapshot files: written beside, made durable, then published by one rename; checked when opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.vector_index.protocol import DamagedIndex

if TYPE_CHECKING:
    from searchkit.vector_index.faiss_index import FaissIndex

SUFFIX = ".faiss"
PART_SUFFIX = ".part"

# A query reads a snapshot of up to this size once to check it (15 ms for 10,000 x 384); larger ones are
# checked in full by `searchkit verify`, and by their size whenever they are opened.
CHECKED_BYTES = 64 << 20


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
    """Delete unfinished and superseded snapshot files. Returns the names deleted."""
    gone = []
    for path in folder.iterdir():
        if path.name.endswith(PART_SUFFIX) or (path.suffix == SUFFIX and path.name not in keep):
            path.unlink(missing_ok=True)
            gone.append(path.name)
    return sorted(gone)


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder; its rename is durable with the file
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
