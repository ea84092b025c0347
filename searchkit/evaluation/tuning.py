"""Which Instruction is best for a judged set, or for questions to a Collection; may well be the present one.

Where queries and documents play different parts, the query side is tried alone unless both are asked for, so
that no document is embedded twice. In symmetric tasks every Candidate embeds the texts it is tried on again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.collection import recipe
from searchkit.collection.library import Library
from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError
from searchkit.evaluation import candidates as making
from searchkit.evaluation import selection, statistics
from searchkit.evaluation.candidates import Candidate, Changed, Origin, Renderer
from searchkit.evaluation.encoding import Encoder
from searchkit.evaluation.measured import Kind
from searchkit.evaluation.questions import read_questions
from searchkit.evaluation.results import without_nan
from searchkit.evaluation.selection import Compared, Plan, Round
from searchkit.evaluation.stored import StoredRanking
from searchkit.evaluation.tasks import Task
from searchkit.evaluation.trial import Embed, Trial, trials_of
from searchkit.profile import Instruction, Profile, Side

OnProgress = Callable[[str, int, int], None]  # what is done, so much of it, of how much


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which Candidates are tried, and how.

    profile: whose Instructions are the present ones; None for no Instruction, of a Collection its own.
    changed: the sides tried; None for the query side of an asymmetric task, both of a symmetric one.
    own: (query side, document side or None for the present one) of a user's Candidates.
    grammar, paraphrases: at most so many of each. vectors: where vectors are kept between runs.
    """

    profile: Profile | None = None
    changed: Changed | None = None
    own: Sequence[tuple[str, str | None]] = ()
    grammar: int = 24
    paraphrases: int = 8
    plan: Plan = field(default_factory=Plan)
    vectors: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was tried on a set, and what came of it. Rounds and comparisons name places in `candidates`."""

    task: str
    kind: Kind
    main: str
    model: str
    trained: bool  # whether the model's family takes Instructions; else they stood before texts all the same
    changed: Changed
    items: int
    held_out: int
    candidates: tuple[Candidate, ...]  # the present one first
    rounds: tuple[Round, ...]
    compared: tuple[Compared, ...]
    winner: int | None
    warning: str | None = None

    @property
    def verdict(self) -> str:
        """In one line."""
        told = [one for one in self.compared if one.p < selection.SIGNIFICANT]
        if self.winner is None and not told:
            return f"no significant difference: keep the default{self._seen}"
        if self.winner is None:
            which = "all that were compared" if len(told) == len(self.compared) else "some"
            return f"none is better, {which} significantly worse: keep the default"
        best = next(one for one in self.compared if one.candidate == self.winner)
        return (
            f"{self.candidates[self.winner].shown} is better by {best.difference:.2f} points on "
            f"{self.held_out:,} items held out (95 % {statistics.said(best.low, best.high, '+.2f')}, "
            f"p = {best.p:.4f})"
        )

    @property
    def _seen(self) -> str:
        """How large a difference had to be to be seen."""
        halves = [(one.high - one.low) / 2 for one in self.compared if np.isfinite(one.high - one.low)]
        if not halves:
            return f" ({self.held_out:,} items held out, too few to tell a difference from chance)"
        return (
            f" ({self.held_out:,} items held out; differences under ±{max(halves):.2f} points cannot be told "
            "from chance)"
        )


def tune(
    embedder: Embedder, task: Task, wanted: Wanted, on_progress: OnProgress | None = None
) -> list[Tuned]:
    """Try Instructions on a judged set; one answer for each of its labellings.

    Raises: UsageError: there are too few items, or no Candidates. DataInvalid: the set breaks its layout.
    """
    embed = embedding(embedder, wanted.vectors, on_progress)
    pool, renderer = pool_of(embedder, task.kind, wanted)
    changed = sides_changed(task.kind, wanted.changed)
    return [
        _tuned(trial, pool, renderer.trained, changed, embedder, wanted.plan, on_progress)
        for trial in trials_of(task, embed)
    ]


def tune_collection(
    library: Library,
    questions: Path,
    wanted: Wanted,
    *,
    collection: str | None = None,
    model: str | None = None,
    on_progress: OnProgress | None = None,
) -> Tuned:
    """Try query Instructions on questions to a Collection; nothing of it is embedded again.

    A question finds Documents by their best Passage, as Library.query does in vector mode with one Hit per
    Document, by an exact scan of the vectors of record. Main measure nDCG@10.

    Raises: RecipeMismatch: the Profile or model asked for would give other vectors than those stored.
    UsageError: both sides are asked for, the Collection's task is symmetric, there are too few questions.
    DataInvalid: a question breaks the layout. CollectionNotFound, LibraryError, ModelError.
    """
    with library.reading(collection) as (db, stored):
        profile = wanted.profile or Profile.from_dict(stored.profile)
        if profile.symmetric or wanted.changed == "both":
            raise UsageError(
                f"the passages of collection '{stored.name}' are stored under one instruction, which cannot "
                + (f"change, and '{profile.task}' has one for both sides" if profile.symmetric else "change"),
                remedy="tune on a set of texts instead: searchkit tune SET --side both",
            )
        asked = [one for one in read_questions(questions, db, stored) if one.documents]
        ranked = StoredRanking.read(db, stored, profile.threshold)
    embedder = library.embedder(replace(stored, model=model) if model is not None else stored)
    recipe.require_same(
        stored.name,
        stored.recipe,
        recipe.recipe_of(embedder, profile),
        remedy="tune it as it was indexed: leave out --model and --profile; or embed it anew under another "
        f"name: searchkit index FOLDER -c {stored.name}-2",
    )
    wanted = replace(wanted, profile=profile, changed="query")
    pool, renderer = pool_of(embedder, "retrieval", wanted)
    trial = ranked.trial(asked, embedding(embedder, wanted.vectors, None))
    return _tuned(trial, pool, renderer.trained, "query", embedder, wanted.plan, on_progress)


def pool_of(embedder: Embedder, kind: Kind, wanted: Wanted) -> tuple[list[Candidate], Renderer]:
    """The present Candidate, then all others, none twice by what the model is given.

    Raises: UsageError: a side is asked for that cannot change, or an Instruction is too long.
    """
    renderer = Renderer(embedder, making.task_of(kind))
    now = renderer.present(wanted.profile)
    changed = sides_changed(kind, wanted.changed)
    seed = wanted.plan.seed
    said = making.default_instructions(kind, wanted.profile)
    own = [_own(renderer, now, query, document) for query, document in wanted.own]
    pool = [now, renderer.candidate(making.NOTHING, making.NOTHING, "none"), *own]
    tried: tuple[tuple[Origin, list[tuple[Instruction, Instruction]]], ...] = (
        ("profile", [said] if wanted.profile is not None else []),
        ("paraphrase", making.paraphrased(said, wanted.paraphrases, seed)),
        ("grammar", making.sampled(making.grammar(kind, wanted.profile), wanted.grammar, seed)),
    )
    for origin, pairs in tried:
        pool += [renderer.candidate(query, document, origin) for query, document in pairs]
    if changed == "query":
        pool = [query_only(one, now) for one in pool]
    return different(pool), renderer


def different(pool: Sequence[Candidate]) -> list[Candidate]:
    """The Candidates without those that give the model what an earlier one does."""
    first: dict[tuple[str, str], Candidate] = {}
    for one in pool:
        first.setdefault((one.texts["query"], one.texts["document"]), one)
    return list(first.values())


def sides_changed(kind: Kind, asked: Changed | None) -> Changed:
    """Raises: UsageError: the query side alone of a task that has one Instruction for both."""
    if making.asymmetric(kind):
        return asked or "query"
    if asked == "query":
        raise UsageError(
            f"tasks of kind '{kind}' have one instruction for both sides", remedy="leave out --side"
        )
    return "both"


def profile_of(tuned: Tuned, place: int, base: Profile | None, name: str) -> Profile:
    """A Profile with a Candidate's Instructions; chunking and defaults are those of `base`."""
    chosen = tuned.candidates[place]
    task = making.task_of(tuned.kind)
    described = f"Chosen on '{tuned.task}' ({tuned.main}) with {tuned.model}: {tuned.verdict}"
    made = replace(
        base or Profile(name=name), name=name, task=task, description=described,
        document=chosen.document, query=chosen.query,
    )  # fmt: skip
    return Profile.from_dict(made.to_dict())  # refuses what no profile may hold


def embedding(embedder: Embedder, vectors: Path | None, on_progress: OnProgress | None) -> Embed:
    """Texts under a literal Instruction, kept block by block where a folder is named."""
    told = None if on_progress is None else partial(on_progress, "texts")

    def embed(texts: Sequence[str], literal: str) -> Float32Matrix:
        encoder = Encoder(embedder, {"query": literal}, vectors, told)
        return encoder(texts, "query")

    return embed


def plain(tuned: Tuned) -> dict[str, Any]:
    """The stable JSON form; what is not defined on so few items is null."""
    table = asdict(tuned)
    table["candidates"] = [{"origin": one.origin, **dict(one.texts)} for one in tuned.candidates]
    table["rounds"] = [
        {
            "items": one.items,
            "scores": [{"candidate": place, "score": score} for place, score in one.scores.items()],
            "kept": list(one.kept),
        }
        for one in tuned.rounds
    ]
    table["compared"] = [{**asdict(one), "difference": one.difference} for one in tuned.compared]
    return dict(without_nan({**table, "verdict": tuned.verdict}))


def _tuned(
    trial: Trial,
    pool: Sequence[Candidate],
    trained: bool,
    changed: Changed,
    embedder: Embedder,
    plan: Plan,
    on_progress: OnProgress | None,
) -> Tuned:
    told = None if on_progress is None else partial(on_progress, f"{trial.name}: instructions")
    found = selection.select(trial, [one.texts for one in pool], plan, told)
    return Tuned(
        task=trial.name, kind=trial.kind, main=trial.main, model=embedder.model, trained=trained,
        changed=changed, items=found.items, held_out=found.held_out, candidates=tuple(pool),
        rounds=found.rounds, compared=found.compared, winner=found.winner, warning=found.warning,
    )  # fmt: skip


def query_only(one: Candidate, now: Candidate) -> Candidate:
    """A Candidate with the documents of another."""
    texts: dict[Side, str] = {"query": one.texts["query"], "document": now.texts["document"]}
    return replace(one, document=now.document, texts=texts)


def _own(renderer: Renderer, now: Candidate, query: str, document: str | None) -> Candidate:
    """A user's Candidate; without a document side documents stay as they are, where there are two sides."""
    asked = making.own(query)
    if renderer.symmetric:
        return renderer.candidate(asked, asked, "own")
    if document is None:
        return query_only(renderer.candidate(asked, now.document, "own"), now)
    return renderer.candidate(asked, making.own(document), "own")
