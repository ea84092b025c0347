"""Retrieval and reranking: is what answers found, and does it stand first?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from searchkit.arrays import Float32Matrix, top_k
from searchkit.evaluation import grouping, ranking, statistics
from searchkit.evaluation.measured import Encode, Kind, Measured
from searchkit.evaluation.sets import RerankingSet, RetrievalSet

DEPTH = 1_000  # documents of a ranking that are judged, as in BEIR
TOGETHER = 256  # queries scored at a time


def measure_retrieval(judged: RetrievalSet, encode: Encode) -> Measured:
    """Rank all documents for each query by cosine, exactly.

    Main measure nDCG@10 as BEIR has it (Thakur et al. 2021); also recall@10 and @100, MRR@10, MAP over the
    first 1,000. A document with the query's own id is left out, as BEIR's evaluation does.
    """
    names = list(judged.documents)
    documents = encode(list(judged.documents.values()), "document")
    queries = encode(list(judged.queries.values()), "query")
    rows = []
    for start in range(0, len(queries), TOGETHER):
        asked = list(judged.queries)[start : start + TOGETHER]
        scores = queries[start : start + TOGETHER] @ documents.T
        rows += [
            _of_query(names, scores[row], query, judged.judgements[query]) for row, query in enumerate(asked)
        ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    counts = {"documents": len(names), "queries": len(rows)}
    return _of_means("retrieval", columns, list(judged.queries.values()), counts)


def _of_query(
    names: list[str], scores: Float32Matrix, query: str, judgements: Mapping[str, float]
) -> dict[str, float]:
    first = top_k(scores, DEPTH + 1)
    order = [one for one in ranking.in_order([names[row] for row in first], scores[first]) if one != query]
    ranked, worth = ranking.gains(order[:DEPTH], judgements)
    return {
        "ndcg@10": ranking.ndcg(ranked, worth, 10),
        "recall@10": ranking.recall(ranked, worth, 10),
        "recall@100": ranking.recall(ranked, worth, 100),
        "mrr@10": ranking.reciprocal_rank(ranked[:10]),
        "map": ranking.average_precision(ranked, worth),
    }


def measure_reranking(judged: RerankingSet, encode: Encode) -> Measured:
    """Order the given candidates of each query by cosine.

    Main measure MAP, as MTEB has it for its reranking sets (Muennighoff et al. 2023); also MRR.
    """
    queries = encode([one.query for one in judged.queries], "query")
    texts = [text for one in judged.queries for text in one.texts]
    candidates = encode(texts, "document")
    columns: dict[str, list[float]] = {"map": [], "mrr": []}
    start = 0
    for row, one in enumerate(judged.queries):
        end = start + len(one.texts)
        worth = (np.arange(len(one.texts)) < one.relevant).astype(np.float64)
        order = np.argsort(-(candidates[start:end] @ queries[row]), kind="stable")
        ranked = worth[order].tolist()
        columns["map"].append(ranking.average_precision(ranked, worth.tolist()))
        columns["mrr"].append(ranking.reciprocal_rank(ranked))
        start = end
    counts = {"queries": len(judged.queries), "candidates": len(texts)}
    return _of_means("reranking", columns, [one.query for one in judged.queries], counts)


def _of_means(
    kind: Kind, columns: Mapping[str, list[float]], queries: Sequence[str], counts: Mapping[str, int]
) -> Measured:
    """The main measure is the first column; equal queries are one piece of evidence."""
    main = next(iter(columns))
    groups = grouping.by_text(queries)
    low, high = statistics.mean_interval(np.asarray(columns[main]), groups)
    return Measured(
        kind=kind,
        main=main,
        measures={name: 100 * float(np.mean(values)) for name, values in columns.items()},
        items={**columns, "group": groups.tolist()},
        counts=counts,
        low=100 * low,
        high=100 * high,
    )
