"""Does fusing words and vectors find more than either alone, on every judged set?

    SEARCHKIT_SHARED=... python -m benchmarks.hybrid [--documents N] [--queries N] [--save]

Each document is one passage of a Library made for the run, embedded with all-MiniLM-L6-v2; queries go
through the query pipeline in each mode. The vector arm is compared, hit by hit, with a scan of all vectors in
numpy. nDCG@10, recall@100 and the reciprocal rank of the first right one: means over queries, in percent.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._stored_vectors import open_stored, store
from benchmarks._texts import RetrievalSet
from searchkit.arrays import Float32Matrix
from searchkit.collection import query_pipeline, recovery
from searchkit.library import collections as catalogue
from searchkit.library import fulltext
from searchkit.library.database import Database

MODES = ("vector", "text", "hybrid")
MEASURES = ("ndcg@10", "recall@100", "mrr")
DEPTH = 100


def main() -> None:
    """Measure every set and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=0, help="of each set at most; 0 for all")
    parser.add_argument("--queries", type=int, default=600, help="of each set at most; 0 for all")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    folders = _texts.retrieval_folders()
    if not folders:
        raise SystemExit("no judged sets: name the shared data's folder in SEARCHKIT_SHARED")

    from searchkit.embedding.embedder import open_embedder
    from searchkit.settings import BASE_MODEL

    embedder = open_embedder(BASE_MODEL, device="cpu")
    sets: dict[str, Any] = {}
    for folder in folders:
        judged = _texts.retrieval_set(folder, most_documents=asked.documents, most_queries=asked.queries)
        with tempfile.TemporaryDirectory() as work:
            documents = embedder.embed(list(judged.documents.values()))
            queries = embedder.embed(list(judged.queries.values()))
            sets[judged.name] = measured(judged, documents, queries, Path(work))
        print_set(judged.name, sets[judged.name])
    means = {
        mode: {name: float(np.mean([one[mode][name] for one in sets.values()])) for name in MEASURES}
        for mode in MODES
    }
    gains = [
        one["hybrid"]["ndcg@10"] - max(one["vector"]["ndcg@10"], one["text"]["ndcg@10"])
        for one in sets.values()
    ]
    print_set("mean", means)
    print(
        f"hybrid against the better arm of each set: {np.mean(gains):+.2f} points of nDCG@10 on average, "
        f"{min(gains):+.2f} at worst"
    )
    figures = {
        "sets": sets,
        "mean": means,
        "gain_over_better_arm": {"mean": float(np.mean(gains)), "worst": min(gains)},
        "model": BASE_MODEL,
        "precision": embedder.precision,
    }
    report("hybrid", figures, save=asked.save)


def measured(
    judged: RetrievalSet, documents: Float32Matrix, queries: Float32Matrix, folder: Path
) -> dict[str, Any]:
    """Means of one set, by mode."""
    names = list(judged.documents)
    store(folder, documents, list(judged.documents.values()))
    with Database.write(folder) as db:
        recovery.publish(db, catalogue.collections(db)[0])
    found: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
    same = 0
    db, index = open_stored(folder)
    with db:
        collection = catalogue.collections(db)[0]
        for (query, text), vector in zip(judged.queries.items(), queries, strict=True):
            matches = {
                "vector": "",
                "text": fulltext.expression(db, text).telling,
                "hybrid": fulltext.expression(db, text, fulltext.MATCHES_BESIDE_VECTORS).telling,
            }
            for mode in MODES:
                request = query_pipeline.Request(
                    vector=None if mode == "text" else vector, match=matches[mode]
                )
                found_here = query_pipeline.Ranking(db, collection, request, index).first(DEPTH)
                rows = [one.passage.passage_id - 1 for one in found_here]
                found[mode].append(measures([names[row] for row in rows], judged.relevant[query]))
                if mode == "vector":
                    same += agrees(rows, documents @ vector)
    means = {
        mode: dict(zip(MEASURES, (100 * np.mean(rows, axis=0)).round(2).tolist(), strict=True))
        for mode, rows in found.items()
    }
    return {
        **means,
        "documents": len(names),
        "queries": len(judged.queries),
        "sampled": judged.sampled,
        "vector_arm_equals_numpy": same == len(judged.queries),
    }


def measures(ranked: list[str], relevant: dict[str, float]) -> list[float]:
    """nDCG@10 (Järvelin and Kekäläinen 2002, gain / log2(rank + 1)), recall@100, reciprocal rank."""
    discounts = 1 / np.log2(np.arange(2, 12))
    gains = np.array([relevant.get(name, 0.0) for name in ranked[:10]])
    ideal = np.array(sorted(relevant.values(), reverse=True)[:10])
    first = next((rank for rank, name in enumerate(ranked, start=1) if name in relevant), None)
    return [
        float(gains @ discounts[: len(gains)] / (ideal @ discounts[: len(ideal)])),
        len(relevant.keys() & set(ranked[:DEPTH])) / len(relevant),
        1 / first if first else 0.0,
    ]


def agrees(rows: list[int], scores: np.ndarray) -> bool:
    """Whether rows are those that a stable sort of all scores puts first, equal scores in any order."""
    expected = np.sort(scores)[::-1][: len(rows)]
    return len(set(rows)) == len(rows) and bool(np.allclose(scores[rows], expected, atol=2e-6))


def print_set(name: str, figures: dict[str, Any]) -> None:
    """A line a mode."""
    for mode in MODES:
        shown = "  ".join(f"{measure} {figures[mode][measure]:6.2f}" for measure in MEASURES)
        print(f"{name:16} {mode:8} {shown}", flush=True)


if __name__ == "__main__":
    main()
