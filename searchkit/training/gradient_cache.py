"""Gradients of a loss over a whole batch, whose texts go through the network in chunks.

After Gao et al. 2021 (arXiv 2101.06983): vectors first; then the gradient of the loss with respect to the
vectors; then, chunk by chunk, from those to the weights. Where all chunks' graphs fit into memory they are
kept; where not, each chunk is computed a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor

from searchkit.embedding.batching import WIDTH_STEP, plan_batches
from searchkit.embedding.tokens import TokenRows
from searchkit.training.processes import ALONE, Processes

# Tokens that go through the network at once, padding included. Not compared with others yet.
FORWARD_TOKENS = {"cpu": 4096, "mps": 8192, "cuda": 65536}


class Reads(Protocol):
    """What turns some tokenised rows into vectors with gradients."""

    device: str

    @property
    def dim(self) -> int:
        """Width of a vector."""

    def vectors(self, rows: TokenRows, batch: Sequence[int]) -> Tensor:
        """(len(batch), dim) float32."""


def backward(
    student: Reads,
    rows: TokenRows,
    loss_of: Callable[[Tensor], Tensor],
    *,
    forward_tokens: int,
    kept_tokens: int,
    seed: int,
    processes: Processes = ALONE,
) -> Tensor:
    """Add the gradients of a loss to the weights.

    Args:
        student: the network.
        rows: tokenised texts.
        loss_of: from (len(rows), dim) vectors, in the order of the rows, to a number.
        forward_tokens: tokens that go through the network at once, padding included.
        kept_tokens: with more tokens than these, chunks are computed twice instead of kept.
        seed: of what a chunk drops out: the same both times.
        processes: those that share the rows; each adds the gradients of its own share to its weights.

    Returns: the loss, without gradient.
    """
    lengths = rows.lengths
    mine = processes.share(lengths)
    planned = plan_batches([lengths[row] for row in mine], min(forward_tokens, kept_tokens))
    chunks = [[mine[at] for at in chunk] for chunk in planned]
    kept = sum(-(-lengths[row] // WIDTH_STEP) * WIDTH_STEP for row in mine) <= kept_tokens
    seed += processes.rank << 32  # or all processes would drop out alike
    outputs: list[Tensor] = []
    for number, chunk in enumerate(chunks):
        torch.manual_seed(seed + number)
        with nullcontext() if kept else torch.no_grad():
            outputs.append(student.vectors(rows, chunk))
    vectors = torch.empty((len(mine), student.dim), device=student.device)
    place = {row: at for at, row in enumerate(mine)}
    for chunk, output in zip(chunks, outputs, strict=True):
        vectors[[place[row] for row in chunk]] = output.detach()
    leaf = processes.gathered(vectors, lengths).requires_grad_()
    loss = loss_of(leaf)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = leaf.grad
    if gradient is None:
        raise AssertionError("a loss that does not depend on the vectors")
    for number in reversed(range(len(chunks))):
        output = outputs.pop()
        if not kept:
            torch.manual_seed(seed + number)
            output = student.vectors(rows, chunks[number])
        output.backward(gradient[chunks[number]])  # type: ignore[no-untyped-call]
    return loss.detach()
