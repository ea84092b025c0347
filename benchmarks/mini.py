"""searchkit-mini beside its base on all judged sets, and how well it follows Instructions.

    SEARCHKIT_SHARED=... python -m benchmarks.mini [MODEL] [--base MODEL] [--float32] [--only PART] [--save]
    python -m benchmarks.mini [MODEL] --dev FOLDER

Each kind of set has one Instruction, that of a Profile of this kind; the base has none. Sets as in
benchmarks/evaluation.py: samples by a seed, window 256 tokens, the precision that searchkit chooses.

- quality: every set, base and MODEL side by side; means of the categories, and of these.
- following: sets with two labellings (_mini_sets.py): v-measure of each labelling under each Instruction;
  own - other is how much more a labelling gets from its own Instruction than from the other one. And without.
- wordings: best less worst over five paraphrases of the Instruction (searchkit eval robustness), by category.
- --dev: the same questions of rows held out of training, made by benchmarks/_mini_rows.py: for choosing
  between runs, so that the judged sets are looked at as seldom as possible.

Vectors are kept in the cache: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import report
from benchmarks._mini_dev import dev
from benchmarks._mini_sets import TwoWays, two_ways
from benchmarks.evaluation import SETS, WINDOW, Judged, taken
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.evaluation.encoding import Encoder
from searchkit.evaluation.evaluate import Wanted, evaluate
from searchkit.evaluation.labelled import measure_clustering
from searchkit.evaluation.paraphrase import paraphrases
from searchkit.evaluation.rows import rows_of
from searchkit.evaluation.sets import LabelledSet
from searchkit.evaluation.tasks import task_at
from searchkit.profile import Profile, Side
from searchkit.settings import BASE_MODEL, DEFAULT_MODEL, cache_folder

PARTS = ("quality", "following", "wordings")
# The Profile of a category; those of one category say the same for all of its sets.
PROFILES: Mapping[str, str] = {
    "retrieval": "wiki-retrieval",
    "duplicates": "question-duplicates",
    "similarity": "semantic-similarity",
    "clustering": "topic-clustering",
    "judgement": "semantic-similarity",
}
CATEGORY: Mapping[str, str] = {"sts": "similarity"}  # of a folder of sets, where it is called otherwise
ALL: Mapping[str, Judged] = {
    **{
        name: SETS[name]
        for name in (
            "scifact", "stsb", "sts16", "sick_r", "mqp", "mrpc", "qqp_mini", "stackoverflow20", "bbc_news",
            "banking77_test", "medical_abstracts5", "billboard_mscoco",
        )
    },
    "cranfield": Judged(path="retrieval/cranfield"),
    "medline": Judged(path="retrieval/medline"),
    "nq_qed": Judged(path="retrieval/nq_qed", drawn=400),
    "xquad_en": Judged(path="retrieval/xquad_en", drawn=400),
    "policyqa": Judged(path="retrieval/policyqa", drawn=400),
    "links_gov_docs": Judged(path="retrieval/links_gov_docs"),
    "er_abt_buy": Judged(path="duplicates/er_abt_buy"),
    "powershell_versions": Judged(path="duplicates/powershell_versions", kind="retrieval"),
    "clinc150_test": Judged(path="clustering/clinc150_test", drawn=2_500),
}  # fmt: skip
# Sets for the wordings: one or two of each category, the cheap ones.
REWORDED = ("medline", "xquad_en", "mrpc", "stsb", "banking77_test", "stackoverflow20")
REWORDINGS = 5
NONE: Mapping[Side, str] = {"query": "", "document": ""}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, help="trained from the base")
    parser.add_argument("--base", default=BASE_MODEL, help="what it is held against")
    parser.add_argument("--float32", action="store_true", help="in float32 instead of the usual precision")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--set", dest="sets", action="append", choices=ALL, help="only this set of quality")
    parser.add_argument("--plain", action="append", default=[], choices=PROFILES, help="no Instruction here")
    parser.add_argument("--dev", type=Path, help="rows held out of training, instead of the judged sets")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    precision = "float32" if asked.float32 else "auto"
    models = {
        name: open_embedder(model, precision=precision, max_tokens=WINDOW)
        for name, model in (("base", asked.base), ("mini", asked.model))
    }
    about = {name: {"model": one.model, "precision": one.precision} for name, one in models.items()}
    if asked.dev is not None:
        print(json.dumps({**about, **dev(asked.dev, models["base"], models["mini"])}, indent=1))
        return
    data = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "data"
    if not (data / "judgement").is_dir():
        raise SystemExit("no judged sets: name the shared data's folder in SEARCHKIT_SHARED")
    found: dict[str, Any] = {}
    for part in asked.only or PARTS:
        if part == "quality":
            found[part] = quality(data, models, asked.sets or list(ALL), asked.plain)
        else:
            found[part] = (following if part == "following" else wordings)(data, models)
    report("mini", {**about, **found}, save=asked.save)


def quality(
    data: Path, models: Mapping[str, Embedder], names: Sequence[str], plain: Sequence[str]
) -> dict[str, Any]:
    """Main figures, in percent, by category and set; the means of both."""
    sets: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        judged = ALL[name]
        folder = judged.path.split("/")[0]
        category = CATEGORY.get(folder, folder)
        said = literals(models["mini"], PROFILES[category])
        figures = {
            "base": scored(data, name, judged, models["base"], NONE),
            "mini without": scored(data, name, judged, models["mini"], NONE),
            "mini": 0.0,
        }
        figures["mini"] = (
            figures["mini without"] if category in plain else scored(data, name, judged, models["mini"], said)
        )
        sets.setdefault(category, {})[name] = figures
        print(category, name, figures, flush=True)
    means = {
        category: {
            which: _mean([one[which] for one in of.values()]) for which in ("base", "mini without", "mini")
        }
        for category, of in sets.items()
    }
    overall = {
        which: _mean([one[which] for one in means.values()]) for which in ("base", "mini without", "mini")
    }
    print(json.dumps({"categories": means, "mean": overall}, indent=1), flush=True)
    return {"sets": sets, "categories": means, "mean": overall, "plain": list(plain)}


def following(data: Path, models: Mapping[str, Embedder]) -> dict[str, Any]:
    """Of each two-labelled set and model: v-measures by labelling under each Instruction and under none."""
    found: dict[str, Any] = {}
    for name, ways in two_ways(data).items():
        found[name] = {which: followed(ways, one) for which, one in models.items()}
        print(name, json.dumps(found[name]), flush=True)
    for which in models:
        gains = [found[name][which]["own - other"] for name in found if name != "mean"]
        without = [found[name][which]["own - none"] for name in found if name != "mean"]
        found.setdefault("mean", {})[which] = {"own - other": _mean(gains), "own - none": _mean(without)}
    print("mean", found["mean"], flush=True)
    return found


def followed(ways: TwoWays, embedder: Embedder) -> dict[str, Any]:
    """One set: {labelling: {Instruction's labelling or 'none': v-measure}}, own - other, own - none."""
    labelled = LabelledSet(
        texts=tuple(row["text"] for row in ways.rows),
        labels={one: tuple(row[one] for row in ways.rows) for one in ways.instructions},
    )
    figures: dict[str, dict[str, float]] = {one: {} for one in ways.instructions}
    for asked, text in {**ways.instructions, "none": ""}.items():
        encode = Encoder(embedder, {"query": text, "document": text}, cache_folder() / "evaluation")
        for labelling, measured in measure_clustering(labelled, encode).items():
            figures[labelling][asked] = round(measured.measures[measured.main], 1)
    one, other = ways.instructions
    crossed = [figures[one][one] - figures[one][other], figures[other][other] - figures[other][one]]
    bare = [figures[name][name] - figures[name]["none"] for name in (one, other)]
    return {**figures, "own - other": round(_mean(crossed), 1), "own - none": round(_mean(bare), 1)}


def wordings(data: Path, models: Mapping[str, Embedder]) -> dict[str, Any]:
    """Best less worst over paraphrases of each set's Instruction; its own score first."""
    found: dict[str, Any] = {}
    mini = models["mini"]
    for name in REWORDED:
        folder = ALL[name].path.split("/")[0]
        said = literals(mini, PROFILES[CATEGORY.get(folder, folder)])
        others = {side: paraphrases(text, REWORDINGS, seed=0) for side, text in said.items()}
        levels = [said] + [
            {side: texts[at] if at < len(texts) else said[side] for side, texts in others.items()}
            for at in range(REWORDINGS)
        ]
        scores = [scored(data, name, ALL[name], mini, one) for one in levels]
        found[name] = {"scores": scores, "gap": round(max(scores[1:]) - min(scores[1:]), 2)}
        print(name, found[name], flush=True)
    found["mean gap"] = _mean([found[name]["gap"] for name in REWORDED])
    print("mean gap", found["mean gap"], flush=True)
    return found


def literals(embedder: Embedder, profile: str) -> dict[Side, str]:
    """What the model reads before the texts of each side."""
    loaded = Profile.load(profile)
    sides: tuple[Side, ...] = ("query", "document")
    return {side: embedder.instruction_for(loaded, side) for side in sides}


def scored(data: Path, name: str, judged: Judged, embedder: Embedder, said: Mapping[Side, str]) -> float:
    """The main figure of one set, in percent."""
    started = time.perf_counter()
    with _part(data / judged.path, judged) as path:
        task = task_at(path, name=name, kind=judged.kind, split=judged.split)
        wanted = Wanted(instructions=said, vectors=cache_folder() / "evaluation")
        (result,) = evaluate(embedder, [task], wanted)
    took = time.perf_counter() - started
    if took > 60:
        print(f"  {name}: {took:.0f} s", flush=True)
    return round(result.measured.measures[result.measured.main], 2)


@contextmanager
def _part(folder: Path, judged: Judged) -> Iterator[Path]:
    """The set as it is evaluated: whole, some rows, some queries, or two versions of pages."""
    if folder.parent.name != "retrieval" and judged.kind != "retrieval":
        with taken(folder, judged) as path:
            yield path
        return
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / folder.name
        path.mkdir()
        if judged.kind == "retrieval":
            _versions(folder / "texts.jsonl.gz", path)
        else:
            _some_queries(folder, path, judged.drawn)
        yield path


def _some_queries(folder: Path, out: Path, count: int | None) -> None:
    """So many queries, or all; and the documents that say anything (cranfield has one that does not)."""
    rows = [dict(row.fields) for row in rows_of(folder / "queries.jsonl")]
    order = np.random.default_rng(0).permutation(len(rows))[:count].tolist()
    kept = [rows[at] for at in sorted(order)]
    names = {row["_id"] for row in kept}
    _write(out / "queries.jsonl", kept)
    documents = [dict(row.fields) for row in rows_of(folder / "corpus.jsonl.gz")]
    documents = [row for row in documents if row["text"].strip() or row.get("title", "").strip()]
    _write(out / "corpus.jsonl", documents)
    ids = {row["_id"] for row in documents}
    head, *lines = (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()
    judged = [line for line in lines if line.split("\t")[0] in names and line.split("\t")[1] in ids]
    (out / "qrels.tsv").write_text("\n".join([head, *judged]) + "\n", encoding="utf-8")


def _versions(file: Path, out: Path) -> None:
    """Pages of one version are asked for with those of the other."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    versions = sorted({row["version"] for row in rows})
    sides = [[row for row in rows if row["version"] == version] for version in versions]
    # Names of their own: a document that is named as the query is the query itself, and is not counted.
    _write(out / "queries.jsonl", [{"_id": f"old {row['group']}", "text": row["text"]} for row in sides[0]])
    _write(out / "corpus.jsonl", [{"_id": row["group"], "text": row["text"]} for row in sides[1]])
    groups = {row["group"] for row in sides[0]} & {row["group"] for row in sides[1]}
    lines = ["query-id\tcorpus-id\tscore", *(f"old {one}\t{one}\t1" for one in sorted(groups))]
    (out / "qrels.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2)


if __name__ == "__main__":
    main()
