"""What does a precision cost in retrieval?

Every judged set of the shared data (SEARCHKIT_SHARED) is embedded in each precision. Documents in that
precision are searched with queries in the same one and with queries in float32, exactly; nDCG@10 is
compared with float32 on both sides. Loss is in points (hundredths of nDCG), positive where float32 is
better; its interval is that of 95 % of 1,000 samples of the queries drawn again.

    python -m benchmarks.precision_quality [--documents 1000] [--queries 300] [--save]    (0: all of them)
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._texts import RetrievalSet

K = 10
EXACT = "float32"
DRAWS = 1000


def main() -> None:
    """Measure all sets in all precisions and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1000, help="of each set at most; 0 for all")
    parser.add_argument("--queries", type=int, default=300, help="of each set at most; 0 for all")
    parser.add_argument("--model", default=None, help="a folder or an id  [default: all-MiniLM-L6-v2]")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    folders = _texts.retrieval_folders()
    if not folders:
        print("skipped: the judged sets are not here; name the shared data by SEARCHKIT_SHARED")
        return
    sets = [
        _texts.retrieval_set(one, most_documents=arguments.documents, most_queries=arguments.queries)
        for one in folders
    ]
    vectors, facts, absent = embed_all(sets, arguments.model)
    figures: dict[str, Any] = {
        "documents_at_most": arguments.documents,
        "queries_at_most": arguments.queries,
        "sets": {one.name: {"sampled": one.sampled, "documents": len(one.documents)} for one in sets},
        "precisions": facts,
        "absent": absent,
        "pairs": {},
    }
    exact = {one.name: ndcg(one, *vectors[EXACT][one.name]) for one in sets}
    figures["ndcg@10"] = {name: round(float(gains.mean()), 4) for name, gains in exact.items()}
    print(
        f"\n{'documents':10} {'queries':10}" + "".join(f"{one.name[:12]:>13}" for one in sets) + "      mean"
    )
    print(f"{EXACT:10} {EXACT:10}" + "".join(f"{exact[one.name].mean():13.4f}" for one in sets))
    for precision in facts:
        for asked in dict.fromkeys((precision, EXACT)):
            if (precision, asked) == (EXACT, EXACT):
                continue
            gains = {
                one.name: ndcg(one, vectors[precision][one.name][0], vectors[asked][one.name][1])
                for one in sets
            }
            row = losses(exact, gains)
            figures["pairs"][f"{precision}/{asked}"] = row
            print(
                f"{precision:10} {asked:10}"
                + "".join(f"{row['by_set'][one.name]:+13.2f}" for one in sets)
                + f" {row['mean']:+9.3f}  [{row['low']:+.2f}, {row['high']:+.2f}] points lost"
            )
    report("precision_quality", figures, save=arguments.save)


def embed_all(
    sets: list[RetrievalSet], model: str | None
) -> tuple[dict[str, dict[str, tuple[np.ndarray, np.ndarray]]], dict[str, Any], dict[str, str]]:
    """Embed documents and queries in every precision.

    Returns: by precision and set (documents, queries) as matrices of unit rows; what each precision
    computed in; the precisions that cannot be had here, with the reason.
    """
    from searchkit.embedding.embedder import open_embedder
    from searchkit.embedding.precision import PRECISIONS
    from searchkit.errors import SearchkitError
    from searchkit.settings import BASE_MODEL

    vectors: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    facts, absent = {}, {}
    for precision in sorted(PRECISIONS, key=lambda name: name != EXACT):
        try:
            embedder = open_embedder(model or BASE_MODEL, precision=precision, device="cpu")
        except SearchkitError as error:
            absent[precision] = str(error)
            print(f"without {precision}: {error}")
            continue
        runs_as = {"precision": embedder.precision, "runtime": type(embedder.runtime).__name__}
        same = next((name for name, known in facts.items() if known == runs_as), None)
        facts[precision] = runs_as
        if same is not None:  # 'auto' is one of the others
            vectors[precision] = vectors[same]
            print(f"{precision} is {same} here")
            continue
        vectors[precision] = {
            one.name: (
                embedder.embed(list(one.documents.values())),
                embedder.embed(list(one.queries.values())),
            )
            for one in sets
        }
        print(f"embedded in {precision}: {sum(len(one.documents) for one in sets)} documents")
    return vectors, facts, absent


def ndcg(judged: RetrievalSet, documents: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """nDCG@10 of each query under exact search; equal scores in the order of the documents' ids."""
    names = list(judged.documents)
    best = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :K]
    discounts = 1 / np.log2(np.arange(2, K + 2))
    gains = np.empty(len(queries))
    for row, wanted in enumerate(judged.relevant.values()):
        found = [wanted.get(names[at], 0.0) for at in best[row]]
        ideal = sorted(wanted.values(), reverse=True)[:K]
        gains[row] = (found * discounts[: len(found)]).sum() / (ideal * discounts[: len(ideal)]).sum()
    return gains


def losses(exact: dict[str, np.ndarray], gains: dict[str, np.ndarray]) -> dict[str, Any]:
    """Points lost by set, their mean over sets, and the mean's interval when queries are drawn again."""
    lost = {name: 100 * (exact[name] - gains[name]) for name in exact}
    source = np.random.default_rng(0)
    drawn = np.mean(
        [one[source.integers(0, len(one), (DRAWS, len(one)))].mean(axis=1) for one in lost.values()], axis=0
    )
    return {
        "by_set": {name: round(float(one.mean()), 3) for name, one in lost.items()},
        "mean": round(float(np.mean([one.mean() for one in lost.values()])), 3),
        "low": round(float(np.quantile(drawn, 0.025)), 3),
        "high": round(float(np.quantile(drawn, 0.975)), 3),
    }


if __name__ == "__main__":
    main()
