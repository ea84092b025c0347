"""Source roots: what may be added to a Collection, and what is found under one now."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from searchkit.documents.discover import Discovery, discover
from searchkit.errors import UsageError
from searchkit.library.collections import StoredSource
from searchkit.settings import expanded

KINDS_SHOWN = 5  # of files that no loader reads
PAGES_SHOWN = 5


def absolute(paths: Sequence[str | Path]) -> list[Path]:
    """Absolute paths of existing files and folders, each once, in the order given; links stay links.

    Raises: UsageError: one does not exist, or lies within another one given.
    """
    roots: dict[Path, Path] = {}  # resolved -> as given
    for given in paths:
        root = Path(os.path.abspath(expanded(given)))
        if (problem := missing(root)) is not None:
            raise UsageError(f"{given}: {problem}", remedy="check the path; nothing was indexed or removed")
        roots.setdefault(root.resolve(), root)
    for inner in roots:
        for outer in roots:
            if outer in inner.parents:
                raise UsageError(f"{inner} lies within {outer}", remedy=f"name only the outer one: {outer}")
    return list(roots.values())


def missing(root: Path) -> str | None:
    """Why a path cannot be indexed; None when it is there."""
    try:
        os.stat(root)
    except FileNotFoundError:
        return "there is no such file or folder"
    except OSError as error:
        return f"it cannot be looked at: {error.strerror}"
    return None


def enclosing(root: Path, held: Sequence[StoredSource], collection: str) -> StoredSource | None:
    """The source that `root` is, or lies within; None for a new one.

    Raises: UsageError: `root` would enclose a source, and its files would be there twice.
    """
    real = root.resolve()
    for source in held:
        other = source.root.resolve()
        if source.root == root or other == real or other in real.parents:
            return source
        if real in other.parents:
            raise UsageError(
                f"{source.root}, a source of collection '{collection}', lies within {root}",
                remedy=f"remove it first: searchkit remove {collection} --source {source.root}",
            )
    return None


def held_as(collection: str, held: Sequence[StoredSource], asked: Path) -> StoredSource:
    """The source that a path names. Raises: UsageError: none of them."""
    wanted = Path(os.path.abspath(expanded(asked)))
    for one in held:
        if one.root == wanted or one.root.resolve() == wanted.resolve():
            return one
    raise UsageError(
        f"{asked} is no source of collection '{collection}'",
        remedy="its sources: " + ", ".join(str(one.root) for one in held),
    )


def look(root: Path, exclude: Path) -> Discovery:
    """List the files under a root; the Library's own folder is never among them."""
    return discover(root, exclude=[exclude])


def require_files(root: Path, found: Discovery) -> None:
    """Raise UsageError when nothing under `root` can be read as a document."""
    if found.files or found.failures:
        return
    if found.own:
        raise UsageError(
            f"{root} holds no document, only {own_pages(found.own)}", remedy="name a folder with documents"
        )
    kinds = sorted(found.skipped.items(), key=lambda kind: -kind[1])[:KINDS_SHOWN]
    seen = ", ".join(f"{n} × {suffix or 'no suffix'}" for suffix, n in kinds)
    raise UsageError(
        f"{root} holds no document" + (f", only files of other kinds ({seen})" if seen else ": it is empty"),
        remedy="name a folder with documents; .gitignore and .searchkitignore may hide them",
    )


def own_pages(names: Sequence[str]) -> str:
    """Pages that searchkit wrote, in a few words."""
    more = f" and {len(names) - PAGES_SHOWN:,} more" if len(names) > PAGES_SHOWN else ""
    what = "a page that searchkit wrote" if len(names) == 1 else "pages that searchkit wrote"
    return f"{what}: {', '.join(names[:PAGES_SHOWN])}{more}"
