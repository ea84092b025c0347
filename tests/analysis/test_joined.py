"""From texts to a threshold: which neighbours say how near texts are that are no duplicates."""

import numpy as np
import pytest

from searchkit.analysis import against, joined
from searchkit.analysis.joined import join, measured, of_other_bodies
from searchkit.analysis.knn import neighbours
from searchkit.analysis.texts import texts_not_stored
from searchkit.library.duplicates import Decisions

NOTHING = Decisions({})


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some_texts(n, seed=0):
    vectors = unit(np.random.default_rng(seed).normal(size=(n, 24)))
    return texts_not_stored(vectors, [b"%d" % at for at in range(n)])


def test_headings_of_one_body_count_once_and_those_of_its_own_not_at_all():
    """Else three headings of a footer would say that everything near it has many versions."""
    angles = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 0.9, 1.2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    made = texts_not_stored(vectors, [b"a", b"a", b"a", b"b", b"b", b"c", b"d"])
    found = of_other_bodies(made, np.array([0, 5]), neighbours(vectors, 6))
    np.testing.assert_allclose(found[0], np.cos([0.5, 0.9, 1.2]), atol=1e-6)
    np.testing.assert_allclose(found[1], np.cos([0.3, 0.3, 0.7]), atol=1e-6)
    found = of_other_bodies(made, np.array([0]), neighbours(vectors, 4))
    assert np.isnan(found[0, 1:]).all() and found[0, 0] == pytest.approx(np.cos(0.5))


def test_what_a_sample_says_is_what_all_say(monkeypatch):
    made = some_texts(600)
    whole = join(made, NOTHING).threshold
    assert measured(made).threshold == whole.value
    monkeypatch.setattr(joined, "SAMPLED", 200)
    sampled = measured(made)
    assert len(sampled.third) == 200 and sampled.threshold == pytest.approx(whole.value, abs=0.01)


def test_a_given_threshold_costs_no_measure(monkeypatch):
    monkeypatch.setattr(against, "measured", None)
    limit, _ = against.repeated(some_texts(3, seed=1), some_texts(200), NOTHING, 0.9)
    assert (limit.how, limit.false_rate) == ("given", None)
