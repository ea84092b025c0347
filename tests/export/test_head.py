"""Pooling and Dense layers of a graph are those of torch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from searchkit.embedding.checkpoint import ACTIVATIONS, POOLING_MODES
from searchkit.embedding.tokens import TokenRows
from searchkit.export.encoders import NotExportable
from searchkit.export.graph import GraphBuilder
from searchkit.export.head import DenseStep, add_head

from .checkpoints import KINDS, PAIRS, both, make

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5
SIDE_BY_SIDE = ("cls", "max", "mean", "lasttoken")
TAILS = {
    "no-tail": (),
    "normalize": ("Normalize",),
    "bias": ((20, True, "Identity"),),
    "no-bias": ((20, False, "Identity"), "Normalize"),
    "two-layers": ((64, True, "Tanh"), "Normalize", (20, False, "GELU")),
    **{activation: ((20, True, activation),) for activation in ACTIVATIONS},
}


def rows_of(masked):
    """Three rows of 7, 7 and 5 tokens, of which so many stay out of the pooling."""
    ids = tuple(np.arange(5, 5 + length, dtype=np.int64) for length in (7, 7, 5))
    nothing = np.zeros(3, dtype=np.int64)
    return TokenRows(ids=ids, masked=np.array(masked), counts=nothing, merged=nothing.astype(np.bool_))


@pytest.mark.parametrize("mode", [*POOLING_MODES, SIDE_BY_SIDE], ids=str)
def test_every_pooling_is_that_of_torch_also_where_nothing_is_pooled(tmp_path, mode):
    tail = TAILS["bias"]  # without a bias the unit length would hide a wrong divisor
    by_torch, by_graph = both(make(tmp_path / "model", KINDS["bert"](), pooling=mode, tail=tail))
    assert_allclose(by_graph.embed_pairs(PAIRS), by_torch.embed_pairs(PAIRS), rtol=0, atol=TOLERANCE)

    some, none = rows_of([0, 3, 4]), rows_of([7, 7, 5])
    for rows in (some, none):
        expected = by_torch.runtime.rows(rows)
        assert np.isfinite(expected).all()
        assert_allclose(by_graph.runtime.rows(rows), expected, rtol=0, atol=TOLERANCE)
    assert not np.allclose(by_torch.runtime.rows(some), by_torch.runtime.rows(none))


@pytest.mark.parametrize("name", TAILS)
def test_every_tail_is_that_of_torch(tmp_path, name):
    by_torch, by_graph = both(make(tmp_path / "model", KINDS["bert"](), tail=TAILS[name]))
    expected = by_torch.embed_pairs(PAIRS)
    assert_allclose(by_graph.embed_pairs(PAIRS), expected, rtol=0, atol=TOLERANCE)
    assert by_graph.dim == by_torch.dim == expected.shape[1]
    assert_allclose(np.linalg.norm(expected, axis=1), 1.0, atol=TOLERANCE)

    nothing_pooled = rows_of([7, 7, 5])
    expected = by_torch.runtime.rows(nothing_pooled)
    assert_allclose(by_graph.runtime.rows(nothing_pooled), expected, rtol=0, atol=TOLERANCE)


def test_a_dense_layer_fits_modes_side_by_side(tmp_path):
    folder = make(tmp_path / "model", KINDS["t5-gated"](), pooling=SIDE_BY_SIDE, tail=TAILS["two-layers"])
    by_torch, by_graph = both(folder)
    assert_allclose(by_graph.embed_pairs(PAIRS), by_torch.embed_pairs(PAIRS), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("modes", "activation", "said"),
    [(("latent",), "Tanh", "pooling 'latent'"), (("mean",), "Mish", "activation 'Mish' of a Dense layer")],
)
def test_what_is_not_known_is_refused(tmp_path, modes, activation, said):
    graph = GraphBuilder(tmp_path)
    hidden = graph.input("hidden", "float32", ("rows", "columns", 4))
    with pytest.raises(NotExportable, match=said):
        add_head(graph, hidden, modes, [DenseStep(np.eye(4, dtype=np.float32), None, activation)], 4)
