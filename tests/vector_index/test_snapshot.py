import numpy as np
import pytest

from searchkit.vector_index.choose import snapshot_is_due
from searchkit.vector_index.faiss_index import write_index
from searchkit.vector_index.protocol import DamagedIndex
from searchkit.vector_index.snapshot import file_name, open_snapshot, publish, sweep

IDS = np.arange(5, dtype=np.int64)
VECTORS = np.eye(5, dtype=np.float32)


def write(path):
    write_index(IDS, VECTORS, path)


@pytest.mark.parametrize(
    ("rows", "in_snapshot", "tail", "removed", "due"),
    [
        (0, None, 0, 0, False),
        (1, None, 0, 0, True),
        (10_000, 10_000, 0, 0, False),
        (10_000, 9_000, 1_000, 0, False),
        (10_001, 9_000, 1_001, 0, True),
        (9_000, 9_500, 500, 501, True),
        (100_000, 98_000, 2_000, 0, False),
        (105_001, 100_000, 5_001, 0, True),
    ],
)
def test_a_snapshot_is_due_when_queries_would_scan_too_much(rows, in_snapshot, tail, removed, due):
    assert snapshot_is_due(rows=rows, in_snapshot=in_snapshot, tail=tail, removed=removed) is due


def test_a_published_file_opens_with_what_was_noted_of_it(tmp_path):
    size, checksum = publish(tmp_path / "a.faiss", write)
    opened = open_snapshot(tmp_path / "a.faiss", size=size, checksum=checksum, full=True)
    ids, vectors = opened.vectors()
    assert ids.tolist() == IDS.tolist() and (vectors == VECTORS).all()


def test_a_failed_write_leaves_the_published_file_alone(tmp_path):
    final = tmp_path / file_name(1, 1, 7)
    publish(final, write)
    before = final.read_bytes()

    def break_off(path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(final, break_off)
    assert final.read_bytes() == before
    assert sweep(tmp_path, {final.name}) == [f"{final.name}.part"]


def test_sweeping_leaves_what_is_not_ours(tmp_path):
    for name in ("movie.mkv.part", "mine.faiss", "flat-notes.faiss"):
        (tmp_path / name).write_text("theirs")
    (tmp_path / file_name(1, 1, 1)).mkdir()  # even a folder in the way is no reason to stop
    (tmp_path / file_name(1, 1, 2)).write_text("ours, superseded")
    assert sweep(tmp_path, set()) == [file_name(1, 1, 2)]
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "foreign"])
def test_a_damaged_file_is_never_opened(tmp_path, damage):
    path = tmp_path / "a.faiss"
    size, checksum = publish(path, write)
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-4])
    elif damage == "flipped":
        data[-3] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(b"x" * size)
    with pytest.raises(DamagedIndex):
        open_snapshot(path, size=size, checksum=checksum)


def test_bytes_that_are_no_index_are_refused_even_with_the_right_checksum(tmp_path):
    size, checksum = publish(tmp_path / "a.faiss", lambda path: path.write_bytes(b"no index at all" * 9))
    with pytest.raises(DamagedIndex):
        open_snapshot(tmp_path / "a.faiss", size=size, checksum=checksum)


def test_a_full_disk_is_an_os_error():
    from pathlib import Path

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OSError, match="FAISS could not write"):
        write_index(np.arange(50_000, dtype=np.int64), np.zeros((50_000, 64), np.float32), full)
