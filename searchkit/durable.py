"""Files that are there whole or not at all, whenever the power fails. Knows no contents."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_durably(final: Path, content: bytes) -> None:
    """Write a file and give it its name only when it is whole and on disk."""
    part = final.with_name(f"{final.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(final)  # the only instant at which anything changes
    sync_folder(final.parent)


def publish_folder(part: Path, final: Path, set_aside: Callable[[Path], None]) -> None:
    """Give a whole folder its name; `set_aside` deals with one that has it already."""
    for path in (*part.rglob("*"), part):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb+") as stream:  # Windows flushes only what is open for writing
                os.fsync(stream.fileno())
    if final.exists():
        set_aside(final)
    part.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    if os.name == "nt":
        return  # Windows cannot open a folder; its rename is durable with the file
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
