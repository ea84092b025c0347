"""What do instructions do to the embedded base: which is best, does wording matter, how much is needed?

    SEARCHKIT_SHARED=... python -m benchmarks.instructions [--items N] [--save]

Parts of retrieval (SciFact's validation claims, ten documents for each), pairs (MQP) and clustering (BBC
News), each under a profile that fits; --items 0 takes all, and hours. Vectors are kept in the cache: a run
that was stopped goes on where it was. The embedded base was not trained with instructions: they stand
before its texts as they are.

- tune: is any of the template's instructions, of paraphrases, or the profile's own better than none on items
  held out?
- robustness: the profile's instruction and five paraphrases, best against worst (INSTRUCTOR's figure 4).
- ablate: none, tag, simple, detailed (figure 5).

Beside them made-up measures, of which the truth is known: over 200 seeds, how often is an instruction called
better where none is, and how often is one found that is?
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import report
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.evaluation import tasks, tuning, variants
from searchkit.evaluation.candidates import Texts
from searchkit.evaluation.selection import Plan, select
from searchkit.evaluation.tasks import Task
from searchkit.evaluation.trial import Trial
from searchkit.evaluation.tuning import Tuned
from searchkit.evaluation.variants import Variation
from searchkit.profile import Profile
from searchkit.settings import BASE_MODEL, cache_folder

SETS = {
    "scifact": ("retrieval/scifact", "validation", "scientific-retrieval"),
    "mqp": ("duplicates/mqp", None, "question-duplicates"),
    "bbc_news": ("clustering/bbc_news", None, "topic-clustering"),
}
# Of each set at most: articles and abstracts are long, and are embedded under each instruction.
ITEMS = {"scifact": 200, "mqp": 1_000, "bbc_news": 500}
EVERY_S = 10.0
SEEDS = 200
QUESTIONS, TRIED, GAIN = 150, 24, 0.2


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, help=f"of each set at most; 0 for all  [default: {ITEMS}]")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    shared = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "data"
    if not (shared / "retrieval").is_dir():
        raise SystemExit("no judged sets: name the shared data's folder in SEARCHKIT_SHARED")
    items = ITEMS if asked.items is None else dict.fromkeys(SETS, asked.items)
    embedder = open_embedder(BASE_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        chosen = [
            task_of(name, *place, shared=shared, items=items[name], folder=Path(folder))
            for name, place in SETS.items()
        ]
        figures = measured(embedder, chosen)
    figures |= {"model": embedder.model, "precision": embedder.precision, "items": items}
    figures["made_up"] = made_up()
    print(json.dumps(figures["made_up"]))
    report("instructions", figures, save=asked.save)


def task_of(
    name: str, path: str, split: str | None, profile: str, *, shared: Path, items: int, folder: Path
) -> Task:
    """A set, or a part of it written into a folder: its first items and all that answers them."""
    place = shared / path
    if items:
        place = cut(place, folder / name, split, items)
    return tasks.task_at(place, name=name, split=split, profile=profile)


def cut(place: Path, target: Path, split: str | None, items: int) -> Path:
    """The first items of a set, seeded where it is sorted; of retrieval ten documents for each query."""
    target.mkdir()
    if not (place / "qrels.tsv").exists():
        (file,) = place.glob("*.jsonl.gz")
        rows = lines(file)
        chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:items])
        # Pairs of one text follow one another: they are taken from the beginning.
        kept = rows[:items] if file.name.startswith("pairs") else [rows[row] for row in chosen]
        write(target / file.name.removesuffix(".gz"), kept)
        return target
    queries = [one for one in lines(place / "queries.jsonl") if one.get("split") == split][:items]
    asked = {one["_id"] for one in queries}
    head, *judged = (place / "qrels.tsv").read_text(encoding="utf-8").splitlines()
    judged = [line for line in judged if line.split("\t")[0] in asked]
    needed = {line.split("\t")[1] for line in judged}
    documents = sorted(lines(place / "corpus.jsonl.gz"), key=lambda one: one["_id"] not in needed)
    write(target / "corpus.jsonl", documents[: max(len(needed), 10 * len(queries))])
    write(target / "queries.jsonl", queries)
    (target / "qrels.tsv").write_text("\n".join([head, *judged]) + "\n", encoding="utf-8")
    return target


def lines(file: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as JSONL."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def measured(embedder: Embedder, chosen: Sequence[Task]) -> dict[str, Any]:
    """What tune, robustness and ablate find of each set."""
    folder = cache_folder() / "evaluation"
    wanted = variants.Varying(kept=folder)
    figures: dict[str, Any] = {"tune": {}, "robustness": {}, "ablate": {}}
    for task in chosen:
        profile = Profile.load(str(task.profile))
        (found,) = tuning.tune(embedder, task, tuning.Tuning(profile=profile, kept=folder), Said(task.name))
        figures["tune"][task.name] = tuned(found)
        print(task.name, figures["tune"][task.name], flush=True)
        (gaps,) = variants.robustness(embedder, [task], wanted, on_progress=Said(task.name))
        (degrees,) = variants.ablate(embedder, [task], wanted, Said(task.name))
        figures["robustness"][task.name], figures["ablate"][task.name] = varied(gaps), varied(degrees)
        print(task.name, figures["robustness"][task.name], figures["ablate"][task.name], flush=True)
    return figures


class Said:
    """Says on stderr how far it is, at most every ten seconds."""

    def __init__(self, name: str) -> None:
        self._name, self._began, self._last = name, time.monotonic(), 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last > EVERY_S:
            self._last = now
            line = (
                f"{self._name}: {what.removeprefix(self._name)} {done} of {total}, {now - self._began:.0f} s"
            )
            print(line.replace(": : ", ": "), file=sys.stderr, flush=True)


def tuned(found: Tuned) -> dict[str, Any]:
    """What was compared on held-out items, and the verdict."""
    return {
        "main": found.main,
        "items": found.items,
        "held_out": found.held_out,
        "candidates": len(found.candidates) - 1,
        "compared": [
            {
                "instruction": found.candidates[one.candidate].texts["query"],
                "origin": found.candidates[one.candidate].origin,
                "score": round(one.score, 2),
                "present": round(one.present, 2),
                "low": round(one.low, 2),
                "high": round(one.high, 2),
                "p": round(one.p, 4),
            }
            for one in found.compared
        ],
        "verdict": found.verdict,
    }


def varied(found: Variation) -> dict[str, Any]:
    """Scores by name, and how far apart they are."""
    return {
        "main": found.main,
        "items": found.items,
        "changed": found.changed,
        "gap": round(found.gap, 2),
        "gap_p": round(found.gap_p, 4),
        "levels": [
            {
                "name": one.name,
                "instruction": one.texts["query"],
                "score": round(one.score, 2),
                "low": round(one.low, 2),
                "high": round(one.high, 2),
                "p": round(one.p, 4),
            }
            for one in found.levels
        ],
    }


def made_up() -> dict[str, Any]:
    """Of 200 seeds, in how many percent an instruction is called better, where none is and where one is."""
    texts: list[Texts] = [
        {"query": f"instruction {one}: " if one else "", "document": ""} for one in range(TRIED)
    ]
    claimed = [select(invented(seed, 0.0), texts, Plan(rounds=2_000)).winner for seed in range(SEEDS)]
    found = [select(invented(seed, GAIN), texts, Plan(rounds=2_000)).winner for seed in range(SEEDS)]
    return {
        "seeds": SEEDS,
        "instructions": TRIED - 1,
        "questions": QUESTIONS,
        "gain": 100 * GAIN,
        "claimed_where_none_is": round(100 * float(np.mean([one is not None for one in claimed])), 1),
        "found_where_one_is": round(100 * float(np.mean([one == TRIED - 1 for one in found])), 1),
    }


def invented(seed: int, gain: float) -> Trial:
    """Questions of different difficulty, and chance of each question's own under each instruction."""
    drawn = np.random.default_rng(seed)
    easy, chance = drawn.random(QUESTIONS), drawn.normal(0, 0.25, (TRIED, QUESTIONS))
    chance[-1] += gain

    def observe(texts: Texts, rows: Any) -> Any:
        name = texts["query"]
        which = int(name.split()[1].rstrip(":")) if name else 0
        return np.clip(easy + chance[which], 0, 1)[None, rows]

    return Trial(
        name="made up", kind="retrieval", main="ndcg@10", groups=np.arange(QUESTIONS), observe=observe,
        measure=lambda observed, rows: float(observed.mean()), means=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
