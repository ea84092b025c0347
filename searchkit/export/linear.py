"""Linear layers of an exported network: in float32, in 8 bits, or watched. Knows one layer at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Float32Vector
from searchkit.export.graph import RUNTIME, GraphBuilder
from searchkit.export.quantise import QuantisedLinear


@dataclass(frozen=True, slots=True)
class Linear:
    """One layer of the source network: rows @ weight + bias."""

    name: str
    weight: Float32Matrix  # (in, out)
    bias: Float32Vector | None  # (out,)


class LinearWriter(Protocol):
    """Adds a linear layer to a graph."""

    def add(self, graph: GraphBuilder, rows: str, linear: Linear) -> str:
        """Apply the layer to the value `rows`; returns the name of the result."""


class FloatLinears:
    """Linear layers as they are, in float32."""

    def add(self, graph: GraphBuilder, rows: str, linear: Linear) -> str:
        """See LinearWriter."""
        product = graph.node("MatMul", rows, graph.constant(linear.weight))
        return product if linear.bias is None else graph.node("Add", product, graph.constant(linear.bias))


@dataclass(slots=True)
class WatchedLinears:
    """Linear layers in float32 whose inputs are results of the graph, for calibration."""

    inputs: dict[str, str] = field(default_factory=dict)  # layer's name → the graph's result it reads
    layers: dict[str, Linear] = field(default_factory=dict)

    def add(self, graph: GraphBuilder, rows: str, linear: Linear) -> str:
        """See LinearWriter."""
        if rows not in self.inputs.values():  # layers may share an input, a graph names a result once
            graph.output(rows, ("rows", "columns", len(linear.weight)))
        self.inputs[linear.name] = rows
        self.layers[linear.name] = linear
        return FloatLinears().add(graph, rows, linear)


class QuantisedLinears:
    """Linear layers that multiply integers of 8 bits; those in `spared` stay in float32.

    Where the processor has no products of unsigned with signed bytes (AVX-512 VNNI and later), ONNX Runtime
    adds such products in 16 bits, which overflow. `signed=False` shifts the weights by 128 and tells the
    runtime so: the same integers result, by a slower and exact way.
    """

    def __init__(
        self, layers: Mapping[str, QuantisedLinear], *, spared: Collection[str] = (), signed: bool = True
    ) -> None:
        self._layers = layers
        self._spared = spared
        self._signed = signed

    def add(self, graph: GraphBuilder, rows: str, linear: Linear) -> str:
        """See LinearWriter."""
        if linear.name in self._spared:
            return FloatLinears().add(graph, rows, linear)
        layer = self._layers[linear.name]
        scale, zero = graph.constant(layer.scale), graph.constant(layer.zero_point)
        smooth = graph.node("Mul", rows, graph.constant(layer.smoothing))
        quantised = graph.node("QuantizeLinear", smooth, scale, zero)
        weight: npt.NDArray[np.int8 | np.uint8] = layer.weight
        if not self._signed:
            weight = (layer.weight.astype(np.int16) + 128).astype(np.uint8)
        middle = np.full(weight.shape[1], 0 if self._signed else 128, dtype=weight.dtype)
        operands = [
            quantised,
            graph.constant(weight),
            scale,
            graph.constant(layer.weight_scales),
            zero,
            graph.constant(middle),
        ]
        if linear.bias is not None:
            operands.append(graph.constant(linear.bias))
        return graph.node("MatMulIntegerToFloat", *operands, domain=RUNTIME)
