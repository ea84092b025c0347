"""Which passages are duplicates: is the automatic threshold near the best one, and how does the time grow?

    SEARCHKIT_SHARED=... [SEARCHKIT_BENCH_DUPLICATES=PYTHON] python -m benchmarks.duplicates [--save]

Five judged sets, embedded by all-MiniLM-L6-v2, become Libraries. Average precision of the labelled pairs
as scikit-learn computes it of brute-force cosines; F1 of the labelled pairs by groups (both texts in one)
at the automatic threshold and at the best of a grid, and of the pairs alone at the best. Our seconds are
those of a user who gets a table: reading the vectors of record, threshold, groups, decisions, and the texts
of what is shown. Semhash and sentence-transformers' paraphrase_mining get the same vectors in memory:
semhash at its own 0.9 and at our threshold, paraphrase_mining, which knows none, at ours; their seconds
begin there. They live in the environment of that PYTHON (requirements-duplicates.txt). Last, the time from
10,000 to 200,000 stored vectors with texts that all differ, 5 % of them near copies, and a hundred
decisions.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _stored_vectors
from benchmarks._conditions import ROOT, report
from searchkit import open_embedder
from searchkit.analysis.copies import Found, Show
from searchkit.analysis.duplicates import decide, duplicates
from searchkit.analysis.joined import NEIGHBOURS, grow
from searchkit.analysis.knn import neighbours
from searchkit.analysis.texts import texts_of
from searchkit.arrays import Float32Matrix
from searchkit.cli.duplicate_lists import shown
from searchkit.collection.library import Library
from searchkit.profile import Profile
from searchkit.settings import BASE_MODEL

GRID = np.round(np.arange(0.3, 0.99, 0.02), 2)
SIZES = (10_000, 20_000, 50_000, 100_000, 200_000)
DIM = 384
SEMHASH_OWN = 0.9
TABLE = shown(None, whole=False)
DECISIONS = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """Different texts, and pairs of their rows with whether they are duplicates; of one row: exact copies."""

    texts: list[str]
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    profile: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="rows; none leaves growth out")
    parser.add_argument("--sets", nargs="*", metavar="NAME", help="only these sets  [default: all]")
    asked = parser.parse_args()
    folder = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "data" / "duplicates"
    if not folder.is_dir():
        raise SystemExit("no judged pairs: name the shared data's folder in SEARCHKIT_SHARED")
    figures: dict[str, Any] = {"sets": {}, "growth": []}
    embedder = open_embedder(BASE_MODEL)
    chosen = [path for path in sorted(folder.iterdir()) if asked.sets is None or path.name in asked.sets]
    for path in chosen:
        judged = read(path)
        instruction = embedder.instruction_for(Profile.load(judged.profile), "document")
        figures["sets"][path.name] = measure(judged, embedder.embed(judged.texts, instruction))
        print(path.name, figures["sets"][path.name], flush=True)
    for size in asked.sizes:
        figures["growth"].append(grown(size))
        print(figures["growth"][-1], flush=True)
    report("duplicates", figures, save=asked.save)


def read(folder: Path) -> Judged:
    """A set of pairs, or of texts in groups, of which all pairs are judged."""
    (file,) = folder.glob("*.jsonl.gz")
    lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    if "group" in rows[0]:
        groups = np.array([row["group"] for row in rows])
        left, right = np.triu_indices(len(rows), 1)
        first: dict[str, int] = {}
        at = np.array([first.setdefault(row["text"], len(first)) for row in rows])
        return Judged(list(first), at[left], at[right], groups[left] == groups[right], "document-duplicates")
    row_of = {text: at for at, text in enumerate(dict.fromkeys(row[side] for row in rows for side in "ab"))}
    left, right = (np.array([row_of[row[side]] for row in rows]) for side in "ab")
    same = np.array([int(row["label"]) == 1 for row in rows])
    return Judged(list(row_of), left, right, same, "question-duplicates")


def measure(judged: Judged, vectors: Float32Matrix) -> dict[str, Any]:
    """Everything about one set."""
    from sklearn.metrics import average_precision_score

    wide = vectors.astype(np.float64)
    brute = (wide[judged.left] * wide[judged.right]).sum(axis=1)
    with tempfile.TemporaryDirectory() as folder:
        _stored_vectors.store(Path(folder), vectors, judged.texts)
        library = Library(folder)
        took = timed(library, TABLE)[1]
        found = duplicates(library, show=Show())
        with library.reading() as (db, collection):
            texts = texts_of(db, collection)
    stored = texts.vectors
    near = neighbours(stored, NEIGHBOURS)
    ours = (stored[judged.left] * stored[judged.right]).sum(axis=1)
    by_threshold = {float(t): f1(judged, by_group(len(stored), grow(texts, near, float(t)))) for t in GRID}
    pairs = {float(t): f1_of(brute >= t, judged.same) for t in GRID}
    best = max(by_threshold, key=lambda t: by_threshold[t])
    auto = found.threshold.value
    reached = f1(judged, by_group(len(stored), rows_of(found)))
    return {
        "texts": len(judged.texts),
        "pairs": len(judged.same),
        "duplicates": int(judged.same.sum()),
        "ap": round(average_precision(ours, judged.same), 6),
        "ap_scikit_learn": round(float(average_precision_score(judged.same, brute)), 6),
        "auto": auto,
        "false_rate_expected": found.threshold.false_rate,
        "said_to_be_alike": found.threshold.alike,
        "f1_auto": round(reached, 4),
        "f1_best": round(by_threshold[best], 4),
        "best": best,
        "f1_best_of_pairs_alone": round(max(pairs.values()), 4),
        "share_of_best": round(reached / max(*by_threshold.values(), *pairs.values()), 4),
        "took_s": round(took, 3),
        "peers": peers(judged, stored, auto),
    }


def timed(library: Library, show: Show) -> tuple[Found, float]:
    """The better of two runs, as the peers have one to warm up."""
    runs = []
    for _ in range(2):
        started = time.perf_counter()
        found = duplicates(library, show=show)
        runs.append((time.perf_counter() - started, found))
    return min(runs, key=lambda run: run[0])[::-1]


def rows_of(found: Found) -> list[list[int]]:
    """Groups of rows; row i is passage i + 1."""
    return [
        [(one.passage_id or 0) - 1 for one in (group.representative, *group.copies)] for group in found.groups
    ]


def by_group(count: int, groups: list[list[int]]) -> np.ndarray:
    """For each row the first of its group, or itself."""
    label = np.arange(count)
    for rows in groups:
        label[rows] = rows[0]
    return label


def f1(judged: Judged, label: np.ndarray) -> float:
    """Of the judged pairs whose texts are in one group."""
    return f1_of(label[judged.left] == label[judged.right], judged.same)


def f1_of(found: np.ndarray, same: np.ndarray) -> float:
    """Twice what is right, by what is found and what there is."""
    return float(2 * (found & same).sum() / max(1, found.sum() + same.sum()))


def average_precision(scores: np.ndarray, same: np.ndarray) -> float:
    """Mean precision at each step of recall; equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    right = np.cumsum(same[order])[ends]
    steps = np.diff(right, prepend=0) / same.sum()
    return float((steps * right / (ends + 1)).sum())


def peers(judged: Judged, vectors: Float32Matrix, auto: float) -> dict[str, Any]:
    """F1 and seconds of each; a word where there are none."""
    python = os.environ.get("SEARCHKIT_BENCH_DUPLICATES")
    if not python:
        return {"left out": "SEARCHKIT_BENCH_DUPLICATES names no Python with semhash, sentence-transformers"}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "vectors.npy", vectors)
        (Path(folder) / "texts.json").write_text(json.dumps(judged.texts), encoding="utf-8")
        for name, threshold in contenders(auto):
            command = [python, str(ROOT / "benchmarks" / "_duplicate_peers.py"), name]
            command += [str(Path(folder) / "vectors.npy"), str(Path(folder) / "texts.json"), str(threshold)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{name} failed: {done.stderr[-800:]}")
            answer = json.loads(done.stdout.splitlines()[-1])
            predicted = {frozenset(pair) for pair in answer["pairs"]}
            pairs = zip(judged.left.tolist(), judged.right.tolist(), strict=True)
            hit = np.array([a == b or frozenset((a, b)) in predicted for a, b in pairs])
            found[f"{name} at {threshold}"] = {
                "f1": round(f1_of(hit, judged.same), 4),
                "took_s": answer["took_s"],
            }
    return found


def contenders(auto: float) -> Iterator[tuple[str, float]]:
    """What is run, at which threshold."""
    yield "semhash", SEMHASH_OWN
    yield "semhash", auto
    yield "paraphrase_mining", auto


def grown(size: int) -> dict[str, Any]:
    """Seconds to find the duplicates among so many stored texts, and whether the copies are found."""
    random = np.random.default_rng(size)
    copies = size // 20
    topics = random.normal(size=(size // 50, DIM)).astype(np.float32)
    base = topics[random.integers(0, len(topics), size - copies)]
    base = unit(base + 1.2 * random.normal(size=base.shape).astype(np.float32))
    moved = unit(base[:copies] + 0.015 * random.normal(size=(copies, DIM)).astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        _stored_vectors.store(
            Path(folder), np.concatenate([base, moved]), different_texts(size, copies, random)
        )
        library = Library(folder)
        decide(library, reject=[(at + 1, at + 2) for at in range(0, 2 * DECISIONS, 2)])
        started = time.perf_counter()
        duplicates(library, show=TABLE)
        took = time.perf_counter() - started
        found = duplicates(library)
    label = by_group(size, rows_of(found))
    hit = sum(label[at] == label[size - copies + at] for at in range(copies))
    return {
        "rows": size,
        "took_s": round(took, 2),
        "us_per_row_and_log2": round(1e6 * took / (size * float(np.log2(size))), 2),
        "copies_found": round(float(hit / copies), 4),
        "threshold": found.threshold.value,
        "groups": found.total,
    }


def different_texts(size: int, copies: int, random: np.random.Generator) -> list[str]:
    """Seventy words each; the last ones are the first ones with two words changed."""
    words = np.array([f"{stem}{end}" for stem in ("lo", "mi", "ra", "te", "vu") for end in range(200)])
    texts = [f"{at} " + " ".join(words[random.integers(0, len(words), 70)]) for at in range(size - copies)]
    return texts + [f"{text} {at} days" for at, text in enumerate(texts[:copies])]


def unit(rows: np.ndarray) -> Float32Matrix:
    """Rows of length 1."""
    made: Float32Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


if __name__ == "__main__":
    main()
