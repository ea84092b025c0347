"""How often is the right document of sample_corpus among the first five hits, with the embedded default?

Indexes sample_corpus into a Library of its own and asks every question of questions.jsonl. A question is
answered at k when one of the first k passages belongs to a document that the question names. Prints the
questions that were missed, and as its last line JSON.

    python -m benchmarks.sample_corpus [--profile company-docs] [--save]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks._conditions import report
from searchkit import Library

CORPUS = Path(__file__).resolve().parent.parent / "sample_corpus"
K = 5


def measure(profile: str, library: Library, model: str | None = None) -> dict[str, float | int | str]:
    """Index the corpus and ask all its questions. Returns: shares of questions answered, and MRR@10."""
    indexed = library.index([CORPUS], profile=profile, model=model)
    for failure in indexed.failed:
        print(f"not indexed: {failure.document}: {failure.reason}")
    lines = (CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines if line.strip()]
    ranks: dict[str, list[int | None]] = defaultdict(list)
    for question in questions:
        right = {question["document"], *question.get("documents", [])}
        hits = library.query(question["question"], collection=indexed.collection, k=10).hits
        rank = next((hit.rank for hit in hits if hit.document in right), None)
        for group in ("all", question["language"], "hard" if question.get("hard") else "ordinary"):
            ranks[group].append(rank)
        if rank is None or rank > K:
            print(f"missed ({rank or 'not in 10'}): {question['question']}")
            print(f"  wanted {question['document']}, got {hits[0].document}")
    for group, found in ranks.items():
        in_top, first = share(found, K), share(found, 1)
        print(f"{group:10} {len(found):4} questions  in top {K}: {in_top:.3f}  first: {first:.3f}")
    return {
        "profile": profile,
        "files": indexed.added,
        "passages": indexed.passages,
        "questions": len(questions),
        f"in_top_{K}": round(share(ranks["all"], K), 4),
        "first": round(share(ranks["all"], 1), 4),
        "mrr@10": round(sum(1 / rank for rank in ranks["all"] if rank) / len(questions), 4),
    }


def share(ranks: list[int | None], k: int) -> float:
    """Share of questions whose right document stands among the first k hits."""
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def main() -> None:
    """Measure under one profile and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="company-docs")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report("sample_corpus", measure(arguments.profile, Library(folder)), save=arguments.save)


if __name__ == "__main__":
    main()
