"""A judged set to try Instructions on: items, and what each gives under an Instruction.

One form for all kinds of task, so that choosing, comparing and resampling know nothing of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Float64Vector, Int64Vector, top_k
from searchkit.errors import UsageError
from searchkit.evaluation import grouping, labelled, ranking, retrieval, sets, similarity, tasks
from searchkit.evaluation.candidates import Texts
from searchkit.evaluation.labelled import Lesson
from searchkit.evaluation.measured import Kind
from searchkit.evaluation.tasks import Task

# What n items gave under one Instruction: (repeats, n). Repeats are seeds or draws; one for most kinds.
Observed: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.int64]
# Texts under a literal Instruction -> (n, dim) float32, rows of length 1.
Embed: TypeAlias = Callable[[Sequence[str], str], Float32Matrix]
TOGETHER = 256  # queries scored at a time
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A judged set to try Instructions on.

    groups: (items,) numbers; items of one group (pairs that share a text, equal queries) stay together when
    items are split or drawn. observe: what these items give under the texts of both sides; that of an item
    may depend on the others. measure: the main measure, 0 to 1, of what was observed of these items, which
    may repeat. means: whether it is the mean of what was observed. blocks: (b,) the measure of each of b
    blocks of these items, observed apart, where what is observed of an item depends on all others; none where
    items are too few for blocks. undefined: why the measure is not defined on these items; None where it is.

    learned: (m,) groups of texts that are learned from, the rows after those of the items. They are split
    like items, or what is chosen by texts would be confirmed by the same texts. Rows of both are handed to
    observe, measure, blocks and undefined; what is observed is that of the items alone.
    """

    name: str
    kind: Kind
    main: str
    groups: Int64Vector
    observe: Callable[[Texts, Int64Vector], Observed]
    measure: Callable[[Observed, Int64Vector], float]
    means: bool
    blocks: Callable[[Observed, Int64Vector], Float64Vector] | None = None
    undefined: Callable[[Int64Vector], str | None] = lambda _: None
    learned: Int64Vector = field(default_factory=lambda: NOTHING)

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self.groups)

    @property
    def rows(self) -> Int64Vector:
        """All there are: of the items, and of the texts that are learned from."""
        return np.arange(len(self.groups) + len(self.learned))


def trials_of(task: Task, embed: Embed) -> list[Trial]:
    """A Task's set read; several where it has several labellings.

    Raises: UsageError, DataInvalid: the set cannot be read, or is of a kind that has no Instructions to try.
    """
    if task.kind == "retrieval":
        return [of_retrieval(tasks.to_search(task), embed, task.name)]
    if task.kind == "classification":
        names = tasks.result_names(task)
        return of_classification(*tasks.to_learn_and_to_ask(task), embed, names, task.per_label)
    file = tasks.file_of(task.path, task.split)
    if task.kind == "clustering":
        return of_clustering(sets.read_labelled(file, task.labels), embed, tasks.result_names(task))
    if task.kind == "reranking":
        return [of_reranking(sets.read_reranking(file), embed, task.name)]
    if task.kind in ("pairs", "sts"):
        read = sets.read_pairs if task.kind == "pairs" else sets.read_scored
        return [of_pairs(read(file), embed, task.name, task.kind)]
    if task.kind == "judgement":
        return [of_judgement(sets.read_judgement(file), embed, task.name)]
    raise UsageError(f"instructions cannot be tried on tasks of kind '{task.kind}'")


def of_retrieval(judged: sets.RetrievalSet, embed: Embed, name: str) -> Trial:
    """Items are queries; nDCG@10 over all documents, as measure_retrieval has it."""
    # Columns by falling name: top_k keeps their order among equals, which is then that of trec_eval.
    names = sorted(judged.documents, reverse=True)
    documents = _kept(embed, [judged.documents[one] for one in names])
    queries = list(judged.queries)

    def observe(texts: Texts, rows: Int64Vector) -> Observed:
        held = documents(texts["document"])
        asked = embed([judged.queries[queries[row]] for row in rows], texts["query"])
        found = np.empty(len(rows))
        for start in range(0, len(rows), TOGETHER):
            scores = asked[start : start + TOGETHER] @ held.T
            for at, one in enumerate(scores, start=start):
                query = queries[rows[at]]
                left_out = retrieval.itself(judged, query)
                order = [names[column] for column in top_k(one, 11) if names[column] != left_out]
                found[at] = ranking.ndcg(*ranking.gains(order[:10], judged.judgements[query]), 10)
        return found[None, :]

    groups = grouping.by_text(list(judged.queries.values()))
    return _of_means(name, "retrieval", "ndcg@10", groups, observe)


def of_reranking(judged: sets.RerankingSet, embed: Embed, name: str) -> Trial:
    """Items are queries; MAP over their candidates."""
    texts_of = [text for one in judged.queries for text in one.texts]
    candidates = _kept(embed, texts_of)
    ends = np.cumsum([len(one.texts) for one in judged.queries])

    def observe(texts: Texts, rows: Int64Vector) -> Observed:
        held = candidates(texts["document"])
        asked = embed([judged.queries[row].query for row in rows], texts["query"])
        found = []
        for vector, row in zip(asked, rows, strict=True):
            one = judged.queries[row]
            scores = held[ends[row] - len(one.texts) : ends[row]] @ vector
            found.append(retrieval.of_candidates(scores, one.relevant)["map"])
        return np.asarray(found)[None, :]

    groups = grouping.by_text([one.query for one in judged.queries])
    return _of_means(name, "reranking", "map", groups, observe)


def of_pairs(judged: sets.PairSet, embed: Embed, name: str, kind: Kind) -> Trial:
    """Items are pairs, in groups of those that share a text; average precision, or Spearman's correlation."""

    def observe(texts: Texts, rows: Int64Vector) -> Observed:
        first = embed([judged.first[row] for row in rows], texts["query"])
        second = embed([judged.second[row] for row in rows], texts["document"])
        cosines: Observed = np.einsum("nd,nd->n", first, second, dtype=np.float64)[None, :]
        return cosines

    return _of_cosines(name, kind, grouping.by_pair(judged.first, judged.second), observe, judged.worth)


def of_judgement(judged: sets.JudgementSet, embed: Embed, name: str) -> Trial:
    """Items are generated texts, in groups by their references; Pearson's correlation."""

    def observe(texts: Texts, rows: Int64Vector) -> Observed:
        generated = embed([judged.generated[row] for row in rows], texts["query"])
        different = list(dict.fromkeys(text for row in rows for text in judged.references[row]))
        row_of = {text: row for row, text in enumerate(different)}
        references = embed(different, texts["document"])
        best = [
            float(np.max(references[[row_of[text] for text in judged.references[row]]] @ vector))
            for row, vector in zip(rows, generated, strict=True)
        ]
        return np.asarray(best)[None, :]

    groups = similarity.groups_of_judged(judged)
    return _of_cosines(name, "judgement", groups, observe, judged.scores)


def of_clustering(judged: sets.LabelledSet, embed: Embed, names: Sequence[str]) -> list[Trial]:
    """Items are texts; v-measure of clusters made of these texts alone. Observed are clusters."""
    groups = grouping.by_text(judged.texts)
    return [
        _clusters_of(name, judged.texts, labelled.numbered(labels), groups, embed)
        for name, labels in zip(names, judged.labels.values(), strict=True)
    ]


def _clusters_of(
    name: str, texts_of: Sequence[str], labels: Int64Vector, groups: Int64Vector, embed: Embed
) -> Trial:
    seeds = labelled.SEEDS

    def observe(texts: Texts, rows: Int64Vector) -> Observed:
        vectors = embed([texts_of[row] for row in rows], texts["document"])
        return labelled.clusters_of(vectors, labels[rows], groups[rows], seeds)

    def measure(observed: Observed, rows: Int64Vector) -> float:
        return labelled.v_measure(labels[rows], observed.astype(np.int64), seeds)

    def blocks(observed: Observed, rows: Int64Vector) -> Float64Vector:
        return labelled.v_measures_apart(labels[rows], observed.astype(np.int64), groups[rows], seeds)

    return Trial(
        name=name, kind="clustering", main="v_measure", groups=groups, observe=observe, measure=measure,
        means=False, blocks=blocks, undefined=partial(_alike, labels, "label"),
    )  # fmt: skip


def of_classification(
    train: sets.LabelledSet,
    test: sets.LabelledSet,
    embed: Embed,
    names: Sequence[str],
    per_label: int = labelled.PER_LABEL,
) -> list[Trial]:
    """Items are texts of the test part, learned are those of the other; accuracy. Observed are guesses."""
    known = _kept(embed, list(train.texts))
    return [
        _guesses_of(name, test.texts, Lesson.of(train, test, column, per_label), known, embed)
        for name, column in zip(names, train.labels, strict=True)
    ]


def _guesses_of(
    name: str,
    texts_of: Sequence[str],
    lesson: Lesson,
    known: Callable[[str], Float32Matrix],
    embed: Embed,
) -> Trial:
    items = len(lesson.asked)

    def parted(rows: Int64Vector) -> tuple[Int64Vector, Int64Vector, Lesson]:
        """(to learn from, asked, the Lesson of these) of rows of both."""
        learned, asked = rows[rows >= items] - items, rows[rows < items]
        return learned, asked, lesson.part(learned, asked)

    def observe(texts: Texts, rows: Int64Vector) -> Observed:
        learned, asked, part = parted(rows)
        vectors = embed([texts_of[row] for row in asked], texts["document"])
        return labelled.guesses_of(known(texts["document"])[learned], vectors, part)

    def measure(observed: Observed, rows: Int64Vector) -> float:
        return labelled.accuracy(parted(rows)[2], observed.astype(np.int64))

    def blocks(observed: Observed, rows: Int64Vector) -> Float64Vector:
        return labelled.accuracies_apart(parted(rows)[2], observed.astype(np.int64))

    def undefined(rows: Int64Vector) -> str | None:
        return _alike(lesson.learned, "label to learn", rows[rows >= items] - items)

    return Trial(
        name=name, kind="classification", main="accuracy", groups=lesson.asked_groups, observe=observe,
        measure=measure, means=False, blocks=blocks, undefined=undefined, learned=lesson.learned_groups,
    )  # fmt: skip


def _alike(values: Float64Vector | Int64Vector, what: str, rows: Int64Vector) -> str | None:
    if len(rows) and np.ptp(values[rows]) > 0:
        return None
    return f"every {what} of them is the same"


def _of_means(
    name: str, kind: Kind, main: str, groups: Int64Vector, observe: Callable[[Texts, Int64Vector], Observed]
) -> Trial:
    return Trial(
        name=name, kind=kind, main=main, groups=groups, observe=observe, measure=_mean, means=True
    )  # fmt: skip


def _mean(observed: Observed, rows: Int64Vector) -> float:
    return float(observed.mean())


def _of_cosines(
    name: str,
    kind: Kind,
    groups: Int64Vector,
    observe: Callable[[Texts, Int64Vector], Observed],
    worth: Sequence[float],
) -> Trial:
    main, measure = next(iter(similarity.MEASURES[kind].items()))
    said = np.asarray(worth, dtype=np.float64)

    def of(observed: Observed, rows: Int64Vector) -> float:
        return measure(observed[0].astype(np.float64), said[rows])

    what = "label" if kind == "pairs" else "score"
    return Trial(
        name=name, kind=kind, main=main, groups=groups, observe=observe, measure=of, means=False,
        undefined=partial(_alike, said, what),
    )  # fmt: skip


def _kept(embed: Embed, texts: Sequence[str]) -> Callable[[str], Float32Matrix]:
    """Embeds the same texts under an Instruction, and keeps the vectors of the last one asked for."""
    last: dict[str, Float32Matrix] = {}

    def under(instruction: str) -> Float32Matrix:
        if instruction not in last:
            last.clear()
            last[instruction] = embed(texts, instruction)
        return last[instruction]

    return under
