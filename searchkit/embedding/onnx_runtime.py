"""Running an exported network in ONNX Runtime, on the CPU. Owns onnxruntime; knows no texts.

Neither torch nor transformers is loaded, which is what makes the first query of a process fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from searchkit.arrays import Float32Matrix
from searchkit.embedding.artefacts import GraphFailed
from searchkit.embedding.batching import not_numbers, padded_width, plan_packed
from searchkit.embedding.processor import usable_cores
from searchkit.export.kinds import ATTENTION_MASK, IDS, POOLING_MASK

if TYPE_CHECKING:
    from searchkit.embedding.tokens import TokenRows

TOKEN_BUDGET = 2048  # per batch, padding included; as in torch_runtime, and for the same reason
# Columns are a multiple of this: padding then changes no bit of a row, whatever its company (measured: with
# 4, 8 and 16 none, with 1 the last one, for sums end in an odd remainder).
WIDTH_STEP = 4
BY_TORCH = "run it by torch: runtime='torch', precision='float32'"
SERIOUS = 3  # of onnxruntime's log levels: errors, not warnings about its own optimisations


class OnnxRuntime:
    """A network, its pooling and its tail as one graph; what is in FACTS has to be told of it."""

    device = "cpu"
    FACTS = ("dim", "vocabulary", "position_limit", "parameters", "precision")

    def __init__(self, file: Path, facts: Mapping[str, Any]) -> None:
        self.dim = int(facts["dim"])
        self.vocabulary = int(facts["vocabulary"])
        self.parameters = int(facts["parameters"])
        limit = facts["position_limit"]
        self.position_limit = None if limit is None else int(limit)
        self.precision = str(facts["precision"])
        self._session = open_session(file)

    def rows(self, tokens: TokenRows, *, token_budget: int | None = None) -> Float32Matrix:
        """Embed tokenised texts.

        Args:
            tokens: any number of rows.
            token_budget: tokens per batch, padding included; None for what suits the processor.

        Returns: (rows, dim) float32, of length 1, in order.
        Raises: GraphFailed: a vector holds what is no number, or the run fails.
        """
        vectors = np.empty((len(tokens.ids), self.dim), dtype=np.float32)
        for batch in plan_packed(tokens.lengths, token_budget or TOKEN_BUDGET):
            rows = run_session(self._session, None, batch_inputs(tokens, batch, self.position_limit))[0]
            if said := not_numbers(rows):
                raise GraphFailed(f"as a graph {said}", remedy=BY_TORCH, of_model=True)
            vectors[batch] = rows
        return vectors

    def close(self) -> None:
        """Let go of the graph's files; nothing can be embedded afterwards."""
        self._session = None


def open_session(file: Path) -> Any:
    """Open a graph to be run by all cores, one run at a time.

    Raises: GraphFailed: the file is no graph that this onnxruntime runs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores() or 0  # 0: onnxruntime counts the cores itself
    options.inter_op_num_threads = 1
    options.log_severity_level = SERIOUS
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    # The boundary to a foreign library: each of its many errors is a class of its own.
    except Exception as error:
        raise _failed("opened", error) from error


def run_session(session: Any, names: list[str] | None, given: dict[str, Any]) -> list[Any]:
    """Run a graph. names: of the results wanted, None for all. Returns: their arrays, in that order.

    Raises: GraphFailed: onnxruntime cannot.
    """
    try:
        results: list[Any] = session.run(names, given)
    # The same boundary.
    except Exception as error:
        raise _failed("run", error) from error
    return results


def _failed(what: str, error: Exception) -> GraphFailed:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return GraphFailed(
        f"the graph cannot be {what} by onnxruntime {onnxruntime.__version__}: {reason}",
        remedy=f"install another onnxruntime, or {BY_TORCH}",
    )


def batch_inputs(tokens: TokenRows, batch: Sequence[int], position_limit: int | None) -> dict[str, Any]:
    """The inputs of a graph for some rows: ids (rows, columns), attention and pooling masks."""
    longest = max(len(tokens.ids[row]) for row in batch)
    ids, attended, pooled = tokens.padded(batch, padded_width(longest, position_limit, WIDTH_STEP))
    return {
        IDS: ids,
        ATTENTION_MASK: attended.astype(np.int32),
        POOLING_MASK: pooled.astype(np.float32),
    }
