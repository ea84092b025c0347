"""bfloat16 is used where it is native and proven equal, and nowhere else unless asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from searchkit.embedding import precision
from searchkit.embedding.calibration import (
    MAX_COMPANY_EFFECT,
    MIN_COSINE,
    Parity,
    calibration_texts,
    parity_rows,
    quantisation_rows,
)
from searchkit.embedding.embedder import open_embedder
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
    assert Parity(min_cosine=cosine, company_effect=company).interchangeable is interchangeable


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
    monkeypatch.setattr(
        precision, "measured_parity", lambda *_: Parity(min_cosine=cosine, company_effect=0.0)
    )
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


def test_calibration_texts_go_from_one_token_to_the_window(bert):
    for rows in (parity_rows(bert._tokens), quantisation_rows(bert._tokens)):
        assert min(rows.counts) <= 2 + bert._tokens.special_tokens
        assert max(rows.counts) >= bert.max_tokens
    assert len({text.isascii() for text in calibration_texts()}) == 2


@pytest.mark.parametrize("asked", ["float16", "int4", ""])
def test_an_unknown_precision_is_refused(golden, asked):
    with pytest.raises(UsageError, match="known: auto, float32, bfloat16, int8"):
        open_embedder(golden / "bert-mean", precision=asked)


@pytest.mark.slow
def test_the_default_model_is_the_same_alone_and_in_company():
    embedder = open_embedder()
    texts = [text for text in calibration_texts() for _ in range(2)] + calibration_texts()[::-1]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert np.abs(together - alone).max() <= MAX_COMPANY_EFFECT
