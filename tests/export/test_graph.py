"""A graph's weights are written as they come, into its folder and nowhere else."""

from __future__ import annotations

import tracemalloc

import numpy as np
import onnx
import onnxruntime
import pytest

from searchkit.export.graph import ALIGNMENT, SMALLEST_MAPPED, WEIGHTS_FILE, GraphBuilder

ROWS = 1000


@pytest.fixture
def matrices():
    """Matrices of odd sizes and several types; the last one is stored column by column."""
    random = np.random.default_rng(2)
    kinds = [(np.float32, 33), (np.int8, 47), (np.uint8, 1), (np.float32, 64)]
    made = [random.integers(0, 100, size=(ROWS, width)).astype(kind) for kind, width in kinds]
    return [*made, np.asfortranarray(made[0])]


def test_what_is_written_is_what_is_read(tmp_path, matrices):
    graph = GraphBuilder(tmp_path)
    for matrix in matrices:
        graph.constant(matrix)
    graph.constant(1.5)
    graph.write("model.onnx")
    model = onnx.load(str(tmp_path / "model.onnx"))
    read = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert all((one == other).all() for one, other in zip(read, [*matrices, 1.5], strict=True))
    assert [one.dtype for one in read] == [*(one.dtype for one in matrices), np.float32]
    onnx.checker.check_model(str(tmp_path / "model.onnx"))


def test_large_ones_are_mapped_from_aligned_places_and_small_ones_lie_in_the_graph(tmp_path):
    graph = GraphBuilder(tmp_path)
    for size in (SMALLEST_MAPPED - 1, SMALLEST_MAPPED, SMALLEST_MAPPED + 1, SMALLEST_MAPPED):
        graph.constant(np.zeros(size, dtype=np.int8))
    graph.write("model.onnx")
    model = onnx.load(str(tmp_path / "model.onnx"), load_external_data=False)
    places = [{entry.key: entry.value for entry in one.external_data} for one in model.graph.initializer]
    assert places[0] == {}
    assert [int(place["offset"]) % ALIGNMENT for place in places[1:]] == [0, 0, 0]
    ends = [int(place["offset"]) + int(place["length"]) for place in places[1:]]
    assert all(end <= int(place["offset"]) for end, place in zip(ends, places[2:], strict=False))
    assert (tmp_path / WEIGHTS_FILE).stat().st_size == ends[-1]


def test_of_what_is_written_no_copy_is_held(tmp_path):
    """A network's weights would else be in memory once more, and of some onnx three times more."""
    graph = GraphBuilder(tmp_path)
    matrix = np.ones((1000, 1000), dtype=np.float32)
    tracemalloc.start()
    try:
        for _ in range(5):
            graph.constant(matrix)
        graph.write("model.onnx")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / WEIGHTS_FILE).stat().st_size == 5 * matrix.nbytes
    assert peak < matrix.nbytes / 2 and (tmp_path / "model.onnx").stat().st_size < 10_000


def test_a_second_graph_of_a_folder_replaces_the_first(tmp_path, matrices):
    for wanted in (matrices[0], matrices[3][:10]):
        graph = GraphBuilder(tmp_path)
        graph.output(graph.node("Identity", graph.constant(wanted)), wanted.shape)
        graph.write("model.onnx")
        session = onnxruntime.InferenceSession(
            str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"]
        )
        assert (session.run(None, {})[0] == wanted).all()
        assert (tmp_path / WEIGHTS_FILE).stat().st_size == wanted.nbytes


def test_a_file_of_that_name_elsewhere_is_neither_read_nor_touched(tmp_path, monkeypatch, matrices):
    (tmp_path / "graph").mkdir()
    (tmp_path / WEIGHTS_FILE).write_bytes(b"the user's own")
    monkeypatch.chdir(tmp_path)
    graph = GraphBuilder(tmp_path / "graph")
    graph.constant(matrices[0])
    graph.write("model.onnx")
    assert (tmp_path / WEIGHTS_FILE).read_bytes() == b"the user's own"


def test_a_full_disk_is_an_error_of_the_system(tmp_path, matrices):
    with pytest.raises(OSError, match="gone"):
        GraphBuilder(tmp_path / "gone").constant(matrices[0])
