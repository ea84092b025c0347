import numpy as np
import pytest

from searchkit.vector_index.build import build
from searchkit.vector_index.choose import exact_plan
from searchkit.vector_index.protocol import FLAT, HNSW, IVF, DamagedIndex
from searchkit.vector_index.snapshot import checksum_of, file_name, open_snapshot, publish, sweep
from tests.vector_index.record import NONE, PLANS, MemoryRecord, clustered

ROWS = 900
IDS = np.arange(5, 5 + ROWS, dtype=np.int64)
VECTORS = clustered(ROWS, 32)
RECORD = MemoryRecord(IDS, VECTORS)
ALL_PLANS = {FLAT: exact_plan(), **PLANS}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One built file of each kind, with what is noted of it."""
    folder, made = tmp_path_factory.mktemp("files"), {}
    for kind, plan in ALL_PLANS.items():
        built = []
        size, checksum = publish(
            folder / kind, lambda part, plan=plan, built=built: built.append(build(plan, RECORD, part))
        )
        assert built[0].plan == plan
        made[kind] = ((folder / kind).read_bytes(), built[0], size, checksum)
    return made


def write(path):
    build(exact_plan(), RECORD, path)


@pytest.mark.parametrize("kind", ALL_PLANS)
def test_a_published_file_opens_with_what_was_noted_of_it(tmp_path, files, kind):
    data, built, size, checksum = files[kind]
    (tmp_path / "a").write_bytes(data)
    opened = open_snapshot(tmp_path / "a", built.plan, size=size, checksum=checksum, full=True)
    index = opened.index(built.tuning, RECORD)
    assert (index.kind, index.rows, built.last_id) == (kind, ROWS, IDS[-1])
    assert opened.held.ids.tolist() == IDS.tolist()
    assert index.search(VECTORS[7:8], 1, without=NONE)[0].ids.tolist() == [IDS[7]]


@pytest.mark.parametrize("kind", [FLAT, IVF])
def test_equal_vectors_give_equal_files(tmp_path, files, kind):
    build(ALL_PLANS[kind], MemoryRecord(IDS, VECTORS), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == files[kind][0]


def test_a_failed_write_leaves_the_published_file_alone(tmp_path):
    final = tmp_path / file_name(1, 1, 7)
    publish(final, write)
    before = final.read_bytes()

    def break_off(path):
        path.write_bytes(b"half")
        raise error

    for error in (OSError("disk full"), KeyboardInterrupt("disk full")):
        with pytest.raises(type(error), match="disk full"):
            publish(final, break_off)
        assert final.read_bytes() == before
        assert list(tmp_path.iterdir()) == [final]  # a full disk is not filled further by every try


def test_what_a_killed_write_left_is_swept(tmp_path):
    final = tmp_path / file_name(1, 1, 7)
    publish(final, write)
    (tmp_path / f"{final.name}.part").write_bytes(b"half")
    assert sweep(tmp_path, {final.name}) == [f"{final.name}.part"]


def test_sweeping_leaves_what_is_not_ours(tmp_path):
    for name in ("movie.mkv.part", "mine.faiss", "flat-notes.faiss", "vectors-of-mine.snapshot"):
        (tmp_path / name).write_text("theirs")
    (tmp_path / file_name(1, 1, 1)).mkdir()  # even a folder in the way is no reason to stop
    (tmp_path / file_name(1, 1, 2)).write_text("ours, superseded")
    (tmp_path / "flat-1-1-g00000003.faiss").write_text("of an earlier version")
    assert sweep(tmp_path, set()) == ["flat-1-1-g00000003.faiss", file_name(1, 1, 2)]
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("kind", ALL_PLANS)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "foreign"])
def test_a_damaged_file_is_never_opened(tmp_path, files, kind, damage):
    content, built, size, checksum = files[kind]
    path, data = tmp_path / "a", bytearray(content)
    if damage == "cut":
        data = data[:-4]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "foreign":
        data = bytearray(b"x" * size)
    if damage != "missing":
        path.write_bytes(data)
    with pytest.raises(DamagedIndex):
        open_snapshot(path, built.plan, size=size, checksum=checksum)


@pytest.mark.parametrize("kind", ALL_PLANS)
@pytest.mark.parametrize("content", ["nothing", "text", "payload", "other kind", "other format"])
def test_bytes_that_are_no_such_index_are_refused_even_with_the_right_checksum(
    tmp_path, files, kind, content
):
    data, built, _, _ = files[kind]
    other = files[HNSW if kind != HNSW else IVF][0]
    path = tmp_path / "a"
    path.write_bytes(
        {
            "nothing": b"",
            "text": b"no index at all" * 9,
            "payload": b"x" * 5_000 + data[-400:],  # a description whose offsets lie beyond the file's end
            "other kind": other,
            "other format": data.replace(b'{"format": 1,', b'{"format": 2,'),
        }[content]
    )
    with pytest.raises(DamagedIndex):
        open_snapshot(path, built.plan, size=path.stat().st_size, checksum=checksum_of(path))


@pytest.mark.parametrize("kind", ALL_PLANS)
def test_a_full_disk_is_an_os_error(kind):
    from pathlib import Path

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OSError, match=r"could not write|No space left"):
        build(ALL_PLANS[kind], RECORD, full)
