"""The threshold: from third neighbours, within bounds that follow the model, moved by decisions."""

import numpy as np
import pytest

from searchkit.analysis.knn import neighbours
from searchkit.analysis.threshold import (
    CHANCE,
    LEAST_TEXTS,
    LEAST_WAY,
    MOST_WAY,
    NULL_RANK,
    WITHOUT_MEASURE,
    Null,
    decided,
    null_of,
    threshold_of,
)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def texts(n, closeness, seed=0):
    """Rows around one direction: the larger the closeness, the nearer all are to each other."""
    random = np.random.default_rng(seed)
    return unit(closeness * np.ones(48) / 7 + random.normal(size=(n, 48)) / 7)


def measured_null(vectors):
    return null_of(vectors, np.arange(len(vectors)), neighbours(vectors, NULL_RANK).cosines)


def null(third, unrelated=0.0):
    return Null(np.ones(len(third), np.float32), np.sort(np.array(third, np.float32)), unrelated)


def test_it_is_where_few_third_neighbours_are_as_near():
    third = np.linspace(0.7, 0.8, 101)
    value = null(third).threshold
    assert value == pytest.approx(np.quantile(third, 1 - CHANCE), abs=1e-3)
    assert null(third).false_rate(value) == pytest.approx(CHANCE, abs=0.01)


@pytest.mark.parametrize("unrelated", [0.0, 0.4, 0.7])
def test_it_stays_between_what_is_unrelated_and_what_is_the_same(unrelated):
    """Texts that are all unlike give no low threshold, and texts in many versions none of 1."""
    room = 1 - unrelated
    assert null([0.0] * 50, unrelated).threshold == pytest.approx(unrelated + LEAST_WAY * room, abs=1e-3)
    assert null([1.0] * 50, unrelated).threshold == pytest.approx(unrelated + MOST_WAY * room, abs=1e-3)


def test_what_is_unrelated_is_the_mean_of_all_pairs():
    vectors = texts(40, 1.0)
    cosines = (vectors @ vectors.T)[np.triu_indices(40, 1)]
    found = measured_null(vectors)
    assert found is not None and found.unrelated == pytest.approx(cosines.mean(), abs=1e-5)


def test_pairs_of_copies_are_found_whatever_the_model_calls_near():
    for closeness in (0.0, 1.0, 3.0):
        base = texts(200, closeness)
        copies = unit(base[:100] + 0.01 * np.random.default_rng(1).normal(size=(100, 48)))
        vectors = np.concatenate([base, copies])
        near = neighbours(vectors, 16)
        found = measured_null(vectors)
        value = threshold_of(found).value
        assert (near.cosines[:100, 0] >= value).mean() > 0.95
        assert (near.cosines[100:200, 0] >= value).mean() < 0.2


def test_texts_whose_neighbours_are_not_known_say_nothing():
    vectors = texts(50, 1.0)
    cosines = neighbours(vectors, NULL_RANK).cosines
    cosines[:10, 2] = np.nan
    found = null_of(vectors, np.arange(50), cosines)
    assert found is not None and len(found.third) == 40 and np.isfinite(found.threshold)
    cosines[: 50 - LEAST_TEXTS + 1, 2] = np.nan
    assert null_of(vectors, np.arange(50), cosines) is None


def test_it_is_said_where_texts_are_alike_throughout():
    """As descriptions of products are: half of all have a third neighbour that elsewhere is a duplicate."""
    assert threshold_of(null([0.7] * 30 + [0.5] * 20)).alike
    assert not threshold_of(null([0.7] * 20 + [0.5] * 30)).alike
    assert not threshold_of(null([0.7] * 50), given=0.8).alike


def test_few_texts_get_the_default_and_a_given_one_stays():
    assert measured_null(texts(LEAST_TEXTS - 1, 1.0)) is None
    assert measured_null(texts(LEAST_TEXTS, 1.0)) is not None
    assert threshold_of(None).value == WITHOUT_MEASURE and threshold_of(None).how == "default"
    given = threshold_of(null([0.7] * 50), given=0.5, accepted=[0.4])
    assert (given.value, given.how, given.accepted) == (0.5, "given", 1)


def test_rejecting_raises_and_accepting_lowers_it():
    before = 0.8
    assert decided(before, [], []) == before
    assert before < decided(before, [], [0.82]) < 0.86
    assert 0.74 < decided(before, [0.78], []) < before


def test_many_decisions_outweigh_the_measure():
    value = decided(0.75, [0.92, 0.93, 0.95] * 5, [0.8, 0.85, 0.88] * 5)
    assert 0.88 < value < 0.92
