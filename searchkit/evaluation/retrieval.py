"""Retrieval and reranking: is what answers found, and does it stand first?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, top_k
from searchkit.evaluation import grouping, ranking, similarity, statistics
from searchkit.evaluation.measured import Encode, Kind, Measured
from searchkit.evaluation.sets import RerankingSet, RetrievalSet

DEPTH = 1_000  # documents of a ranking that are judged, as in BEIR
TOGETHER = 256  # queries scored at a time


def measure_retrieval(judged: RetrievalSet, encode: Encode) -> Measured:
    """Rank all documents for each query by cosine, exactly.

    Main measure nDCG@10 as BEIR has it (Thakur et al. 2021); also recall@10 and @100, MRR@10, MAP over the
    first 1,000. A document that is the query itself is left out.
    """
    names = list(judged.documents)
    documents = encode(list(judged.documents.values()), "document")
    queries = encode(list(judged.queries.values()), "query")
    rows = []
    for start in range(0, len(queries), TOGETHER):
        asked = list(judged.queries)[start : start + TOGETHER]
        scores = queries[start : start + TOGETHER] @ documents.T
        rows += [
            _of_query(names, scores[row], judged.judgements[query], itself(judged, query))
            for row, query in enumerate(asked)
        ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    counts = {"documents": len(names), "queries": len(rows)}
    return _of_means("retrieval", columns, list(judged.queries.values()), counts)


def _of_query(
    names: list[str], scores: Float32Matrix, judgements: Mapping[str, float], left_out: str | None
) -> dict[str, float]:
    first = top_k(scores, DEPTH + 1)
    order = [one for one in ranking.in_order([names[row] for row in first], scores[first]) if one != left_out]
    ranked, worth = ranking.gains(order[:DEPTH], judgements)
    return {
        "ndcg@10": ranking.ndcg(ranked, worth, 10),
        "recall@10": ranking.recall(ranked, worth, 10),
        "recall@100": ranking.recall(ranked, worth, 100),
        "mrr@10": ranking.reciprocal_rank(ranked[:10]),
        "map": ranking.average_precision(ranked, worth),
    }


def itself(judged: RetrievalSet, query: str) -> str | None:
    """The document that is this query, and no answer to it: of its id and its text, and not judged relevant.

    An equal id alone says nothing: sets number queries and documents each from 1. The document's title may
    stand before the text.
    """
    document = judged.documents.get(query)
    if document is None or judged.judgements[query].get(query, 0) > 0:
        return None
    text = judged.queries[query].strip()
    return query if document == text or document.endswith(f" {text}") else None


def measure_reranking(judged: RerankingSet, encode: Encode) -> Measured:
    """Order the given candidates of each query by cosine.

    Main measure MAP, as MTEB has it for its reranking sets (Muennighoff et al. 2023); also MRR@10.
    """
    queries = encode([one.query for one in judged.queries], "query")
    texts = [text for one in judged.queries for text in one.texts]
    candidates = encode(texts, "document")
    rows = []
    start = 0
    for row, one in enumerate(judged.queries):
        end = start + len(one.texts)
        rows.append(of_candidates(candidates[start:end] @ queries[row], one.relevant))
        start = end
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    counts = {"queries": len(rows), "candidates": len(texts)}
    found = _of_means("reranking", columns, [one.query for one in judged.queries], counts)
    if not judged.left_out:
        return found
    note = f"{judged.left_out:,} rows have no positive or no negative: left out, as MTEB does"
    return replace(found, notes=(note,))


def of_candidates(scores: Float32Vector, relevant: int) -> dict[str, float]:
    """MAP and MRR@10 of candidates, of which the first are `relevant`.

    Equal scores favour nothing: MAP takes them together, as scikit-learn's average precision does, which MTEB
    asks; MRR takes the relevant ones last.
    """
    worth = (np.arange(len(scores)) < relevant).astype(np.float64)
    order = np.lexsort((worth, -scores))
    return {
        "map": similarity.average_precision(scores.astype(np.float64), worth),
        "mrr@10": ranking.reciprocal_rank(worth[order][:10].tolist()),
    }


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
