"""Measures of one ranking against judgements, as trec_eval defines them.

`ranked` holds the judged relevance of what was found, in rank order, 0 where nobody judged; `judged` holds
that of all judged documents of the query, found or not. Relevant is what was judged 1 or more; a query
without a relevant document scores 0. Sources: github.com/usnistgov/trec_eval, m_ndcg_cut.c, m_map.c,
m_recip_rank.c, m_recall.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from searchkit.arrays import BoolVector, Float32Vector, Float64Vector


def in_order(names: Sequence[str], scores: Float32Vector) -> list[str]:
    """Names by falling score; of equals the last in the order of their names first, as trec_eval has it.

    trec_eval keeps scores in single precision, so that what differs beyond it is equal.
    """
    by_name = sorted(range(len(names)), key=names.__getitem__, reverse=True)
    falling = np.argsort(-np.asarray(scores, dtype=np.float32)[by_name], kind="stable")
    return [names[by_name[position]] for position in falling]


def gains(order: Sequence[str], judgements: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """(ranked, judged) of a ranking for the measures below."""
    return [judgements.get(name, 0.0) for name in order], list(judgements.values())


def ndcg(ranked: Sequence[float], judged: Sequence[float], k: int) -> float:
    """Normalised discounted cumulative gain of the first k: gain itself, discount log2(rank + 1).

    Järvelin and Kekäläinen 2002, in the form of trec_eval: negative judgements gain nothing.
    """
    ideal = _discounted(sorted(judged, reverse=True)[:k])
    return _discounted(ranked[:k]) / ideal if ideal > 0 else 0.0


def average_precision(ranked: Sequence[float], judged: Sequence[float]) -> float:
    """Mean, over all relevant documents, of the precision at the rank of each; 0 for those not found."""
    relevant = _relevant(judged).sum()
    hits = _relevant(ranked)
    if not relevant or not hits.any():
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / relevant)


def reciprocal_rank(ranked: Sequence[float]) -> float:
    """1 / rank of the first relevant document; 0 if none was found."""
    found = np.flatnonzero(_relevant(ranked))
    return float(1 / (found[0] + 1)) if len(found) else 0.0


def recall(ranked: Sequence[float], judged: Sequence[float], k: int) -> float:
    """Share of the relevant documents that are among the first k."""
    relevant = _relevant(judged).sum()
    return float(_relevant(ranked[:k]).sum() / relevant) if relevant else 0.0


def _relevant(values: Sequence[float]) -> BoolVector:
    return np.asarray(values, dtype=np.float64) >= 1


def _discounted(values: Sequence[float]) -> float:
    worth: Float64Vector = np.maximum(np.asarray(values, dtype=np.float64), 0)
    return float((worth / np.log2(np.arange(2, len(worth) + 2))).sum())
