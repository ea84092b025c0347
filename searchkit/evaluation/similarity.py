"""Pair classification, semantic textual similarity, and the judgement of generated texts: is near alike?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchkit.arrays import Float32Matrix, Float64Vector, Int64Vector
from searchkit.evaluation import grouping, statistics
from searchkit.evaluation.measured import Encode, Kind, Measured
from searchkit.evaluation.sets import JudgementSet, PairSet

Measure = Callable[[Float64Vector, Float64Vector], float]  # of cosines, and of what people said


def measure_pairs(judged: PairSet, encode: Encode) -> Measured:
    """Are pairs of duplicates nearer than the others? Main measure: average precision by cosine (MTEB)."""
    return _of_pairs("pairs", judged, encode)


def measure_sts(judged: PairSet, encode: Encode) -> Measured:
    """Do cosines rank pairs as people did? Main measure: Spearman's correlation (MTEB); also Pearson's."""
    return _of_pairs("sts", judged, encode)


def measure_judgement(judged: JudgementSet, encode: Encode) -> Measured:
    """Is a generated text good where it is near a reference, as people judged it?

    A text's figure is its largest cosine to one of its references; main measure: Pearson's correlation with
    the scores people gave, as INSTRUCTOR's evaluation on Billboard (Kasai et al. 2022) has it; also Kendall's
    tau-b and Spearman's. Generated texts are the query side, references the document side.
    """
    generated = encode(judged.generated, "query")
    different = list(dict.fromkeys(text for texts in judged.references for text in texts))
    row_of = {text: row for row, text in enumerate(different)}
    references = encode(different, "document")
    best = [
        float(np.max(references[[row_of[text] for text in texts]] @ vector))
        for vector, texts in zip(generated, judged.references, strict=True)
    ]
    groups = groups_of_judged(judged)
    counts = {"texts": len(best), "references": len(different), "groups": grouping.count(groups)}
    return _measured("judgement", np.asarray(best), judged.scores, groups, counts)


def groups_of_judged(judged: JudgementSet) -> Int64Vector:
    """(n,) groups of generated texts that share their references: of one picture, say."""
    return grouping.by_text(["\0".join(texts) for texts in judged.references])


def _of_pairs(kind: Kind, judged: PairSet, encode: Encode) -> Measured:
    groups = grouping.by_pair(judged.first, judged.second)
    counts = {
        "pairs": len(groups),
        "groups": grouping.count(groups),
        "pairs in the largest group": grouping.largest(groups),
    }
    return _measured(kind, _cosines(judged, encode), judged.worth, groups, counts)


def _cosines(judged: PairSet, encode: Encode) -> Float64Vector:
    # Which text of a pair is the query is arbitrary: tasks of pairs have one instruction on both sides.
    first: Float32Matrix = encode(judged.first, "query")
    second: Float32Matrix = encode(judged.second, "document")
    cosines: Float64Vector = np.einsum("nd,nd->n", first, second, dtype=np.float64)
    return cosines


def average_precision(cosines: Float64Vector, worth: Float64Vector) -> float:
    """As scikit-learn has it: precisions at each threshold, weighed by the recall gained; ties together.

    nan where all are worth the same. Computed here: scikit-learn's takes ten times as long, and a bootstrap
    asks thousands of times.
    """
    order = np.argsort(-cosines, kind="stable")
    falling, hits = cosines[order], np.cumsum(worth[order], dtype=np.float64)
    if not len(hits) or not 0 < hits[-1] < len(hits):
        return float("nan")
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of each run of equal cosines
    gained = np.diff(hits[last], prepend=0.0)
    return float((gained * hits[last] / (last + 1)).sum() / hits[-1])


def spearman(cosines: Float64Vector, worth: Float64Vector) -> float:
    """Correlation of the ranks; nan where all of one are equal."""
    from scipy.stats import rankdata

    return pearson(rankdata(cosines), rankdata(worth))


def pearson(cosines: Float64Vector, worth: Float64Vector) -> float:
    """Linear correlation; nan where all of one are equal."""
    if np.ptp(cosines) == 0 or np.ptp(worth) == 0:
        return float("nan")
    return float(np.corrcoef(cosines, worth)[0, 1])


def kendall(cosines: Float64Vector, worth: Float64Vector) -> float:
    """Kendall's tau-b."""
    from scipy.stats import kendalltau

    return float(kendalltau(cosines, worth).statistic)


MEASURES: dict[Kind, dict[str, Measure]] = {  # the main one first
    "pairs": {"average_precision": average_precision},
    "sts": {"spearman": spearman, "pearson": pearson},
    "judgement": {"pearson": pearson, "kendall": kendall, "spearman": spearman},
}


def _measured(
    kind: Kind, cosines: Float64Vector, worth: Sequence[float], groups: Int64Vector, counts: dict[str, int]
) -> Measured:
    said = np.asarray(worth, dtype=np.float64)
    measures = MEASURES[kind]
    main = next(iter(measures))

    def of(rows: Int64Vector) -> float:
        return measures[main](cosines[rows], said[rows])

    low, high = statistics.joint_interval(of, groups)
    return Measured(
        kind=kind,
        main=main,
        measures={name: 100 * measure(cosines, said) for name, measure in measures.items()},
        items={"cosine": cosines.tolist(), "worth": said.tolist(), "group": groups.tolist()},
        counts=counts,
        low=100 * low,
        high=100 * high,
    )
