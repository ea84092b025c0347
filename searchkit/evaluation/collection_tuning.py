"""Which query Instruction is best for questions to a Collection, of which nothing is embedded again.

The choice is by an exact scan of the vectors of record, as queries find in vector mode; whether its winner is
one in hybrid mode, too, which is that of queries by default, is asked of the very path of queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from searchkit.collection import recipe
from searchkit.collection.library import Library
from searchkit.errors import UsageError
from searchkit.evaluation import selection
from searchkit.evaluation.asking import Way, ask
from searchkit.evaluation.own import MAIN, measured_of
from searchkit.evaluation.questions import Question, fingerprint_of, read_questions
from searchkit.evaluation.selection import Compared
from searchkit.evaluation.stored import StoredRanking
from searchkit.evaluation.trial import Observed, Trial
from searchkit.evaluation.tuning import OnProgress, Tuned, Tuning, choose, embedding, pool_of, profile_of
from searchkit.library.collections import StoredCollection
from searchkit.profile import Profile

DEFAULT_MODE = "hybrid"  # of Library.query


def tune_collection(
    library: Library,
    questions: Path,
    wanted: Tuning,
    *,
    collection: str | None = None,
    split: str | None = None,
    model: str | None = None,
    on_progress: OnProgress | None = None,
) -> Tuned:
    """Try query Instructions on the questions of a file, or of one split of it.

    A question finds Documents by their best Passage, as Library.query does in vector mode with one Hit per
    Document. Main measure nDCG@10. Questions without an answer are left out, which is noted.

    Raises: RecipeMismatch: the Profile or model asked for would give other vectors than those stored.
    UsageError: both sides are asked for, the Collection's task is symmetric, there are too few questions.
    DataInvalid: a question breaks the layout. CollectionNotFound, LibraryError, ModelError.
    """
    with library.reading(collection) as (db, stored):
        profile = _profile(stored, wanted)
        read = read_questions(questions, db, stored, split)
    asked = [one for one in read if one.documents]
    embedder = library.embedder(replace(stored, model=model) if model is not None else stored)
    recipe.require_same(
        stored.name,
        stored.recipe,
        recipe.recipe_of(embedder, profile),
        remedy="tune it as it was indexed: leave out --model and --profile; or embed it anew under another "
        f"name: searchkit index FOLDER -c {stored.name}-2",
    )
    wanted = replace(wanted, profile=profile, changed="query")
    pool = pool_of(embedder, "retrieval", wanted)
    selection.split(_without_vectors(stored.name, asked), wanted.plan)  # refuses too few before all is read
    with library.reading(stored.name) as (db, stored):
        ranked = StoredRanking.read(db, stored, profile.threshold)
    trial = ranked.trial(asked, embedding(embedder, wanted.kept, None))
    found = choose(trial, pool, embedder, wanted, fingerprint_of(asked), on_progress)
    notes = list(found.notes)
    if len(asked) < len(read):
        notes.append(f"{len(read) - len(asked)} questions without an answer are left out")
    by_default = None
    if found.winner is not None and found.trained:
        _, held_out = selection.split(trial, wanted.plan)
        way = Way(collection=stored.name, mode=DEFAULT_MODE, model=model)
        by_default = _by_default(library, [asked[row] for row in held_out], found, wanted, way)
        if not (by_default.difference > 0 and by_default.p < selection.SIGNIFICANT):
            notes.append(
                f"the winner is not proven better in {DEFAULT_MODE} mode, which queries use by default: "
                "its gain is one of --mode vector"
            )
    return replace(found, mode="vector", by_default=by_default, notes=tuple(notes))


def _profile(stored: StoredCollection, wanted: Tuning) -> Profile:
    """Whose query Instruction is the present one. Raises: UsageError: it cannot change."""
    profile = wanted.profile or Profile.from_dict(stored.profile)
    if profile.symmetric or wanted.changed == "both":
        raise UsageError(
            f"the passages of collection '{stored.name}' are stored under one instruction, which cannot "
            + (f"change, and '{profile.task}' has one for both sides" if profile.symmetric else "change"),
            remedy="tune on a set of texts instead: searchkit tune SET --side both",
        )
    return profile


def _without_vectors(name: str, asked: Sequence[Question]) -> Trial:
    """The items of a Trial that observes nothing."""

    def observe(*_: object) -> Observed:
        raise AssertionError("nothing is to be observed yet")

    return Trial(
        name=name, kind="retrieval", main=MAIN, groups=np.arange(len(asked)), observe=observe,
        measure=lambda observed, _: float(observed.mean()), means=True,
    )  # fmt: skip


def _by_default(
    library: Library, questions: Sequence[Question], found: Tuned, wanted: Tuning, way: Way
) -> Compared:
    """The winner and the present Instruction as queries find with them by default."""
    assert found.winner is not None
    trial = _without_vectors(found.task, questions)
    gave = []
    for place in (0, found.winner):
        profile = profile_of(found, place, wanted.profile, "tried")
        answers = ask(library, questions, replace(way, profile=profile))
        gave.append(np.asarray(measured_of(questions, answers, {}).items[MAIN], np.float64)[None, :])
    rows = np.arange(len(questions))
    return selection.compared(trial, rows, gave[0], gave[1], wanted.plan, candidate=found.winner)
