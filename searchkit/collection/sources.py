"""Source roots: what may be added to a Collection, and what is found under one now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from searchkit.documents.discover import Discovery, discover
from searchkit.documents.load import unreadable
from searchkit.errors import UsageError
from searchkit.library.collections import StoredSource
from searchkit.records import SourceFile

KINDS_SHOWN = 5  # of files that no loader reads


def resolved(paths: Sequence[str | Path]) -> list[Path]:
    """Absolute paths of existing files and folders, each once, in the order given.

    Raises: UsageError: one does not exist, or lies within another one given.
    """
    roots: dict[Path, None] = {}
    for given in paths:
        root = Path(given).expanduser().absolute()
        if not root.exists():
            raise UsageError(
                f"there is no file or folder {given}", remedy="check the path; nothing was indexed or removed"
            )
        roots[root.resolve()] = None
    for inner in roots:
        for outer in roots:
            if outer in inner.parents:
                raise UsageError(f"{inner} lies within {outer}", remedy=f"name only the outer one: {outer}")
    return list(roots)


def enclosing(root: Path, sources: Sequence[StoredSource], collection: str) -> StoredSource | None:
    """The source that `root` is, or lies within; None for a new one.

    Raises: UsageError: `root` would enclose a source, and its files would be there twice.
    """
    for source in sources:
        if source.root == root or source.root in root.parents:
            return source
        if root in source.root.parents:
            raise UsageError(
                f"{source.root}, a source of collection '{collection}', lies within {root}",
                remedy=f"remove it first: searchkit remove {collection} --source {source.root}",
            )
    return None


def look(root: Path, exclude: Path) -> Discovery:
    """List the files under a root; the Library's own folder is never among them."""
    return discover(root, exclude=[exclude])


def require_files(root: Path, found: Discovery) -> None:
    """Raise UsageError when nothing under `root` can be read as a document."""
    if found.files or found.failures:
        return
    kinds = sorted(found.skipped.items(), key=lambda kind: -kind[1])[:KINDS_SHOWN]
    seen = ", ".join(f"{n} × {suffix or 'no suffix'}" for suffix, n in kinds)
    raise UsageError(
        f"{root} holds no document" + (f", only files of other kinds ({seen})" if seen else ": it is empty"),
        remedy="name a folder with documents; .gitignore and .searchkitignore may hide them",
    )


def sha256_of(source: SourceFile) -> bytes:
    """SHA-256 of a file's bytes. Raises: DocumentUnavailable."""
    try:
        with source.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise unreadable(error) from error
