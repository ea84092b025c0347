"""Which files a source holds: names, sizes and times in a fixed order.

Opens no document; of HTML it reads the beginning, for the pages that searchkit itself wrote are none.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from searchkit.documents.ignore import IGNORE_FILES, Rules, add_rules, ignored_by_default
from searchkit.documents.load import is_supported
from searchkit.errors import UsageError
from searchkit.paths import escape_name
from searchkit.records import Failure, SourceFile

# A folder that holds such a file is a Library, no source.
LIBRARY_FILE, DATABASE_MARK = "library.db", b"SQLite format 3\0"
# In the first bytes of a page that searchkit wrote. It holds texts of documents, which would be found twice,
# and would come back after the documents were forgotten.
OWN_PAGE, OWN_PAGE_BYTES = b'<meta name="generator" content="searchkit ', 1024
PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What a walk over a source found."""

    files: tuple[SourceFile, ...]  # by name
    failures: tuple[Failure, ...]  # by name: folders that cannot be listed, links that lead nowhere or out
    # Suffix -> files not read.
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    ignored: int = 0  # files and folders left out by rules
    own: tuple[str, ...] = ()  # pages that searchkit wrote, by name: left out


def discover(root: Path, *, exclude: Sequence[Path] = ()) -> Discovery:
    """Return the readable files under `root`, which may be a single file; it is then taken whatever it is.

    Left out are hidden files, what `ignore.py` lists, what .gitignore and .searchkitignore files in and
    below `root` name, Libraries, pages that searchkit wrote, and the folders and files of `exclude`. Links
    are followed where they stay in `root`; a file or folder reached twice counts once, under its own name if
    it has one.

    Raises: UsageError: `root` does not exist or cannot be listed.
    """
    try:
        status = os.stat(root)
    except OSError as error:
        raise UsageError(
            f"'{root}' cannot be found ({error.strerror}): expected a file or a folder",
            remedy="check the path",
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        path = Path(os.path.abspath(root))
        name = escape_name(path.name)
        source = SourceFile(path=path, name=name, size=status.st_size, mtime_ns=status.st_mtime_ns)
        return Discovery(files=(source,), failures=())
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(
            f"'{root}' may not be listed: permission denied",
            remedy="give searchkit's user the right to read it",
        )
    return _Walk(os.path.abspath(root), exclude).run()


def leaves_out(root: Path, path: Path, *, exclude: Sequence[Path] = ()) -> bool:
    """Whether what lies at a path below the folder `root`, or lay there, is nothing that `discover` reads.

    Says so by rules, names and `exclude`, and without listing anything: links are not looked at. An ignore
    file is not left out, for it decides what else is read.
    """
    excluded = {_identity(os.stat(folder)) for folder in exclude if os.path.exists(folder)}
    folder, prefix, rules = root, "", None
    parts = path.relative_to(root).parts
    try:
        for i, part in enumerate(parts, 1):
            if _is_shut(folder, excluded):
                return True
            if i == len(parts) and part in IGNORE_FILES:
                return False
            rules = add_rules(
                folder, {name for name in IGNORE_FILES if (folder / name).exists()}, prefix, rules
            )
            folder, name = folder / part, prefix + part
            if _is_ignored(name, rules, folder=i < len(parts) or folder.is_dir()):
                return True
            prefix = f"{name}/"
        # Where no system tells of single files, the folder itself is what changed.
        return _is_shut(folder, excluded) or (folder.is_file() and not is_supported(folder.name))
    except OSError:
        return False  # a look at everything will say why


def _is_shut(folder: Path, excluded: Collection[tuple[int, int]]) -> bool:
    return folder.is_dir() and (_identity(folder.stat()) in excluded or _holds_library(folder))


def _holds_library(folder: Path) -> bool:
    return (folder / LIBRARY_FILE).is_file() and _is_library(str(folder))


class _Walk:
    """The state of one walk: plain folders first, then links, so that real names win over linked ones."""

    def __init__(self, root: str, exclude: Sequence[Path]) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._excluded = frozenset(_identity(os.stat(path)) for path in exclude if os.path.exists(path))
        self._files: list[SourceFile] = []
        self._failures: list[Failure] = []
        self._skipped: Counter[str] = Counter()
        self._ignored = 0
        self._own: list[str] = []
        self._links: list[tuple[str, str, Rules | None]] = []  # path, name, rules where the link stands
        self._folders_seen: set[tuple[int, int]] = set()
        self._supported: dict[str, bool] = {}

    def run(self) -> Discovery:
        self._descend(self._root, "", None)
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[1]), []
            known = {os.path.realpath(source.path) for source in self._files}
            for path, name, rules in links:
                self._follow(path, name, rules, known)
        return Discovery(
            files=tuple(sorted(self._files, key=lambda source: source.name)),
            failures=tuple(sorted(self._failures, key=lambda failure: failure.document)),
            skipped=MappingProxyType(dict(sorted(self._skipped.items()))),
            ignored=self._ignored,
            own=tuple(sorted(self._own)),
        )

    def _descend(self, path: str, name: str, rules: Rules | None) -> None:
        """List a folder and all below it; links are kept for later."""
        pending = [(path, name, rules)]
        while pending:
            path, name, rules = pending.pop()
            try:
                identity = _identity(os.stat(path))
                if identity in self._folders_seen:
                    continue
                self._folders_seen.add(identity)
                with os.scandir(path) as listing:
                    entries = list(listing)
                present = {entry.name for entry in entries}
                if identity in self._excluded or (LIBRARY_FILE in present and _is_library(path)):
                    self._ignored += 1
                    continue
                prefix = f"{name}/" if name else ""
                rules = add_rules(Path(path), present, prefix, rules)
            except OSError as error:
                self._fail(name, f"folder cannot be listed: {error.strerror or error}")
                continue
            for entry in entries:
                self._entry(entry, prefix + entry.name, rules, pending)

    def _entry(
        self,
        entry: os.DirEntry[str],
        name: str,
        rules: Rules | None,
        pending: list[tuple[str, str, Rules | None]],
    ) -> None:
        folder = entry.is_dir(follow_symlinks=False)
        if _is_ignored(name, rules, folder=folder):
            self._ignored += 1
        elif entry.is_symlink():
            self._links.append((entry.path, name, rules))
        elif folder:
            pending.append((entry.path, name, rules))
        elif entry.is_file(follow_symlinks=False):  # no pipes, sockets, devices
            try:
                status = entry.stat(follow_symlinks=False) if self._reads(name) else None
                if status is None or _identity(status) not in self._excluded:
                    self._add(entry.path, name, status)
            except OSError as error:
                self._fail(name, f"cannot be looked at: {error.strerror or error}")

    def _follow(self, path: str, name: str, rules: Rules | None, known: set[str]) -> None:
        """Take in what a link leads to, if that is in the root and has not been met."""
        target = os.path.realpath(path)
        try:
            status = os.stat(path)
        except OSError as error:
            self._fail(name, f"link leads nowhere: {error.strerror or error}")
            return
        if target != self._real_root and not target.startswith(self._real_root + os.sep):
            self._fail(
                name, f"link leads out of the source, to {target!r}; add that folder as a source of its own"
            )
        elif stat.S_ISDIR(status.st_mode):
            if not _is_ignored(name, rules, folder=True):
                self._descend(path, name, rules)
        elif stat.S_ISREG(status.st_mode) and target not in known and _identity(status) not in self._excluded:
            known.add(target)
            self._add(path, name, status if self._reads(name) else None)

    def _reads(self, name: str) -> bool:
        suffix = os.path.splitext(name)[1]
        if not suffix:
            return is_supported(name)
        if suffix not in self._supported:
            self._supported[suffix] = is_supported("a" + suffix)
        return self._supported[suffix]

    def _add(self, path: str, name: str, status: os.stat_result | None) -> None:
        """Count a file in: with its status if a loader reads it, else as skipped."""
        if status is None:
            self._skipped[PurePosixPath(name).suffix.lower()] += 1
            return
        name = escape_name(name if os.sep == "/" else name.replace(os.sep, "/"))
        if name.lower().endswith(PAGES) and _is_own_page(path):
            self._own.append(name)
            return
        self._files.append(
            SourceFile(path=Path(path), name=name, size=status.st_size, mtime_ns=status.st_mtime_ns)
        )

    def _fail(self, name: str, reason: str) -> None:
        self._failures.append(Failure(document=escape_name(name) or ".", reason=reason))


def _is_ignored(name: str, rules: Rules | None, *, folder: bool) -> bool:
    said = rules.verdict(name, folder=folder) if rules else None
    return ignored_by_default(name.rpartition("/")[2], folder=folder) if said is None else said


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_library(folder: str) -> bool:
    with open(os.path.join(folder, LIBRARY_FILE), "rb") as file:
        return file.read(len(DATABASE_MARK)) == DATABASE_MARK


def _is_own_page(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return OWN_PAGE in file.read(OWN_PAGE_BYTES)
    except OSError:
        return False  # whoever reads it will say why
