"""Making an artefact: a torch network written as a graph, in float32 or 8 bits, and judged against itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from searchkit.arrays import Float32Matrix
from searchkit.embedding.artefacts import GRAPH_FILE, TOKENIZER_FILE, Artefact
from searchkit.embedding.batching import plan_packed
from searchkit.embedding.calibration import Parity, parity_of, parity_rows, quantisation_rows
from searchkit.embedding.onnx_runtime import OnnxRuntime, batch_inputs, open_session
from searchkit.embedding.tokens import TokenRows, Tokens
from searchkit.embedding.torch_runtime import TorchRuntime
from searchkit.export.encoders import NotExportable, add_encoder
from searchkit.export.graph import GraphBuilder
from searchkit.export.head import DenseStep, add_head
from searchkit.export.linear import FloatLinears, LinearWriter, QuantisedLinears, WatchedLinears
from searchkit.export.quantise import QuantisedLinear, Seen, quantise

# Exporting holds the weights three times: in torch, in the graph, in the runtime.
LARGEST_EXPORTED = 700_000_000  # parameters: 8.4 GB
# Batches of which all layers' inputs are kept at once: 0.3 MB per token for a network of T5-base's size.
WATCHED_TOKENS = 512
# Of the linear layers this share may stay in float32 before 8 bits are no longer worth it.
MOST_SPARED = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A network to be exported, with what it reads."""

    runtime: TorchRuntime  # in float32, on the CPU
    tokens: Tokens
    tokenizer: str  # tokenizer.json's content

    @property
    def facts(self) -> Mapping[str, Any]:
        """config.json with transformers' defaults."""
        config: Any = self.runtime.network.config
        facts: dict[str, Any] = config.to_dict()
        return facts | {"dense_act_fn": getattr(config, "dense_act_fn", None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Least cosines to float32 on any text of the calibration."""

    aim: float  # layers are spared from 8 bits until it is reached
    refusal: float  # below it there is no graph


def make_artefact(
    folder: Path, source: Source, *, precision: str, limits: Limits, signed: bool = True
) -> Artefact:
    """Write the source's graph and tokenizer into an empty folder, unless it moves vectors too far.

    Args:
        folder: to write into.
        source: the network.
        precision: 'float32' or 'int8'.
        limits: how far vectors may move.
        signed: see QuantisedLinears.

    Returns: the artefact; `refused` says why there is no graph.
    """
    made = Artefact(
        precision=precision,
        dim=source.runtime.dim,
        vocabulary=source.runtime.vocabulary,
        position_limit=source.runtime.position_limit,
        parameters=source.runtime.parameters,
    )
    if source.runtime.parameters > LARGEST_EXPORTED:
        return replace(made, refused=f"it has more than {LARGEST_EXPORTED:,} parameters")
    judge = _Judge(source)
    try:
        if precision == "float32":
            _write(folder, source, FloatLinears())
            made = replace(made, parity=judge.parity(folder, made))
        else:
            made = _quantised(folder, made, judge, limits.aim, signed=signed)
    except NotExportable as error:
        return replace(made, refused=f"no graph is written for {error}")
    assert made.parity is not None
    if made.parity.min_cosine < limits.refusal:
        for file in folder.iterdir():
            file.unlink()
        return replace(
            made,
            refused=f"in {precision} a text of the calibration moves to a cosine of "
            f"{made.parity.min_cosine:.5f}, expected {limits.refusal} or more",
        )
    (folder / TOKENIZER_FILE).write_text(source.tokenizer, encoding="utf-8")
    return made


def _quantised(folder: Path, made: Artefact, judge: _Judge, aim: float, *, signed: bool) -> Artefact:
    """Write the graph in 8 bits, sparing the layers that lose most until it is close enough."""
    layers = quantised_layers(judge.source)
    by_error = sorted(layers, key=lambda name: -layers[name].error)
    most = int(MOST_SPARED * len(layers))
    spared = 0
    while True:
        kept = by_error[:spared]
        _write(folder, judge.source, QuantisedLinears(layers, spared=kept, signed=signed))
        made = replace(made, spared=tuple(kept), parity=judge.parity(folder, made))
        assert made.parity is not None
        if made.parity.min_cosine >= aim or spared >= most:
            return made
        spared = min(max(1, 2 * spared), most)


def quantised_layers(source: Source) -> dict[str, QuantisedLinear]:
    """Every linear layer in 8 bits, with scales from the activations of the quantisation texts."""
    watch = WatchedLinears()
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), source, watch)
        seen = _activations(Path(folder) / GRAPH_FILE, watch, quantisation_rows(source.tokens), source)
    return {name: quantise(seen[watch.inputs[name]], layer.weight) for name, layer in watch.layers.items()}


def _activations(file: Path, watch: WatchedLinears, rows: TokenRows, source: Source) -> dict[str, Seen]:
    """What every watched input was, over these texts."""
    session = open_session(file)
    widths = {watch.inputs[name]: len(layer.weight) for name, layer in watch.layers.items()}
    seen = {name: Seen(width) for name, width in widths.items()}
    for batch in plan_packed(rows.lengths, WATCHED_TOKENS):
        given = batch_inputs(rows, batch, source.runtime.position_limit)
        attended = given["attention_mask"].astype(np.bool_)
        for name, values in zip(seen, session.run(list(seen), given), strict=True):
            seen[name].add(values[attended])
    return seen


class _Judge:
    """The source's own vectors of the calibration texts, and how near a graph's come to them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._rows = parity_rows(source.tokens)
        self._exact: Float32Matrix = source.runtime.rows(self._rows)

    def parity(self, folder: Path, made: Artefact) -> Parity:
        """Compare the graph in this folder with the source."""
        facts = {name: getattr(made, name) for name in OnnxRuntime.FACTS}
        graph = OnnxRuntime(folder / GRAPH_FILE, facts)
        together = graph.rows(self._rows)
        return parity_of(self._exact, together, graph.rows(self._rows, token_budget=1))


def _write(folder: Path, source: Source, linears: LinearWriter) -> None:
    state = source.runtime.network.state_dict()
    tensors = {name: tensor.numpy() for name, tensor in state.items() if tensor.is_floating_point()}
    graph = GraphBuilder()
    hidden = add_encoder(graph, source.facts, tensors, linears)
    add_head(graph, hidden, source.runtime.pooling, _steps(source.runtime.tail), source.runtime.dim)
    graph.write(folder, GRAPH_FILE)


def _steps(tail: nn.Sequential) -> Sequence[DenseStep | None]:
    """The tail as numbers: a Dense layer with the activation after it, None for unit length."""
    steps: list[DenseStep | None] = []
    modules = list(tail)
    for module, after in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Linear):
            bias = None if module.bias is None else module.bias.detach().numpy()
            weight = np.ascontiguousarray(module.weight.detach().numpy().T)
            steps.append(DenseStep(weight, bias, type(after).__name__))
        elif type(module).__name__ == "UnitLength":
            steps.append(None)
    return steps


__all__ = ["Limits", "Source", "make_artefact", "quantised_layers"]
