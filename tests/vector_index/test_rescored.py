"""How hard codes are searched: for the ten they were tuned for, for long answers, and under a filter."""

import numpy as np
import pytest

from searchkit.vector_index.protocol import IVF, IndexPlan, Tuning
from searchkit.vector_index.rescored import FEW_ALLOWED, ROWS_PER_ANSWER, WIDER, RescoredIndex
from tests.vector_index.record import NONE, MemoryRecord, clustered

ROWS, LISTS, EFFORT = 40_000, 400, 40
IDS = np.arange(1, ROWS + 1)
VECTORS = clustered(ROWS, 8)


class Noted:
    """Codes that know the true order and note how they were asked."""

    plan = IndexPlan(kind=IVF, lists=LISTS, promised_recall=0.97)
    ids = IDS

    def __init__(self):
        self.asked = []

    def nearest(self, query, n, effort):
        self.asked.append(("nearest", n, effort))
        return np.argsort(-(VECTORS @ query), kind="stable")[:n]

    def scan(self, query, n, kept):
        self.asked.append(("scan", n, int(ROWS if kept is None else kept.sum())))
        order = np.argsort(-(VECTORS @ query), kind="stable")
        return (order if kept is None else order[kept[order]])[:n]


@pytest.fixture
def codes():
    return Noted()


@pytest.fixture
def index(codes):
    return RescoredIndex(codes, Tuning(effort=EFFORT, oversampling=3.0), MemoryRecord(IDS, VECTORS))


def test_ten_rows_are_looked_for_as_hard_as_was_tuned(index, codes):
    index.search(VECTORS[:1], 10, without=NONE)
    assert codes.asked == [("nearest", 30, EFFORT)]


def test_a_long_answer_is_looked_for_in_more_lists(index, codes):
    """100 rows at 250 looked at for each: 25,000 of 40,000 rows, that is 250 of 400 lists."""
    found = index.search(VECTORS[:1], 100, without=NONE)[0]
    assert codes.asked == [("nearest", 300, 100 * ROWS_PER_ANSWER * LISTS // ROWS)]
    assert len(found.ids) == 100


def test_an_answer_too_wide_for_lists_is_one_pass_over_the_codes(index, codes):
    index.search(VECTORS[:1], 400, without=NONE)
    assert codes.asked == [("scan", 400 * 3 * WIDER, ROWS)]


def test_a_filter_that_leaves_many_looks_wider_and_no_further(index, codes):
    allowed = IDS[IDS % 2 == 0]
    found = index.search(VECTORS[:1], 10, without=NONE, allowed=allowed)[0]
    assert codes.asked == [("nearest", 30 * WIDER, EFFORT * WIDER)]
    assert len(found.ids) == 10 and (found.ids % 2 == 0).all()


def test_a_filter_that_leaves_few_goes_straight_to_the_pass(index, codes):
    allowed = IDS[IDS % 20 == 0]
    index.search(VECTORS[:1], 10, without=NONE, allowed=allowed)
    assert codes.asked == [("scan", 30 * WIDER, len(allowed))]


def test_a_filter_that_leaves_hardly_any_asks_no_codes(index, codes):
    allowed = IDS[:FEW_ALLOWED]
    found = index.search(VECTORS[:1], 10, without=NONE, allowed=allowed)[0]
    assert codes.asked == [] and found.ids[0] == 1
