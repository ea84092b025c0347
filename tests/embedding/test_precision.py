"""bfloat16 is used where it is native and proven equal, and nowhere else unless asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from searchkit.embedding import precision
from searchkit.embedding.calibration import (
    LONGEST_CALIBRATION,
    MAX_COMPANY_EFFECT,
    MIN_COSINE,
    Parity,
    calibration_texts,
    parity_rows,
    quantisation_rows,
)
from searchkit.embedding.embedder import open_embedder
from searchkit.embedding.network import Bfloat16Linear
from searchkit.errors import UsageError
from searchkit.settings import cache_folder


@pytest.mark.parametrize(
    ("cosine", "company", "interchangeable"),
    [
        (MIN_COSINE, MAX_COMPANY_EFFECT, True),
        (MIN_COSINE - 1e-6, 0.0, False),
        (1.0, MAX_COMPANY_EFFECT * 1.01, False),
    ],
)
def test_parity_is_judged_at_its_bounds(cosine, company, interchangeable):
    parity = Parity(min_cosine=cosine, company_effect=company, mean_cosine=1.0)
    assert parity.interchangeable is interchangeable


@pytest.fixture(scope="module")
def torch_bert(golden):
    """A tiny BERT, run by torch."""
    return open_embedder(golden / "bert-mean", runtime="torch")


def test_a_small_model_stays_in_float32(bert):
    assert bert.precision == bert.fingerprint()["precision"] == "float32"


@pytest.mark.parametrize(
    ("asked", "cosine", "computes", "class_"),
    [
        ("auto", 0.99995, "bfloat16", "float32"),
        ("auto", 0.5, "float32", "float32"),
        ("bfloat16", 0.99995, "bfloat16", "float32"),
        ("bfloat16", 0.5, "bfloat16", "bfloat16"),
        ("float32", 0.99995, "float32", "float32"),
    ],
)
def test_what_is_computed_and_what_it_may_be_compared_with(
    golden, monkeypatch, asked, cosine, computes, class_
):
    monkeypatch.setattr(precision, "worthwhile", lambda runtime: True)
    near = Parity(min_cosine=cosine, company_effect=0.0, mean_cosine=cosine)
    monkeypatch.setattr(precision, "measured_parity", lambda *_: near)
    embedder = open_embedder(golden / "bert-mean", precision=asked, runtime="torch")
    assert (embedder.precision, embedder.fingerprint()["precision"]) == (computes, class_)


@pytest.mark.parametrize("name", ["bert-mean", "instructor-gated", "instructor-relu", "qwen3-embedding-tiny"])
def test_bfloat16_is_near_float32_and_float32_is_whole_after_measuring(golden, golden_pairs, name):
    exact = open_embedder(golden / name, precision="float32", runtime="torch").embed_pairs(golden_pairs)
    rounded = open_embedder(golden / name, precision="bfloat16").embed_pairs(golden_pairs)
    assert 0 < np.abs(exact - rounded).max() < 0.05

    embedder = open_embedder(golden / name, precision="float32", runtime="torch")
    precision.measured_parity(embedder.runtime, embedder._tokens, "a key of this test's own")
    assert (embedder.embed_pairs(golden_pairs) == exact).all()


def test_parity_is_measured_once_per_machine_and_weights(torch_bert, monkeypatch):
    first = precision.measured_parity(torch_bert.runtime, torch_bert._tokens, "once")
    monkeypatch.setattr(torch_bert.runtime, "rows", lambda *_: pytest.fail("measured again"))
    assert precision.measured_parity(torch_bert.runtime, torch_bert._tokens, "once") == first


@pytest.mark.parametrize(
    "value", [{}, {"min_cosine": "x", "company_effect": 0.0}, {"min_cosine": 1.0}, [1], None]
)
def test_an_odd_entry_of_the_cache_is_none(torch_bert, monkeypatch, value):
    expected = precision.measured_parity(torch_bert.runtime, torch_bert._tokens, "odd")
    (entry,) = (file for file in _parity_entries() if '"weights": "odd"' in file.read_text(encoding="utf-8"))
    content = json.loads(entry.read_text(encoding="utf-8"))
    for odd in ({**content, "value": value}, {"key": content["key"]}):
        entry.write_text(json.dumps(odd), encoding="utf-8")
        assert precision.measured_parity(torch_bert.runtime, torch_bert._tokens, "odd") == expected


def _parity_entries() -> list[Path]:
    return list((cache_folder() / "parity").iterdir())


@pytest.mark.parametrize("limit", [50, None])
def test_calibration_texts_go_from_one_token_to_the_networks_window(bert, limit):
    """Whatever window is asked for: verdicts and scales are found out once, and hold for all."""
    for rows_of in (parity_rows, quantisation_rows):
        rows = rows_of(bert._tokens.windowed(12), limit)
        assert min(rows.counts) <= 2 + bert._tokens.special_tokens
        assert max(rows.lengths) == (limit or LONGEST_CALIBRATION)
        whole = rows_of(bert._tokens, limit)
        assert all((one == other).all() for one, other in zip(rows.ids, whole.ids, strict=True))
    assert len({text.isascii() for text in calibration_texts()}) == 2


def test_where_instructions_are_masked_calibration_sees_masks_and_texts_without(bert, instructor):
    for rows_of in (parity_rows, quantisation_rows):
        masked = rows_of(instructor._tokens, None).masked
        assert (masked > 0).sum() == len(masked) // 2 and masked.max() < 100
        assert not rows_of(bert._tokens, 50).masked.any()


def test_a_small_window_does_not_decide_for_a_large_one(golden, torch_bert, monkeypatch):
    """Parity is found in the network's own window, and kept under all that shapes rows but the window."""
    keys = []
    monkeypatch.setattr(precision, "worthwhile", lambda runtime: True)
    measure = precision.measured_parity
    monkeypatch.setattr(precision, "measured_parity", lambda *given: keys.append(given[2]) or measure(*given))
    for options in ({"max_tokens": 8}, {}, {"family": "instructor"}):
        open_embedder(golden / "bert-mean", runtime="torch", **options)
    assert keys[0] == keys[1] != keys[2]
    tokens = torch_bert._tokens
    small = measure(torch_bert.runtime, tokens.windowed(8), "small")
    assert small == measure(torch_bert.runtime, tokens, "large")


@pytest.mark.parametrize("asked", ["float16", "int4", ""])
def test_an_unknown_precision_is_refused(golden, asked):
    with pytest.raises(UsageError, match="known: auto, float32, bfloat16, int8"):
        open_embedder(golden / "bert-mean", precision=asked)


@pytest.mark.slow
@pytest.mark.parametrize("computes", ["float32", "bfloat16"])
def test_the_default_model_in_torch_is_the_same_alone_and_in_company(computes):
    """Rows share a batch only with rows of their own padded width; graphs: see test_exporting.py."""
    embedder = open_embedder(precision=computes, runtime="torch")
    assert embedder.precision == computes
    rows = embedder.tokenise([("", text) for text in (*calibration_texts(), " ".join(calibration_texts()))])
    together, alone = embedder.runtime.rows(rows), embedder.runtime.rows(rows, token_budget=1)
    assert np.abs(together - alone).max() <= MAX_COMPANY_EFFECT


def test_layers_of_one_input_round_it_once(monkeypatch):
    """Query, key and value take the same tensor."""
    layers = [Bfloat16Linear(nn.Linear(8, 4)) for _ in range(3)]
    rows, rounded = torch.randn(2, 8), []
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda *given: rounded.append(1) or to(*given))
    together = [layer(rows) for layer in layers]
    assert len(rounded) == 1
    for layer, found in zip(layers, together, strict=True):
        torch.testing.assert_close(found, layer(rows.clone()), rtol=0, atol=0)
    assert all(found.dtype == torch.float32 for found in together)


def test_bfloat16_is_handed_on_only_to_another_product():
    network = open_embedder(precision="bfloat16", runtime="torch").runtime.network
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, Bfloat16Linear)}
    feeding = {name for name, layer in layers.items() if layer.feeds_linear}
    assert len(feeding) == 6 and all(name.endswith("intermediate.dense") for name in feeding)
    some = layers[min(feeding)]
    assert some(torch.randn(1, some.weight.shape[1])).dtype == torch.bfloat16
