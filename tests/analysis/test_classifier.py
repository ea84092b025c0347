"""Fitting, calibrating and abstaining, on vectors made for the purpose, with scikit-learn as judge."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from searchkit.analysis.classifier import class_means, judge, softmax
from searchkit.analysis.classifier_fitting import (
    Examples,
    fit,
    fitted,
    folds_of,
    sampled,
    temperature_of,
)
from searchkit.analysis.classifier_scores import calibration_error, class_scores, log_loss, reach


def blobs(count, classes, spread, seed=0, dim=16):
    """Directions around a middle for each class; the middles themselves are always the same."""
    middles = np.random.default_rng(7).normal(size=(classes, dim))
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    vectors = middles[labels] + spread * rng.normal(size=(count, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = tuple(f"class {number}" for number in range(classes))
    return Examples(vectors.astype(np.float32), labels, np.arange(count), names)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_before_calibration_probabilities_are_those_of_scikit_learn(classes):
    learnt, asked = blobs(200, classes, 1.5), blobs(100, classes, 1.5, seed=1)
    weights, intercepts = fitted(learnt.vectors, learnt.labels, 3.0, classes)
    own = softmax(asked.vectors.astype(np.float64) @ weights.T + intercepts)
    peer = LogisticRegression(C=3.0, max_iter=1000).fit(learnt.vectors.astype(np.float64), learnt.labels)
    np.testing.assert_allclose(own, peer.predict_proba(asked.vectors.astype(np.float64)), atol=1e-6)


def test_a_class_without_examples_is_the_least_probable_one():
    learnt = blobs(60, 3, 1.0)
    kept = learnt.labels != 1
    weights, intercepts = fitted(learnt.vectors[kept], learnt.labels[kept], 1.0, 3)
    assert np.isfinite(weights).all() and np.isfinite(intercepts).all() and intercepts.argmin() == 1
    weights, intercepts = fitted(learnt.vectors[:5], np.full(5, 2), 1.0, 3)
    assert intercepts.tolist() == [-1, -1, 0]


def test_what_belongs_together_is_in_one_fold_and_every_class_in_two():
    labels = np.array([0] * 20 + [1] * 10 + [2, 2])
    groups = np.array([*np.repeat(np.arange(5), 4), *np.arange(10, 20), 30, 31])
    for seed in range(20):
        folds = folds_of(labels, groups, 3, seed)
        assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
        assert all(len(set(folds[labels == label])) >= 2 for label in range(3))
        assert np.bincount(folds).max() - np.bincount(folds).min() <= 4
    assert (folds_of(labels, groups, 3, 5) == folds_of(labels, groups, 3, 5)).all()
    assert any((folds_of(labels, groups, 3, 5) != folds_of(labels, groups, 3, seed)).any() for seed in (6, 7))


def test_one_text_with_two_labels_takes_no_class_its_second_fold():
    labels, groups = np.array([0, 1, 0, 1, 0, 0]), np.array([1, 1, 2, 3, 4, 5])
    for seed in range(20):
        folds = folds_of(labels, groups, 2, seed)
        assert folds[0] == folds[1] and folds[1] != folds[3]


@pytest.mark.parametrize("scale", [0.1, 0.5, 4.0])
def test_a_temperature_undoes_a_scale_and_lowers_the_loss_of_texts_it_has_not_seen(scale):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4_000, 5)) * 2
    labels = np.array([rng.choice(5, p=row) for row in softmax(logits)])
    found = temperature_of(logits[:2_000] * scale, labels[:2_000])
    assert found == pytest.approx(scale, rel=0.1)
    before, after = softmax(logits[2_000:] * scale), softmax(logits[2_000:] * scale / found)
    assert log_loss(after, labels[2_000:]) < log_loss(before, labels[2_000:]) - 0.01
    right = logits[2_000:].argmax(axis=1) == labels[2_000:]
    assert calibration_error(after.max(axis=1), right) < calibration_error(before.max(axis=1), right)


def test_few_texts_without_a_mistake_make_nothing_certain():
    logits = np.eye(2)[[0, 1] * 5]
    sure = softmax(logits / temperature_of(logits, np.array([0, 1] * 5))).max()
    assert sure == pytest.approx(1 - 1 / 12, abs=1e-3)


def test_figures_are_those_counted_by_hand():
    true, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    first, second, third = class_scores(true, said, ("a", "b", "c"))
    assert (first.precision, first.recall, first.texts) == (0.5, pytest.approx(2 / 3), 3)
    assert (second.precision, second.recall, second.f1) == (0.5, 0.5, 0.5)
    assert (third.precision, third.recall, third.f1) == (0, 0, 0)
    top, right = np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, True, True, False])
    assert calibration_error(top, right) == pytest.approx((0.1 + 0.1) / 4)
    assert log_loss(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])) == pytest.approx(
        (np.log(2) + 15 * np.log(10)) / 2
    )


@pytest.mark.parametrize(("texts", "reached"), [(14, False), (15, True), (200, True)])
def test_a_precision_takes_enough_texts_to_be_promised(texts, reached):
    top, right = np.linspace(0.5, 0.9, texts), np.ones(texts, dtype=bool)
    found = reach(top, right, right, 0.9)
    assert (found is not None) == reached
    if found is not None:
        assert (found.threshold, found.coverage, found.precision) == (0.5, 1, 1)


def test_passages_of_few_documents_promise_nothing_however_many_they_are():
    """Each Document counts once, in the bound; the share of texts must be right as well."""
    top, right = np.linspace(0.5, 0.9, 400), np.ones(400, dtype=bool)
    assert reach(top, right, right, 0.9, np.full(400, 14 / 400)) is None
    assert reach(top, right, right, 0.9, np.full(400, 15 / 400)).coverage == 1
    wrong = np.arange(400) >= 100
    of_one = np.where(wrong, 1.0, 1 / 100)  # its 100 passages are all wrong, and the least probable
    assert reach(top, wrong, right, 0.9, of_one).coverage < 0.85
    learnt = blobs(400, 2, 0.2)
    documents = Examples(
        learnt.vectors, learnt.labels, learnt.labels + 2 * (np.arange(400) < 200), ("a", "b")
    )
    assert fit(documents, precision=0.8, seed=0)[1].reach is None
    assert fit(learnt, precision=0.8, seed=0)[1].reach is not None


def test_equal_probabilities_are_answered_together_and_what_is_unlike_is_not():
    top, right = np.full(100, 0.7), np.arange(100) % 10 > 0
    assert (
        reach(top, right, np.ones(100, dtype=bool), 0.9) is None
    )  # not by the 9 right ones that stand first
    known = np.arange(100) % 2 == 0
    assert reach(np.linspace(0.5, 1, 100), np.ones(100, dtype=bool), known, 0.9).coverage == 0.5
    assert reach(top, right, np.zeros(100, dtype=bool), 0.5) is None


@pytest.mark.slow
def test_the_promised_precision_is_kept_on_texts_it_has_not_seen():
    """In nine of ten trainings, and by nearly as much in the rest."""
    kept = []
    for seed in range(20):
        learnt, asked = blobs(300, 3, 1.7, seed=seed), blobs(3_000, 3, 1.7, seed=1_000 + seed)
        head, measured = fit(learnt, precision=0.9, seed=0)
        assert measured.accuracy < 0.88 and head.threshold is not None
        found = judge(head, asked.vectors, threshold=head.threshold)
        said = found.sure & found.known
        assert 0.1 < said.mean() < 1
        kept.append((found.best == asked.labels)[said].mean())
    assert np.mean(np.array(kept) >= 0.9) >= 0.8 and min(kept) > 0.86


def test_figures_of_folds_foretell_those_of_other_texts():
    learnt, asked = blobs(600, 4, 2.0), blobs(4_000, 4, 2.0, seed=1)
    head, measured = fit(learnt, precision=0.9, seed=0)
    found = judge(head, asked.vectors, threshold=head.threshold)
    assert measured.accuracy == pytest.approx((found.best == asked.labels).mean(), abs=0.04)
    assert measured.log_loss[1] == pytest.approx(log_loss(found.probabilities, asked.labels), abs=0.06)
    assert measured.log_loss[1] < measured.log_loss[0]
    assert measured.calibration_error[1] < 0.06 and measured.unlike == pytest.approx(0.02, abs=0.01)
    assert measured.baseline == 0.25 and measured.texts == 600


def test_the_same_seed_gives_the_same_numbers():
    first, second = (fit(blobs(90, 3, 1.0), precision=0.9, seed=3) for _ in range(2))
    assert first[0].weights.tobytes() == second[0].weights.tobytes()
    assert first[1] == second[1] and first[0].floor == second[0].floor


def test_copies_on_both_sides_do_not_flatter():
    """A text that stands there five times is never asked of a classifier that has learnt it."""
    noise = np.random.default_rng(0)
    vectors = noise.normal(size=(80, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = noise.integers(0, 2, 80)
    rows = np.repeat(np.arange(80), 5)
    copies = Examples(vectors[rows], labels[rows], rows, ("a", "b"))
    leaking = Examples(vectors[rows], labels[rows], np.arange(400), ("a", "b"))
    assert fit(copies, precision=0.9, seed=0)[1].accuracy < 0.7
    assert fit(leaking, precision=0.9, seed=0)[1].accuracy > 0.9


def test_more_texts_than_strength_is_chosen_on(monkeypatch):
    monkeypatch.setattr("searchkit.analysis.classifier_fitting.CHOSEN_ON", 100)
    seen = []
    head, measured = fit(
        blobs(400, 3, 1.0), precision=0.9, seed=0, on_fit=lambda *progress: seen.append(progress)
    )
    assert measured.texts == 400 and measured.accuracy > 0.9 and len(head.classes) == 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and seen[-1][0] <= seen[-1][1]


def test_strength_is_chosen_on_all_classes_and_folds_though_one_document_has_nearly_all_texts(monkeypatch):
    monkeypatch.setattr("searchkit.analysis.classifier_fitting.CHOSEN_ON", 100)
    learnt = blobs(900, 3, 1.0)
    groups = np.where((learnt.labels == 0) & (np.arange(900) > 60), -1, np.arange(900))
    folds = folds_of(learnt.labels, groups, 3, 0)
    for seed in range(5):
        rows = sampled(learnt.labels, folds, seed)
        assert 90 <= len(rows) <= 115 and len(set(rows.tolist())) == len(rows)
        assert len(set(zip(learnt.labels[rows], folds[rows], strict=True))) == 15
        assert np.bincount(learnt.labels[rows]).min() > 25
    head, measured = fit(
        Examples(learnt.vectors, learnt.labels, groups, learnt.classes), precision=0.9, seed=0
    )
    assert measured.accuracy > 0.9 and np.isfinite(head.weights).all()


def test_what_is_unlike_everything_is_not_known_however_probable():
    learnt = blobs(90, 3, 0.2)
    head, _ = fit(learnt, precision=0.9, seed=0)
    away = -learnt.vectors[:3].sum(axis=0, keepdims=True)
    away /= np.linalg.norm(away)
    found = judge(head, away.astype(np.float32), threshold=0.0)
    assert not found.known[0] and found.sure[0]
    assert judge(head, away.astype(np.float32), threshold=0.0, always=True).known[0]
    assert judge(head, learnt.vectors, threshold=head.threshold).known.mean() > 0.97
    assert judge(head, learnt.vectors[:0], threshold=None).best.shape == (0,)


def test_vectors_that_are_all_the_same_give_probabilities_and_no_warning():
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (40, 1))
    examples = Examples(vectors, np.arange(40) % 2, np.arange(40), ("a", "b"))
    head, measured = fit(examples, precision=0.9, seed=0)
    found = judge(head, vectors[:1], threshold=head.threshold)
    np.testing.assert_allclose(found.probabilities, 0.5, atol=0.05)
    assert head.threshold is None and measured.reach is None and found.known[0] and not found.sure[0]


def test_opposite_vectors_have_no_mean_and_no_nan():
    vectors = np.array([[1, 0], [-1, 0], [0, 1]], dtype=np.float32)
    assert class_means(vectors, np.array([0, 0, 1]), 2).tolist() == [[0, 0], [0, 1]]
