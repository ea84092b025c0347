"""Who opens a Library to read it can do nothing but read, and leaves the file as it was."""

import hashlib
import sys

import pytest

from searchkit.collection.library import Library
from searchkit.errors import LibraryNotWritable
from searchkit.library.database import FILE_NAME, MAPPED_BYTES, Database
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be shortened there")
def test_a_reader_maps_the_file(library_folder):
    Database.write(library_folder).close()
    with Database.read(library_folder) as db:
        assert db.rows("PRAGMA mmap_size")[0][0] == MAPPED_BYTES


def test_a_reader_cannot_write(library_folder):
    Database.write(library_folder).close()
    with (
        Database.read(library_folder) as db,
        pytest.raises(LibraryNotWritable),
        db.transaction() as tx,
    ):
        tx.run("DELETE FROM collections")


def test_queries_leave_the_file_as_it_was(library_folder, tmp_path):
    """Not a byte, not even the time of its last change: nothing is migrated, checkpointed or analysed."""
    write(tmp_path / "docs" / "a.md", "Order a new laptop in the portal.")
    library = Library(library_folder, open_model=WordEmbedder)
    library.index([tmp_path / "docs"])
    path = library_folder / FILE_NAME
    before = (path.stat().st_mtime_ns, path.stat().st_ino, hashlib.sha256(path.read_bytes()).digest())
    fresh = Library(library_folder, open_model=WordEmbedder)
    assert fresh.query("a new laptop").hits and fresh.show().counts.passages == 1
    after = (path.stat().st_mtime_ns, path.stat().st_ino, hashlib.sha256(path.read_bytes()).digest())
    assert after == before
    wal = path.with_name(path.name + "-wal")
    assert not wal.exists() or wal.stat().st_size == 0
