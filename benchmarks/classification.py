"""Classifiers against labels that people gave: how often right, how well calibrated, when silent.

    SEARCHKIT_SHARED=... python -m benchmarks.classification [--save]

Five labelled sets are embedded by all-MiniLM-L6-v2, once, without instruction. Each is split by a seed into
texts to learn from (half, at most 6,000) and texts to be asked (the rest, at most 6,000), three times.

- searchkit's classifier, scikit-learn's LogisticRegression as MTEB uses it (100 steps, its own C), and
  CalibratedClassifierCV around the same with Platt's sigmoids and, where scikit-learn has it, a temperature:
  all on the same vectors. Calibration error in 15 bins of equal width, log loss, accuracy.
- how many of the texts asked get an answer at the automatic threshold for a precision of 0.9, and how many of
  those answers are right.
- texts of the other four sets, 300 of each: how many get no answer, because they are unlike what was learnt
  or by their probability, and how many are held back by the probability alone.
- MTEB's protocol: eight texts of each label to learn from, the rest to be asked; five times, MTEB takes ten.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import report, versions
from benchmarks.clustering import SETS, embedded, rows_of, spread
from searchkit.analysis.classifier import judge
from searchkit.analysis.classifier_fitting import Examples, fit
from searchkit.analysis.classifier_scores import calibration_error, log_loss
from searchkit.arrays import Float32Matrix, Float64Matrix, Int64Vector
from searchkit.embedding.embedder import open_embedder
from searchkit.library.classifiers import Head
from searchkit.settings import BASE_MODEL

SEEDS = 3
MOST = 6_000  # texts to learn from, and to be asked
PRECISION = 0.9
FOREIGN = 300  # texts of each other set
SHOTS, RUNS = 8, 5


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    folder = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "data" / "clustering"
    if not folder.is_dir():
        raise SystemExit("no labelled sets: name the shared data's folder in SEARCHKIT_SHARED")
    embedder = open_embedder(BASE_MODEL)
    held = {}
    for name in SETS:
        rows = rows_of(folder / name)
        texts = [f"{row['title']}\n{row['text']}" if row.get("title") else row["text"] for row in rows]
        names, labels = np.unique([row["label"] for row in rows], return_inverse=True)
        group = np.unique([" ".join(text.split()).casefold() for text in texts], return_inverse=True)[1]
        held[name] = embedded(folder / name, texts, embedder), labels, group, tuple(names.tolist())
    sets = {}
    for name, (vectors, labels, group, classes) in held.items():
        foreign = np.concatenate([drawn(held[other][0]) for other in SETS if other != name])
        all_of = Examples(vectors, labels, group, classes)
        sets[name] = {**measured(all_of, foreign), "mteb": few_shots(all_of)}
        print(name, sets[name], flush=True)
    figures = {
        "model": embedder.model,
        "precision": embedder.precision,
        "promised": PRECISION,
        "sets": sets,
        **versions(("scikit-learn",)),
    }
    report("classification", figures, save=asked.save)


def drawn(vectors: Float32Matrix) -> Float32Matrix:
    """Some rows."""
    return vectors[np.random.default_rng(0).choice(len(vectors), FOREIGN, replace=False)]


def part(examples: Examples, rows: Int64Vector) -> Examples:
    """Some of the examples."""
    return Examples(examples.vectors[rows], examples.labels[rows], examples.groups[rows], examples.classes)


def split(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """To learn from, and to be asked; the same text is in one of them only."""
    groups = np.unique(examples.groups)
    learnt = np.random.default_rng(seed).permutation(groups)[: min(len(groups) // 2, MOST)]
    rows = np.isin(examples.groups, learnt)
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~rows))[:MOST]
    return part(examples, np.flatnonzero(rows)), part(examples, rest)


def measured(examples: Examples, foreign: Float32Matrix) -> dict[str, Any]:
    """All figures of one set but those of MTEB's protocol, as means and deviations over seeds."""
    found: list[dict[str, Any]] = []
    for seed in range(SEEDS):
        learnt, asked = split(examples, seed)
        started = time.perf_counter()
        head, own = fit(learnt, precision=PRECISION, seed=seed)
        took = time.perf_counter() - started
        ways = {"searchkit": judge(head, asked.vectors, threshold=None).probabilities}
        ways |= {way: probabilities(learnt, asked) for way, probabilities in peers().items()}
        one = {way: scores(made, asked.labels) for way, made in ways.items()}
        found.append(
            {
                "ways": one,
                "silence": silence(head, asked, foreign),
                "said of itself": {"accuracy": 100 * own.accuracy, "error": 100 * own.calibration_error[1]},
                "took_s": took,
            }
        )
    first = found[0]
    return {
        "labels": len(examples.classes),
        "texts": [len(one.labels) for one in split(examples, 0)],
        "ways": {way: together([one["ways"][way] for one in found]) for way in first["ways"]},
        "silence": together([one["silence"] for one in found if one["silence"]]),
        "reached": sum(bool(one["silence"]) for one in found),
        "said of itself": together([one["said of itself"] for one in found]),
        "took_s": round(float(np.median([one["took_s"] for one in found])), 1),
    }


def together(found: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Means and deviations by name."""
    return {name: spread([one[name] for one in found]) for name in found[0]} if found else {}


def scores(made: Float64Matrix, labels: Int64Vector) -> dict[str, float]:
    """Of held-out texts: accuracy and calibration error in percent, log loss."""
    best = made.argmax(axis=1)
    right, top = best == labels, made[np.arange(len(best)), best]
    return {
        "accuracy": 100 * float(right.mean()),
        "calibration_error": 100 * calibration_error(top, right),
        "log_loss": log_loss(made, labels),
    }


def silence(head: Head, asked: Examples, foreign: Float32Matrix) -> dict[str, float]:
    """In percent: answers given and right, foreign texts unanswered. Nothing where no threshold was found."""
    if head.threshold is None:
        return {}
    own = judge(head, asked.vectors, threshold=head.threshold)
    said = own.sure & own.known
    other = judge(head, foreign, threshold=head.threshold)
    return {
        "answered": 100 * float(said.mean()),
        "right": 100 * float((own.best == asked.labels)[said].mean()),
        "own unlike": 100 * float((~own.known).mean()),
        "foreign unanswered": 100 * float((~(other.sure & other.known)).mean()),
        "foreign improbable": 100 * float((~other.sure).mean()),
    }


def peers() -> Mapping[str, Callable[[Examples, Examples], Float64Matrix]]:
    """Ways to probabilities of scikit-learn, each from what is learnt to what is asked."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression

    def plain() -> Any:
        return LogisticRegression(max_iter=100)

    def way(make: Callable[[], Any]) -> Callable[[Examples, Examples], Float64Matrix]:
        def probabilities(learnt: Examples, asked: Examples) -> Float64Matrix:
            made = np.full((len(asked.labels), len(asked.classes)), 0.0)
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # 100 steps do not always converge, and MTEB takes what they give
                model = make().fit(learnt.vectors, learnt.labels)
                made[:, model.classes_] = model.predict_proba(asked.vectors)
            return made

        return probabilities

    ways = {
        "LogisticRegression": way(plain),
        "CalibratedClassifierCV, sigmoid": way(lambda: CalibratedClassifierCV(plain(), method="sigmoid")),
    }
    if tuple(map(int, versions(("scikit-learn",))["scikit-learn"].split(".")[:2])) >= (1, 8):
        ways["CalibratedClassifierCV, temperature"] = way(
            lambda: CalibratedClassifierCV(plain(), method="temperature")
        )
    return ways


def few_shots(examples: Examples) -> dict[str, dict[str, float]]:
    """Accuracy in percent of both, taught by a few texts of each label."""
    found: dict[str, list[float]] = {"searchkit": [], "LogisticRegression": []}
    plain = peers()["LogisticRegression"]
    for seed in range(RUNS):
        order = np.random.default_rng(seed).permutation(len(examples.labels))
        few = np.concatenate(
            [order[examples.labels[order] == label][:SHOTS] for label in range(len(examples.classes))]
        )
        learnt, asked = part(examples, few), part(examples, np.setdiff1d(order, few))
        head, _ = fit(learnt, precision=PRECISION, seed=seed)
        best = judge(head, asked.vectors, threshold=None).best
        found["searchkit"].append(100 * float((best == asked.labels).mean()))
        best = plain(learnt, asked).argmax(axis=1)
        found["LogisticRegression"].append(100 * float((best == asked.labels).mean()))
    return {way: spread(values) for way, values in found.items()}


if __name__ == "__main__":
    main()
