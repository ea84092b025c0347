"""Snapshot files: written beside, made durable, then published by one rename; checked when opened."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.vector_index.container import Container, open_container
from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.protocol import (
    FLAT,
    DamagedIndex,
    IndexPlan,
    Tuning,
    VectorIndex,
    VectorRecord,
)
from searchkit.vector_index.rescored import RescoredIndex

if TYPE_CHECKING:
    from searchkit.vector_index.rescored import Codes

PART_SUFFIX = ".part"
# Earlier versions wrote flat indexes of FAISS under the second kind of name.
_OURS = re.compile(r"(vectors-\d+-\d+-g\d{8,}\.snapshot|flat-\d+-\d+-g\d{8,}\.faiss)(\.part)?")

# A snapshot of up to this size is read once to check it when it is opened; larger ones are checked in full
# by `searchkit verify`, and by their size whenever they are opened.
CHECKED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An opened file: mapped, bound to no database, fit to be kept between queries."""

    held: Container
    codes: Codes | None  # of the kinds that are not flat

    def index(self, tuning: Tuning, record: VectorRecord) -> VectorIndex:
        """What a query searches. record: the vectors that this file was made from."""
        if self.held.vectors is not None:
            return ExactIndex(self.held.ids, self.held.vectors, kind=FLAT)
        assert self.codes is not None
        return RescoredIndex(self.codes, tuning, record)


def file_name(collection_id: int, recipe_id: int, generation: int) -> str:
    """The name of a snapshot: all that can make it stale.

    generation: one that no published snapshot has had: a file that others may have mapped is not replaced.
    """
    return f"vectors-{collection_id}-{recipe_id}-g{generation:08d}.snapshot"


def publish(final: Path, write: Callable[[Path], None]) -> tuple[int, str]:
    """Write a file through `write(path)` and give it its name only when it is complete and on disk.

    Returns: its size in bytes and its checksum.
    """
    part = final.with_name(final.name + PART_SUFFIX)
    try:
        write(part)
        _fsync(part)
        size, checksum = part.stat().st_size, checksum_of(part)
        part.replace(final)  # the only instant at which anything changes
    except BaseException:
        with suppress(OSError):  # on a full disk above all
            part.unlink()
        raise
    _fsync(final.parent)
    return size, checksum


def check(path: Path, *, size: int, checksum: str, full: bool = False) -> None:
    """Compare a snapshot file with what the Library noted of it.

    full: compare the checksum of a file of any size.
    Raises: DamagedIndex: the file is missing, cannot be read, or has another size or checksum.
    """
    try:
        found = path.stat().st_size
        if found != size:
            raise DamagedIndex(f"the file has {found} bytes, {size} were written")
        if (full or size <= CHECKED_BYTES) and checksum_of(path) != checksum:
            raise DamagedIndex("its checksum differs from the one written")
    except FileNotFoundError as error:
        raise DamagedIndex("the file is missing") from error
    except OSError as error:
        raise DamagedIndex(f"the file cannot be read: {error.strerror}") from error


def open_snapshot(path: Path, plan: IndexPlan, *, size: int, checksum: str, full: bool = False) -> Snapshot:
    """Check a snapshot file and open it.

    Raises: DamagedIndex: as for `check`, or the file is not what the plan says.
    """
    check(path, size=size, checksum=checksum, full=full)
    held = open_container(path)
    if held.kind != plan.kind:
        raise DamagedIndex(f"it is of kind '{held.kind}', '{plan.kind}' was written")
    if held.kind == FLAT:  # read by numpy alone: the import of FAISS would cost a cold query 0.04 s
        return Snapshot(held, None)
    from searchkit.vector_index.faiss_index import open_codes

    return Snapshot(held, open_codes(path, held.ids, plan))


def faiss_version() -> str:
    """The version of FAISS that is installed, asked without loading it; '' where that is not known."""
    from importlib import metadata  # of no use to a query

    with suppress(metadata.PackageNotFoundError):
        return metadata.version("faiss-cpu")
    return ""


def sweep(folder: Path, keep: set[str]) -> list[str]:
    """Delete unfinished and superseded snapshots, and nothing that is not ours. Returns the names deleted."""
    gone = []
    for path in superseded(folder, keep):
        with suppress(OSError):  # Windows keeps a file that a reader has mapped; the next run tries again
            path.unlink()
            gone.append(path.name)
    return gone


def superseded(folder: Path, keep: set[str]) -> list[Path]:
    """Snapshots and unfinished ones that are not among those to keep, by name."""
    return sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.name not in keep)


def checksum_of(path: Path) -> str:
    """CRC-32 of a file, in hexadecimal: against accidents, at twice the speed of SHA-256.

    Whoever could forge the file could as well write another checksum into the Library beside it.
    """
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


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
