"""Making an artefact: a torch network written as a graph, in float32 or 8 bits, and judged against itself."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from searchkit.arrays import Float32Matrix
from searchkit.embedding.artefacts import GRAPH_FILE, TOKENIZER_FILE, Artefact, GraphFailed
from searchkit.embedding.batching import plan_packed
from searchkit.embedding.calibration import (
    MAX_COMPANY_EFFECT,
    MOST_SPARED,
    WATCHED_TOKENS,
    Parity,
    parity_of,
    parity_rows,
    quantisation_rows,
)
from searchkit.embedding.network import UnitLength
from searchkit.embedding.onnx_runtime import OnnxRuntime, batch_inputs, open_session, run_session
from searchkit.embedding.tokens import TokenRows, Tokens
from searchkit.embedding.torch_runtime import TorchRuntime
from searchkit.export.encoders import NotExportable, add_encoder
from searchkit.export.graph import GraphBuilder
from searchkit.export.head import DenseStep, add_head
from searchkit.export.kinds import ATTENTION_MASK, LARGEST_EXPORTED
from searchkit.export.linear import FloatLinears, LinearWriter, QuantisedLinears, WatchedLinears
from searchkit.export.quantise import QuantisedLinear, Seen, quantise

WATCHED_FOLDER = "watched"  # where the float32 graph lies that is looked into; gone when the artefact is made


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
    Raises: GraphFailed: the graph cannot be run here. OSError: the disk is full, the folder is closed.
        ModelError: torch itself makes no numbers of it.
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
        refused = _refusal(made, limits)
    except NotExportable as error:
        refused = f"no graph is written for {error}"
    except GraphFailed as error:
        if not error.of_model:
            raise
        refused = error.message
    if refused:
        shutil.rmtree(folder)
        folder.mkdir()
        return replace(made, refused=refused)
    (folder / TOKENIZER_FILE).write_text(source.tokenizer, encoding="utf-8")
    return made


def _refusal(made: Artefact, limits: Limits) -> str:
    """Why a graph that was judged is not trusted; '' where it is."""
    assert made.parity is not None
    if made.parity.min_cosine < limits.refusal:
        return (
            f"in {made.precision} a text of the calibration moves to a cosine of "
            f"{made.parity.min_cosine:.5f}, expected {limits.refusal} or more"
        )
    if made.parity.company_effect > MAX_COMPANY_EFFECT:
        return (
            f"in {made.precision} a text's vector depends on the texts beside it, by "
            f"{made.parity.company_effect:.1e}, expected {MAX_COMPANY_EFFECT:.0e} or less"
        )
    return ""


def _quantised(folder: Path, made: Artefact, judge: _Judge, aim: float, *, signed: bool) -> Artefact:
    """Write the graph in 8 bits, sparing the layers that lose most until it is close enough."""
    layers = quantised_layers(judge.source, folder)
    by_error = sorted(layers, key=lambda name: -layers[name].error)
    most = int(MOST_SPARED * len(layers))
    spared = 0
    while True:
        kept = by_error[:spared]
        _write(folder, judge.source, QuantisedLinears(layers, spared=kept, signed=signed))
        parity = judge.parity(folder, made, least=aim if spared < most else -math.inf)
        if parity is not None:
            return replace(made, spared=tuple(kept), parity=parity)
        spared = min(max(1, 2 * spared), most)


def quantised_layers(source: Source, folder: Path) -> dict[str, QuantisedLinear]:
    """Every linear layer in 8 bits, with scales from the activations of the quantisation texts.

    folder: has room for the graph in float32, which is gone afterwards.
    """
    watch = WatchedLinears()
    watched = folder / WATCHED_FOLDER
    watched.mkdir()
    _write(watched, source, watch)
    rows = quantisation_rows(source.tokens, source.runtime.position_limit)
    seen = _activations(watched / GRAPH_FILE, watch, rows, source)
    shutil.rmtree(watched)
    return {name: quantise(seen[watch.inputs[name]], layer.weight) for name, layer in watch.layers.items()}


def _activations(file: Path, watch: WatchedLinears, rows: TokenRows, source: Source) -> dict[str, Seen]:
    """What every watched input was, over these texts."""
    session = open_session(file)
    widths = {watch.inputs[name]: len(layer.weight) for name, layer in watch.layers.items()}
    seen = {name: Seen(width) for name, width in widths.items()}
    for batch in plan_packed(rows.lengths, WATCHED_TOKENS):
        given = batch_inputs(rows, batch, source.runtime.position_limit)
        attended = given[ATTENTION_MASK].astype(np.bool_)
        for name, values in zip(seen, run_session(session, list(seen), given), strict=True):
            seen[name].add(values[attended])
    return seen


class _Judge:
    """The source's own vectors of the calibration texts, and how near a graph's come to them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._rows = parity_rows(source.tokens, source.runtime.position_limit)
        self._exact: Float32Matrix = source.runtime.rows(self._rows)

    def parity(self, folder: Path, made: Artefact, *, least: float = -math.inf) -> Parity | None:
        """Compare the graph in this folder with the source; None where a text comes less near than `least`.

        Then the texts are not run one by one, which takes most of the time.
        """
        facts = {name: getattr(made, name) for name in OnnxRuntime.FACTS}
        graph = OnnxRuntime(folder / GRAPH_FILE, facts)
        together = graph.rows(self._rows)
        if (self._exact * together).sum(1).min() < least:
            return None
        return parity_of(self._exact, together, graph.rows(self._rows, token_budget=1))


def _write(folder: Path, source: Source, linears: LinearWriter) -> None:
    state = source.runtime.network.state_dict()
    tensors = {name: tensor.numpy() for name, tensor in state.items() if tensor.is_floating_point()}
    graph = GraphBuilder(folder)
    hidden = add_encoder(graph, source.facts, tensors, linears)
    add_head(graph, hidden, source.runtime.pooling, _steps(source.runtime.tail), source.runtime.dim)
    graph.write(GRAPH_FILE)


def _steps(tail: nn.Sequential) -> Sequence[DenseStep | None]:
    """The tail as numbers: a Dense layer with the activation after it, None for unit length.

    Raises: NotExportable: there is a layer of another kind.
    """
    steps: list[DenseStep | None] = []
    modules = iter(tail)
    for module in modules:
        if isinstance(module, nn.Linear):
            bias = None if module.bias is None else module.bias.detach().numpy()
            weight = np.ascontiguousarray(module.weight.detach().numpy().T)
            steps.append(DenseStep(weight, bias, type(next(modules, None)).__name__))
        elif isinstance(module, UnitLength):
            steps.append(None)
        else:
            raise NotExportable(f"a layer '{type(module).__name__}' after the pooling")
    return steps


__all__ = ["Limits", "Source", "make_artefact", "quantised_layers"]
