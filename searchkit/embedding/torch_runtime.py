"""Running a network in torch: device, threads, memory. Knows batches of token ids; nothing of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from searchkit.arrays import Float32Matrix
from searchkit.embedding.batching import not_numbers, padded_width, plan_batches
from searchkit.embedding.checkpoint import Checkpoint
from searchkit.embedding.network import load_network, load_tail, restore_linears, swap_linears
from searchkit.embedding.pooling import pooled
from searchkit.embedding.processor import usable_cores
from searchkit.embedding.tokens import TokenRows
from searchkit.errors import ModelError, UsageError

# Tokens per batch, padding included. On CPUs larger batches fall out of the second-level cache: MiniLM on 2
# cores peaks from 1,024 to 4,096 and loses a third at 8,192. Accelerators want enough to fill them.
TOKEN_BUDGETS = {"cpu": 2048, "mps": 8192, "cuda": 32768}


class TorchRuntime:
    """A checkpoint's network, pooling and tail on one device."""

    def __init__(self, checkpoint: Checkpoint, pooling: tuple[str, ...], device: str) -> None:
        self.device = resolve_device(device)
        if self.device == "cpu":
            use_physical_cores()
        network = load_network(checkpoint)
        config: Any = network.config
        config = config.get_text_config()
        width = int(config.hidden_size)
        self.position_limit = checkpoint.position_limit
        self.vocabulary = int(config.vocab_size)
        self.parameters = sum(weight.numel() for weight in network.parameters())
        self.network = network.to(self.device)
        self.tail = load_tail(checkpoint, width * len(pooling)).to(self.device)
        dense = [layer.out_features for layer in self.tail if isinstance(layer, nn.Linear)]
        self.dim = dense[-1] if dense else width * len(pooling)
        self.precision = "float32"
        self.pooling = pooling
        self._budget = TOKEN_BUDGETS[self.device.split(":")[0]]
        self._swapped: list[tuple[nn.Module, str, nn.Linear]] = []

    def rows(self, tokens: TokenRows, *, token_budget: int | None = None) -> Float32Matrix:
        """Embed tokenised texts.

        Args:
            tokens: any number of rows.
            token_budget: tokens per batch, padding included; None for what suits the device.

        Returns: (rows, dim) float32, of length 1, in order.
        Raises: ModelError: not even a single row fits into the device's memory, or a vector holds
            what is no number.
        """
        vectors = np.empty((len(tokens.ids), self.dim), dtype=np.float32)
        for batch in plan_batches(tokens.lengths, token_budget or self._budget):
            vectors[batch] = self._fitting(tokens, batch)
        return vectors

    def hidden(self, tokens: TokenRows) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Token vectors and row, for who wants to see inside.

        Yields: position, (length, width) float32 of the row's tokens, (dim,) float32; longest rows first.
        """
        for batch in plan_batches(tokens.lengths, self._budget):
            with torch.inference_mode():
                hidden, rows = self._forward(tokens, batch)
            for at, position in enumerate(batch):
                yield position, hidden[at, : len(tokens.ids[position])].clone(), rows[at].clone()

    def use_bfloat16(self) -> None:
        """Multiply matrices in bfloat16 from now on; undone by `use_float32` until `settle`."""
        if not self._swapped:
            self._swapped = swap_linears(self.network)
            self.precision = "bfloat16"

    def use_float32(self) -> None:
        """Undo `use_bfloat16`."""
        restore_linears(self._swapped)
        self._swapped = []
        self.precision = "float32"

    def settle(self) -> None:
        """Give up the weights of the precision not in use."""
        self._swapped = []

    def _fitting(self, tokens: TokenRows, batch: Sequence[int]) -> Float32Matrix:
        """The batch's rows, in halves if the device runs out of memory."""
        try:
            with torch.inference_mode():
                result: Float32Matrix = self._forward(tokens, batch)[1].cpu().numpy()
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1:
                raise ModelError(
                    f"one text of {len(tokens.ids[batch[0]])} tokens does not fit into the memory of "
                    f"{self.device}",
                    remedy="use device='cpu' or a smaller max_tokens",
                ) from None
        else:
            if said := not_numbers(result):
                remedy = "its weights are damaged: copy it again; or use precision='float32'"
                raise ModelError(said, remedy=remedy)
            return result
        # Outside of the handler: the exception's traceback would keep the failed batch's tensors alive.
        torch.cuda.empty_cache()
        self._budget = max(1, self._budget // 2)
        half = len(batch) // 2
        return np.concatenate([self._fitting(tokens, batch[:half]), self._fitting(tokens, batch[half:])])

    def states(self, tokens: TokenRows, batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Token vectors (rows, columns, width) of one batch, and (rows, columns) what of them is pooled.

        Both float32. Gradients are kept where torch is told to keep them.
        """
        longest = max(len(tokens.ids[row]) for row in batch)
        ids, attended, pooling = tokens.padded(batch, padded_width(longest, self.position_limit))
        hidden = self.network(
            input_ids=torch.from_numpy(ids).to(self.device),
            attention_mask=torch.from_numpy(attended.astype(np.int64)).to(self.device),
        ).last_hidden_state.float()
        return hidden, torch.from_numpy(pooling.astype(np.float32)).to(self.device)

    def finish(self, hidden: Tensor, taking_part: Tensor) -> Tensor:
        """From what `states` gives to rows (rows, dim) float32 of length 1."""
        rows: Tensor = self.tail(pooled(hidden, taking_part, self.pooling))
        return rows

    def _forward(self, tokens: TokenRows, batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Token vectors (rows, columns, width) and rows (rows, dim) of one batch, both float32."""
        hidden, taking_part = self.states(tokens, batch)
        return hidden, self.finish(hidden, taking_part)


def resolve_device(device: str) -> str:
    """The device to run on: 'auto' is CUDA, else Apple's, else the CPU.

    Raises:
        UsageError: the device is unknown or not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind, _, number = device.partition(":")
    known = kind in there and there[kind] and (not number or number.isdigit())
    if not known or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise UsageError(
            f"no device '{device}' here",
            remedy=f"there is: auto, {', '.join(name for name, is_there in there.items() if is_there)}",
        )
    return device


def use_physical_cores() -> None:
    """Second threads of a core only get in each other's way when multiplying matrices."""
    cores = usable_cores()
    if cores is not None and cores < torch.get_num_threads():
        torch.set_num_threads(cores)
