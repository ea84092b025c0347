"""A graph computes what the network in transformers computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder
from transformers.models.t5.modeling_t5 import T5Attention

from searchkit.export.encoders import RELATIVES, NotExportable, _buckets, add_encoder
from searchkit.export.graph import GraphBuilder
from searchkit.export.kinds import EXPORTABLE, T5_KINDS
from searchkit.export.linear import FloatLinears

from .checkpoints import KINDS, LONG, LONG_WINDOW, PAIRS, STRANGE, both, make

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=KINDS)
def runtimes(request, tmp_path_factory):
    """One checkpoint, run by torch and as a graph."""
    return both(make(tmp_path_factory.mktemp("models") / request.param, KINDS[request.param]()))


def test_every_kind_is_computed_as_torch_does_in_any_company(runtimes):
    """Short and long texts, masked Instructions, padding tokens within texts, texts beyond the window."""
    by_torch, by_graph = runtimes
    expected = by_torch.embed_pairs(PAIRS)
    assert_allclose(by_graph.embed_pairs(PAIRS), expected, rtol=0, atol=TOLERANCE)
    read = by_torch.tokenise(PAIRS)
    different = {(ids.tobytes(), masked) for ids, masked in zip(read.ids, read.masked, strict=True)}
    assert len(np.unique(expected.round(4), axis=0)) == len(different)

    alone = np.concatenate([by_graph.embed_pairs([pair]) for pair in PAIRS])
    assert (alone == by_graph.embed_pairs(PAIRS[::-1])[::-1]).all()


def test_the_cases_are_what_they_are_said_to_be(runtimes):
    by_torch, _ = runtimes
    rows = by_torch.tokenise(PAIRS)
    assert max(rows.lengths) == by_torch.max_tokens and max(rows.counts) > by_torch.max_tokens
    assert by_torch.max_tokens % 4
    assert 0 < rows.masked.max() < by_torch.max_tokens
    config = by_torch.runtime.network.config
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        assert (by_torch.tokenise([("", STRANGE)]).ids[0] == config.pad_token_id).any()
    if config.model_type in (*T5_KINDS,):
        assert by_torch.max_tokens == LONG_WINDOW > config.relative_attention_max_distance


def test_there_is_a_case_for_every_kind():
    assert {KINDS[name]().model_type for name in KINDS} == EXPORTABLE == {*RELATIVES, *T5_KINDS}


@pytest.mark.parametrize(("buckets", "limit"), [(32, 128), (32, 40), (12, 128), (64, 256), (20, 77)])
def test_distances_fall_into_the_buckets_of_transformers(buckets, limit):
    distances = np.arange(-2 * limit, 2 * limit + 1)
    expected = T5Attention._relative_position_bucket(
        torch.from_numpy(distances), bidirectional=True, num_buckets=buckets, max_distance=limit
    )
    assert (_buckets(distances, buckets, limit) == expected.numpy()).all()
    if limit == 128:
        expected = MPNetEncoder.relative_position_bucket(torch.from_numpy(distances), num_buckets=buckets)
        assert (_buckets(distances, buckets, limit) == expected.numpy()).all()


def tensors_of(name):
    """config.json and weights of a kind, as the exporter gets them."""
    config = KINDS[name]()
    if config.model_type in T5_KINDS:
        import transformers

        network = getattr(transformers, f"{config.model_type.upper()}EncoderModel")(config)
    else:
        from transformers import AutoModel

        network = AutoModel.from_config(config)
    facts = {**config.to_dict(), "dense_act_fn": getattr(config, "dense_act_fn", None)}
    return facts, {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("bert", {"hidden_act": "silu"}, "activation 'silu'"),
        ("bert", {"hidden_act": "quick_gelu"}, "activation 'quick_gelu'"),
        ("distilbert", {"activation": "swish"}, "activation 'swish'"),
        ("t5-gated", {"dense_act_fn": "silu"}, "activation 'silu'"),
        ("t5-gated", {"dense_act_fn": None, "feed_forward_proj": "gated-silu"}, "activation 'silu'"),
        ("bert", {"is_decoder": True}, "decoders"),
        ("roberta", {"is_decoder": True}, "decoders"),
        ("bert", {"position_embedding_type": "relative_key"}, "positions that are not absolute"),
        ("roberta", {"position_embedding_type": "relative_key_query"}, "positions that are not absolute"),
        ("bert", {"model_type": "modernbert"}, "type 'modernbert'"),
        ("bert", {"model_type": "nomic_bert"}, "type 'nomic_bert'"),
        ("bert", {"model_type": None}, "type 'None'"),
        ("bert", {"model_type": "distilbert"}, "'distilbert' without"),
        ("t5-relu", {"num_layers": 3}, "'t5' without 'encoder.block.2"),
        ("bert", {"num_hidden_layers": 3}, "'bert' without 'encoder.layer.2"),
    ],
)
def test_a_network_that_is_not_known_is_refused(tmp_path, name, changes, said):
    facts, tensors = tensors_of(name)
    with pytest.raises(NotExportable, match=said):
        add_encoder(GraphBuilder(tmp_path), {**facts, **changes}, tensors, FloatLinears())


def test_a_text_beyond_every_distance_is_told_from_its_parts(tmp_path):
    """The biases of far distances are used at all: without them the vector would be another."""
    by_torch, by_graph = both(make(tmp_path / "t5", KINDS["t5-relu"](), window=400))
    rows = by_torch.tokenise([("", LONG)])
    assert len(rows.ids[0]) == 400
    whole = by_graph.embed([LONG])
    assert_allclose(whole, by_torch.embed([LONG]), rtol=0, atol=TOLERANCE)
    table = by_torch.runtime.network.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    with torch.no_grad():
        table[[15, 31]] = 0.0  # the buckets of the farthest distances
    assert np.abs(by_torch.embed([LONG]) - whole).max() > 10 * TOLERANCE
