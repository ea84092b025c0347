"""Where points lie: near ones near, the same each time, few and equal ones without a complaint."""

import sys
from types import ModuleType

import numpy as np
import pytest

from searchkit.analysis import map_layout
from searchkit.analysis.map_layout import positions
from searchkit.errors import UsageError


def groups(number, each, *, dim=16, seed=0):
    """Unit vectors around so many directions, and the group of each."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(number, dim))
    of = np.repeat(np.arange(number), each)
    made = middles[of] + 0.1 * rng.normal(size=(len(of), dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32), of


def test_neighbours_on_the_map_are_of_one_group():
    vectors, of = groups(4, 30)
    placed = positions(vectors)
    apart = np.linalg.norm(placed[:, None] - placed[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (of[apart.argmin(axis=1)] == of).all()


def test_the_same_vectors_give_the_same_map_and_another_seed_another():
    vectors, _ = groups(3, 20)
    assert np.array_equal(positions(vectors), positions(vectors))
    assert not np.array_equal(positions(vectors), positions(vectors, seed=1))


def test_both_ways_to_sum_forces_give_groups(monkeypatch):
    """The grid of the FFT is for many points; here it is made to take few."""
    monkeypatch.setattr(map_layout, "FFT_ROWS", 10)
    monkeypatch.setattr(map_layout, "ROUNDS", 25)
    vectors, of = groups(2, 15)
    placed = positions(vectors)
    middles = np.array([placed[of == one].mean(axis=0) for one in (0, 1)])
    assert np.linalg.norm(middles[0] - middles[1]) > np.abs(placed[of == 0] - middles[0]).max()


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9, 31])
def test_any_number_of_vectors_has_places_that_differ(rows):
    placed = positions(groups(rows, 1)[0])
    assert placed.shape == (rows, 2) and placed.min() >= 0 and placed.max() <= 1
    assert len(np.unique(placed, axis=0)) == rows


def test_no_vector_has_no_place():
    assert positions(np.empty((0, 16), dtype=np.float32)).shape == (0, 2)


def test_equal_vectors_lie_side_by_side():
    placed = positions(np.repeat(groups(1, 1)[0], 50, axis=0))
    assert len(np.unique(placed.round(4), axis=0)) == 50
    assert np.allclose(placed.mean(axis=0), 0.5, atol=0.1) and (placed.min(), placed.max()) == (0, 1)


def test_many_copies_of_one_vector_stay_together():
    vectors, _ = groups(40, 1)
    placed = positions(np.concatenate([vectors, np.repeat(vectors[:1], 2_000, axis=0)]))
    copies = np.concatenate([placed[:1], placed[40:]])
    assert np.ptp(copies, axis=0).max() < 0.1


def test_vectors_that_hardly_differ_have_places():
    """Differences below what float32 tells apart in a product."""
    one = groups(1, 1)[0].astype(np.float64)
    near = one + np.random.default_rng(0).normal(size=(60, 16)) * 3e-8
    placed = positions(near.astype(np.float32))
    assert np.isfinite(placed).all() and np.ptp(placed, axis=0).max() == pytest.approx(1)


def test_progress_goes_up_to_all_of_it():
    told = []
    positions(groups(2, 10)[0], on_progress=told.append)
    assert told == sorted(told) and 0 < told[0] < 0.1 and told[-1] == 1


def test_umap_that_is_not_installed_is_an_error_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match="pip install umap-learn"):
        positions(groups(2, 10)[0], method="umap")


def test_umap_is_asked_for_the_same_map_each_time(monkeypatch):
    """A module in its place: the package is large, and no dependency."""
    asked = {}

    class UMAP:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, vectors):
            return vectors[:, :2]

    stand_in = ModuleType("umap")
    stand_in.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", stand_in)
    vectors, _ = groups(2, 5)
    placed = positions(vectors, method="umap", seed=3)
    assert (asked["random_state"], asked["n_jobs"], asked["n_neighbors"]) == (3, 1, 9)
    assert np.corrcoef(placed[:, 0], vectors[:, 0])[0, 1] == pytest.approx(1)


@pytest.mark.slow
def test_umap_itself_gives_groups():
    pytest.importorskip("umap")
    vectors, of = groups(2, 20)
    placed = positions(vectors, method="umap")
    assert np.linalg.norm(placed[of == 0].mean(axis=0) - placed[of == 1].mean(axis=0)) > 0.3
