"""Keeps Collections fresh: refreshes them when files of their sources change, and waits for what is away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from searchkit.documents.discover import leaves_out
from searchkit.errors import CollectionNotFound, LibraryError, SearchkitError
from searchkit.library import collections as catalogue
from searchkit.library.database import Database
from searchkit.records import IndexReport

if TYPE_CHECKING:
    from searchkit.collection.library import Library, Patience

TICK_S = 1.0  # how often sources are looked at that give no events: files, and what is not there
RETRY_S = 10.0  # after a refresh that failed as a whole
LONGEST_WAIT = 20  # times the quiet wanted: what never stops changing is read all the same

OnError: TypeAlias = Callable[[SearchkitError], None]
# What a root is now: changed when it goes, comes, is another one or, for a file, has other content.
Stamp: TypeAlias = tuple[int, ...] | None


@dataclass(slots=True)
class _State:
    """What is to be refreshed, and what was said last."""

    dirty: set[str] = field(default_factory=set)  # names of Collections
    not_before: float = 0.0
    said: dict[str, object] = field(default_factory=dict)


def watch(
    library: Library, collection: str | None, debounce_s: float, patience: Patience, on_error: OnError
) -> Iterator[IndexReport]:
    """Yield the report of every refresh that has news; see Library.watch."""
    state = _State()
    roots = _roots(library, collection)
    if not roots:
        raise CollectionNotFound(
            f"the Library in {library.folder} has no source to watch"
            + (f" in collection '{collection}'" if collection else ""),
            remedy="index a folder first: searchkit index FOLDER",
        )
    state.dirty = {name for name, _ in roots}
    yield from _refreshed(library, state, patience, on_error)
    while True:
        roots = _roots(library, collection)
        stamps = {root: _stamp(root) for _, root in roots}
        # What changed before the watcher stood is found by one more look.
        state.dirty |= {name for name, _ in roots}
        for paths in _changes(stamps, debounce_s):
            state.dirty |= {
                name for name, root in roots if any(_concerns(root, path, library.folder) for path in paths)
            }
            yield from _refreshed(library, state, patience, on_error)
            if _roots(library, collection) != roots or stamps != {root: _stamp(root) for root in stamps}:
                break


def _refreshed(
    library: Library, state: _State, patience: Patience, on_error: OnError
) -> Iterator[IndexReport]:
    """Refresh what is to be refreshed; what fails as a whole is tried again later."""
    if time.monotonic() < state.not_before:
        return
    for name in sorted(state.dirty):
        try:
            (report,) = library.refresh(name, patience=patience)
        except CollectionNotFound:  # removed meanwhile
            state.dirty.discard(name)
            continue
        except LibraryError as error:
            state.not_before = time.monotonic() + RETRY_S
            if state.said.get(name) != error.message:
                state.said[name] = error.message
                on_error(error)
            continue
        state.dirty.discard(name)
        state.not_before = 0.0
        says = (report.failed, report.notices)
        changes = report.added + report.changed + report.moved + report.removed
        if changes or state.said.get(name) != says:
            state.said[name] = says
            yield report


def _roots(library: Library, collection: str | None) -> list[tuple[str, Path]]:
    """Collection and root of every source to be watched. Raises: LibraryError, CollectionNotFound."""
    with Database.read(library.folder) as db:
        return [(name, root) for name, root in catalogue.roots(db) if collection in (None, name)]


def _stamp(root: Path) -> Stamp:
    try:
        status = os.stat(root)
    except OSError:
        return None
    if root.is_dir():
        return status.st_dev, status.st_ino
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changes(stamps: dict[Path, Stamp], quiet_s: float) -> Iterator[set[Path]]:
    """Yield paths that changed once nothing has for `quiet_s`, and nothing at every tick.

    Only folders are watched: an editor that saves a file puts another one in its place.
    """
    from watchfiles import watch as watch_files  # brings asyncio along

    folders = [root for root, stamp in stamps.items() if stamp is not None and root.is_dir()]
    if not folders:
        while True:
            time.sleep(TICK_S)
            yield set()
    quiet_ms = max(1, int(quiet_s * 1000))
    try:
        for changes in watch_files(
            *folders,
            watch_filter=None,
            step=quiet_ms,
            debounce=LONGEST_WAIT * quiet_ms,
            rust_timeout=int(TICK_S * 1000),
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield {Path(path) for _, path in changes}
    except FileNotFoundError:  # one has gone since it was looked at
        yield set()
    except (OSError, RuntimeError) as error:
        raise SearchkitError(
            f"the sources cannot be watched: {error}",
            remedy="allow more watches (on Linux: sysctl fs.inotify.max_user_watches), "
            "or run from time to time: searchkit index",
        ) from error


def _concerns(root: Path, path: Path, library: Path) -> bool:
    """Whether what changed at a path may change what is found under a root."""
    for top in (root, root.resolve()):  # as the source is named, or as the system does
        if path == top or top in path.parents:
            return not leaves_out(top, path, exclude=[library])
    return False


def raise_it(error: SearchkitError) -> None:
    """What watching does with an error where nobody wants to hear of it."""
    raise error
