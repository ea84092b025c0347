"""The texts of a Collection with their vectors: bodies, headings, and where there is no room."""

import errno

import numpy as np
import pytest

from searchkit.analysis import texts as texts_module
from searchkit.analysis.texts import texts_not_stored, texts_of
from searchkit.errors import LibraryError
from tests.collection.conftest import write


def test_likeness_is_that_of_the_best_headings():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)
    made = texts_not_stored(vectors, [b"a", b"b", b"a", b"c"])
    assert made.firsts.tolist() == [0, 1, 3]
    assert made.cosines(1, [0, 3]).tolist() == pytest.approx([0.8, 0.0])
    assert made.passages == {0: [0, 2], 1: [1], 3: [3]}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_damaged_vector_has_no_direction(value):
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, 2] = value
    made = texts_not_stored(vectors, [b"a", b"b", b"c"])
    assert made.vectors.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert not np.isfinite(vectors[1, 2])  # what was given is left as it is


def read(library, tmp_path):
    write(tmp_path / "in" / "a.txt", "one two three")
    library.index([tmp_path / "in"])
    with library.reading() as (db, collection):
        return texts_of(db, collection)


def test_vectors_that_are_mapped_are_those_in_memory(library, tmp_path, monkeypatch):
    expected = read(library, tmp_path).vectors
    monkeypatch.setattr(texts_module, "IN_MEMORY", 0)
    mapped = read(library, tmp_path).vectors
    assert isinstance(mapped, np.memmap) and np.array_equal(mapped, expected)


def refuse(*_):
    raise OSError(errno.ENOSPC, "full")


@pytest.mark.parametrize("with_fallocate", [True, False])
def test_a_full_disk_is_said_before_it_is_written_to(library, tmp_path, monkeypatch, with_fallocate):
    """A page of a mapping that has no room ends the process with a signal."""
    monkeypatch.setattr(texts_module, "IN_MEMORY", 0)
    if with_fallocate:
        monkeypatch.setattr(texts_module.os, "posix_fallocate", refuse, raising=False)
    else:
        monkeypatch.delattr(texts_module.os, "posix_fallocate", raising=False)
        monkeypatch.setattr(texts_module.shutil, "disk_usage", refuse)
    with pytest.raises(LibraryError, match="the vectors need") as raised:
        read(library, tmp_path)
    assert "TMPDIR" in raised.value.remedy
