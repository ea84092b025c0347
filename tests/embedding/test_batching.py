"""Rows are batched by length, within a budget, and every row once."""

from __future__ import annotations

import numpy as np
import pytest

from searchkit.embedding import batching
from searchkit.embedding.batching import (
    LEAST_FILL,
    SMALL_BATCH,
    WIDTH_STEP,
    distinct,
    padded_width,
    plan_batches,
    plan_blocks,
    plan_packed,
)


def test_every_row_is_in_one_batch_within_budget_and_of_one_width():
    lengths = np.random.default_rng(0).integers(1, 200, size=500).tolist()
    batches = list(plan_batches(lengths, token_budget=1024))
    assert sorted(row for batch in batches for row in batch) == list(range(500))
    for batch in batches:
        widths = {padded_width(lengths[row], None) for row in batch}
        assert len(widths) == 1
        assert len(batch) == 1 or len(batch) * widths.pop() <= 1024


def test_a_row_above_the_budget_goes_alone():
    assert list(plan_batches([5, 900, 7], token_budget=64)) == [[1], [2, 0]]
    assert list(plan_batches([899, 900], token_budget=64)) == [[1], [0]]


def test_packed_rows_are_each_in_one_batch_within_budget_and_fill_it():
    lengths = np.random.default_rng(0).integers(1, 600, size=500).tolist()
    batches = list(plan_packed(lengths, token_budget=2048))
    assert sorted(row for batch in batches for row in batch) == list(range(500))
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, width in zip(batches, longest, strict=True):
        assert width == max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * width <= 2048
        for at, row in enumerate(batch):
            assert lengths[row] >= LEAST_FILL * width or at * width < SMALL_BATCH


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ([], []),
        ([3000], [[0]]),  # above the budget: alone
        ([3000, 1], [[0], [1]]),
        ([1024, 1024], [[0, 1]]),  # the budget itself
        ([1025, 1025], [[0], [1]]),
        ([100] * 6 + [90], [[0, 1, 2, 3, 4, 5, 6]]),  # nine tenths of the width
        ([100] * 6 + [89], [[0, 1, 2, 3, 4, 5], [6]]),
        ([100] * 5 + [1], [[0, 1, 2, 3, 4, 5]]),  # 500 tokens are few: another run would cost more
        ([128] * 4 + [1], [[0, 1, 2, 3], [4]]),  # 512 are not
        ([1, 2, 3], [[2, 1, 0]]),
    ],
)
def test_packed_rows_at_the_bounds(lengths, batches):
    assert (LEAST_FILL, SMALL_BATCH) == (0.9, 512)
    assert list(plan_packed(lengths, token_budget=2048)) == batches


@pytest.mark.parametrize(
    ("length", "limit", "width"),
    [(1, None, 16), (16, None, 16), (17, None, 32), (49, 50, 50), (50, 50, 50), (33, 50, 48)],
)
def test_padding_stops_where_the_network_has_no_more_positions(length, limit, width):
    assert WIDTH_STEP == 16
    assert padded_width(length, limit) == width


def test_blocks_are_bounded_by_texts_and_by_characters(monkeypatch):
    monkeypatch.setattr(batching, "BLOCK_TEXTS", 3)
    monkeypatch.setattr(batching, "BLOCK_CHARACTERS", 100)
    assert list(plan_blocks([1] * 7)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(plan_blocks([60, 60, 500, 1])) == [slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4)]
    assert list(plan_blocks([])) == []


def test_equal_items_are_kept_once():
    items, inverse = distinct(["b", "a", "b", "c", "a"])
    assert items == ["b", "a", "c"]
    assert inverse.tolist() == [0, 1, 0, 2, 1]
