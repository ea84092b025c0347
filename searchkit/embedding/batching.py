"""Which rows go through the network together, and whether numbers come out. Knows no texts and no torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector

# Rows are padded to a multiple of this, and only rows of one multiple share a batch: matrix kernels
# then see the same shapes whatever the company a row is in, so that its vector does not depend on it.
# Measured on MiniLM: without it rows of a batch differ from the row alone by 1e-7 (float32) and
# 1e-3 (bfloat16), with it they are identical bit for bit.
WIDTH_STEP = 16

# Where padding is free of effect it still costs: rows that fill less of their batch's width than this go into
# the next one, unless the batch is so small that another run costs more than the padding.
LEAST_FILL = 0.9
SMALL_BATCH = 512  # tokens

# A block bounds what is tokenised at once, in texts and in characters: an Encoding costs about
# a hundred bytes per token, and a list may hold millions of texts or texts of a megabyte.
BLOCK_TEXTS = 4096
BLOCK_CHARACTERS = 4_000_000

T = TypeVar("T", bound=Hashable)


def padded_width(length: int, position_limit: int | None, step: int = WIDTH_STEP) -> int:
    """The number of columns of a batch whose longest row has `length` tokens.

    A multiple of `step`, unless the network has no positions for so many.
    """
    width = -(-length // step) * step
    return width if position_limit is None else min(width, max(position_limit, length))


def plan_batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Cut rows into batches of one padded width and at most `token_budget` tokens, padding included.

    A batch holds at least one row. Longest first, so that a device too small fails at once.
    Yields: positions in `lengths`; every position once.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    for steps, rows_of_width in groupby(order, key=lambda row: -(-lengths[row] // WIDTH_STEP)):
        rows = list(rows_of_width)
        size = max(1, token_budget // max(1, steps * WIDTH_STEP))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def plan_packed(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Cut rows into batches of at most `token_budget` tokens, each padded to its longest row.

    For a runtime whose results do not depend on the padding. Longest first; a batch holds at least one row,
    and takes much shorter ones only while it is small. Yields: positions; every position once.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        width = lengths[batch[0]] if batch else 0
        full = (len(batch) + 1) * width > token_budget
        wasteful = lengths[row] < LEAST_FILL * width and len(batch) * width >= SMALL_BATCH
        if batch and (full or wasteful):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def plan_blocks(sizes: Sequence[int]) -> Iterator[slice]:
    """Cut texts of these sizes (in characters) into consecutive blocks; a block holds at least one."""
    start = characters = 0
    for position, size in enumerate(sizes):
        full = position - start >= BLOCK_TEXTS or characters + size > BLOCK_CHARACTERS
        if full and position > start:
            yield slice(start, position)
            start, characters = position, 0
        characters += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def not_numbers(rows: Float32Matrix) -> str:
    """What to say of a batch's rows (n, dim) if some are no numbers; '' where all are."""
    odd = int((~np.isfinite(rows).all(axis=1)).sum())
    return f"the network gives no numbers (NaN or infinite) for {odd} of {len(rows)} texts" if odd else ""


def distinct(items: Sequence[T]) -> tuple[list[T], Int64Vector]:
    """Each different item once, in order of first sight, and for every item its position among them."""
    positions: dict[T, int] = {}
    inverse = np.empty(len(items), dtype=np.int64)
    for row, item in enumerate(items):
        inverse[row] = positions.setdefault(item, len(positions))
    return list(positions), inverse
