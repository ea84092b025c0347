"""Remembers what was compared on held-out items of a set before: p knows of one run only.

Half of a set is held out from the choice, the same half in every run with the same seed. Whoever tries, looks
at the figures and tries again chooses by that half, too, and at last finds a winner by chance.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

FOLDER = "held-out"


def key_of(*parts: object) -> str:
    """A name made of all that shapes a thing; what a user tried cannot be read from it."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def compared_before(folder: Path | None, key: str, compared: Sequence[str]) -> int:
    """How many other comparisons earlier runs made under this key; those of this run are remembered.

    folder: where that is kept; None to keep nothing. What cannot be read or written is as if it were new.
    """
    if folder is None:
        return 0
    file = folder / FOLDER / f"{key}.json"
    now = set(compared)
    known = _read(file)
    if now - known:
        _write(file, now | known)
    return len(known - now)


def _read(file: Path) -> set[str]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {one for one in kept if isinstance(one, str)} if isinstance(kept, list) else set()


def _write(file: Path, names: set[str]) -> None:
    part = file.with_name(f"{file.stem}-{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(sorted(names)), encoding="utf-8")
        part.replace(file)
    except OSError:  # a cache that may not be written stops no measurement
        return
