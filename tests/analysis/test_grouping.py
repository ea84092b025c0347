"""Groups around a representative: no chains, nearest first, and what a person said."""

import numpy as np
import pytest

from searchkit.analysis.grouping import Pairs, Stars, stars


def pairs(*found):
    left, right, scores = zip(*found, strict=True) if found else ((), (), ())
    return Pairs(np.array(left, np.int64), np.array(right, np.int64), np.array(scores, np.float32))


def belongs_by(found):
    near = {frozenset((a, b)) for a, b, _ in found}
    return lambda leader, rows: [row == leader or frozenset((leader, row)) in near for row in rows]


def grouped(*found, **said):
    return stars(pairs(*found), belongs_by(found), **said)


def test_a_chain_is_no_group():
    """0-1-2-3: 0 and 3 have nothing in common, nor has either end with the middle beyond its neighbour."""
    assert grouped((0, 1, 0.9), (1, 2, 0.8), (2, 3, 0.9)) == [[1, 0], [2, 3]]


def test_a_row_in_the_middle_stands_for_those_around_it():
    assert grouped((0, 2, 0.9), (1, 2, 0.9), (2, 3, 0.8)) == [[2, 0, 1, 3]]


def test_the_nearest_pair_is_joined_first():
    """1 could go with 0 or with 2, and is nearer to 2."""
    assert grouped((0, 1, 0.8), (1, 2, 0.95)) == [[1, 0, 2]]
    assert grouped((0, 1, 0.8), (1, 2, 0.95), (2, 3, 0.9), (2, 4, 0.9)) == [[2, 1, 3, 4]]


def test_two_groups_become_one_around_either_representative():
    found = [(0, 1, 0.99), (2, 3, 0.98), (0, 2, 0.9), (0, 3, 0.9)]
    assert grouped(*found) == [[0, 1, 2, 3]]


def test_of_equals_the_first_stands_for_the_pair():
    assert grouped((4, 7, 0.9), (2, 9, 0.9)) == [[2, 9], [4, 7]]


def test_the_first_stands_however_large_the_other_group_is():
    """Of Documents the longest: two short ones that are equal join first, and both are parts of it."""
    found = [(1, 2, 1.0), (0, 1, 0.8), (0, 2, 0.8)]
    assert grouped(*found, first_stands=True) == [[0, 1, 2]]


def test_another_stands_where_not_all_pass_with_the_first():
    assert grouped((1, 2, 1.0), (0, 1, 0.8), first_stands=True) == [[1, 0, 2]]


def test_groups_grow_by_pairs_that_are_found_later():
    found = [(0, 1, 0.99), (2, 3, 0.98), (0, 2, 0.9), (0, 3, 0.9)]
    growing = Stars(belongs_by(found))
    assert growing.join(pairs(*found[:2])) and growing.groups() == [[0, 1], [2, 3]]
    assert growing.follows(3) and not growing.follows(2) and not growing.follows(9)
    assert growing.join(pairs(found[2])) and growing.groups() == [[0, 1, 2, 3]]
    assert not growing.join(pairs(found[3]))


def test_what_did_not_pass_is_not_asked_again():
    """Two large groups are near to each other by thousands of pairs."""
    found = [(0, 1, 0.99), (2, 3, 0.98), (0, 2, 0.9), (1, 3, 0.9), (0, 3, 0.8), (1, 2, 0.7)]
    near, asked = belongs_by(found[:4]), []

    def belongs(leader, rows):
        asked.append(leader)
        return near(leader, rows)

    assert stars(pairs(*found), belongs) == [[0, 1], [3, 2]]
    assert asked == [0, 3, 0, 3]


def test_nothing_gives_no_groups():
    assert grouped() == []


def test_what_was_called_the_same_is_together_near_or_not():
    assert grouped(together=[(3, 8)]) == [[3, 8]]
    assert grouped((0, 1, 0.9), together=[(1, 2), (2, 5)]) == [[1, 0, 2, 5]]


@pytest.mark.parametrize("apart", [(0, 1), (1, 0)])
def test_what_was_called_different_is_never_in_one_group(apart):
    found = [(0, 1, 0.99), (0, 2, 0.9), (1, 2, 0.95)]
    assert grouped(*found) == [[1, 0, 2]]
    assert grouped(*found, apart=[apart]) == [[1, 2]]  # 2 is nearer to 1, and brings no 0 along
