"""Fits a classifier to labelled vectors, and measures it on texts that it was not fitted to.

The head is scikit-learn's logistic regression (lbfgs, at most 1,000 steps). Every figure comes from folds in
which no text, and no other passage of its Document, is both learnt and asked. How strongly weights are held
back, C, and the temperature are chosen for each fold by the others, for the classifier itself by all.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from searchkit.analysis.classifier import class_means, nearest_cosine, softmax
from searchkit.analysis.classifier_scores import (
    ClassScore,
    Reach,
    calibration_error,
    class_scores,
    log_loss,
    reach,
)
from searchkit.arrays import BoolVector, Float32Matrix, Float64Matrix, Float64Vector, Int64Vector
from searchkit.library.classifiers import Head

FOLDS = 5
# A weak classifier with a temperature is better calibrated than a strong one without (LOG "how is a
# classifier calibrated?"): the best is between 0.3 and 30 on five sets.
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
CHOSEN_ON = 5_000  # texts: C takes 25 fits, each of which takes 3 s with 16,000 texts and 20 classes
STEPS = 1_000
HOTTEST = 3.0  # the temperature lies between exp(-3) and exp(3)
HALVINGS = 30
UNLIKE = 0.02  # of the labelled texts are less like every class, held out, than the floor
SLACK = 1e-6  # of a cosine: rounding makes no text unlike itself
PRECISIONS = (0.8, 0.9, 0.95, 0.98)

OnFit = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled vectors: (n, dim) float32 of length 1; labels (n,), rows of `classes`; groups (n,).

    What has one group is never parted: the same text, or passages of one Document.
    """

    vectors: Float32Matrix
    labels: Int64Vector
    groups: Int64Vector
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and what was asked for. strength: C; precision: of the answers that are given."""

    folds: int
    strength: float
    temperature: float
    precision: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured on held-out texts. Errors and losses: before the temperature, and with it."""

    texts: int
    choice: Choice
    accuracy: float
    baseline: float  # accuracy of always saying the most frequent class
    macro_f1: float
    calibration_error: tuple[float, float]
    log_loss: tuple[float, float]
    classes: tuple[ClassScore, ...]
    reach: Reach | None  # at the precision asked for; None: it cannot be reached
    reaches: tuple[tuple[float, Reach | None], ...]  # at other precisions
    unlike: float  # share of the texts that is held back as unlike all others


def fit(
    examples: Examples, *, precision: float, seed: int, on_fit: OnFit | None = None
) -> tuple[Head, Measured]:
    """Fit a classifier. Two classes at least, each in two groups at least.

    precision: of the answers that are given. on_fit: told how many fits of how many are done.
    """
    folds = folds_of(examples.labels, examples.groups, len(examples.classes), seed)
    count = int(folds.max()) + 1
    sample = sampled(examples.labels, folds, seed)
    whole = len(sample) == len(examples.labels)
    total = count * len(STRENGTHS) + (0 if whole else count) + 1
    done = iter(range(1, total + 1))

    def tick() -> None:
        at = next(done)
        if on_fit is not None:
            on_fit(at, total)

    tried = _tried(examples, folds, sample, tick)
    chosen, by_fold = _strengths(tried, examples.labels[sample], folds[sample], count)
    if whole:
        logits = tried[chosen]
        asked = np.empty_like(logits)
        for fold, here in enumerate(_each(folds)):
            asked[here] = tried[by_fold[fold]][here]
    else:
        logits = asked = _held_out(examples, folds, np.arange(len(folds)), STRENGTHS[chosen], tick)
    labels = examples.labels
    probabilities = np.empty_like(asked)
    for here in _each(folds):
        probabilities[here] = softmax(asked[here] / temperature_of(asked[~here], labels[~here]))
    likeness = _held_out_likeness(examples, folds)
    floor = float(np.quantile(likeness, UNLIKE, method="lower")) - SLACK
    temperature = temperature_of(logits, labels)
    measured = _measured(
        examples,
        softmax(asked),
        probabilities,
        likeness >= floor,
        Choice(folds=count, strength=STRENGTHS[chosen], temperature=temperature, precision=precision),
    )
    weights, intercepts = fitted(examples.vectors, labels, STRENGTHS[chosen], len(examples.classes))
    tick()
    head = Head(
        classes=examples.classes,
        weights=weights,
        intercepts=intercepts,
        means=class_means(examples.vectors, labels, len(examples.classes)),
        temperature=temperature,
        floor=floor,
        threshold=measured.reach.threshold if measured.reach else None,
        precision=precision,
    )
    return head, measured


# -------------------------------------------------------------------- folds


def folds_of(labels: Int64Vector, groups: Int64Vector, classes: int, seed: int) -> Int64Vector:
    """A fold for each example, the same for all of a group, each class spread as evenly as groups allow.

    Returns: (n,) int64 from 0. A class that is in two groups is in two folds.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = min(FOLDS, int(group.max()) + 1)
    held = np.zeros((int(group.max()) + 1, classes), dtype=np.int64)
    np.add.at(held, (group.ravel(), labels), 1)
    rarity = (held > 0).sum(axis=0)  # groups of each class
    # A group goes by the rarest class in it: where labels of one text differ, none may lose its only fold.
    own = np.where(held > 0, rarity, np.iinfo(np.int64).max).argmin(axis=1)
    order = np.random.default_rng(seed).permutation(len(held))
    order = order[np.lexsort((-held[order].sum(axis=1), rarity[own[order]]))]
    filled = np.zeros((count, classes), dtype=np.int64)
    fold = np.empty(len(held), dtype=np.int64)
    for one in order.tolist():
        fold[one] = np.lexsort((filled.sum(axis=1), filled[:, own[one]]))[0]
        filled[fold[one]] += held[one]
    return fold[group.ravel()]


def sampled(labels: Int64Vector, folds: Int64Vector, seed: int) -> Int64Vector:
    """Rows on which C is chosen: all, or some at random, of each class in each fold its share, one at least.

    Of whole groups a few would do, where a Document has thousands of passages: one fold, perhaps one class.
    Returns: (m,) int64, ascending.
    """
    if len(labels) <= CHOSEN_ON:
        return np.arange(len(labels))
    stratum = np.unique(labels * (int(folds.max()) + 1) + folds, return_inverse=True)[1].ravel()
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(stratum[order], kind="stable")]
    sizes = np.bincount(stratum)
    place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wanted = np.maximum(sizes * CHOSEN_ON // len(labels), 1)
    rows = order[place < np.repeat(wanted, sizes)]
    rows.sort()
    return rows


# -------------------------------------------------------------------- fits


def fitted(
    vectors: Float32Matrix, labels: Int64Vector, strength: float, classes: int
) -> tuple[Float64Matrix, Float64Vector]:
    """Weights (classes, dim) and intercepts (classes,) of a logistic regression.

    The softmax of `vectors @ weights.T + intercepts` is scikit-learn's predict_proba, for two classes too. A
    class without examples is as improbable as the least probable other one.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weights, intercepts = np.zeros((classes, vectors.shape[1])), np.full(classes, np.nan)
    present = np.unique(labels)
    if len(present) == 1:
        intercepts[present] = 0.0
        intercepts[np.isnan(intercepts)] = -1.0
        return weights, intercepts
    model = LogisticRegression(C=strength, max_iter=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # where it stands then is judged on held-out texts
        model.fit(vectors.astype(np.float64), labels)
    rows, offsets = model.coef_, model.intercept_
    if len(present) == 2:  # one row stands for both
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    weights[present], intercepts[present] = rows, offsets
    intercepts[np.isnan(intercepts)] = offsets.min() - 1.0
    return weights, intercepts


def _held_out(
    examples: Examples, folds: Int64Vector, rows: Int64Vector, strength: float, tick: Callable[[], None]
) -> Float64Matrix:
    """Logits of `rows`, each from a fit to those of them in other folds. Returns: (len(rows), classes)."""
    vectors, labels, folds = examples.vectors[rows], examples.labels[rows], folds[rows]
    logits = np.zeros((len(rows), len(examples.classes)))
    for fold in range(int(folds.max()) + 1):
        here = folds == fold
        if here.any() and not here.all():
            weights, intercepts = fitted(vectors[~here], labels[~here], strength, len(examples.classes))
            logits[here] = vectors[here].astype(np.float64) @ weights.T + intercepts
        tick()
    return logits


def _held_out_likeness(examples: Examples, folds: Int64Vector) -> Float64Vector:
    """The cosine of each vector to the nearest class mean of the other folds."""
    likeness = np.empty(len(folds))
    for here in _each(folds):
        means = class_means(examples.vectors[~here], examples.labels[~here], len(examples.classes))
        likeness[here] = nearest_cosine(examples.vectors[here].astype(np.float64), means)
    return likeness


def _each(folds: Int64Vector) -> Iterator[BoolVector]:
    for fold in range(int(folds.max()) + 1):
        yield folds == fold


# -------------------------------------------------------------------- choices


def _tried(
    examples: Examples, folds: Int64Vector, rows: Int64Vector, tick: Callable[[], None]
) -> Float64Matrix:
    """Held-out logits of each strength, the weakest first, until two more only made it worse.

    Returns: (strengths, len(rows), classes).
    """
    labels, tried, means = examples.labels[rows], [], []
    for strength in STRENGTHS:
        tried.append(_held_out(examples, folds, rows, strength, tick))
        means.append(float(_losses(tried[-1], labels, temperature_of(tried[-1], labels)).mean()))
        if len(means) > 2 and means[-1] > means[-2] > means[-3]:  # strong ones cost the most steps
            break
    return np.stack(tried)


def _strengths(
    tried: Float64Matrix, labels: Int64Vector, folds: Int64Vector, count: int
) -> tuple[int, list[int]]:
    """Which strength has the least log loss with its temperature: over all folds, and without each of them.

    tried: (strengths, n, classes) held-out logits.
    """
    losses = np.stack([_losses(logits, labels, temperature_of(logits, labels)) for logits in tried])
    without = [int(losses[:, folds != fold].mean(axis=1).argmin()) for fold in range(count)]
    return int(losses.mean(axis=1).argmin()), without


def temperature_of(logits: Float64Matrix, labels: Int64Vector) -> float:
    """The number by which to divide logits so that their softmax has the least log loss (Guo et al. 2017).

    Of n texts that were all told right the next may still be wrong, by about 1 in n + 2: so much of each
    label is spread over the other classes (as Platt 1999 does), else few texts without a mistake would make
    everything certain.
    """
    low, high = -HOTTEST, HOTTEST
    for _ in range(HALVINGS):  # the loss is convex in 1 / temperature: its slope tells the side
        middle = (low + high) / 2
        if _slope(logits, labels, np.exp(-middle)) > 0:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def _slope(logits: Float64Matrix, labels: Int64Vector, sharpness: float) -> float:
    """The derivative of the smoothed log loss by 1 / temperature."""
    n, classes = logits.shape
    spread = 1.0 / (n + 2)
    own = logits[np.arange(n), labels]
    others = (logits.sum(axis=1) - own) / (classes - 1)
    expected = (softmax(logits * sharpness) * logits).sum(axis=1)
    return float((expected - (1 - spread) * own - spread * others).mean())


def _losses(logits: Float64Matrix, labels: Int64Vector, temperature: float) -> Float64Vector:
    scaled = logits / temperature
    top = scaled.max(axis=1)
    found: Float64Vector = (
        top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - scaled[np.arange(len(labels)), labels]
    )
    return found


# -------------------------------------------------------------------- figures


def _measured(
    examples: Examples,
    before: Float64Matrix,
    probabilities: Float64Matrix,
    known: BoolVector,
    choice: Choice,
) -> Measured:
    """before, probabilities: (n, classes), without and with the temperature."""
    labels = examples.labels
    best = probabilities.argmax(axis=1)
    rows = np.arange(len(best))
    right, top = best == labels, probabilities[rows, best]
    _, group, sizes = np.unique(examples.groups, return_inverse=True, return_counts=True)
    weights = 1.0 / sizes[group.ravel()]
    scores = class_scores(labels, best, examples.classes)
    return Measured(
        texts=len(labels),
        choice=choice,
        accuracy=float(right.mean()),
        baseline=float(np.bincount(labels).max() / len(labels)),
        macro_f1=float(np.mean([one.f1 for one in scores])),
        calibration_error=(
            calibration_error(before[rows, best], right),
            calibration_error(top, right),
        ),
        log_loss=(log_loss(before, labels), log_loss(probabilities, labels)),
        classes=scores,
        reach=reach(top, right, known, choice.precision, weights),
        reaches=tuple((one, reach(top, right, known, one, weights)) for one in PRECISIONS),
        unlike=float(1 - known.mean()),
    )
