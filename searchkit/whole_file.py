"""Writes what was made to the file that a user named: whole, or what was there stays."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from searchkit.errors import UsageError

_REMEDY = "name a file in a folder that you may write to"


def require_place(path: Path) -> None:
    """Raise UsageError where no file can be written: before minutes are spent on what goes there."""
    try:
        real = path.resolve()
        folder, parent = real.is_dir(), real.parent.is_dir()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise UsageError(f"{path} cannot be looked at: {error}", remedy=_REMEDY) from error
    if folder or not parent:
        found = "is a folder" if folder else "is in a folder that does not exist"
        raise UsageError(f"{path} {found}", remedy="name a file in a folder that exists")
    if real.exists() and not os.access(real, os.W_OK):
        raise UsageError(f"{path} may not be written: permission denied", remedy=_REMEDY)
    if not _is_special(real) and not os.access(real.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path} is in a folder that may not be written: permission denied", remedy=_REMEDY)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there; into a pipe or a device straight. A link stays one.

    Raises: UsageError: it cannot be written.
    """
    try:
        real = path.resolve()
        if _is_special(real):  # renaming a file over it would put an end to the device
            real.write_bytes(content)
        else:
            _replace(real, content)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be written: {reason}", remedy=_REMEDY) from error


def _is_special(real: Path) -> bool:
    return real.exists() and not real.is_file()


def _replace(real: Path, content: bytes) -> None:
    part = real.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(content)
        if real.exists():
            part.chmod(real.stat().st_mode & 0o777)
        part.replace(real)
    except BaseException:  # Ctrl-C, too: the part may hold every text
        part.unlink(missing_ok=True)
        raise
