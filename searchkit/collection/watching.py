"""Keeps Collections fresh: refreshes them when files of their sources change, and waits for what is away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
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
RETRY_S = 10.0  # after a refresh that failed; each time as long again, up to LOOK_S
LOOK_S = 300.0  # a Collection is refreshed at the latest: file systems of other machines give no events
LONGEST_WAIT = 20  # times the quiet wanted: what never stops changing is read all the same

OnError: TypeAlias = Callable[[SearchkitError], None]
Roots: TypeAlias = list[tuple[str, Path]]  # Collection and root of every source
# What a root is now: changed when it goes, comes, is another one or, for a file, has other content.
Stamp: TypeAlias = tuple[int, ...] | None
OF_FOLDER = 2  # numbers that its stamp has


@dataclass(slots=True)
class _State:
    """When which Collection is to be refreshed, and what was said last."""

    due: dict[str, float] = field(default_factory=dict)  # of the clock time.monotonic
    failed: dict[str, int] = field(default_factory=dict)  # how often in a row
    changing: dict[Path, tuple[float, float]] = field(default_factory=dict)  # files: first seen to, and last
    said: dict[str, object] = field(default_factory=dict)  # of a Collection; '' is the Library

    def say(self, name: str, error: SearchkitError, on_error: OnError) -> None:
        """Pass an error on, unless it is what was said last."""
        if self.said.get(name) != error.message:
            self.said[name] = error.message
            on_error(error)

    def put_off(self, name: str) -> None:
        """Refresh once more, later each time: what failed may be back although nothing tells of it."""
        times = self.failed[name] = self.failed.get(name, 0) + 1
        self.due[name] = time.monotonic() + min(LOOK_S, RETRY_S * 2.0 ** min(times - 1, 30))


def watch(
    library: Library, collection: str | None, debounce_s: float, patience: Patience, on_error: OnError
) -> Iterator[IndexReport]:
    """Yield the report of every refresh that has news; see Library.watch."""
    state = _State()
    roots = _roots(library, collection)
    if not roots:
        raise _nothing_to_watch(library, collection)
    state.due = {name: 0.0 for name, _ in roots}
    yield from _refreshed(library, state, patience, on_error)
    while True:
        if not roots:
            state.say("", _nothing_to_watch(library, collection), on_error)
        stamps = {root: _stamp(root) for _, root in roots}
        # What changed before the watcher stood is found by one more look.
        state.due = {name: 0.0 for name, _ in roots}
        for paths in _changes(stamps, debounce_s):
            now = {root: _stamp(root) for root in stamps}
            files = _settled(state, stamps, now, debounce_s)
            for name, root in roots:
                if root in files or any(_concerns(root, path, library.folder) for path in paths):
                    state.due[name] = 0.0
            yield from _refreshed(library, state, patience, on_error)
            latest = _latest(library, collection, roots, state, on_error)
            other = [root for root in now if now[root] != stamps[root]]
            if latest != roots or any(_folder(now, stamps, root) for root in other):
                roots = latest
                break
            stamps.update(now)


def _refreshed(
    library: Library, state: _State, patience: Patience, on_error: OnError
) -> Iterator[IndexReport]:
    """Refresh what is due; what fails, as a whole or in parts, is tried again later."""
    for name in sorted(name for name, at in state.due.items() if at <= time.monotonic()):
        try:
            (report,) = library.refresh(name, patience=patience)
        except CollectionNotFound:  # removed meanwhile
            del state.due[name]
            continue
        except LibraryError as error:
            state.due[name] = time.monotonic() + RETRY_S
            state.say(name, error, on_error)
            continue
        if report.failed:
            state.put_off(name)
        else:
            state.failed[name] = 0
            state.due[name] = time.monotonic() + LOOK_S
        says = (report.failed, report.notices)
        changes = report.added + report.changed + report.moved + report.removed
        if changes or state.said.get(name) != says:
            state.said[name] = says
            yield report


def _nothing_to_watch(library: Library, collection: str | None) -> CollectionNotFound:
    return CollectionNotFound(
        f"the Library in {library.folder} has no source to watch"
        + (f" in collection '{collection}'" if collection else ""),
        remedy="index a folder first: searchkit index FOLDER",
    )


def _latest(
    library: Library, collection: str | None, roots: Roots, state: _State, on_error: OnError
) -> Roots:
    """The roots as the Library names them now; those it named before where it cannot be read just now."""
    try:
        latest = _roots(library, collection)
    except LibraryError as error:
        state.say("", error, on_error)
        return roots
    if latest:
        state.said.pop("", None)
    return latest


def _settled(
    state: _State, before: Mapping[Path, Stamp], now: Mapping[Path, Stamp], quiet_s: float
) -> set[Path]:
    """Sources that are single files, have changed, and been left alone since, or changed for very long."""
    clock = time.monotonic()
    for root, stamp in now.items():
        if stamp != before[root] and not _folder(now, before, root):
            state.changing[root] = (state.changing.get(root, (clock, clock))[0], clock)
    longest = LONGEST_WAIT * quiet_s
    done = {
        root
        for root, (first, last) in state.changing.items()
        if clock - last >= quiet_s or clock - first >= longest
    }
    for root in done:
        del state.changing[root]
    return done


def _folder(now: Mapping[Path, Stamp], before: Mapping[Path, Stamp], root: Path) -> bool:
    """Whether a root is a folder, or was one: its watch has to be set up anew when it is another."""
    return any(stamp is not None and len(stamp) == OF_FOLDER for stamp in (now[root], before[root]))


def _roots(library: Library, collection: str | None) -> Roots:
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
