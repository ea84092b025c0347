"""A stage works ahead of the next as far as memory is meant to go, and never outlives it."""

import threading
import time

import pytest

from searchkit.collection.ahead import ahead


def nothing():
    pass


def test_items_come_in_order():
    with ahead(range(10_000), lambda item: 1, 7, nothing) as items:
        assert list(items) == list(range(10_000))


def test_it_works_ahead_only_so_far():
    made = []

    def make():
        for number in range(100):
            made.append(number)
            yield number

    with ahead(make(), lambda item: 10, 50, nothing) as items:
        assert next(items) == 0
        deadline = time.monotonic() + 5
        while len(made) < 7 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(made) == 7  # one used, five held, one made and not handed over
    assert len(made) <= 8


def test_an_item_heavier_than_all_that_may_be_held_passes_alone():
    with ahead([5, 500, 5], lambda item: item, 50, nothing) as items:
        assert list(items) == [5, 500, 5]


def test_what_making_raises_is_raised_after_what_was_made():
    def make():
        yield 1
        raise ZeroDivisionError

    with ahead(make(), lambda item: 1, 50, nothing) as items:
        assert next(items) == 1
        with pytest.raises(ZeroDivisionError):
            next(items)


def test_leaving_frees_and_ends_the_thread():
    waiting, freed = threading.Event(), threading.Event()

    def make():
        yield 1
        waiting.set()
        assert freed.wait(10)
        yield 2

    before = threading.active_count()
    with ahead(make(), lambda item: 1, 50, freed.set) as items:
        assert next(items) == 1 and waiting.wait(10)
    assert threading.active_count() == before
