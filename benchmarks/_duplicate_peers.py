"""Runs the peers of benchmarks/duplicates.py, in their own environment: vectors in, pairs and seconds out."""

from __future__ import annotations

import json
import sys
import time

import numpy as np


def semhash(texts: list[str], vectors: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pairs of a kept text and one that was filtered for it."""
    from semhash import SemHash

    made = SemHash.from_embeddings(vectors, texts, model=None)
    found = made.self_deduplicate(threshold=threshold)
    row = {text: at for at, text in enumerate(texts)}
    return [(row[one.record], row[one.duplicate_of]) for one in found.filtered]


def paraphrase_mining(texts: list[str], vectors: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pairs of the highest cosines."""
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    # As many pairs as it gives by default, but of a threshold, which it does not know.
    found = paraphrase_mining_embeddings(torch.from_numpy(vectors))
    return [(a, b) for score, a, b in found if score >= threshold]


def main() -> None:
    """Arguments: NAME VECTORS.npy TEXTS.json THRESHOLD. Prints {"took_s", "pairs"}."""
    name, vectors, texts, threshold = sys.argv[1:]
    matrix = np.load(vectors)
    with open(texts, encoding="utf-8") as file:
        read = json.load(file)
    run = {"semhash": semhash, "paraphrase_mining": paraphrase_mining}[name]
    run(read[:64], matrix[:64], 0.9)  # imports, and what is compiled on first use
    started = time.perf_counter()
    pairs = run(read, matrix, float(threshold))
    print(json.dumps({"took_s": round(time.perf_counter() - started, 3), "pairs": pairs}))


if __name__ == "__main__":
    main()
