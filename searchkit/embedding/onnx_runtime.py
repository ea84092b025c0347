"""Running an exported network in ONNX Runtime, on the CPU. Owns onnxruntime; knows no texts.

Neither torch nor transformers is loaded, which is what makes the first query of a process fast.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from searchkit.arrays import Float32Matrix
from searchkit.embedding.batching import padded_width, plan_packed
from searchkit.embedding.processor import physical_cores
from searchkit.errors import ModelError

if TYPE_CHECKING:
    from searchkit.embedding.tokens import TokenRows

IDS, ATTENTION_MASK, POOLING_MASK = "input_ids", "attention_mask", "pooling_mask"
TOKEN_BUDGET = 2048  # per batch, padding included; as in torch_runtime, and for the same reason
# Columns are a multiple of this: padding then changes no bit of a row, whatever its company (measured: with
# 4, 8 and 16 none, with 1 the last one, for sums end in an odd remainder).
WIDTH_STEP = 4
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
        Raises: ModelError: a vector holds what is no number.
        """
        vectors = np.empty((len(tokens.ids), self.dim), dtype=np.float32)
        for batch in plan_packed(tokens.lengths, token_budget or TOKEN_BUDGET):
            rows = self._session.run(None, batch_inputs(tokens, batch, self.position_limit))[0]
            if not np.isfinite(rows).all():
                odd = int((~np.isfinite(rows).all(axis=1)).sum())
                raise ModelError(
                    f"the network gives no numbers (NaN or infinite) for {odd} of {len(batch)} texts",
                    remedy="its weights are damaged: copy it again",
                )
            vectors[batch] = rows
        return vectors


def open_session(file: Path) -> Any:
    """Open a graph to be run by all cores, one run at a time.

    Raises: ModelError: the file is no graph that this onnxruntime runs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = physical_cores() or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    options.log_severity_level = SERIOUS
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    # The boundary to a foreign library: each of its many errors is a class of its own.
    except Exception as error:
        raise ModelError(
            f"{file} cannot be opened: {str(error).splitlines()[0]}",
            remedy=f"remove its folder, and it is made again: {file.parent}",
        ) from error


def batch_inputs(tokens: TokenRows, batch: Sequence[int], position_limit: int | None) -> dict[str, Any]:
    """The inputs of a graph for some rows: ids (rows, columns), attention and pooling masks."""
    lengths = np.array([len(tokens.ids[row]) for row in batch])
    columns = np.arange(padded_width(int(lengths.max()), position_limit, WIDTH_STEP))
    ids = np.zeros((len(batch), len(columns)), dtype=np.int64)
    for at, row in enumerate(batch):
        ids[at, : lengths[at]] = tokens.ids[row]
    attended = columns < lengths[:, None]
    pooled = attended & (columns >= tokens.masked[list(batch)][:, None])
    return {
        IDS: ids,
        ATTENTION_MASK: attended.astype(np.int32),
        POOLING_MASK: pooled.astype(np.float32),
    }
