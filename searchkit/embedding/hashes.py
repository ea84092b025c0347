"""sha256 of files and values, remembered in the cache by path, size and time. Knows no models."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from searchkit.settings import cache_folder


def file_sha256(file: Path) -> str:
    """The file's sha256 in hex. Computed once per (path, size, mtime) and machine."""
    return remembered_hash("sha256", file, plain_sha256)


def remembered_hash(kind: str, file: Path, compute: Callable[[Path], str]) -> str:
    """What `compute` makes of the file, in hex. Computed once per (path, size, mtime) and machine.

    kind: names `compute` and its version: another way, another name.
    """
    stat = file.stat()
    key = {"path": str(file.resolve()), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    known = recall(kind, key)
    if known is not None and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    digest = compute(file)
    remember(kind, key, {"sha256": digest})
    return digest


def plain_sha256(file: Path) -> str:
    """The file's sha256 in hex, read and computed now."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def value_sha256(value: Any) -> str:
    """The sha256 in hex of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def recall(kind: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `remember` kept under this key, or None; a damaged entry counts as none."""
    try:
        entry = json.loads(_entry(kind, key).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    # The name is a hash of the key, the key is stored too: a file copied over another is no answer.
    if not isinstance(entry, dict) or entry.get("key") != dict(key):
        return None
    return entry["value"] if isinstance(entry.get("value"), dict) else None


def remember(kind: str, key: Mapping[str, Any], value: Mapping[str, Any]) -> None:
    """Keep a value that can always be made again. A cache that cannot be written is no error."""
    entry = _entry(kind, key)
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp: its file is its owner's alone, and a cache may be shared.
        part = entry.with_name(f"{entry.name}-{os.urandom(8).hex()}.part")
        part.write_text(json.dumps({"key": dict(key), "value": dict(value)}), encoding="utf-8")
        part.replace(entry)


def _entry(kind: str, key: Mapping[str, Any]) -> Path:
    return cache_folder() / kind / f"{value_sha256(dict(key))[:32]}.json"
