"""What a run leaves out because it was forgotten: files by place and content, parts of them by texts."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, partial
from pathlib import Path

from searchkit.collection.reading import Takes
from searchkit.documents.load import sha256_of
from searchkit.errors import DocumentError
from searchkit.library import collections as catalogue
from searchkit.library import forgotten
from searchkit.library.database import Database
from searchkit.library.forgotten import Marks
from searchkit.library.traces import hashed
from searchkit.paths import escape_name, names_of, places
from searchkit.records import SourceFile

NAMES_SHOWN = 3


class LeftOut:
    """Leaves out what one Collection is not to hold, and counts it."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._files: list[str] = []
        self._passages = 0
        self._texts_of: dict[tuple[Path, str], frozenset[bytes]] = {}
        self._real: Callable[[Path], str] = cache(os.path.realpath)  # one folder holds many files

    def sifted(
        self, root: Path, files: Sequence[SourceFile], stored: Collection[str]
    ) -> Sequence[SourceFile]:
        """The files of a source that may be looked at. stored: names of those that are there already."""
        if not self._marks.files:
            return files
        kept = []
        for file in files:
            if self._is_forgotten(root, file, stored):
                self._files.append(file.name)
            else:
                kept.append(file)
        return kept

    def _is_forgotten(self, root: Path, file: SourceFile, stored: Collection[str]) -> bool:
        if self._marks.of_places(places(root, file.name, self._real)):
            return True
        # A twin that was indexed beside the forgotten one stays; it was not meant.
        if file.name in stored or not self._marks.of_size(file.size):
            return False
        try:
            return self._marks.of_content(sha256_of(file))
        except DocumentError:
            return False  # the run will say why it cannot be read

    def takes_of(self, root: Path) -> Takes | None:
        """Which texts may be taken from the files of a source; None for all."""
        return partial(self._takes, root) if self._marks.texts else None

    def _takes(self, root: Path, file: SourceFile, text_hash: bytes) -> bool:
        if (texts := self._texts_of.get((root, file.name))) is None:
            texts = self._marks.within(places(root, file.name, self._real))
            self._texts_of = {(root, file.name): texts}  # files come one after the other
        if not texts or hashed(self._marks.key, text_hash) not in texts:
            return True
        self._passages += 1
        return False

    def notices(self) -> tuple[str, ...]:
        """What was left out, for whoever wonders where it is."""
        back = "to bring it back, name the file: searchkit index FILE"
        said: tuple[str, ...] = ()
        if many := len(self._files):
            what = (
                "1 file is left out, for it was"
                if many == 1
                else f"{many:,} files are left out, for they were"
            )
            said += (f"{what} forgotten ({_shown(self._files)}); {back}",)
        if many := self._passages:
            what = (
                "1 passage is left out, for it was"
                if many == 1
                else f"{many:,} passages are left out, for they were"
            )
            said += (f"{what} forgotten; {back}",)
        return said


def let_back(db: Database, collection_id: int, roots: Iterable[Path]) -> tuple[str, ...]:
    """Let those of the roots come back into a Collection that are files: whoever names one wants it.

    Returns: what to say of those that had been forgotten.
    """
    if not db.rows("SELECT 1 FROM forgotten LIMIT 1"):
        return ()
    sources = [one.root for one in catalogue.sources(db, collection_id)]
    back = []
    for root in roots:
        if root.is_file():
            name = escape_name(root.name)
            named = [(root, name), *((source, one) for source in sources for one in names_of(source, root))]
            at = [place for source, one in named for place in places(source, one)]
            content = content_of(root)
            with db.transaction() as tx:
                if forgotten.lift(tx, collection_id, at, content[1] if content else None):
                    back.append(name)
    if not back:
        return ()
    what = "1 file comes back that was" if len(back) == 1 else f"{len(back):,} files come back that were"
    return (f"{what} forgotten ({_shown(back)})",)


def content_of(path: Path) -> tuple[int, bytes] | None:
    """Size and SHA-256 of a file; None where it cannot be read."""
    try:
        status = path.stat()
        file = SourceFile(
            path=path, name=escape_name(path.name), size=status.st_size, mtime_ns=status.st_mtime_ns
        )
        return status.st_size, sha256_of(file)
    except (OSError, DocumentError):
        return None


def _shown(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
