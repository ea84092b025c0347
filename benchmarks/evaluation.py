"""The embedded base on judged sets, by the protocol of each kind, beside public figures of the same model.

    SEARCHKIT_SHARED=... python -m benchmarks.evaluation [--set NAME ...] [--save]

No instruction, 256 tokens; what `searchkit eval` measures, on the same files, in parts:

- scifact: queries of split 'validation', which is BEIR's test set. stsb, sts16, sick_r: the test parts.
- banking77: of the set only its test part is at hand. A random half of its texts, by a seed, equal texts on
  one side, is learned from, the other asked: 10 draws of 16 texts of each label. MTEB learns from the train
  part and asks the whole test part: the figures are alike, not the same.
- mqp, qqp_mini: the first 3,000 pairs; mrpc whole. banking77_test, stackoverflow20, medical_abstracts5: 2,500
  texts by a seed; bbc_news whole.
- billboard_mscoco: Pearson, Kendall and Spearman with what people said, beside a baseline that looks at words
  alone: the largest Jaccard coefficient of the words of a caption and those of one of its references.

All is measured in float32, as others did, and in the precision that searchkit chooses, side by side.
Public figures are MTEB's of the same model; reference figures were measured once with this model in bfloat16
and are not public. Vectors are kept in the cache: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import report
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.evaluation.evaluate import Wanted, evaluate
from searchkit.evaluation.rows import rows_of
from searchkit.evaluation.sets import read_judgement
from searchkit.evaluation.similarity import kendall, pearson, spearman
from searchkit.evaluation.tasks import task_at
from searchkit.settings import BASE_MODEL, cache_folder

WINDOW = 256
SEED = 0
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A set: where it lies, how much of it is taken, and what others measured."""

    path: str
    kind: str | None = None
    split: str | None = None
    first: int | None = None  # rows from the beginning
    drawn: int | None = None  # rows at random
    public: float | None = None
    reference: float | None = None


SETS = {
    "scifact": Judged(path="retrieval/scifact", split="validation", public=64.51, reference=64.56),
    "stsb": Judged(path="sts/stsb", public=82.03, reference=82.05),
    "sts16": Judged(path="sts/sts16", public=78.99, reference=78.99),
    "sick_r": Judged(path="sts/sick_r", reference=77.14),
    "banking77": Judged(path="clustering/banking77_test", kind="classification", public=79.99),
    "mqp": Judged(path="duplicates/mqp", first=3_000, reference=89.20),
    "mrpc": Judged(path="duplicates/mrpc", reference=83.69),
    "qqp_mini": Judged(path="duplicates/qqp_mini", first=3_000, reference=77.80),
    "stackoverflow20": Judged(path="clustering/stackoverflow20", drawn=2_500, reference=70.25),
    "bbc_news": Judged(path="clustering/bbc_news", reference=68.95),
    "banking77_test": Judged(path="clustering/banking77_test", drawn=2_500, reference=78.05),
    "medical_abstracts5": Judged(path="clustering/medical_abstracts5", drawn=2_500, reference=24.16),
    "billboard_mscoco": Judged(path="judgement/billboard_mscoco"),
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set", dest="sets", action="append", choices=SETS, help="only this; may be repeated"
    )
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    shared = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "data"
    if not (shared / "judgement").is_dir():
        raise SystemExit("no judged sets: name the shared data's folder in SEARCHKIT_SHARED")
    exact = open_embedder(BASE_MODEL, precision="float32", max_tokens=WINDOW)
    usual = open_embedder(BASE_MODEL, max_tokens=WINDOW)
    found = {}
    for name in asked.sets or SETS:
        one = measured(shared, name, SETS[name], exact)
        beside = measured(shared, name, SETS[name], usual)
        found[name] = {**one, "usual": beside["measures"][beside["main"]]}
        print(name, {key: value for key, value in found[name].items() if key != "counts"}, flush=True)
    report(
        "evaluation",
        {"model": exact.model, "precision": exact.precision, "usual": usual.precision, "sets": found},
        save=asked.save,
    )


def measured(shared: Path, name: str, judged: Judged, embedder: Embedder) -> dict[str, Any]:
    """All figures of one set, in percent."""
    started = time.perf_counter()
    with taken(shared / judged.path, judged) as path:
        task = task_at(path, name=name, kind=judged.kind, split=judged.split)
        (result,) = evaluate(embedder, [task], Wanted(vectors=cache_folder() / "evaluation"))
        found = {
            "kind": result.measured.kind,
            "main": result.measured.main,
            "measures": {key: round(value, 2) for key, value in result.measured.measures.items()},
            "low": round(result.measured.low, 2),
            "high": round(result.measured.high, 2),
            "public": judged.public,
            "reference": judged.reference,
            "counts": dict(result.measured.counts),
            "took_s": round(time.perf_counter() - started, 1),
        }
    if result.measured.kind == "judgement":
        found["jaccard"] = jaccard(shared / judged.path / "data.jsonl.gz")
    return found


@contextmanager
def taken(folder: Path, judged: Judged) -> Iterator[Path]:
    """The set, or a file of the part of it that is taken."""
    if judged.first is None and judged.drawn is None:
        yield folder
        return
    (file,) = folder.glob("*.jsonl.gz")
    rows = [dict(row.fields) for row in rows_of(file)]
    if judged.drawn is not None:
        order = np.random.default_rng(SEED).permutation(len(rows))[: judged.drawn]
        rows = [rows[place] for place in order.tolist()]
    with tempfile.TemporaryDirectory() as made:
        part = Path(made) / f"{folder.name}.jsonl.gz"
        with gzip.open(part, "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows[: judged.first])
        yield part


def jaccard(file: Path) -> dict[str, float]:
    """Correlations, in percent, of the words that a text shares with its nearest reference."""
    judged = read_judgement(file)
    shares = [
        max(_jaccard(_words(text), _words(reference)) for reference in references)
        for text, references in zip(judged.generated, judged.references, strict=True)
    ]
    best, said = np.asarray(shares), np.asarray(judged.scores)
    ways = {"pearson": pearson, "kendall": kendall, "spearman": spearman}
    return {name: round(100 * way(best, said), 2) for name, way in ways.items()}


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


if __name__ == "__main__":
    main()
