"""What follows an encoder: pooling, Dense layers, unit length. Knows token vectors and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector
from searchkit.export.encoders import NotExportable
from searchkit.export.graph import RUNTIME, GraphBuilder
from searchkit.export.kinds import POOLING_MASK

ROWS = "rows_out"
SMALLEST_WEIGHT = 1e-9  # what is pooled of no token is zero, not NaN
SMALLEST_LENGTH = 1e-12
ACTIVATIONS = {"Identity": "", "Tanh": "Tanh", "ReLU": "Relu", "Sigmoid": "Sigmoid", "GELU": "Gelu"}


@dataclass(frozen=True, slots=True)
class DenseStep:
    """A linear layer on the pooled vector."""

    weight: Float32Matrix  # (in, out)
    bias: Float32Vector | None  # (out,)
    activation: str  # a class of torch.nn


def add_head(
    graph: GraphBuilder, hidden: str, modes: Sequence[str], tail: Sequence[DenseStep | None], dim: int
) -> None:
    """Add pooling and tail, and make the rows the graph's result.

    hidden: (rows, columns, width) token vectors. modes: names of poolings, side by side.
    tail: Dense layers and None for unit length, in order; the last one is always unit length.
    Raises: NotExportable: a mode or an activation is unknown here.
    """
    graph.input(POOLING_MASK, "float32", ("rows", "columns"))
    pooled = [_pooled(graph, hidden, mode) for mode in modes]
    rows = pooled[0] if len(pooled) == 1 else graph.node("Concat", *pooled, axis=1)
    for step in (*tail, *(() if tail and tail[-1] is None else (None,))):
        rows = _unit_length(graph, rows) if step is None else _dense(graph, rows, step)
    graph.output(rows, ("rows", dim), name=ROWS)


def _pooled(graph: GraphBuilder, hidden: str, mode: str) -> str:
    axis = graph.constant(np.array([1], dtype=np.int64))
    if mode in ("mean", "mean_sqrt_len_tokens"):
        total = graph.node("ReduceSum", POOLING_MASK, axis, keepdims=1)
        divisor = graph.node("Max", total, graph.constant(SMALLEST_WEIGHT))
        if mode != "mean":
            divisor = graph.node("Sqrt", divisor)
        return graph.node("Div", _weighted_sum(graph, hidden, POOLING_MASK), divisor)
    if mode == "weightedmean":
        weights = graph.node("Mul", POOLING_MASK, _numbers(graph))
        total = graph.node("ReduceSum", weights, axis, keepdims=1)
        divisor = graph.node("Max", total, graph.constant(SMALLEST_WEIGHT))
        return graph.node("Div", _weighted_sum(graph, hidden, weights), divisor)
    if mode == "max":
        part = graph.node("Greater", POOLING_MASK, graph.constant(0.0))
        last = graph.constant(np.array([2], dtype=np.int64))
        shown = graph.node(
            "Where", graph.node("Unsqueeze", part, last), hidden, graph.constant(float("-inf"))
        )
        highest = graph.node("ReduceMax", shown, axis, keepdims=0)
        any_part = graph.node("ReduceMax", POOLING_MASK, axis, keepdims=1)
        some = graph.node("Greater", any_part, graph.constant(0.0))
        return graph.node("Where", some, highest, graph.constant(0.0))
    if mode in ("cls", "lasttoken"):
        scores = POOLING_MASK if mode == "cls" else graph.node("Mul", POOLING_MASK, _numbers(graph))
        place = graph.node("ArgMax", scores, axis=1, keepdims=1)  # the first of equal ones
        return graph.node("GatherND", hidden, place, batch_dims=1)
    raise NotExportable(f"the pooling '{mode}'")


def _weighted_sum(graph: GraphBuilder, hidden: str, weights: str) -> str:
    axis = graph.constant(np.array([1], dtype=np.int64))
    row = graph.node("Unsqueeze", weights, axis)  # (rows, 1, columns) @ (rows, columns, width)
    return graph.node("Squeeze", graph.node("MatMul", row, hidden), axis)


def _numbers(graph: GraphBuilder) -> str:
    """(columns,) float32: 1, 2, 3, ..."""
    length = graph.node("Squeeze", graph.node("Shape", POOLING_MASK, start=1, end=2))
    one = graph.constant(np.int64(1))
    places = graph.node("Range", one, graph.node("Add", length, one), one)
    return graph.node("Cast", places, to=1)  # float32


def _dense(graph: GraphBuilder, rows: str, step: DenseStep) -> str:
    rows = graph.node("MatMul", rows, graph.constant(step.weight))
    if step.bias is not None:
        rows = graph.node("Add", rows, graph.constant(step.bias))
    if step.activation == "SiLU":
        return graph.node("Mul", rows, graph.node("Sigmoid", rows))
    if step.activation not in ACTIVATIONS:
        raise NotExportable(f"the activation '{step.activation}' of a Dense layer")
    operator = ACTIVATIONS[step.activation]
    return graph.node(operator, rows, domain=RUNTIME if operator == "Gelu" else "") if operator else rows


def _unit_length(graph: GraphBuilder, rows: str) -> str:
    axis = graph.constant(np.array([1], dtype=np.int64))
    length = graph.node("ReduceL2", rows, axis, keepdims=1)
    return graph.node("Div", rows, graph.node("Max", length, graph.constant(SMALLEST_LENGTH)))
