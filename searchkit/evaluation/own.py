"""How good a user's own Collection answers, measured through the very path of its queries.

The items are questions. A ranking is that of documents: the best passage of each counts. Where a table was
named, its first row that is found stands for it. Measures as in ranking.py, over the first 100 documents:

    ndcg@10 (main), mrr@10, recall@1, @5, @10, @100, map
    passage@10      of the questions that name a passage: it is among the first ten passages
    answered        of the questions with an answer: not told that nothing relevant was found
    refused         of those without: told so
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.collection import recipe
from searchkit.collection.info import CollectionInfo
from searchkit.collection.library import Library
from searchkit.collection.question import loaded
from searchkit.evaluation import pseudo, ranking, statistics
from searchkit.evaluation.asking import Answer, Way, ask
from searchkit.evaluation.masking import copied, mask
from searchkit.evaluation.measured import Measured
from searchkit.evaluation.questions import Question, fingerprint_of, read_questions
from searchkit.evaluation.results import Damaged, Result, held, key_of, place, write
from searchkit.evaluation.rows import stem_of
from searchkit.profile import Profile
from searchkit.records import Hit
from searchkit.settings import VERSION

MODES = ("hybrid", "vector", "text")
MAIN = "ndcg@10"
MEASURES = (
    MAIN,
    "mrr@10",
    *(f"recall@{k}" for k in (1, 5, 10, 100)),
    "map",
    "passage@10",
    "answered",
    "refused",
)
SELF = "self"
SAMPLE = pseudo.SAMPLE
WORST = 10
SNIPPET = 160  # characters of a passage that was found instead
JUDGED_BY_PEOPLE = "judged questions"
WEAK = (
    "weak evidence: headings, titles, links and questions of the collection's own, not what its users ask; "
    "good for comparing modes, no figure of how good it is"
)

OnTask = Callable[[str, int, int], None]  # what is asked, how many, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a Collection is measured.

    collection: default as for a query. modes: each is measured by itself. profile, model: as for a query.
    worst: how many of the worst answered questions a Result holds. out: where Results are written; None:
    nowhere. again: write over what `out` holds of another measurement.
    """

    collection: str | None = None
    modes: tuple[str, ...] = ("hybrid",)
    profile: Profile | str | Path | None = None
    model: str | Path | None = None
    worst: int = WORST
    out: Path | None = None
    again: bool = False


def evaluate_own(
    library: Library,
    file: Path,
    wanted: Wanted,
    *,
    split: str | None = None,
    on_task: OnTask | None = None,
) -> list[Result]:
    """Measure a Collection by the questions of a file (questions.py). Returns: a Result for each mode.

    Raises: UsageError, DataInvalid: the questions cannot be used. As Library.query does.
    """
    info = library.show(wanted.collection)
    with library.reading(info.name) as (db, collection):
        questions = read_questions(file, db, collection, split)
    named = task_names(file, wanted.modes, split), evidence_of(questions)
    return _each_mode(library, info, questions, named, wanted, on_task)


def task_names(file: Path | None, modes: Sequence[str], split: str | None = None) -> list[str]:
    """What the Results of each mode are called: by the file, None for --self, and by the mode."""
    name = SELF if file is None else stem_of(file) + (f"-{split}" if split else "")
    return [f"{name}/{mode}" for mode in modes]


def evidence_of(questions: Sequence[Question]) -> str:
    """What figures say of the answers to these questions, asked of the Collection as it is."""
    made = sum(one.kind in pseudo.KINDS for one in questions)
    if not made:
        return JUDGED_BY_PEOPLE
    return (
        f"weak evidence: {made:,} of {len(questions):,} questions are the collection's own headings, titles "
        "and the like, asked unmasked: they find themselves; put them in other words, and delete their 'kind'"
    )


def evaluate_itself(
    library: Library,
    wanted: Wanted,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    on_task: OnTask | None = None,
) -> tuple[list[Result], list[Question]]:
    """Measure a Collection by questions made of its own texts (pseudo.py): weak evidence.

    They are asked of a copy, from which their words are taken out where they stand as heading or title of
    what they ask for (masking.py).
    Returns: a Result for each mode, and the questions. Raises: UsageError: its texts give too few; as
    Library.query does: before anything is copied. LibraryNotWritable: there is no room for the copy.
    """
    info = library.show(wanted.collection)
    _require_usable(library, info, wanted)
    read = partial(pseudo.questions_of, sample=sample, seed=seed)
    copying, masking = (
        None if on_task is None else partial(on_task, doing) for doing in ("copied rows", "masked passages")
    )
    with copied(library, info.name, read, copying) as (other, made):
        mask(other, info.name, made.phrases, masking)
        found = _each_mode(
            other, info, made.questions, (task_names(None, wanted.modes), WEAK), wanted, on_task
        )
    return found, list(made.questions)


def _require_usable(library: Library, info: CollectionInfo, wanted: Wanted) -> None:
    """Open the models and ask once in each mode, so that what is wrong shows before hours of work."""
    with library.reading(info.name) as (_, collection):
        pass
    library.embedder(collection)  # with which masked passages are embedded
    for mode in wanted.modes:
        library.query(general_questions()[0].text, **_way(info, mode, wanted).options)


def _way(info: CollectionInfo, mode: str, wanted: Wanted) -> Way:
    return Way(collection=info.name, mode=mode, profile=wanted.profile, model=wanted.model)


def general_questions() -> list[Question]:
    """Questions that hardly any Collection answers, none of them one that relevance is calibrated with."""
    text = (Path(__file__).parent / "general_questions.txt").read_text(encoding="utf-8")
    return [Question(text=line) for line in text.splitlines()]


def _each_mode(
    library: Library,
    info: CollectionInfo,
    questions: Sequence[Question],
    named: tuple[Sequence[str], str],
    wanted: Wanted,
    on_task: OnTask | None,
) -> list[Result]:
    names, evidence = named
    found = []
    ways = [_way(info, mode, wanted) for mode in wanted.modes]
    planned = [_about(library, info, way, questions, name) for way, name in zip(ways, names, strict=True)]
    if wanted.out is not None and not wanted.again:  # before hours of work
        for one in planned:
            key = key_of(one["task"], "retrieval", one["fingerprint"], one["instructions"], one["data"])
            with contextlib.suppress(Damaged):
                held(place(wanted.out, one["task"]), key)
    for way, about in zip(ways, planned, strict=True):
        mode = way.mode
        asked = questions
        general = mode != "text" and all(one.documents for one in questions)
        if general:  # of words alone no relevance is known
            asked = [*questions, *general_questions()]
        told = None if on_task is None else partial(on_task, f"asking, {mode}")
        answers = ask(library, asked, way, told)
        details = {
            "collection": info.name,
            "mode": mode,
            "evidence": evidence,
            "unanswerable": "general questions of searchkit's own" if general else "of the file",
            **details_of(asked, answers, wanted.worst),
        }
        found.append(
            Result(
                measured=measured_of(asked, answers, _counts(info)),
                took_s=round(sum(one.took_ms for one in answers) / 1000, 3),
                version=VERSION,
                details=details,
                **about,
            )
        )
        if wanted.out is not None:
            write(found[-1], wanted.out, again=wanted.again)
    return found


def _about(
    library: Library, info: CollectionInfo, way: Way, questions: Sequence[Question], task: str
) -> dict[str, Any]:
    """All that a Result says beside what is measured."""
    return {
        "task": task,
        "model": str(way.model or info.model),
        "fingerprint": {**info.recipe, "mode": way.mode, "collection": info.name},
        "instructions": _instructions(library, way, info, questions[0].text),
        "profile": (loaded(way.profile) or info.profile).name,
        "data": fingerprint_of(questions),
    }


def measured_of(
    questions: Sequence[Question], answers: Sequence[Answer], counts: Mapping[str, int]
) -> Measured:
    """Measures in percent; items are the questions that have an answer, in their order."""
    pairs = list(zip(questions, answers, strict=True))
    judged = [(one, answer) for one, answer in pairs if one.documents]
    rows = [_of_question(one, answer) for one, answer in judged]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    measures = {name: 100 * float(np.mean(values)) for name, values in columns.items()}
    shown: list[bool | None] = [answer.passage for _, answer in judged if answer.passage is not None]
    verdicts: dict[str, list[bool | None]] = {
        "answered": [answer.relevant for one, answer in pairs if one.documents],
        "refused": [
            None if answer.relevant is None else not answer.relevant
            for one, answer in pairs
            if not one.documents
        ],
    }
    for name, said in {"passage@10": shown, **verdicts}.items():
        if known := [one for one in said if one is not None]:
            measures[name] = 100 * float(np.mean(known))
    low, high = statistics.mean_interval(np.asarray(columns[MAIN]))
    note = ""
    if math.isnan(low):
        note = f"{len(rows)} questions are too few for an interval, {statistics.LEAST} the fewest"
    return Measured(
        kind="retrieval",
        main=MAIN,
        measures=measures,
        items=columns,
        counts={
            **counts,
            "questions": len(rows),
            "unanswerable": len(pairs) - len(rows),
            "passages named": len(shown),
        },
        low=100 * low,
        high=100 * high,
        notes=(note,) if note else (),
    )


def ranks_of(question: Question, documents: Sequence[int]) -> list[int]:
    """The rank from 1 of each document that answers, ascending; a table is found with its first row.

    Rows of that table that follow take no rank: nobody judged how many of them are right.
    """
    left = list(question.documents)
    right = frozenset[int]().union(*question.documents)
    ranks, rank = [], 0
    for document in documents:
        unit = next((one for one in left if document in one), None)
        if unit is None and document in right:
            continue
        rank += 1
        if unit is not None:
            left.remove(unit)
            ranks.append(rank)
    return ranks


def _of_question(question: Question, answer: Answer) -> dict[str, float]:
    ranks = ranks_of(question, answer.documents)
    ranked = [0.0] * max(ranks, default=0)
    for rank in ranks:
        ranked[rank - 1] = 1.0
    judged = [1.0] * len(question.documents)
    return {
        "ndcg@10": ranking.ndcg(ranked, judged, 10),
        "mrr@10": ranking.reciprocal_rank(ranked[:10]),
        **{f"recall@{k}": ranking.recall(ranked, judged, k) for k in (1, 5, 10, 100)},
        "map": ranking.average_precision(ranked, judged),
    }


def details_of(questions: Sequence[Question], answers: Sequence[Answer], worst: int) -> dict[str, Any]:
    """What else is worth knowing: latency, measures of each kind of question, what was answered worst."""
    times = [answer.took_ms for answer in answers]
    judged = [
        (_of_question(one, answer)[MAIN], one, answer)
        for one, answer in zip(questions, answers, strict=True)
        if one.documents
    ]
    kinds: dict[str, list[float]] = {}
    for score, one, _ in judged:
        kinds.setdefault(one.kind, []).append(score)
    bad = sorted((one for one in judged if one[0] < 1), key=lambda one: one[0])[:worst]
    return {
        "latency_ms": {
            "p50": round(float(np.percentile(times, 50)), 1),
            "p95": round(float(np.percentile(times, 95)), 1),
            "queries": len(times),
        },
        "kinds": {
            kind: {"questions": len(scores), MAIN: round(100 * float(np.mean(scores)), 2)}
            for kind, scores in sorted(kinds.items())
        },
        "worst": [_shown(score, one, answer) for score, one, answer in bad],
        "not_refused": [
            {"question": one.text, "found": _hit(answer.first[0])}
            for one, answer in zip(questions, answers, strict=True)
            if not one.documents and answer.relevant and answer.first
        ][:worst],
    }


def _shown(score: float, question: Question, answer: Answer) -> dict[str, Any]:
    ranks = ranks_of(question, answer.documents)
    return {
        "question": question.text,
        "kind": question.kind,
        MAIN: round(100 * score, 2),
        "wanted": list(question.names),
        "ranks": ranks,
        "told_nothing": answer.relevant is False,
        "found": [_hit(one) for one in answer.first],
    }


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "where": hit.where,
        "heading": hit.heading,
        "text": " ".join(hit.text.split())[:SNIPPET],
        "relevance": hit.relevance,
    }


def _counts(info: CollectionInfo) -> dict[str, int]:
    return {"documents": info.counts.documents, "passages": info.counts.passages}


def _instructions(library: Library, way: Way, info: CollectionInfo, text: str) -> dict[str, str]:
    """The literal texts before queries and documents; before a query of words alone there is none."""
    asked = library.query(text, explain=True, k=1, **way.options).explanation or {}
    part = asked.get(info.name)
    model = part.get("model") if isinstance(part, dict) else None
    query = str(model.get("instruction", "")) if isinstance(model, dict) else ""
    return {"query": query, "document": info.recipe.get(recipe.INSTRUCTION, "")}
