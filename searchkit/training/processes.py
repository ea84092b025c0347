"""Several processes that train one model: who reads what, and how their numbers come together.

All of them draw the same batch. Each turns a share of its texts into vectors and gathers those of the others;
so the loss is that of the whole batch, with all its negatives, in every process, and so is the sum of the
gradients. Only the first one writes, logs and evaluates. They are started by `torchrun` or `accelerate
launch`, which say in the environment who is who.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from searchkit.arrays import Float32Matrix
from searchkit.errors import TrainingInvalid

T = TypeVar("T")
# The others wait while the first one evaluates; whoever started them ends all when one dies.
PATIENCE = timedelta(days=2)
ENVIRONMENT = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    count: int = 1
    device: str = "auto"

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and evaluates."""
        return self.rank == 0

    def share(self, lengths: Sequence[int], rank: int | None = None) -> list[int]:
        """Positions of the rows that a process reads, this one or another; of all lengths as many each."""
        order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
        return sorted(order[self.rank if rank is None else rank :: self.count])

    def gathered(self, mine: Tensor, lengths: Sequence[int]) -> Tensor:
        """Vectors of all rows, from those of each process's share; (len(lengths), dim), without gradient."""
        if self.count == 1:
            return mine
        shares = [self.share(lengths, rank) for rank in range(self.count)]
        longest = max(map(len, shares))
        padded = mine.new_zeros((longest, mine.shape[1]))
        padded[: len(mine)] = mine
        received = [torch.empty_like(padded) for _ in shares]
        torch.distributed.all_gather(received, padded)
        whole = mine.new_empty((len(lengths), mine.shape[1]))
        for share, rows in zip(shares, received, strict=True):
            whole[share] = rows[: len(share)]
        return whole

    def add_up(self, weights: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all processes' gradients."""
        if self.count == 1:
            return
        weights = list(weights)
        flat = torch.cat(
            [(torch.zeros_like(one) if one.grad is None else one.grad).reshape(-1) for one in weights]
        )
        torch.distributed.all_reduce(flat)
        sizes = [one.numel() for one in weights]
        for one, summed in zip(weights, torch.split(flat, sizes), strict=True):
            one.grad = summed.view_as(one)

    def told(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, in all of them; elsewhere it is not called."""
        if self.count == 1:
            return make()
        said = [make() if self.first else None]
        torch.distributed.broadcast_object_list(said)
        return said[0]  # type: ignore[return-value]

    def shared(
        self, embed: Callable[[Sequence[tuple[str, str]]], Float32Matrix]
    ) -> Callable[[Sequence[tuple[str, str]]], Float32Matrix]:
        """A model's function from pairs to vectors whose work the processes share."""
        if self.count == 1:
            return embed

        def together(pairs: Sequence[tuple[str, str]]) -> Float32Matrix:
            lengths = [len(instruction) + len(text) for instruction, text in pairs]
            mine = torch.from_numpy(np.ascontiguousarray(embed([pairs[at] for at in self.share(lengths)])))
            vectors: Float32Matrix = self.gathered(mine.to(self.device), lengths).cpu().numpy()
            return vectors

        return together


ALONE = Processes()


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many processes this one is, as whoever started them says."""

    rank: int = 0
    count: int = 1
    local: int = 0  # which of those on this machine
    here: int = 1  # how many of them are on this machine


def place() -> Place:
    """Where this process stands among others, by the environment.

    Raises:
        TrainingInvalid: the environment says it by halves.
    """
    said = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    if said.get("WORLD_SIZE", "1") == "1":
        return Place()
    if "RANK" not in said or not all(value.isdigit() for value in said.values()):
        found = ", ".join(f"{name}={value}" for name, value in said.items())
        raise TrainingInvalid(
            f"the environment speaks of several processes, but not clearly which this one is: {found}",
            remedy="start them by torchrun, or take WORLD_SIZE out of the environment",
        )
    count = int(said["WORLD_SIZE"])
    return Place(
        rank=int(said["RANK"]),
        count=count,
        local=int(said.get("LOCAL_RANK", "0")),
        here=int(said.get("LOCAL_WORLD_SIZE", count)),
    )


def join(device: str) -> Processes:
    """Find the other processes of this training, if it was started as one of several.

    device: 'auto' for one GPU each where there are enough for all, else the CPU; or 'cpu'; or 'cuda'.

    Raises:
        TrainingInvalid: one device is named for all of them, or there are too few GPUs, or the environment
            does not say who is who.
    """
    mine = place()
    if mine.count == 1:
        return Processes(device=device)
    if device not in ("auto", "cpu", "cuda"):
        raise TrainingInvalid(
            f"{mine.count} processes cannot share the device '{device}'",
            remedy='leave it out, or device = "cpu"',
        )
    gpus = torch.cuda.device_count()
    enough = mine.here <= gpus  # for all of them, or these would wait for each other by different means
    if device == "cuda" and not enough:
        raise TrainingInvalid(
            f"{mine.here} processes want a GPU each, and there are {gpus}",
            remedy='start as many as there are GPUs; or device = "cpu"',
        )
    on_gpu = device != "cpu" and enough
    if on_gpu:
        torch.cuda.set_device(mine.local)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    return Processes(rank=mine.rank, count=mine.count, device=f"cuda:{mine.local}" if on_gpu else "cpu")


def leave() -> None:
    """Let go of the other processes."""
    with suppress(ValueError):  # another one has left
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
