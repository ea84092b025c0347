"""Do questions made of a Collection's own texts rank ways to search it as judged questions do?

Each corpus is indexed under several ways to cut and to embed it, each is searched in three modes, and every
combination is measured by judged questions and by `--self`. Reported: Kendall's tau of the two rankings, and
of the pairs that differ significantly by judged questions (paired randomisation, p < 0.05) the share that
`--self` puts in the same order, and in how many it says so significantly.

    python -m benchmarks.self_evaluation [--corpus NAME] [--sample N] [--cuts N] [--save]

The corpora are sample_corpus and links_gov_docs. The latter reads $SEARCHKIT_SHARED; its questions are words
of links, so that the kind of that name is left out of `--self`: it would be measured by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks._conditions import report
from searchkit import Library, Profile
from searchkit.evaluation import own, pseudo
from searchkit.evaluation.own import Wanted
from searchkit.evaluation.results import Result, compare
from searchkit.settings import BASE_MODEL

CORPUS = Path(__file__).resolve().parent.parent / "sample_corpus"
SIGNIFICANT = 0.05
CUTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "without context": {"context": "none"},
    "60 tokens": {"max_tokens": 60},
    "whole documents": {"unit": "document"},
}


def measured(
    folder: Path, questions: Path, asked: argparse.Namespace, place: Path
) -> Iterator[tuple[str, Result, Result]]:
    """(system, by judged questions, by questions of its own)."""
    shipped = Profile.load("company-docs")
    for name, changes in list(CUTS.items())[: asked.cuts]:
        library = Library(place / name.replace(" ", "-"))
        library.index(
            [folder],
            profile=replace(shipped, chunking=replace(shipped.chunking, **changes)),
            model=BASE_MODEL,
        )
        wanted = Wanted(modes=own.MODES)
        judged = own.evaluate_own(library, questions, wanted)
        itself, _ = own.evaluate_itself(library, wanted, sample=asked.sample)
        for one, other in zip(judged, itself, strict=True):
            system = f"{name}, {one.details['mode']}"
            print(
                f"{system:26} {one.main:6.2f}  --self {other.main:6.2f}  {other.details['kinds']}", flush=True
            )
            yield system, one, other


def agreement(found: Sequence[tuple[str, Result, Result]]) -> dict[str, Any]:
    """How far the two rankings of systems agree."""
    from scipy.stats import kendalltau

    tau = kendalltau([one.main for _, one, _ in found], [other.main for _, _, other in found]).statistic
    decided = same = said = wrongly = comparable = 0
    for (_, one, itself), (_, another, another_itself) in combinations(found, 2):
        difference = _difference(one, another)
        if difference.p >= SIGNIFICANT:
            continue
        decided += 1
        same += (difference.difference > 0) == (another_itself.main > itself.main)
        if itself.data == another_itself.data:  # other cuts have other headings, perhaps
            comparable += 1
            by_itself = _difference(itself, another_itself)
            if by_itself.p < SIGNIFICANT:
                agrees = (difference.difference > 0) == (by_itself.difference > 0)
                said, wrongly = said + agrees, wrongly + (not agrees)
    return {
        "systems": {
            name: {"judged": round(one.main, 2), "self": round(other.main, 2)} for name, one, other in found
        },
        "questions": {
            "judged": found[0][1].measured.counts["questions"],
            "self": found[0][2].measured.counts["questions"],
        },
        "kendall_tau": round(float(tau), 3),
        "pairs_decided_by_judged": decided,
        "of_them_in_the_same_order": same,
        "of_them_comparable_by_self": comparable,
        "self_significant_same": said,
        "self_significant_opposite": wrongly,
    }


def _difference(one: Result, another: Result) -> Any:
    return compare({"": replace(one, task="")}, {"": replace(another, task="")})[0]


def gov_docs(shared: Path, place: Path) -> tuple[Path, Path]:
    """The folder, and its questions as `searchkit eval` reads them."""
    folder, judged = (
        shared / "corpora" / "gov_docs" / "files",
        shared / "data" / "retrieval" / "links_gov_docs",
    )
    names = {}
    for line in (judged / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, _ = line.split("\t")
        if (folder / document).exists():
            names.setdefault(query, []).append(document)
    rows = [json.loads(line) for line in (judged / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    file = place / "links.jsonl"
    file.write_text(
        "".join(
            json.dumps({"question": row["text"], "documents": names[row["_id"]]}) + "\n"
            for row in rows
            if row["_id"] in names
        ),
        encoding="utf-8",
    )
    return folder, file


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=own.SAMPLE)
    parser.add_argument("--corpus", choices=["sample_corpus", "links_gov_docs"], default="sample_corpus")
    parser.add_argument("--cuts", type=int, default=len(CUTS), help="only the first so many ways to cut")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.corpus == "sample_corpus":
            corpus, questions = CORPUS, CORPUS / "questions.jsonl"
        else:
            shared = os.environ.get("SEARCHKIT_SHARED")
            if not shared:
                raise SystemExit("name the shared data's folder in SEARCHKIT_SHARED")
            corpus, questions = gov_docs(Path(shared), Path(folder))
            pseudo.links_of = lambda text: iter(())  # they would be measured by themselves
        found = list(measured(corpus, questions, asked, Path(folder)))
    report("self_evaluation", {"corpus": asked.corpus, **agreement(found)}, save=asked.save)


if __name__ == "__main__":
    main()
