"""Encoders as ONNX graphs: BERT and its relatives, T5. Knows their layers and the names of their tensors.

Architectures: BERT (arXiv 1810.04805), RoBERTa (1907.11692), DistilBERT (1910.01108), MPNet (2004.09297),
T5 (1910.10683). Tensors are named as transformers names them in a model's `state_dict`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix
from searchkit.export.graph import RUNTIME, GraphBuilder
from searchkit.export.kinds import ATTENTION_MASK, IDS, T5_KINDS
from searchkit.export.linear import Linear, LinearWriter

Tensors: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
Facts: TypeAlias = Mapping[str, Any]  # of config.json, with transformers' defaults filled in

ACTIVATIONS = MappingProxyType(
    {
        "gelu": ("Gelu", RUNTIME),
        "gelu_new": ("FastGelu", RUNTIME),
        "gelu_pytorch_tanh": ("FastGelu", RUNTIME),
        "relu": ("Relu", ""),
    }
)


class NotExportable(Exception):
    """The network is of a kind, or set in a way, that is not written as a graph; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Where a relative of BERT keeps its layers; `{}` is the layer's number."""

    layer: str
    qkv: tuple[str, str, str]
    attention_out: str
    attention_norm: str
    up: str
    down: str
    norm: str
    width: str = "hidden_size"
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"
    activation: str = "hidden_act"
    offset_positions: bool = False  # positions count from the padding id + 1
    relative: str = ""  # table of biases by distance


_ATTENTION = "attention.self."
_BERT = Names(
    layer="encoder.layer.{}.",
    qkv=(f"{_ATTENTION}query", f"{_ATTENTION}key", f"{_ATTENTION}value"),
    attention_out="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    up="intermediate.dense",
    down="output.dense",
    norm="output.LayerNorm",
)
_ROBERTA = replace(_BERT, offset_positions=True)
RELATIVES = MappingProxyType(
    {
        "bert": _BERT,
        "roberta": _ROBERTA,
        "xlm-roberta": _ROBERTA,
        "camembert": _ROBERTA,
        "distilbert": Names(
            layer="transformer.layer.{}.",
            qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
            attention_out="attention.out_lin",
            attention_norm="sa_layer_norm",
            up="ffn.lin1",
            down="ffn.lin2",
            norm="output_layer_norm",
            width="dim",
            heads="n_heads",
            layers="n_layers",
            activation="activation",
        ),
        "mpnet": Names(
            layer="encoder.layer.{}.",
            qkv=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
            attention_out="attention.attn.o",
            attention_norm="attention.LayerNorm",
            up="intermediate.dense",
            down="output.dense",
            norm="output.LayerNorm",
            offset_positions=True,
            relative="encoder.relative_attention_bias.weight",
        ),
    }
)


def add_encoder(graph: GraphBuilder, facts: Facts, tensors: Tensors, linears: LinearWriter) -> str:
    """Add a whole encoder, from IDS and ATTENTION_MASK to token vectors.

    Returns: name of the (rows, columns, width) float32 token vectors.
    Raises: NotExportable: the network is of another kind, or its config.json asks for what is not known.
    """
    kind = str(facts.get("model_type", ""))
    graph.input(IDS, "int64", ("rows", "columns"))
    graph.input(ATTENTION_MASK, "int32", ("rows", "columns"))
    try:
        if kind in T5_KINDS:
            return _t5(graph, facts, tensors, linears)
        if kind in RELATIVES:
            return _bert(graph, facts, tensors, linears, RELATIVES[kind])
    except KeyError as error:
        raise NotExportable(f"'{kind}' without {error}") from error
    raise NotExportable(f"networks of type '{kind}'")


# ------------------------------------------------------------------- BERT


def _bert(graph: GraphBuilder, facts: Facts, tensors: Tensors, linears: LinearWriter, names: Names) -> str:
    if facts.get("position_embedding_type", "absolute") != "absolute" or facts.get("is_decoder"):
        raise NotExportable("decoders, and positions that are not absolute")
    epsilon = float(facts.get("layer_norm_eps", 1e-12))

    def norm(rows: str, place: str) -> str:
        scale, shift = tensors[f"{place}.weight"], tensors[f"{place}.bias"]
        return graph.node(
            "LayerNormalization",
            rows,
            graph.constant(scale),
            graph.constant(shift),
            epsilon=epsilon,
            axis=-1,
        )

    def linear(rows: str, *places: str) -> str:
        weight = np.concatenate([tensors[f"{place}.weight"].T for place in places], axis=1)
        bias = np.concatenate([tensors[f"{place}.bias"] for place in places])
        return linears.add(graph, rows, Linear("+".join(places), weight, bias))

    rows = norm(_bert_embeddings(graph, facts, tensors, names), "embeddings.LayerNorm")
    activate = _activation(graph, str(facts[names.activation]))
    attention = _Attention(graph, int(facts[names.heads]), None)
    if names.relative:
        distances = _distances(graph)
        table = tensors[names.relative][:MPNET_BUCKETS]
        attention.bias = _position_bias(graph, distances, table, MPNET_DISTANCE)
    for number in range(int(facts[names.layers])):
        layer = names.layer.format(number)
        seen = attention(linear(rows, *(layer + name for name in names.qkv)))
        attended = linear(seen, layer + names.attention_out)
        rows = norm(graph.node("Add", attended, rows), layer + names.attention_norm)
        raised = activate(linear(rows, layer + names.up))
        rows = norm(graph.node("Add", linear(raised, layer + names.down), rows), layer + names.norm)
    return rows


def _bert_embeddings(graph: GraphBuilder, facts: Facts, tensors: Tensors, names: Names) -> str:
    words = graph.node("Gather", graph.constant(tensors["embeddings.word_embeddings.weight"]), IDS)
    table = tensors["embeddings.position_embeddings.weight"]
    kinds = tensors.get("embeddings.token_type_embeddings.weight")
    if kinds is not None:
        table = table + kinds[0]  # every token is of the first kind
    if not names.offset_positions:
        length = graph.node("Shape", IDS, start=1, end=2)
        start = graph.constant(np.zeros(1, dtype=np.int64))
        return graph.node("Add", words, graph.node("Slice", graph.constant(table), start, length))
    # A token that is spelled like padding takes no position, whatever the attention mask says.
    padding = graph.constant(np.int64(facts["pad_token_id"]))
    real = graph.node("Cast", graph.node("Not", graph.node("Equal", IDS, padding)), to=7)  # int64
    counted = graph.node("CumSum", real, graph.constant(np.int64(1)))
    positions = graph.node("Add", graph.node("Mul", counted, real), padding)
    return graph.node("Add", words, graph.node("Gather", graph.constant(table), positions))


# --------------------------------------------------------------------- T5


def _t5(graph: GraphBuilder, facts: Facts, tensors: Tensors, linears: LinearWriter) -> str:
    epsilon = float(facts["layer_norm_epsilon"])
    kind = str(facts.get("dense_act_fn") or str(facts["feed_forward_proj"]).removeprefix("gated-"))
    activate = _activation(graph, kind)
    attention = _Attention(graph, int(facts["num_heads"]), scale=1.0)
    distances = _distances(graph)

    def norm(rows: str, place: str) -> str:
        scale = graph.constant(tensors[f"{place}.weight"])
        return graph.node("SimplifiedLayerNormalization", rows, scale, epsilon=epsilon, axis=-1)

    def linear(rows: str, *places: str) -> str:
        weight = np.concatenate([tensors[f"{place}.weight"].T for place in places], axis=1)
        return linears.add(graph, rows, Linear("+".join(places), weight, None))

    rows = graph.node("Gather", graph.constant(tensors["shared.weight"]), IDS)
    for number in range(int(facts["num_layers"])):
        block = f"encoder.block.{number}.layer."
        heads = f"{block}0.SelfAttention."
        table = tensors.get(f"{heads}relative_attention_bias.weight")
        if table is not None:  # T5 has one in its first block, umT5 in every one
            limit = int(facts["relative_attention_max_distance"])
            attention.bias = _position_bias(graph, distances, table, limit)
        read = norm(rows, f"{block}0.layer_norm")
        seen = attention(linear(read, *(heads + part for part in "qkv")))
        rows = graph.node("Add", rows, linear(seen, f"{heads}o"))
        read = norm(rows, f"{block}1.layer_norm")
        dense = f"{block}1.DenseReluDense."
        if f"{dense}wi.weight" in tensors:
            raised = activate(linear(read, f"{dense}wi"))
        else:
            both = linear(read, f"{dense}wi_0", f"{dense}wi_1")
            gate, value = graph.nodes("Split", both, results=2, axis=-1, num_outputs=2)
            raised = graph.node("Mul", activate(gate), value)
        rows = graph.node("Add", rows, linear(raised, f"{dense}wo"))
    return norm(rows, "encoder.final_layer_norm")


# ------------------------------------------------------------------ shared

# transformers has these in MPNet's code; what its config.json says of buckets only sizes the table.
MPNET_DISTANCE, MPNET_BUCKETS = 128, 32


@dataclass(slots=True)
class _Attention:
    """Self-attention of all heads; scale: None for 1 / sqrt(width of a head)."""

    graph: GraphBuilder
    heads: int
    scale: float | None
    bias: str = ""  # (1, heads, columns, columns) added before the softmax

    def __call__(self, qkv: str) -> str:
        """(rows, columns, 3 * width) to (rows, columns, width)."""
        query, key, value = self.graph.nodes("Split", qkv, results=3, axis=-1, num_outputs=3)
        knobs: dict[str, Any] = {"num_heads": self.heads}
        if self.scale is not None:
            knobs["scale"] = self.scale
        operands = [query, key, value, "", ATTENTION_MASK, *([self.bias] if self.bias else [])]
        return self.graph.node("MultiHeadAttention", *operands, domain=RUNTIME, **knobs)


def _activation(graph: GraphBuilder, name: str) -> Callable[[str], str]:
    if name not in ACTIVATIONS:
        raise NotExportable(f"the activation '{name}'")
    operator, domain = ACTIVATIONS[name]
    return lambda rows: graph.node(operator, rows, domain=domain)


def _distances(graph: GraphBuilder) -> str:
    """(columns, columns) int64: how far the token of the column stands behind that of the row."""
    length = graph.node("Squeeze", graph.node("Shape", IDS, start=1, end=2))
    zero, one = graph.constant(np.int64(0)), graph.constant(np.int64(1))
    places = graph.node("Range", zero, length, one)
    of_row = graph.node("Unsqueeze", places, graph.constant(np.array([1], dtype=np.int64)))
    return graph.node("Sub", places, of_row)


def _position_bias(graph: GraphBuilder, distances: str, table: Float32Matrix, limit: int) -> str:
    """(1, heads, columns, columns): the bias of each distance. table: (buckets, heads)."""
    by_distance = table[_buckets(np.arange(-limit, limit + 1), len(table), limit)]
    bounds = [graph.constant(np.int64(bound)) for bound in (-limit, limit)]
    index = graph.node("Add", graph.node("Clip", distances, *bounds), graph.constant(np.int64(limit)))
    # Heads first, so that gathering along the last axis gives (heads, columns, columns) at once.
    gathered = graph.node("Gather", graph.constant(np.ascontiguousarray(by_distance.T)), index, axis=1)
    return graph.node("Unsqueeze", gathered, graph.constant(np.array([0], dtype=np.int64)))


def _buckets(distances: npt.NDArray[np.int64], buckets: int, limit: int) -> npt.NDArray[np.int64]:
    """The bucket of each distance, as T5 sorts them: small ones apart, larger ones by their logarithm.

    Computed in float32, like the networks were trained: a rounding at a border is part of the model.
    """
    half = buckets // 2
    exact = half // 2
    size = np.abs(distances)
    share = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact)) / np.float32(
        math.log(limit / exact)
    )
    far = np.minimum(exact + (share * np.float32(half - exact)).astype(np.int64), half - 1)
    return np.where(size < exact, size, far) + np.where(distances > 0, half, 0)
