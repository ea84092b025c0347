"""Compares the files found with the files stored, and says what is to be done. Touches neither."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from searchkit.errors import DocumentError
from searchkit.library.documents import NOBODY, FileState, StoredFile
from searchkit.records import Failure, SourceFile
from searchkit.settings import VERSION

ROOT = "."  # how discovery names the source root itself


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToRead:
    """A file whose content is not stored yet."""

    source: SourceFile
    sha256: bytes | None  # when it was planned; None where the plan could do without
    replaces: StoredFile | None  # None for an added file


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one refresh of a source has to do."""

    read: tuple[FileToRead, ...]
    moved: tuple[tuple[StoredFile, FileState], ...]
    touched: tuple[tuple[StoredFile, FileState], ...]  # same content, other time stamp
    removed: tuple[StoredFile, ...]
    unchanged: int
    failures: tuple[Failure, ...]


def make_plan(
    found: Sequence[SourceFile],
    stored: Mapping[str, StoredFile],
    digest: Callable[[SourceFile], bytes],
    *,
    unseen: Collection[str] = (),
) -> Plan:
    """Compare by size and time stamp first, and by content (`digest`) only where those differ.

    An added file's content is looked at only if it may be one that vanished: of its size and suffix.

    What could not be read of an unchanged file is said again, without reading it again, unless another
    version of searchkit tried it.

    digest: SHA-256 of a file's bytes; may raise DocumentError, which becomes a Failure: what is stored
    of such a file stays. unseen: names of files and folders that could not be looked at: what is stored
    of them stays, too.
    """
    read: list[FileToRead] = []
    touched: list[tuple[StoredFile, FileState]] = []
    failures: list[Failure] = []
    unchanged = 0
    names = {source.name for source in found}
    gone = [before for name, before in stored.items() if name not in names and not _within_any(name, unseen)]
    vanished = {_size_and_suffix(before.state.name, before.state.size) for before in gone}
    for source in found:
        before = stored.get(source.name)
        known = None if before is None or _asks_for_reading(before) else before
        if known and (known.state.size, known.state.mtime_ns) == (source.size, source.mtime_ns):
            unchanged += known.documents > 0
            failures += known.failures
            continue
        if before is None and _size_and_suffix(source.name, source.size) not in vanished:
            read.append(FileToRead(source=source, sha256=None, replaces=None))
            continue
        try:
            sha256 = digest(source)
        except DocumentError as error:
            failures.append(Failure(document=source.name, reason=error.in_one_line))
            continue
        if known and known.state.sha256 == sha256:
            touched.append((known, state_of(source, sha256)))
            unchanged += known.documents > 0
            failures += known.failures
        else:
            read.append(FileToRead(source=source, sha256=sha256, replaces=before))
    read, gone, moved = _moves(read, gone)
    return Plan(
        read=tuple(read),
        moved=tuple(moved),
        touched=tuple(touched),
        removed=tuple(gone),
        unchanged=unchanged,
        failures=tuple(failures),
    )


def _asks_for_reading(before: StoredFile) -> bool:
    # What another version of searchkit failed at, this one may be able to read.
    return before.reader == NOBODY or (bool(before.failures) and before.reader != VERSION)


def _within_any(name: str, unseen: Collection[str]) -> bool:
    return any(one in (name, ROOT) or name.startswith(f"{one}/") for one in unseen)


def _size_and_suffix(name: str, size: int) -> tuple[int, str]:
    return size, PurePosixPath(name).suffix  # the suffix decides how a file is read


def state_of(source: SourceFile, sha256: bytes) -> FileState:
    """The state to store for a file that was read."""
    return FileState(name=source.name, size=source.size, mtime_ns=source.mtime_ns, sha256=sha256)


def _moves(
    read: list[FileToRead], gone: list[StoredFile]
) -> tuple[list[FileToRead], list[StoredFile], list[tuple[StoredFile, FileState]]]:
    """Pair files that vanished with added ones of equal content and suffix.

    A file with failures is read again: what is stored of them speaks of its old name.
    """
    vanished: defaultdict[tuple[bytes, str], list[StoredFile]] = defaultdict(list)
    for before in reversed([before for before in gone if not before.failures]):
        vanished[before.state.sha256, PurePosixPath(before.state.name).suffix].append(before)
    still_to_read, moved = [], []
    for file in read:
        key = (file.sha256 or b"", PurePosixPath(file.source.name).suffix)
        if file.sha256 is not None and file.replaces is None and vanished[key]:
            moved.append((vanished[key].pop(), state_of(file.source, file.sha256)))
        else:
            still_to_read.append(file)
    moved_ids = {before.file_id for before, _ in moved}
    return still_to_read, [before for before in gone if before.file_id not in moved_ids], moved
