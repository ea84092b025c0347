"""Rows held out of searchkit-mini's training, as sets to choose between runs on. Quick: a minute or two."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.embedding.embedder import Embedder
from searchkit.evaluation.encoding import Encoder
from searchkit.evaluation.labelled import clustered
from searchkit.evaluation.similarity import spearman
from searchkit.settings import cache_folder

TEXTS = 240  # of a labelled set at most
ROWS = 60  # of a task of pairs at most
SEEDS = 4
DOCUMENT = "Represent the document for retrieval: "
QUESTION = "Represent the question for retrieving supporting documents: "
SAME = "Represent the sentence for measuring semantic similarity: "
ALIKE = ("medical_rqe", "disflqa", "wiki_split", "database_questions", "wdc_product_match", "snli_dev_test")
LABELS = ("hwu_intent", "hwu_scenario", "snips_intent", "trec_fine", "trivia_category", "subjectivity",
          "opinion_phrase_polarity")  # fmt: skip


def dev(folder: Path, base: Embedder, mini: Embedder) -> dict[str, Any]:
    """Figures of rows held out, in percent.

    retrieval, alike: mean reciprocal ranks of positives among those of all rows and the negatives: base,
    mini without and with an Instruction. similarity: Spearman's correlation of mini's cosines with the
    base's. following: v-measures by labelling under its own Instruction and the other.
    """
    ranks: dict[str, dict[str, list[float]]] = {}
    agreement: dict[str, list[float]] = {"without": [], "with": []}
    for file in sorted((folder / "dev").glob("*.pairs.jsonl.gz")):
        task = file.name.split(".")[0]
        if task in LABELS:
            continue
        rows = [row for row in _read(file) if row["negative"]][:ROWS]
        said = (SAME, SAME) if task in ALIKE else (QUESTION, DOCUMENT)
        kind = ranks.setdefault("alike" if task in ALIKE else "retrieval", {})
        cosines = []
        for name, model, (query, document) in (
            ("base", base, ("", "")), ("without", mini, ("", "")), ("with", mini, said)
        ):  # fmt: skip
            queries, positives, negatives = _sides(model, rows, query, document)
            kind.setdefault(name, []).append(_rank(queries, positives, negatives))
            cosines.append(np.concatenate([_own(queries, positives), _own(queries, negatives)]))
        for at, name in enumerate(agreement, start=1):
            agreement[name].append(spearman(cosines[at], cosines[0]))
    following = {
        file.name.split(".")[0]: _followed(_read(file)[:TEXTS], file.name.split(".")[0], base, mini)
        for file in sorted((folder / "dev").glob("*.jsonl.gz"))
        if ".pairs." not in file.name
    }
    return {
        **{kind: {name: _percent(of) for name, of in found.items()} for kind, found in ranks.items()},
        "agreement": {name: _percent(of) for name, of in agreement.items()},
        "following": following,
        "own - other": {
            name: round(float(np.mean([one[name]["own - other"] for one in following.values()])), 1)
            for name in ("base", "mini")
        },
    }


ASPECTS: Mapping[str, Mapping[str, str]] = {
    "medquad_questions": {"disease": "question|disease", "type": "question|type of information asked"},
    "medquad_answers": {"disease": "medical passage|disease", "type": "medical passage|kind of information"},
    "commands": {"program": "text|program", "action": "text|action"},
    "sections": {"subject": "document|subject", "section": "document|kind of section"},
    "code_questions": {"language": "question|programming language", "form": "question|form of question"},
    "relations": {"relation": "question|relation it asks about", "form": "question|form of question"},
    "domains": {"domain": "question|domain", "form": "question|form of question"},
    "databases": {"database": "question|domain", "opening": "question|wording"},
    "made_feeling": {"topic": "sentence|topic", "feeling": "sentence|sentiment"},
    "made_time": {"topic": "sentence|topic", "time": "sentence|tense"},
    "made_form": {"topic": "sentence|topic", "form": "sentence|kind of sentence"},
    "reviews": {"sentiment": "review|sentiment", "subject": "review|subject"},
}


def _followed(
    rows: Sequence[Mapping[str, str]], task: str, base: Embedder, mini: Embedder
) -> dict[str, dict[str, float]]:
    from sklearn.metrics import v_measure_score

    said = {
        name: "Represent the {} for clustering by {}: ".format(*one.split("|"))
        for name, one in ASPECTS[task].items()
    }
    texts = [row["text"] for row in rows]
    found = {}
    for which, model in (("base", base), ("mini", mini)):
        figures: dict[tuple[str, str], float] = {}
        for asked, instruction in said.items():
            vectors = _embedded(model, texts, instruction)
            for labelling in said:
                labels = [row[labelling] for row in rows]
                figures[labelling, asked] = 100 * float(
                    np.mean(
                        [
                            v_measure_score(labels, clustered(vectors, len(set(labels)), seed))
                            for seed in range(SEEDS)
                        ]
                    )
                )
        one, other = said
        found[which] = {
            one: round(figures[one, one], 1),
            other: round(figures[other, other], 1),
            "own - other": round(
                (figures[one, one] - figures[one, other] + figures[other, other] - figures[other, one]) / 2, 1
            ),
        }
    return found


def _sides(
    model: Embedder, rows: Sequence[Mapping[str, str]], query: str, document: str
) -> tuple[Float32Matrix, Float32Matrix, Float32Matrix]:
    texts = [row[side] for side in ("positive", "negative") for row in rows]
    documents = _embedded(model, texts, document)
    return _embedded(model, [row["query"] for row in rows], query), *np.split(documents, 2)


def _embedded(model: Embedder, texts: Sequence[str], instruction: str) -> Float32Matrix:
    """Vectors, kept between runs: the base is the same in all of them."""
    encode = Encoder(model, {"document": instruction}, cache_folder() / "evaluation")
    return encode(texts, "document")


def _rank(queries: Float32Matrix, positives: Float32Matrix, negatives: Float32Matrix) -> float:
    own = _own(queries, positives)[:, None]
    above = (queries @ positives.T > own + 1e-6).sum(1) + (queries @ negatives.T > own + 1e-6).sum(1)
    return float((1 / (1 + above)).mean())


def _own(queries: Float32Matrix, others: Float32Matrix) -> Float32Matrix:
    cosines: Float32Matrix = (queries * others).sum(1)
    return cosines


def _percent(values: Sequence[float]) -> float:
    return round(100 * float(np.mean(values)), 2)


def _read(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
