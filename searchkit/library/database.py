"""Opens the Library's one SQLite file, for one writer and any number of readers; owns sqlite3.

It knows connections, transactions, locks and versions, and not what the tables mean.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchkit.errors import (
    LibraryBusy,
    LibraryDamaged,
    LibraryError,
    LibraryNotWritable,
    LibraryTooNew,
    QueryInvalid,
)
from searchkit.library.lock import acquire, not_writable, release
from searchkit.library.migrations import APPLICATION_ID, APPLIED, KNOWN, WORDS, apply
from searchkit.library.words import words

if TYPE_CHECKING:
    import filelock

FILE_NAME = "library.db"

PAGE_SIZE = 32_768
MIGRATION_WAIT_S = 10.0
MIGRATION_POLL_S = 0.05
MAPPED_BYTES = (2 << 30) - (64 << 10)  # the most that SQLite maps by default
BUSY_MS = 30_000  # a checkpoint of a large WAL can hold the file this long on a slow disk

# What SQLite says of a file that lacks something. Whatever else it says of a full-text query, which but for
# its expression is ours, it says of the expression.
_OF_FILES = ("no such table", "no such module", "no such function", "database schema")

Row = tuple[Any, ...]


class Database:
    """One connection. Readers see the last committed state, whatever a writer does meanwhile."""

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, lock: filelock.BaseFileLock | None
    ) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock

    # ---------------------------------------------------------------- opening

    @classmethod
    def read(cls, folder: Path) -> Database:
        """Open for reading; never creates or changes the file (an older schema is migrated first).

        Raises: LibraryError: there is no Library. LibraryTooNew, LibraryDamaged: as they say.
        """
        path = folder / FILE_NAME
        if not exists(folder):
            raise _no_library(folder)
        deadline = time.monotonic() + MIGRATION_WAIT_S
        while True:
            with _translated(folder):
                connection = _connect_read_only(path)
                try:
                    applied = _applied(connection, folder)
                except BaseException:
                    connection.close()
                    raise
            if len(applied) >= len(KNOWN):
                return cls(folder, connection, None)
            connection.close()
            if not applied:  # another process is just making it
                raise _no_library(folder)
            try:
                cls.write(folder).close()
            except LibraryBusy:  # by one that is between two migrations, and goes on to write for long
                if time.monotonic() > deadline:
                    raise
                time.sleep(MIGRATION_POLL_S)
            except LibraryNotWritable as error:
                raise LibraryError(
                    f"an older searchkit wrote this Library; bringing it up to date failed: {error.message}",
                    remedy=f"let somebody who may write there run: searchkit collections --library {folder}",
                ) from error

    @classmethod
    def write(
        cls,
        folder: Path,
        *,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] | None = None,
        command: str = "",
    ) -> Database:
        """Open as the only writer, making folder and file where there are none.

        wait_s: how long to wait for another writer; `on_wait` is told once who it is. command: what others
        who wait are told is being done; default the command line.
        Raises: LibraryBusy, LibraryNotWritable, LibraryTooNew, LibraryDamaged.
        """
        _require_utf8(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryNotWritable(
                f"the Library's folder {folder} cannot be made: {error.strerror}",
                remedy="name a folder you may write to: --library DIR",
            ) from error
        lock = acquire(folder, wait_s, on_wait, command)
        try:
            with _translated(folder):
                connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None, timeout=BUSY_MS / 1000)
                try:
                    _prepare_for_writing(connection, folder)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            lock.release()
            raise
        return cls(folder, connection, lock)

    def close(self) -> None:
        """Close the connection and let the next writer in."""
        self._connection.close()
        if self._lock is not None:
            release(self.folder, self._lock)
            self._lock = None

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- reading and writing

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of a query."""
        with _translated(self.folder):
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row of a query, or None."""
        with _translated(self.folder):
            found: Row | None = self._connection.execute(sql, parameters).fetchone()
            return found

    def scan(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Rows of a query one by one, for results that should not be held in memory."""
        with _translated(self.folder):
            yield from self._connection.execute(sql, parameters)

    def rows_among(self, sql: str, values: Iterable[object], before: Sequence[object] = ()) -> list[Row]:
        """Rows of a query that ends in an `IN ({})` over any number of values.

        before: parameters that stand before the values. SQLite limits the number of parameters, so
        long lists are asked in parts; the order between parts is that of the values.
        """
        part = 500
        wanted = list(values)
        found: list[Row] = []
        for i in range(0, len(wanted), part):
            some = wanted[i : i + part]
            found += self.rows(sql.format(",".join("?" * len(some))), [*before, *some])
        return found

    def matches(self, sql: str, parameters: Sequence[object]) -> list[Row]:
        """All rows of a full-text query. Raises: QueryInvalid: SQLite cannot read its expression."""
        try:
            with _translated(self.folder):
                return self._connection.execute(sql, parameters).fetchall()
        except LibraryDamaged as error:
            cause = error.__cause__
            if not _is_of_expression(cause):
                raise
            raise QueryInvalid(
                f"the full-text expression cannot be read: {cause}",
                remedy="ask in plain words, without --fts; or see https://sqlite.org/fts5.html, section 3",
            ) from cause

    def define(self, name: str, function: Callable[..., object], arguments: int) -> None:
        """Let SQL on this connection call a pure function that never raises."""
        self._connection.create_function(name, arguments, function, deterministic=True)  # type: ignore[arg-type]

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing: what is written through the Transaction is there afterwards, or none of it."""
        with _translated(self.folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Reads within see one committed state, even while a writer commits."""
        with _translated(self.folder):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def problems(self) -> list[str]:
        """What SQLite's own integrity and foreign-key checks find; empty when all is well."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(20)")]
            broken = [row for row in self._connection.execute("PRAGMA foreign_key_check")]
        except sqlite3.DatabaseError as error:
            return [f"the database cannot be checked: {error}"]
        return [line for line in found if line != "ok"] + [
            f"table {row[0]}: row {row[1]} refers to a missing row of {row[2]}" for row in broken
        ]


class Transaction:
    """The only thing that can write; exists only inside Database.transaction()."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Execute one statement. Returns the rowid of the last inserted row (0 if none)."""
        return self._connection.execute(sql, parameters).lastrowid or 0

    def changed(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Execute one statement. Returns how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def run_many(self, sql: str, parameters: Iterable[Sequence[object]]) -> None:
        """Execute one statement for every row of parameters."""
        self._connection.executemany(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of a query, as the transaction sees them."""
        return self._connection.execute(sql, parameters).fetchall()


def temporary_folder() -> Path:
    """Where SQLite writes temporary files: the first of its own list that may be written to."""
    if os.name != "nt":
        named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
        for folder in (*named, "/var/tmp", "/usr/tmp", "/tmp"):
            if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
                return Path(folder)
    return Path(tempfile.gettempdir())


# -------------------------------------------------------------------- connections


def _connect_read_only(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        # WAL wants to write its shared-memory file. In a folder that we may not write, and that holds no
        # WAL, the file is read as it lies; a writer with more rights who starts just now is not seen.
        wal = path.with_name(path.name + "-wal")
        effective = os.access in os.supports_effective_ids
        writable = os.access(path.parent, os.W_OK, effective_ids=effective)
        if writable or (wal.exists() and wal.stat().st_size):
            raise
        connection = sqlite3.connect(uri + "&immutable=1", uri=True, isolation_level=None)
    # Else each vector looked up at random copies a page of 32 KiB: 14 us, mapped 6 us (LOG "what does a
    # lookup cost?"). A file that is mapped cannot be shortened on Windows.
    if sys.platform != "win32":
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
    return connection


def _applied(connection: sqlite3.Connection, folder: Path) -> list[str]:
    """The migrations a file has had. Raises for files that are not ours or are too new."""
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if application != APPLICATION_ID and tables - {"_sqlite_migrations", "sqlite_sequence"}:
        raise LibraryDamaged(
            f"{folder / FILE_NAME} is a database of another program, not a searchkit Library",
            remedy="name another folder: --library DIR",
        )
    if "_sqlite_migrations" not in tables:
        return []
    applied = [row[0] for row in connection.execute(APPLIED)]
    if unknown := sorted(set(applied) - set(KNOWN)):
        raise LibraryTooNew(
            f"the Library in {folder} was written by a newer searchkit (format step '{unknown[-1]}')",
            remedy="upgrade this one with: pip install --upgrade searchkit",
        )
    return applied


def _prepare_for_writing(connection: sqlite3.Connection, folder: Path) -> None:
    applied = _applied(connection, folder)
    connection.create_function(WORDS, 1, words, deterministic=True)
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")  # only has an effect on a new file
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: synchronous alone does not reach the platter there
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted or edited is overwritten with zeros: of 10,000 documents, half of them removed in 2.9 s
    # instead of 2.6 s, half of them edited within what two runs differ. Not every SQLite does so by itself.
    connection.execute("PRAGMA secure_delete = ON")
    if len(applied) < len(KNOWN):
        apply(connection)


# -------------------------------------------------------------------- errors


def _is_of_expression(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", 0)
    return code == sqlite3.SQLITE_ERROR and not str(cause).startswith(_OF_FILES)


def exists(folder: Path) -> bool:
    """Whether there is a Library's database in a folder. Raises: LibraryError: it cannot be told."""
    try:
        return (folder / FILE_NAME).is_file()
    except OSError as error:
        raise LibraryError(
            f"the Library's folder {folder} cannot be looked at: {error.strerror}",
            remedy="check the permissions of the folders above it, or name another: --library DIR",
        ) from error


def _no_library(folder: Path) -> LibraryError:
    return LibraryError(
        f"there is no Library in {folder}",
        remedy="make one with: searchkit index FOLDER; or name another: --library DIR",
    )


def _require_utf8(folder: Path) -> None:
    try:
        str(folder.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        raise LibraryNotWritable(
            f"the Library's path {str(folder.absolute())!r} is not valid UTF-8, and FAISS cannot open such",
            remedy="name another folder: --library DIR",
        ) from None


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours; leave every other exception as it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
            raise not_writable(folder, str(error)) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LibraryBusy(
                f"the Library in {folder} stayed locked for {BUSY_MS // 1000} s: {error}",
                remedy="see which program has it open, then run the same command again",
            ) from error
        if code == sqlite3.SQLITE_CANTOPEN:
            raise LibraryNotWritable(
                f"the Library in {folder} cannot be opened: {error}",
                remedy="check the folder's permissions, or name another: --library DIR",
            ) from error
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CORRUPT_VTAB:
            raise LibraryDamaged(
                f"the full text in {folder / FILE_NAME} is damaged: {error}",
                remedy="make it anew from the stored texts with: searchkit rebuild",
            ) from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise LibraryDamaged(
                f"{folder / FILE_NAME} is not a readable searchkit database: {error}",
                remedy="move it away and index again; sources are never changed by searchkit",
            ) from error
        if not isinstance(error, sqlite3.OperationalError):  # a mistake of ours, not of the file
            raise
        raise LibraryDamaged(
            f"{folder / FILE_NAME} does not hold what it should: {error}",
            remedy="see what is wrong with: searchkit verify; or move it away and index again",
        ) from error
