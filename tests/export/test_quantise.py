"""A layer in 8 bits stays near to what it was."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose

from searchkit.export.graph import GraphBuilder
from searchkit.export.linear import Linear, QuantisedLinears, WatchedLinears
from searchkit.export.quantise import HEADROOM, LEVELS, WEIGHT_LEVELS, Seen, quantise

INPUTS, OUTPUTS = 64, 48


@pytest.fixture
def random():
    return np.random.default_rng(5)


@pytest.fixture
def weight(random):
    return random.normal(size=(INPUTS, OUTPUTS)).astype(np.float32)


@pytest.fixture
def rows(random):
    return random.normal(size=(400, INPUTS)).astype(np.float32)


def seen_of(*parts):
    seen = Seen(parts[0].shape[1])
    for part in parts:
        seen.add(part)
    return seen


@pytest.fixture
def computed(tmp_path):
    """A function: what a graph of one layer gives for the rows."""

    def compute(layer, rows, weight, **options):
        graph = GraphBuilder(tmp_path)
        graph.input("rows", "float32", ("n", len(weight)))
        writer = QuantisedLinears({"layer": layer}, **options)
        bias = np.linspace(-1, 1, weight.shape[1], dtype=np.float32)
        graph.output(writer.add(graph, "rows", Linear("layer", weight, bias)), ("n", weight.shape[1]))
        return run(graph, tmp_path, {"rows": rows})[0]

    return compute


def run(graph, folder, given):
    """Write a graph that grew in this folder, and run it."""
    graph.write("model.onnx")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=providers).run(None, given)


def test_integers_stay_in_range_and_every_column_uses_it(rows, weight):
    layer = quantise(seen_of(rows), weight)
    assert layer.weight.dtype == np.int8 and layer.weight.shape == weight.shape
    assert (np.abs(layer.weight.astype(int)).max(axis=0) == WEIGHT_LEVELS).all()
    off = layer.weight * layer.weight_scales - weight / layer.smoothing[:, None]
    assert (np.abs(off) <= 0.501 * layer.weight_scales).all()
    assert 0 < layer.error < 1e-3


@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0, 50.0])
def test_scale_and_zero_point_cover_what_was_seen(rows, weight, shift):
    """Seen in parts: the range is that of all of them; zero is within, and is met exactly."""
    moved = rows + np.float32(shift)
    layer = quantise(seen_of(moved[:100], moved[100:]), weight)
    smooth = moved * layer.smoothing
    low = (0.0 - float(layer.zero_point)) * layer.scale
    high = (LEVELS - float(layer.zero_point)) * layer.scale
    assert low <= min(0.0, smooth.min()) + layer.scale / 2
    assert high >= max(0.0, smooth.max()) - layer.scale / 2
    width = max(smooth.max(), 0.0) - min(smooth.min(), 0.0)
    assert_allclose(high - low, HEADROOM * width, rtol=1e-3)


@pytest.mark.parametrize("lighter", [1, 100])
def test_a_channel_that_sticks_out_costs_far_less_with_smoothing(rows, weight, lighter):
    rows[:, 7] *= 100
    weight[7] /= lighter
    scale = (rows.max() - rows.min()) / LEVELS
    columns = np.abs(weight).max(axis=0) / WEIGHT_LEVELS
    plain = (np.rint(rows / scale) * scale) @ (np.rint(weight / columns) * columns)
    lost = np.square(plain - rows @ weight).mean() / np.square(rows @ weight).mean()
    assert quantise(seen_of(rows), weight).error < lost / 20


def test_the_error_is_what_the_graph_loses(computed, rows, weight):
    layer = quantise(seen_of(rows), weight)
    bias = np.linspace(-1, 1, OUTPUTS, dtype=np.float32)
    exact = rows @ weight
    lost = computed(layer, rows, weight) - bias - exact
    assert_allclose(np.square(lost).mean() / np.square(exact).mean(), layer.error, rtol=0.1)


def test_what_never_moves_and_what_weighs_nothing_does_no_harm(computed, rows, weight):
    rows[:, 3] = 0.0
    weight[:, 5] = 0.0
    weight[9] = 0.0
    layer = quantise(seen_of(rows), weight)
    for numbers in (layer.smoothing, layer.scale, layer.weight_scales):
        assert np.isfinite(numbers).all() and (numbers > 0).all()
    given = computed(layer, rows, weight)
    assert np.isfinite(given).all() and layer.error < 1e-3
    assert_allclose(given[:, 5], np.linspace(-1, 1, OUTPUTS, dtype=np.float32)[5])


def test_a_layer_that_sees_nothing_gives_its_bias(computed, weight):
    rows = np.zeros((40, INPUTS), dtype=np.float32)
    layer = quantise(seen_of(rows), weight)
    assert layer.error == 0.0
    assert_allclose(computed(layer, rows, weight)[0], np.linspace(-1, 1, OUTPUTS, dtype=np.float32))


def test_beyond_the_range_inputs_are_clipped_not_wrapped(computed, rows, weight):
    layer = quantise(seen_of(rows), weight)
    further = computed(layer, 3 * rows, weight)
    direction = (further * (rows @ weight)).sum() / np.linalg.norm(further) / np.linalg.norm(rows @ weight)
    assert direction > 0.9


def test_unsigned_weights_give_the_same_bits(computed, rows, weight):
    """On processors that multiply mixed bytes exactly both ways are exact; elsewhere signed ones overflow."""
    layer = quantise(seen_of(rows), weight)
    unsigned = computed(layer, rows, weight, signed=False)
    reference = np.clip(np.rint(rows * layer.smoothing / layer.scale) + layer.zero_point, 0, LEVELS)
    products = (reference.astype(np.int64) - int(layer.zero_point)) @ layer.weight.astype(np.int64)
    bias = np.linspace(-1, 1, OUTPUTS, dtype=np.float32)
    assert_allclose(unsigned, products * (layer.scale * layer.weight_scales) + bias, rtol=1e-5, atol=1e-5)
    from searchkit.embedding.processor import multiplies_mixed_bytes

    if multiplies_mixed_bytes():
        assert (unsigned == computed(layer, rows, weight, signed=True)).all()


def test_a_spared_layer_stays_exact(computed, rows, weight):
    bias = np.linspace(-1, 1, OUTPUTS, dtype=np.float32)
    layer = quantise(seen_of(rows), weight)
    spared = computed(layer, rows, weight, spared=["layer"])
    assert_allclose(spared, rows @ weight + bias, atol=1e-4)
    assert np.abs(computed(layer, rows, weight) - spared).max() > 1e-2


def test_watched_layers_give_what_they_read_once(tmp_path, rows, weight):
    graph, watch = GraphBuilder(tmp_path), WatchedLinears()
    graph.input("rows", "float32", ("rows", "columns", INPUTS))
    doubled = graph.node("Add", "rows", "rows")
    first = watch.add(graph, doubled, Linear("first", weight, None))
    watch.add(graph, doubled, Linear("second", weight, None))
    watch.add(graph, first, Linear("third", weight.T.copy(), None))
    assert watch.inputs == {"first": doubled, "second": doubled, "third": first}
    doubled_rows, first_rows = run(graph, tmp_path, {"rows": rows[None]})
    assert (doubled_rows[0] == 2 * rows).all()
    assert_allclose(first_rows[0], 2 * rows @ weight, rtol=1e-4, atol=1e-3)
