"""Rows are batched by length, within a budget, and every row once."""

from __future__ import annotations

import numpy as np
import pytest

from searchkit.embedding import batching
from searchkit.embedding.batching import WIDTH_STEP, distinct, padded_width, plan_batches, plan_blocks


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
