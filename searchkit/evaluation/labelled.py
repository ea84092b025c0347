"""Clustering and classification: do texts of one label lie together, and can labels be told apart?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.evaluation import statistics
from searchkit.evaluation.measured import Encode, Kind, Measured
from searchkit.evaluation.sets import LabelledSet

SEEDS = 10
BATCH = 500  # texts of a step of mini-batch k-means, as MTEB has it
PER_LABEL = 16  # labelled texts to learn from, as MTEB has it for Banking77 and most others; some take 32
ROUNDS = 10  # of drawing them
STEPS = 100  # of logistic regression at most


def measure_clustering(judged: LabelledSet, encode: Encode, *, seeds: int = SEEDS) -> Mapping[str, Measured]:
    """Under each labelling: v-measure of as many clusters as labels, mean over seeds.

    Mini-batch k-means as in MTEB (Muennighoff et al. 2023), beginnings by k-means++; v-measure of Rosenberg
    and Hirschberg 2007, beta 1. Items are seeds.
    """
    from sklearn.metrics import v_measure_score

    vectors = encode(judged.texts, "document")
    found = {}
    for column, labels in judged.labels.items():
        k = len(set(labels))
        scores = [float(v_measure_score(labels, clustered(vectors, k, seed))) for seed in range(seeds)]
        found[column] = _of_seeds("clustering", "v_measure", {"v_measure": scores}, len(labels), k)
    return found


def clustered(vectors: Float32Matrix, k: int, seed: int) -> Int64Vector:
    """The number of each row's cluster, from 0, by mini-batch k-means. Returns: (n,) int64."""
    from sklearn.cluster import MiniBatchKMeans

    made = MiniBatchKMeans(k, batch_size=BATCH, n_init="auto", random_state=seed)
    numbers: Int64Vector = made.fit_predict(vectors).astype(np.int64)
    return numbers


def measure_classification(
    train: LabelledSet, test: LabelledSet, encode: Encode, *, per_label: int = PER_LABEL, rounds: int = ROUNDS
) -> Mapping[str, Measured]:
    """Under each labelling: accuracy of a logistic regression on frozen vectors.

    MTEB's protocol: `per_label` texts of each label are drawn from `train`, all where there are fewer, the
    regression runs at most 100 steps with scikit-learn's defaults, and accuracy on the whole of `test` is
    averaged over `rounds` draws. Also macro F1. Items are draws.
    """
    from sklearn.metrics import accuracy_score, f1_score

    known, asked = encode(train.texts, "document"), encode(test.texts, "document")
    found = {}
    for column, labels in train.labels.items():
        columns: dict[str, list[float]] = {"accuracy": [], "f1": []}
        for seed in range(rounds):
            said = predicted(known, labels, asked, seed=seed, per_label=per_label)
            columns["accuracy"].append(float(accuracy_score(test.labels[column], said)))
            columns["f1"].append(float(f1_score(test.labels[column], said, average="macro")))
        found[column] = _of_seeds("classification", "accuracy", columns, len(test.texts), len(set(labels)))
    return found


def predicted(
    known: Float32Matrix,
    labels: Sequence[str],
    asked: Float32Matrix,
    *,
    seed: int,
    per_label: int = PER_LABEL,
) -> npt.NDArray[np.str_]:
    """Labels of the rows of `asked`, by logistic regression on texts of each label drawn from `known`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows = drawn(labels, per_label, seed)
    head = LogisticRegression(max_iter=STEPS, random_state=seed)
    with warnings.catch_warnings():  # that 100 steps were not enough is part of the protocol
        warnings.simplefilter("ignore", ConvergenceWarning)
        said: npt.NDArray[np.str_] = head.fit(known[rows], [labels[row] for row in rows]).predict(asked)
    return said


def drawn(labels: Sequence[str], per_label: int, seed: int) -> Int64Vector:
    """Positions of up to `per_label` texts of each label, shuffled."""
    order = np.random.default_rng(seed).permutation(len(labels))
    taken: dict[str, int] = {}
    rows = []
    for row in order.tolist():
        taken[labels[row]] = taken.get(labels[row], 0) + 1
        if taken[labels[row]] <= per_label:
            rows.append(row)
    return np.asarray(rows, dtype=np.int64)


def split(judged: LabelledSet, share: float, seed: int = 0) -> tuple[LabelledSet, LabelledSet]:
    """A set in two, equal texts on one side; for sets of which no part to learn from is at hand."""
    different = sorted(set(judged.texts))
    chosen = np.random.default_rng(seed).permutation(len(different))[: round(share * len(different))]
    train = {different[row] for row in chosen.tolist()}
    rows = [row for row, text in enumerate(judged.texts) if text in train]
    others = [row for row, text in enumerate(judged.texts) if text not in train]
    return _part(judged, rows), _part(judged, others)


def _part(judged: LabelledSet, rows: Sequence[int]) -> LabelledSet:
    return LabelledSet(
        texts=tuple(judged.texts[row] for row in rows),
        labels={column: tuple(labels[row] for row in rows) for column, labels in judged.labels.items()},
    )


def _of_seeds(
    kind: Kind, main: str, columns: Mapping[str, Sequence[float]], texts: int, labels: int
) -> Measured:
    low, high = statistics.mean_interval(np.asarray(columns[main]))
    return Measured(
        kind=kind,
        main=main,
        measures={name: 100 * float(np.mean(values)) for name, values in columns.items()},
        items=columns,
        counts={"texts": texts, "labels": labels},
        low=100 * low,
        high=100 * high,
    )
