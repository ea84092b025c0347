"""Does searchkit know when a Collection has no answer, and does relevance bring several Collections together?

    SEARCHKIT_SHARED=... python -m benchmarks.relevance [--documents N] [--queries N] [--save]

Each judged set becomes a Collection, a passage a document, calibrated as `searchkit index` does it. Every
query is asked of its own set (answerable) and of all others (taken as unanswerable, though a set may hold an
answer to another's question). Said to be relevant is what `searchkit query` says. The ROC goes over the
relevance of the best hit, beside that of its bare cosine. Then every query is asked of all sets at once:
nDCG@10 of the hits merged, by relevance and by reciprocal ranks, against that of its own set alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._stored_vectors import store
from benchmarks._texts import RetrievalSet
from benchmarks.hybrid import measures
from searchkit.arrays import Float32Matrix, Float32Vector, Float64Vector
from searchkit.collection import hits as making
from searchkit.collection import recovery, relevance
from searchkit.collection.merging import merged
from searchkit.collection.searching import Asked as Question
from searchkit.collection.searching import Search
from searchkit.library import collections as catalogue
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.profile import Profile
from searchkit.records import Hit

K = 10
THRESHOLDS = np.linspace(0, 100, 201)


@dataclass(frozen=True, slots=True)
class Asked:
    """A set as a Collection that is open for questions."""

    judged: RetrievalSet
    names: list[str]
    queries: Float32Matrix
    db: Database
    collection: StoredCollection


def main() -> None:
    """Measure every pair of sets and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=0, help="of each set at most; 0 for all")
    parser.add_argument("--queries", type=int, default=300, help="of each set at most; 0 for all")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    folders = _texts.retrieval_folders()
    if not folders:
        raise SystemExit("no judged sets: name the shared data's folder in SEARCHKIT_SHARED")

    from searchkit.embedding.embedder import open_embedder
    from searchkit.settings import BASE_MODEL

    embedder = open_embedder(BASE_MODEL, device="cpu")
    probes = embedder.embed(relevance.probes())
    with ExitStack() as opened:
        sets = []
        for folder in folders:
            judged = _texts.retrieval_set(folder, most_documents=asked.documents, most_queries=asked.queries)
            documents = embedder.embed(list(judged.documents.values()))
            queries = embedder.embed(list(judged.queries.values()))
            place = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            sets.append(made(judged, documents, queries, probes, place))
            opened.enter_context(sets[-1].db)
        figures = measured(sets)
    figures |= {"model": BASE_MODEL, "precision": embedder.precision}
    report("relevance", figures, save=asked.save)


def made(
    judged: RetrievalSet,
    documents: Float32Matrix,
    queries: Float32Matrix,
    probes: Float32Matrix,
    folder: Path,
) -> Asked:
    """A Library of one set, with its snapshot and its calibration."""
    store(folder, documents, list(judged.documents.values()))
    with Database.write(folder) as db:
        (collection,) = catalogue.collections(db)
        with db.transaction() as tx:
            catalogue.update_collection(
                tx, collection.collection_id, Profile.load("company-docs").to_dict(), "given"
            )
        (collection,) = catalogue.collections(db)
        recovery.publish(db, collection)
        found = relevance.calibrate(db, collection, "", probes, recovery.open_snapshot(db, collection))
        with db.transaction() as tx:
            catalogue.put_calibration(tx, collection.collection_id, found)
    reading = Database.read(folder)
    return Asked(judged, list(judged.documents), queries, reading, catalogue.collections(reading)[0])


def measured(sets: Sequence[Asked]) -> dict[str, Any]:
    """Verdicts by set, the ROC over all, and nDCG@10 of merged hits."""
    own: dict[str, list[Answered]] = {one.judged.name: [] for one in sets}
    foreign: dict[str, list[Answered]] = {one.judged.name: [] for one in sets}
    gains: dict[str, dict[str, list[float]]] = {}
    for asker in sets:
        ways: dict[str, list[float]] = {"alone": [], "by relevance": [], "by ranks": []}
        for (query, text), vector in zip(asker.judged.queries.items(), asker.queries, strict=True):
            answers = {one.judged.name: answered(one, text, vector) for one in sets}
            for name, answer in answers.items():
                (own if name == asker.judged.name else foreign)[name].append(answer)
            lists = [list(answer.hits) for answer in answers.values()]
            unknown = [[replace(hit, relevance=None) for hit in hits] for hits in lists]
            for way, hits in (
                ("alone", answers[asker.judged.name].hits),
                ("by relevance", merged(lists)[1]),
                ("by ranks", merged(unknown)[1]),
            ):
                ways[way].append(gain(asker, query, hits))
        gains[asker.judged.name] = {way: round(100 * float(np.mean(all_)), 2) for way, all_ in ways.items()}
        print(asker.judged.name, gains[asker.judged.name], flush=True)
    by_set = {name: verdicts(own[name], foreign[name]) for name in own}
    everything = [[one for found in kind.values() for one in found] for kind in (own, foreign)]
    return {
        "sets": {name: {**by_set[name], "ndcg@10": gains[name]} for name in by_set},
        "all": verdicts(*everything),
        "mean": {
            key: round(float(np.mean([one[key] for one in by_set.values()])), 2)
            for key in ("answerable_said_relevant", "unanswerable_said_nothing_relevant")
        },
        "auc": {
            "relevance": auc(*[np.array([one.relevance for one in kind]) for kind in everything]),
            "cosine": auc(*[np.array([one.cosine for one in kind]) for kind in everything]),
        },
        "roc": roc(*[np.array([one.relevance for one in kind]) for kind in everything]),
        "mean_ndcg@10": {
            way: round(float(np.mean([one[way] for one in gains.values()])), 2)
            for way in ("alone", "by relevance", "by ranks")
        },
        "threshold": relevance.RELEVANT,
    }


@dataclass(frozen=True, slots=True)
class Answered:
    """What one question found in one Collection."""

    said: bool
    relevance: float
    cosine: float
    hits: tuple[Hit, ...]


def answered(one: Asked, text: str, vector: Float32Vector) -> Answered:
    """Ask through the stages that Library.query goes through."""
    with one.db.one_state():
        search = Search(one.db, one.collection, Question(text=text, mode="hybrid", vector=vector))
        candidates = search.ranking.first(K)
        percentiles = search.relevances(candidates)
        hits = making.hits(
            one.db,
            candidates,
            first=1,
            collection=one.judged.name,
            relevances=percentiles,
            terms=(),
            marker=search.marker,
            context=0,
        )
        return Answered(
            said=bool(search.verdict()),
            relevance=max(percentiles, default=0.0),
            cosine=max((candidate.cosine or 0.0 for candidate in candidates), default=0.0),
            hits=tuple(replace(hit, document=one.names[hit.passage_id - 1]) for hit in hits),
        )


def gain(asker: Asked, query: str, hits: Sequence[Hit]) -> float:
    """nDCG@10 of hits from any set, for a query of one."""
    # Ids of documents are unique within a set only.
    names = [hit.document if hit.collection == asker.judged.name else "" for hit in hits[:K]]
    return measures(names, asker.judged.relevant[query])[0]


def verdicts(answerable: Sequence[Answered], unanswerable: Sequence[Answered]) -> dict[str, float]:
    """Shares in percent."""
    return {
        "answerable": len(answerable),
        "unanswerable": len(unanswerable),
        "answerable_said_relevant": round(100 * float(np.mean([one.said for one in answerable])), 2),
        "unanswerable_said_nothing_relevant": round(
            100 * float(np.mean([not one.said for one in unanswerable])), 2
        ),
    }


def auc(answerable: Float64Vector, unanswerable: Float64Vector) -> float:
    """Chance that an answerable question scores above an unanswerable one, equal scores counted half."""
    ordered = np.sort(unanswerable)
    below = np.searchsorted(ordered, answerable, side="left")
    up_to = np.searchsorted(ordered, answerable, side="right")
    return round(float((below + up_to).mean() / 2 / len(ordered)), 4)


def roc(answerable: Float64Vector, unanswerable: Float64Vector) -> dict[str, list[float]]:
    """Shares in percent called relevant from each percentile on."""
    return {
        "threshold": THRESHOLDS.tolist(),
        "answerable": [round(100 * float((answerable >= at).mean()), 2) for at in THRESHOLDS],
        "unanswerable": [round(100 * float((unanswerable >= at).mean()), 2) for at in THRESHOLDS],
    }


if __name__ == "__main__":
    main()
