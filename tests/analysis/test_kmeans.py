"""k-means and HDBSCAN on blobs whose clusters are known; agreement judged by scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from searchkit.analysis import choosing, density, kmeans
from searchkit.analysis.agreement import adjusted_rand, contingency, v_measure
from searchkit.analysis.kmeans import directions

DIM = 32


def blobs(k, per, spread=0.05, seed=0):
    """Directions around k others, `per` of each in turn. Returns: vectors and true numbers."""
    random = np.random.default_rng(seed)
    centres = directions(random.normal(size=(k, DIM)).astype(np.float32))
    true = np.arange(k * per) % k
    return directions((centres[true] + spread * random.normal(size=(k * per, DIM))).astype(np.float32)), true


def test_blobs_are_found_whatever_the_seed():
    vectors, true = blobs(7, 30)
    for seed in range(5):
        found = kmeans.kmeans(vectors, 7, seed=seed)
        assert adjusted_rand(found.numbers, true) == 1
        np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, atol=1e-5)


def test_a_seed_gives_the_same_clusters_again():
    vectors, _ = blobs(7, 30, spread=0.3)
    one, other = kmeans.kmeans(vectors, 9, seed=3), kmeans.kmeans(vectors, 9, seed=3)
    assert (one.numbers == other.numbers).all() and (one.centroids == other.centroids).all()


def test_a_sample_of_many_gives_clusters_to_all(monkeypatch):
    monkeypatch.setattr(kmeans, "SAMPLE_LEAST", 100)
    monkeypatch.setattr(kmeans, "BEGIN_PER_CENTROID", 20)
    monkeypatch.setattr(kmeans, "REFINE_PER_CENTROID", 40)
    monkeypatch.setattr(kmeans, "BLOCK_ROWS", 64)
    vectors, true = blobs(5, 200)
    assert adjusted_rand(kmeans.kmeans(vectors, 5, seed=0).numbers, true) == 1


@pytest.mark.parametrize(("different", "k", "expected"), [(1, 4, 1), (3, 10, 3), (3, 2, 2), (1, 1, 1)])
def test_there_are_no_more_clusters_than_different_vectors(different, k, expected):
    vectors = np.tile(blobs(different, 1)[0], (12, 1))
    found = kmeans.kmeans(vectors, k, seed=0)
    assert len(found.centroids) == expected == len(set(found.numbers.tolist()))


def test_opposite_vectors_have_no_mean_and_are_no_trouble():
    vectors = np.eye(DIM, dtype=np.float32)[[0, 0]] * np.array([[1], [-1]], dtype=np.float32)
    found = kmeans.kmeans(vectors, 1, seed=0)
    assert found.numbers.tolist() == [0, 0] and np.isfinite(found.centroids).all()


@pytest.mark.parametrize("seed", range(4))
def test_agreement_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    one, other = random.integers(5, size=80), random.integers(7, size=80) - 1
    other[: 20 * seed] = one[: 20 * seed]
    assert v_measure(one, other) == pytest.approx(metrics.v_measure_score(one, other))
    assert adjusted_rand(one, other) == pytest.approx(metrics.adjusted_rand_score(one, other))
    expected = metrics.cluster.contingency_matrix(one, other)
    assert (contingency(one, other) == expected).all()


@pytest.mark.parametrize("numbers", [[], [0], [4, 4, 4], [0, 1, 2]])
def test_a_partition_agrees_with_itself(numbers):
    same = np.array(numbers, dtype=np.int64)
    assert v_measure(same, same + 5) == adjusted_rand(same, same + 5) == 1


@pytest.mark.parametrize("k", [3, 8, 20])
def test_the_number_of_blobs_is_found(k):
    vectors, _ = blobs(k, 600 // k)
    found, tried = choosing.chosen(vectors, seed=0)
    assert 1 / choosing.STEP <= found / k <= choosing.STEP and found in [one.k for one in tried]


def test_what_is_all_alike_is_one_cluster():
    vectors = np.tile(blobs(1, 1)[0], (40, 1))
    assert choosing.chosen(vectors, seed=0)[0] == 1
    assert choosing.chosen(vectors[:2], seed=0) == (1, [])


def cloud(n, dim=DIM, *, seed=0, stretched=False):
    """Directions without clusters, about one of them; stretched: longer in some dimensions than in others."""
    random = np.random.default_rng(seed)
    spread = np.geomspace(1, 0.05, dim) if stretched else np.full(dim, 0.3)
    return directions((random.normal(size=dim) + spread * random.normal(size=(n, dim))).astype(np.float32))


@pytest.mark.parametrize("n", [40, 250])
@pytest.mark.parametrize("stretched", [False, True])
def test_where_nothing_stands_apart_there_is_one_cluster(n, stretched):
    for seed in range(3):
        assert choosing.chosen(cloud(n, seed=seed, stretched=stretched), seed=seed)[0] == 1


def test_what_stands_apart_by_chance_only_is_said_in_the_study():
    vectors, _ = blobs(5, 60)
    found, tried = choosing.chosen(vectors, seed=0)
    (asked,) = [one for one in tried if one.of_cloud is not None]
    assert asked.k == found == 5 and asked.of_cloud < asked.separation - 0.2


@pytest.mark.parametrize("n", [20, 900])  # fewer than dimensions, and more
def test_a_cloud_has_the_shape_of_the_vectors(n):
    vectors = cloud(n, stretched=True)
    centred = vectors - vectors.mean(axis=0)
    root = choosing._root(centred)
    np.testing.assert_allclose(root.T @ root, centred.T @ centred / n, atol=1e-6)


def test_progress_is_told_for_each_number_tried():
    told = []
    _, tried = choosing.chosen(blobs(3, 20)[0], seed=0, on_progress=lambda *now: told.append(now))
    assert told == [(place, len(tried)) for place in range(len(tried))]


@pytest.mark.parametrize(
    ("separation", "of_cloud", "passages", "apart"),
    [
        (0.244, 0.220, 2_888, True),  # 3 % less is left than in a cloud
        (0.235, 0.220, 2_888, False),
        (0.32, 0.22, 40, False),  # 15 %: among so few that is chance
        (0.34, 0.22, 40, True),
        (0.08, 0.10, 10**6, False),
        (1.0, 0.9, 12, True),
    ],
)
def test_more_is_needed_of_few_passages_than_of_many(separation, of_cloud, passages, apart):
    one = choosing.Tried(k=2, separation=separation, stability=1.0, of_cloud=of_cloud)
    assert choosing.stands_apart(one, passages) is apart


def test_numbers_tried_grow_by_a_quarter_and_leave_each_cluster_enough():
    tried = choosing.numbers_tried(300)
    assert tried[:6] == [2, 3, 4, 5, 6, 8] and tried[-1] * choosing.PASSAGES_PER_CLUSTER <= 300
    assert choosing.numbers_tried(1) == []


def test_hdbscan_finds_blobs_and_leaves_out_what_lies_between():
    vectors, true = blobs(4, 40, spread=0.03)
    between = directions(np.random.default_rng(9).normal(size=(12, DIM)).astype(np.float32))
    found = density.hdbscan(np.concatenate([vectors, between]), seed=0)
    assert len(found.centroids) == 4 and adjusted_rand(found.numbers[:160], true) == 1
    assert (found.numbers[160:] == -1).mean() > 0.8


def test_hdbscan_of_a_sample_takes_in_the_others(monkeypatch):
    monkeypatch.setattr(density, "MOST", 120)
    vectors, true = blobs(4, 100, spread=0.03)
    found = density.hdbscan(vectors, seed=0)
    inside = found.numbers >= 0
    assert inside.mean() > 0.9 and adjusted_rand(found.numbers[inside], true[inside]) == 1


def test_what_hdbscan_left_out_and_what_comes_later_follow_one_rule():
    """Every vector is in the nearest cluster or below its floor, and most are as HDBSCAN itself has them."""
    vectors, _ = blobs(4, 40, spread=0.12)
    mixed = np.concatenate([vectors, cloud(60, seed=3)])
    found = density.hdbscan(mixed, seed=0)
    near, cosines = kmeans.nearest(mixed, found.centroids)
    assert (found.numbers == np.where(cosines >= found.floors[near], near, -1)).all()
    itself = density._dense(mixed, density.least_size(len(mixed)))
    assert ((itself >= 0) == (found.numbers >= 0)).mean() > 0.9


@pytest.mark.parametrize(
    ("cosines", "inside", "expected"),
    [
        ([0.9, 0.8, 0.7], [True, True, True], 0.7),
        ([0.9, 0.8, 0.7], [True, True, False], 0.8),
        ([0.9, 0.8, 0.7, 0.6], [True, False, True, False], 0.7),  # one error either way: the larger cluster
        ([0.9, 0.8, 0.7, 0.6], [True, False, False, True], 0.9),
        ([0.9, 0.9, 0.9], [True, False, False], 0.9),  # it has a member, whatever that costs
        ([0.9], [False], np.inf),
    ],
)
def test_a_floor_judges_as_few_as_possible_otherwise(cosines, inside, expected):
    floor = density._floor(np.array(cosines, dtype=np.float32), np.array(inside))
    assert floor == pytest.approx(expected, abs=1e-5) and floor <= np.float32(expected)


@pytest.mark.parametrize(("count", "clusters"), [(4, 0), (5, 1), (40, 1)])
def test_copies_are_one_dense_cluster_if_they_are_enough(count, clusters):
    found = density.hdbscan(np.tile(blobs(1, 1)[0], (count, 1)), seed=0)
    assert len(found.centroids) == len(found.floors) == clusters
    assert set(found.numbers.tolist()) == {clusters - 1}


def test_the_smallest_dense_cluster_can_be_asked_for():
    vectors = np.concatenate([blobs(3, 30, spread=0.03)[0], blobs(1, 8, spread=0.03, seed=5)[0]])
    assert [len(density.hdbscan(vectors, seed=0, least=least).centroids) for least in (5, 12)] == [4, 3]


def test_hdbscan_of_few_or_of_noise_may_find_nothing():
    few = density.hdbscan(blobs(2, 3)[0], seed=0)
    assert (few.numbers == -1).all() and few.centroids.shape == (0, DIM)


def test_the_fewest_clusters_of_those_that_stand_about_as_well_apart_are_chosen():
    def tried(k, separation, stability=0.8):
        return choosing.Tried(k=k, separation=separation, stability=stability)

    assert choosing.choose([tried(2, 0.30), tried(8, 0.396), tried(10, 0.40)]) == 8
    assert choosing.choose([tried(2, 0.30), tried(8, 0.390), tried(10, 0.40)]) == 10
    assert choosing.choose([tried(2, 0.30), tried(8, 0.396, 0.39), tried(10, 0.40)]) == 10
    assert choosing.choose([tried(2, 0.0), tried(3, -0.1)]) == choosing.choose([]) == 1
    assert choosing.choose([tried(2, 0.3, 0.18), tried(3, 0.2, 0.13)]) == 1  # no seed finds them again


def test_noise_stands_the_less_apart_the_more_clusters_it_is_cut_into():
    noise = directions(np.random.default_rng(0).normal(size=(300, DIM)).astype(np.float32))
    found = [choosing.separation(noise, kmeans.kmeans(noise, k, seed=0)) for k in (2, 10, 30, 100)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.1
    vectors, _ = blobs(10, 30)
    assert choosing.separation(vectors, kmeans.kmeans(vectors, 10, seed=0)) > 0.8
