"""Vectors equal those of programs that share no code with searchkit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from searchkit.embedding.embedder import open_embedder
from searchkit.settings import BASE_MODEL

TOLERANCE = 1e-5
EXPORTED = ["instructor-relu", "instructor-gated", "bert-mean", "bert-cls"]
CHECKPOINTS = [*EXPORTED, "qwen3-embedding-tiny"]


@pytest.mark.parametrize(
    ("name", "runtime"), [*((name, "torch") for name in CHECKPOINTS), *((name, "onnx") for name in EXPORTED)]
)
def test_pairs_give_the_golden_vectors_in_any_order_and_company(golden, golden_pairs, name, runtime):
    expected = np.load(golden / name / "embeddings.npy")
    embedder = open_embedder(golden / name, precision="float32", runtime=runtime)
    assert type(embedder.runtime).__name__ == {"torch": "TorchRuntime", "onnx": "OnnxRuntime"}[runtime]
    assert_allclose(embedder.embed_pairs(golden_pairs), expected, rtol=0, atol=TOLERANCE)

    order = np.random.default_rng(0).permutation(len(golden_pairs))
    shuffled = embedder.embed_pairs([golden_pairs[at] for at in order])
    assert_allclose(shuffled, expected[order], rtol=0, atol=TOLERANCE)

    alone = np.concatenate([embedder.embed_pairs([pair]) for pair in golden_pairs])
    assert_allclose(alone, expected, rtol=0, atol=TOLERANCE)


def test_the_golden_vectors_tell_right_from_wrong(golden, golden_pairs):
    """Another way of reading the Instruction moves rows far beyond the tolerance."""
    expected = np.load(golden / "instructor-relu" / "embeddings.npy")
    unmasked = open_embedder(golden / "instructor-relu", family="plain").embed_pairs(golden_pairs)
    moved = np.abs(unmasked - expected).max(axis=1) > 100 * TOLERANCE
    assert moved.sum() > len(golden_pairs) / 2


def test_the_embedded_base_gives_the_golden_numbers(golden):
    known = json.loads((golden / "all-MiniLM-L6-v2.json").read_text(encoding="utf-8"))
    embedder = open_embedder(BASE_MODEL, precision="float32")
    vectors = embedder.embed(known["texts"])
    assert_allclose(vectors[:, :8], known["first_numbers"], rtol=0, atol=TOLERANCE)
    assert (embedder.dim, embedder.max_tokens, embedder.family.name) == (384, 256, "plain")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["instructor-tiny-relu", "instructor-tiny-gated"])
def test_the_reference_package_computed_the_same(shared_data: Path, name: str):
    folder = shared_data / "reference" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    pairs = [tuple(pair) for pair in json.loads((folder / "pairs.json").read_text(encoding="utf-8"))]
    expected = np.load(folder / "embeddings.npy")
    exact = open_embedder(folder, precision="float32", runtime="torch")
    assert_allclose(exact.embed_pairs(pairs), expected, rtol=0, atol=TOLERANCE)
    # ONNX Runtime adds up attention block by block: over 512 tokens of random weights that shows.
    graph = open_embedder(folder, precision="float32", runtime="onnx")
    assert_allclose(graph.embed_pairs(pairs), expected, rtol=0, atol=5 * TOLERANCE)
