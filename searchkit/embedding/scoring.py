"""Running a cross-encoder's network in torch. Knows batches of token ids; nothing of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from searchkit.arrays import Float32Vector
from searchkit.embedding.batching import not_numbers, padded_width, plan_batches
from searchkit.embedding.cross_folder import CrossFolder
from searchkit.embedding.network import load_scorer
from searchkit.embedding.pairs import PairRows
from searchkit.embedding.torch_runtime import TOKEN_BUDGETS, resolve_device, use_physical_cores
from searchkit.errors import ModelError


class Scorer:
    """A network with a head of one label on one device, in float32."""

    def __init__(self, folder: CrossFolder, device: str) -> None:
        self.device = resolve_device(device)
        if self.device == "cpu":
            use_physical_cores()
        network = load_scorer(folder.network, folder.model, folder.kind)
        config: Any = network.config
        self.vocabulary = int(config.vocab_size)
        self._network = network.to(self.device)
        self._activation: nn.Module = getattr(nn, folder.activation)()
        self._told_sides = folder.told_sides
        self._position_limit = folder.position_limit
        self._budget = TOKEN_BUDGETS[self.device.split(":")[0]]

    def rows(self, pairs: PairRows) -> Float32Vector:
        """Score tokenised pairs. Returns: (n,) float32 in order, larger is better.

        Raises:
            ModelError: not even a single pair fits into the device's memory, or a score is no number.
        """
        scores = np.empty(len(pairs.ids), dtype=np.float32)
        for batch in plan_batches(pairs.lengths, self._budget):
            scores[batch] = self._fitting(pairs, batch)
        if said := not_numbers(scores[:, None]):
            raise ModelError(said, remedy="its weights are damaged: copy it again")
        return scores

    def _fitting(self, pairs: PairRows, batch: Sequence[int]) -> Float32Vector:
        """The batch's scores, in halves if the device runs out of memory."""
        try:
            return self._forward(pairs, batch)
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1:
                raise ModelError(
                    f"one pair of {len(pairs.ids[batch[0]])} tokens does not fit into the memory of "
                    f"{self.device}",
                    remedy="use device='cpu' or a smaller model",
                ) from None
        # Outside of the handler: the exception's traceback would keep the failed batch's tensors alive.
        torch.cuda.empty_cache()
        self._budget = max(1, self._budget // 2)
        half = len(batch) // 2
        return np.concatenate([self._fitting(pairs, batch[:half]), self._fitting(pairs, batch[half:])])

    def _forward(self, pairs: PairRows, batch: Sequence[int]) -> Float32Vector:
        longest = max(len(pairs.ids[row]) for row in batch)
        ids, attended, sides = pairs.padded(batch, padded_width(longest, self._position_limit))
        taken = {"input_ids": ids, "attention_mask": attended}
        if self._told_sides:
            taken["token_type_ids"] = sides
        with torch.inference_mode():
            on_device = {name: torch.from_numpy(rows).to(self.device) for name, rows in taken.items()}
            logits = self._network(**on_device).logits.float()
            scores: Float32Vector = self._activation(logits)[:, 0].cpu().numpy()
        return scores
