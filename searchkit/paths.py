"""What a file of a source is called in the Library, and where it lies. Knows no database, opens no file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

_LOOKS_ESCAPED = re.compile(r"%(?=25|[89A-F][0-9A-F])")
_ESCAPED = re.compile(rb"%(25|[89A-F][0-9A-F])")


def escape_name(name: str) -> str:
    """Return a name in valid UTF-8: other bytes become '%FF', and '%' '%25' where it would mislead."""
    if not name.isascii():
        name = "".join(
            f"%{ord(char) - 0xDC00:02X}" if "\udc80" <= char <= "\udcff" else char for char in _guarded(name)
        )
        return name.encode("utf-8", "replace").decode("utf-8")
    return _guarded(name)


def unescape_name(name: str) -> str:
    """Return the name that `escape_name` was given, as the file system spells it."""
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), os.fsencode(name)))


def _guarded(name: str) -> str:
    return _LOOKS_ESCAPED.sub("%25", name) if "%" in name else name


def path_of(root: Path, name: str) -> Path:
    """Where a file lies. root: its source, which may be the very file; name: as the Library keeps it."""
    alone = escape_name(root.name) == name and not root.is_dir()
    return root if alone else root / (unescape_name(name) if "%" in name else name)


def name_of(root: Path, path: Path) -> str | None:
    """What the Library calls the file at `path` if it is one of the source `root`; None outside of it.

    Nothing is looked up: links are the caller's, and rows of a table keep their '#12'.
    """
    base = root if root.is_dir() or not path.name.startswith(root.name) else root.parent
    return escape_name(path.relative_to(base).as_posix()) if path.is_relative_to(base) else None


def names_of(root: Path, path: Path) -> list[str]:
    """What the file at `path` may be called in the source `root`: as both are spelled, and as they are."""
    spelled, real = name_of(root, path), name_of(Path(os.path.realpath(root)), Path(os.path.realpath(path)))
    return list(dict.fromkeys(name for name in (spelled, real) if name is not None))


def places(root: Path, name: str, real: Callable[[Path], str] = os.path.realpath) -> tuple[bytes, ...]:
    """Spellings of where a file lies by which it is known again, each once.

    First the one with every link among its folders followed, whichever way it is reached; then the same with
    the source as it is named, which stays where that is a link and is pointed elsewhere.

    real: what follows the links of a folder; a run over many files remembers what it said.
    """
    path = path_of(root, name)
    base = root.parent if path == root else root
    folder, real_base = Path(real(path.parent)), Path(real(base))
    lies = folder / path.name
    named = base / lies.relative_to(real_base) if lies.is_relative_to(real_base) else lies
    return tuple(dict.fromkeys(map(_as_bytes, (lies, named))))


def _as_bytes(path: Path) -> bytes:
    return path.as_posix().encode("utf-8", "surrogatepass")  # names of Windows and Linux that are no Unicode
