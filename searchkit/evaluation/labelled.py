"""Clustering and classification: do texts of one label lie together, and can labels be told apart?

The figure is that of the field's protocol. How sure it is does not show in the protocol's repeats, which all
see the same texts: so the same is done in blocks of texts that share none, neither those that were learned
from. Both are kept as numbers, of clusters or of labels: (repeats, n), rows of the protocol first, then
BLOCK_SEEDS of the blocks, in which each text has what was found in its own block.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Float64Vector, Int64Vector
from searchkit.evaluation import grouping, statistics
from searchkit.evaluation.measured import Encode, Kind, Measured
from searchkit.evaluation.sets import LabelledSet

SEEDS = 10
BATCH = 500  # texts of a step of mini-batch k-means, as MTEB has it
PER_LABEL = 16  # labelled texts to learn from, as MTEB has it for Banking77 and most others; some take 32
ROUNDS = 10  # of drawing them
STEPS = 100  # of logistic regression at most
BLOCKS = 10  # of so many, eight that agree are no chance after three comparisons
BLOCK_SEEDS = 3
IN_A_BLOCK = 2  # texts of each label at least: of one each, every clustering is right

Numbers = npt.NDArray[np.int64]  # (repeats, n)


def measure_clustering(judged: LabelledSet, encode: Encode, *, seeds: int = SEEDS) -> Mapping[str, Measured]:
    """Under each labelling: v-measure of as many clusters as labels, mean over seeds.

    Mini-batch k-means as in MTEB (Muennighoff et al. 2023), beginnings by k-means++; v-measure of Rosenberg
    and Hirschberg 2007, beta 1. Items are blocks.
    """
    vectors = encode(judged.texts, "document")
    groups = grouping.by_text(judged.texts)
    found = {}
    for column, names in judged.labels.items():
        labels = numbered(names)
        clusters = clusters_of(vectors, labels, groups, seeds)
        scores = {"v_measure": v_measure(labels, clusters, seeds)}
        blocks = v_measures_apart(labels, clusters, groups, seeds)
        counts = {"texts": len(labels), "labels": grouping.count(labels)}
        found[column] = _measured("clustering", scores, blocks, counts)
    return found


def clusters_of(
    vectors: Float32Matrix, labels: Int64Vector, groups: Int64Vector, seeds: int = SEEDS
) -> Numbers:
    """(seeds + BLOCK_SEEDS, n) clusters: of all texts, then of each block alone; -1 without blocks."""
    found = np.full((seeds + BLOCK_SEEDS, len(labels)), -1, dtype=np.int64)
    for seed in range(seeds):
        found[seed] = clustered(vectors, grouping.count(labels), seed)
    for own in blocks_of_texts(labels, groups):
        for seed in range(BLOCK_SEEDS):
            found[seeds + seed, own] = clustered(vectors[own], grouping.count(labels[own]), seed)
    return found


def v_measure(labels: Int64Vector, clusters: Numbers, seeds: int = SEEDS) -> float:
    """Mean over the seeds of all texts."""
    return _v_measure(labels, clusters[:seeds])


def v_measures_apart(
    labels: Int64Vector, clusters: Numbers, groups: Int64Vector, seeds: int = SEEDS
) -> Float64Vector:
    """(b,) the mean of each block; none where texts are too few for LEAST_BLOCKS."""
    blocks = blocks_of_texts(labels, groups)
    return np.asarray([_v_measure(labels[own], clusters[seeds:, own]) for own in blocks], dtype=np.float64)


def blocks_of_texts(labels: Int64Vector, groups: Int64Vector) -> list[Int64Vector]:
    """Places of texts in BLOCKS parts, or in as many as the labels allow."""
    parts = min(BLOCKS, grouping.count(groups) // (IN_A_BLOCK * grouping.count(labels))) if len(labels) else 0
    return grouping.dealt(groups, labels, parts) if parts >= statistics.LEAST_BLOCKS else []


def _v_measure(labels: Int64Vector, clusters: Numbers) -> float:
    from sklearn.metrics import v_measure_score

    return float(np.mean([v_measure_score(labels, one) for one in clusters]))


def clustered(vectors: Float32Matrix, k: int, seed: int) -> Int64Vector:
    """The number of each row's cluster, from 0, by mini-batch k-means. Returns: (n,) int64."""
    from sklearn.cluster import MiniBatchKMeans

    made = MiniBatchKMeans(k, batch_size=BATCH, n_init="auto", random_state=seed)
    numbers: Int64Vector = made.fit_predict(vectors).astype(np.int64)
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Labels of the texts to learn from and of those asked, as the same numbers, and their groups.

    per_label: texts of each label that are learned from, drawn from those to learn from.
    """

    learned: Int64Vector
    asked: Int64Vector
    learned_groups: Int64Vector
    asked_groups: Int64Vector
    per_label: int = PER_LABEL

    @classmethod
    def of(cls, train: LabelledSet, test: LabelledSet, column: str, per_label: int = PER_LABEL) -> Lesson:
        """Of a labelling of two sets."""
        numbers = numbered([*train.labels[column], *test.labels[column]])
        return cls(
            learned=numbers[: len(train.texts)],
            asked=numbers[len(train.texts) :],
            learned_groups=grouping.by_text(train.texts),
            asked_groups=grouping.by_text(test.texts),
            per_label=per_label,
        )

    def part(self, learned: Int64Vector, asked: Int64Vector) -> Lesson:
        """The Lesson of the texts at these places."""
        return replace(
            self,
            learned=self.learned[learned],
            asked=self.asked[asked],
            learned_groups=self.learned_groups[learned],
            asked_groups=self.asked_groups[asked],
        )

    def blocks(self) -> list[tuple[Int64Vector, Int64Vector]]:
        """(to learn from, asked) of each of up to BLOCKS blocks: as many as the rarest label has texts.

        At least LEAST_BLOCKS, so that a rare label may be missing in some; none where texts are too few.
        """
        rarest = int(np.unique(self.learned, return_counts=True)[1].min()) if len(self.learned) else 0
        parts = min(BLOCKS, max(statistics.LEAST_BLOCKS, rarest))
        texts = min(grouping.count(self.learned_groups), grouping.count(self.asked_groups))
        if texts < IN_A_BLOCK * parts:
            return []
        sides = (
            grouping.dealt(self.learned_groups, self.learned, parts),
            grouping.dealt(self.asked_groups, self.asked, parts),
        )
        made = list(zip(*sides, strict=True))
        several = all(grouping.count(self.learned[own]) > 1 for own, _ in made)
        return made if several else []  # of one label alone no regression is fitted


def measure_classification(
    train: LabelledSet, test: LabelledSet, encode: Encode, *, per_label: int = PER_LABEL, rounds: int = ROUNDS
) -> Mapping[str, Measured]:
    """Under each labelling: accuracy of a logistic regression on frozen vectors.

    MTEB's protocol: `per_label` texts of each label are drawn from `train`, all where there are fewer, the
    regression runs at most 100 steps with scikit-learn's defaults, and accuracy on the whole of `test` is
    averaged over `rounds` draws. Also macro F1. Items are blocks.
    """
    from sklearn.metrics import f1_score

    known, asked = encode(train.texts, "document"), encode(test.texts, "document")
    found = {}
    for column in train.labels:
        lesson = Lesson.of(train, test, column, per_label)
        guesses = guesses_of(known, asked, lesson, rounds)
        scores = {
            "accuracy": accuracy(lesson, guesses, rounds),
            "f1": float(np.mean([f1_score(lesson.asked, one, average="macro") for one in guesses[:rounds]])),
        }
        counts = {"texts": len(lesson.asked), "labels": grouping.count(lesson.learned)}
        blocks = accuracies_apart(lesson, guesses, rounds)
        found[column] = _measured("classification", scores, blocks, counts)
    return found


def guesses_of(known: Float32Matrix, asked: Float32Matrix, lesson: Lesson, rounds: int = ROUNDS) -> Numbers:
    """(rounds + BLOCK_SEEDS, n) guessed labels: learned from all, then within blocks; -1 without blocks."""
    found = np.full((rounds + BLOCK_SEEDS, len(lesson.asked)), -1, dtype=np.int64)
    for seed in range(rounds):
        found[seed] = predicted(known, lesson.learned, asked, seed=seed, per_label=lesson.per_label)
    for own, questions in lesson.blocks():
        labels = lesson.learned[own]
        drawn_anew = int(np.unique(labels, return_counts=True)[1].max()) > lesson.per_label
        for seed in range(BLOCK_SEEDS):
            if seed and not drawn_anew:  # the same texts give the same regression
                found[rounds + seed, questions] = found[rounds, questions]
                continue
            found[rounds + seed, questions] = predicted(
                known[own], labels, asked[questions], seed=seed, per_label=lesson.per_label
            )
    return found


def accuracy(lesson: Lesson, guesses: Numbers, rounds: int = ROUNDS) -> float:
    """Mean over the draws from all texts."""
    return float((guesses[:rounds] == lesson.asked).mean())


def accuracies_apart(lesson: Lesson, guesses: Numbers, rounds: int = ROUNDS) -> Float64Vector:
    """(b,) the mean of each block; none where texts are too few for LEAST_BLOCKS."""
    right = guesses[rounds:] == lesson.asked
    return np.asarray([right[:, own].mean() for _, own in lesson.blocks()], dtype=np.float64)


def predicted(
    known: Float32Matrix,
    labels: Int64Vector,
    asked: Float32Matrix,
    *,
    seed: int,
    per_label: int = PER_LABEL,
) -> Int64Vector:
    """Labels of the rows of `asked`, by logistic regression on texts of each label drawn from `known`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows = drawn(labels.tolist(), per_label, seed)
    head = LogisticRegression(max_iter=STEPS, random_state=seed)
    with warnings.catch_warnings():  # that 100 steps were not enough is part of the protocol
        warnings.simplefilter("ignore", ConvergenceWarning)
        said: Int64Vector = head.fit(known[rows], labels[rows]).predict(asked)
    return said


def drawn(labels: Sequence[int | str], per_label: int, seed: int) -> Int64Vector:
    """Positions of up to `per_label` texts of each label, shuffled."""
    order = np.random.default_rng(seed).permutation(len(labels))
    taken: dict[int | str, int] = {}
    rows = []
    for row in order.tolist():
        taken[labels[row]] = taken.get(labels[row], 0) + 1
        if taken[labels[row]] <= per_label:
            rows.append(row)
    return np.asarray(rows, dtype=np.int64)


def numbered(labels: Sequence[str]) -> Int64Vector:
    """(n,) numbers from 0 by the order of the labels' names."""
    numbers: Int64Vector = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return numbers


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


def _measured(
    kind: Kind, scores: Mapping[str, float], blocks: Float64Vector, counts: Mapping[str, int]
) -> Measured:
    main = next(iter(scores))
    low, high = statistics.blocks_interval(scores[main], blocks)
    return Measured(
        kind=kind,
        main=main,
        measures={name: 100 * value for name, value in scores.items()},
        items={"block": blocks.tolist()},
        counts=counts,
        low=100 * low,
        high=100 * high,
    )
