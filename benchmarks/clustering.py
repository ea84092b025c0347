"""Clusters against labels that people gave: how good, how many, how they are called, under which instruction.

    SEARCHKIT_SHARED=... python -m benchmarks.clustering [--save]

Five labelled sets are embedded by all-MiniLM-L6-v2, once, without instruction.

- v-measure of searchkit's k-means, and of MTEB's protocol run by scikit-learn on the same vectors:
  MiniBatchKMeans with as many clusters as labels, batches of 32, one start. MTEB takes the mean over its own
  splits of a set; here it is that of ten seeds over the whole set, and so is ours.
- the number of clusters that --k auto chooses, the factor by which it misses the number of labels, and what
  it chooses for a cloud of 2,000 vectors without clusters, of the mean and the covariance of the set's.
- of HDBSCAN's clusters: how many there are, what share of the texts they hold, v-measure of these.
- of clusters made with as many as there are labels: whether a word for the label that most of its texts have
  is among the first five words. For labels that are words of texts (Stack Overflow) the label itself, for BBC
  News also a word of the list TOPIC_WORDS, written down before the clusters were looked at.
- questions labelled by disease and by kind of question: v-measure of both labellings under an instruction for
  each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import report
from searchkit.analysis import choosing, labels
from searchkit.analysis.agreement import v_measure
from searchkit.analysis.density import hdbscan
from searchkit.analysis.kmeans import directions, kmeans
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.settings import BASE_MODEL

SETS = ("bbc_news", "medical_abstracts5", "stackoverflow20", "banking77_test", "clinc150_test")
NAMED = ("bbc_news", "stackoverflow20")
TWO_LABELS = "medquad_disease_vs_type"
SEEDS = 10
FACTOR = 1.5
FIRST = 5
CLOUD = 2_000
TOPIC_WORDS = {
    "sport": "sport sports match game players cup champion team coach league",
    "business": "business company market shares economy economic bank growth firm oil",
    "politics": "politics election labour party minister government blair tory mps",
    "tech": "tech technology software computer internet users mobile digital online",
    "entertainment": "entertainment film films music band actor album award awards",
}
INSTRUCTIONS = {
    "none": "",
    "disease": "Represent the medical question for clustering by the disease it is about: ",
    "type": "Represent the medical question for clustering by the kind of question (treatment, symptoms): ",
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    shared = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "data"
    if not (shared / "clustering").is_dir():
        raise SystemExit("no labelled sets: name the shared data's folder in SEARCHKIT_SHARED")
    embedder = open_embedder(BASE_MODEL)
    sets = {name: measured(shared / "clustering" / name, embedder) for name in SETS}
    figures: dict[str, Any] = {
        "model": embedder.model,
        "precision": embedder.precision,
        "sets": sets,
        "auto_within_factor": {
            "factor": FACTOR,
            "sets": sum(one["auto"]["factor"] <= FACTOR for one in sets.values()),
        },
        "two_labels": two_labels(shared / "instruction" / TWO_LABELS, embedder),
    }
    for name, one in sets.items():
        print(name, {key: value for key, value in one.items() if key != "study"})
    print(figures["two_labels"])
    report("clustering", figures, save=asked.save)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of a labelled set."""
    with gzip.open(folder / "data.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def embedded(folder: Path, texts: Sequence[str], embedder: Embedder) -> Float32Matrix:
    """Vectors without instruction; kept under SEARCHKIT_BENCH_VECTORS, where that names a folder."""
    kept = os.environ.get("SEARCHKIT_BENCH_VECTORS")
    path = Path(kept, f"{folder.name}.npy") if kept else None
    if path is not None and path.is_file():
        return np.load(path)
    vectors = embedder.embed(texts)
    if path is not None:
        np.save(path, vectors)
    return vectors


def measured(folder: Path, embedder: Embedder) -> dict[str, Any]:
    """All figures of one set."""
    rows = rows_of(folder)
    texts = [f"{row['title']}\n{row['text']}" if row.get("title") else row["text"] for row in rows]
    names, true = np.unique([row["label"] for row in rows], return_inverse=True)
    vectors = embedded(folder, texts, embedder)
    k = len(names)
    started = time.perf_counter()
    auto, _ = choosing.chosen(vectors, seed=0)
    took = time.perf_counter() - started
    found: dict[str, Any] = {
        "texts": len(texts),
        "labels": k,
        "v_measure": {way: spread(values) for way, values in v_measures(vectors, true, k).items()},
        "auto": {
            "k": auto,
            "factor": round(max(auto / k, k / auto), 2),
            "took_s": round(took, 1),
            "of_cloud": choosing.chosen(cloud_like(vectors), seed=0)[0],
            "v_measure": round(100 * v_measure(true, kmeans(vectors, auto, seed=0).numbers), 1),
        },
    }
    dense = hdbscan(vectors, seed=0).numbers
    found["hdbscan"] = {
        "clusters": len(set(dense[dense >= 0].tolist())),
        "share": round(float((dense >= 0).mean()), 2),
        "v_measure": round(100 * v_measure(true[dense >= 0], dense[dense >= 0]), 1),
    }
    if folder.name in NAMED:
        found["named"] = named(texts, true, names.tolist(), kmeans(vectors, k, seed=0).numbers)
    return found


def v_measures(vectors: Float32Matrix, true: Int64Vector, k: int) -> dict[str, list[float]]:
    """v-measure x 100 of each seed, by who made the clusters."""
    from sklearn.cluster import MiniBatchKMeans

    found: dict[str, list[float]] = {"searchkit": [], "mteb protocol": []}
    for seed in range(SEEDS):
        peer = MiniBatchKMeans(n_clusters=k, batch_size=32, n_init=1, random_state=seed).fit_predict(vectors)
        found["mteb protocol"].append(100 * v_measure(true, peer.astype(np.int64)))
        found["searchkit"].append(100 * v_measure(true, kmeans(vectors, k, seed=seed).numbers))
    return found


def cloud_like(vectors: Float32Matrix) -> Float32Matrix:
    """Normally distributed vectors with the same mean and covariance, brought to length 1."""
    random = np.random.default_rng(0)
    drawn = random.multivariate_normal(vectors.mean(axis=0), np.cov(vectors.T), CLOUD, method="eigh")
    return directions(drawn.astype(np.float32))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation."""
    return {"mean": round(float(np.mean(values)), 2), "sd": round(float(np.std(values)), 2)}


def named(
    texts: Sequence[str], true: Int64Vector, names: Sequence[str], numbers: Int64Vector
) -> dict[str, Any]:
    """How many clusters have the label of most of their texts, or a word for it, among their words."""
    words = labels.telling_words(*labels.counted(zip(numbers.tolist(), texts, strict=True)), FIRST)
    shown, literal, topical = {}, 0, 0
    for number, own in words.items():
        label = names[Counter(true[numbers == number].tolist()).most_common(1)[0][0]]
        literal += label in own
        topical += not set(own).isdisjoint(TOPIC_WORDS.get(label, label).split())
        shown[number] = [label, *own]
    return {"clusters": len(words), "label": literal, "word for it": topical, "words": list(shown.values())}


def two_labels(folder: Path, embedder: Embedder) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """v-measure of each labelling under each instruction, with as many clusters as it has labels."""
    rows = rows_of(folder)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for instruction, literal in INSTRUCTIONS.items():
        vectors = embedder.embed([row["text"] for row in rows], literal)
        table[instruction] = {}
        for labelling in ("disease", "type"):
            names, true = np.unique([row[labelling] for row in rows], return_inverse=True)
            made = [kmeans(vectors, len(names), seed=seed).numbers for seed in range(SEEDS)]
            table[instruction][labelling] = spread([100 * v_measure(true, one) for one in made])
    return table


if __name__ == "__main__":
    main()
