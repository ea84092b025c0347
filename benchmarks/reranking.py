"""Does judging the first 50 Hits again put better ones first, and what does it cost?

    SEARCHKIT_SHARED=... python -m benchmarks.reranking [--set NAME ...] [--documents N] [--queries N]
        [--model ID|DIR] [--profile NAME] [--save]

Each document is one passage of a Library made for the run, embedded with all-MiniLM-L6-v2; queries go
through the query pipeline, by vectors and by both arms. What they find first is then judged by --model: an
embedder under --profile's Instructions, or a cross-encoder. nDCG@10 before and after: means over queries, in
percent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._stored_vectors import open_stored, store
from benchmarks._texts import RetrievalSet
from benchmarks.hybrid import measures
from searchkit.arrays import Float32Matrix
from searchkit.collection import query_pipeline, recovery, reranking
from searchkit.embedding.embedder import Embedder
from searchkit.library import collections as catalogue
from searchkit.library import fulltext
from searchkit.library.database import Database
from searchkit.profile import Profile

MODES = ("vector", "hybrid")
NDCG = 0  # its place among `measures`
TIMED = 20  # rerankings of which the time is taken


def main() -> None:
    """Measure every set and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", help="a set's name; may be given twice; default all")
    parser.add_argument("--documents", type=int, default=2000, help="of each set at most; 0 for all")
    parser.add_argument("--queries", type=int, default=600, help="of each set at most; 0 for all")
    parser.add_argument("--model", help="what judges; default the embedder that found the Hits")
    parser.add_argument(
        "--profile", default="wiki-retrieval", help="whose Instructions an embedder judges under"
    )
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    folders = [one for one in _texts.retrieval_folders() if not asked.set or one.name in asked.set]
    if not folders:
        raise SystemExit("no judged sets: name the shared data's folder in SEARCHKIT_SHARED")

    from searchkit.embedding.embedder import open_embedder
    from searchkit.settings import BASE_MODEL

    embedder = open_embedder(BASE_MODEL, device="cpu")
    judge, said = opened(asked.model, asked.profile, embedder)
    sets = {}
    for folder in folders:
        judged = _texts.retrieval_set(folder, most_documents=asked.documents, most_queries=asked.queries)
        documents = embedder.embed(list(judged.documents.values()))
        queries = embedder.embed(list(judged.queries.values()))
        with tempfile.TemporaryDirectory() as work:
            sets[judged.name] = measured(judged, documents, queries, Path(work), judge)
        print_set(judged.name, sets[judged.name])
    figures = {"sets": sets, "found_by": BASE_MODEL, "judged_by": said, "first": reranking.FIRST}
    report("reranking", figures, save=asked.save)


def opened(model: str | None, profile: str, embedder: Embedder) -> tuple[reranking.Judge, str]:
    """What judges, and how it is called in the figures."""
    from searchkit.embedding.cross_encoder import is_cross_encoder, open_cross_encoder
    from searchkit.embedding.embedder import open_embedder

    if model is not None and is_cross_encoder(model):
        return open_cross_encoder(model, device="cpu"), model
    judging = embedder if model is None else open_embedder(model, device="cpu")
    return reranking.UnderProfile(
        embedder=judging, profile=Profile.load(profile)
    ), f"{judging.model} under {profile}"


def measured(
    judged: RetrievalSet,
    documents: Float32Matrix,
    queries: Float32Matrix,
    folder: Path,
    judge: reranking.Judge,
) -> dict[str, Any]:
    """Means of one set, by mode: before, after, how many queries changed; and seconds a query."""
    names, texts = list(judged.documents), list(judged.documents.values())
    store(folder, documents, texts)
    with Database.write(folder) as db:
        recovery.publish(db, catalogue.collections(db)[0])
    quick = with_vectors(judge, texts)
    before: dict[str, list[float]] = {mode: [] for mode in MODES}
    after: dict[str, list[float]] = {mode: [] for mode in MODES}
    took: list[float] = []
    db, index = open_stored(folder)
    with db:
        collection = catalogue.collections(db)[0]
        for (query, text), vector in zip(judged.queries.items(), queries, strict=True):
            words = fulltext.expression(db, text, fulltext.MATCHES_BESIDE_VECTORS).telling
            for mode in MODES:
                request = query_pipeline.Request(vector=vector, match=words if mode == "hybrid" else "")
                ranking = query_pipeline.Ranking(db, collection, request, index)
                hits = ranking.first(reranking.FIRST)
                if len(took) < TIMED:
                    started = time.perf_counter()
                    reranking.rerank(hits, reranking.scores(text, hits, judge))
                    took.append(time.perf_counter() - started)
                ranked = reranking.rerank(hits, reranking.scores(text, hits, quick))
                for found, kept in ((hits, before), (ranked, after)):
                    order = [names[one.passage.passage_id - 1] for one in found]
                    kept[mode].append(measures(order, judged.relevant[query])[NDCG])
    return {
        **{mode: compared(np.array(before[mode]), np.array(after[mode])) for mode in MODES},
        "seconds_a_query": round(float(np.median(took)), 3),
        "documents": len(names),
        "queries": len(judged.queries),
        "sampled": judged.sampled,
    }


def with_vectors(judge: reranking.Judge, texts: list[str]) -> reranking.Judge:
    """The judge with all texts embedded beforehand; row i is passage i + 1."""
    if not isinstance(judge, reranking.UnderProfile):
        return judge
    instruction = judge.embedder.instruction_for(judge.profile, "document")
    rows = judge.embedder.embed(texts, instruction)
    return replace(judge, vectors=lambda ids: rows[np.array(ids) - 1])


def compared(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """nDCG@10 of each query, (n,), as means in percent, and how many queries got better and worse."""
    return {
        "before": round(float(100 * before.mean()), 2),
        "after": round(float(100 * after.mean()), 2),
        "better": int((after > before).sum()),
        "worse": int((after < before).sum()),
    }


def print_set(name: str, figures: dict[str, Any]) -> None:
    """A line a mode."""
    for mode in MODES:
        one = figures[mode]
        print(
            f"{name:16} {mode:8} nDCG@10 {one['before']:6.2f} -> {one['after']:6.2f}  "
            f"{one['better']} queries better, {one['worse']} worse of {figures['queries']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
