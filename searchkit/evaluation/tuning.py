"""Which Instruction is best for a judged set; may well be the present one.

Where queries and documents play different parts, the query side is tried alone unless both are asked for, so
that no document is embedded twice. In symmetric tasks every Candidate embeds the texts it is tried on again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError
from searchkit.evaluation import candidates as making
from searchkit.evaluation import held_out, selection, statistics
from searchkit.evaluation.candidates import Candidate, Changed, Origin, Renderer
from searchkit.evaluation.encoding import Encoder
from searchkit.evaluation.evaluate import fingerprint_of
from searchkit.evaluation.measured import Kind
from searchkit.evaluation.results import without_nan
from searchkit.evaluation.selection import Compared, Plan, Round
from searchkit.evaluation.tasks import Task, result_names
from searchkit.evaluation.trial import Embed, Trial, trials_of
from searchkit.profile import Instruction, Profile, Side

OnProgress = Callable[[str, int, int], None]  # what is done, so much of it, of how much


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Which Candidates are tried, and how.

    profile: whose Instructions are the present ones; None for no Instruction, of a Collection its own.
    changed: the sides tried; None for the query side of an asymmetric task, both of a symmetric one.
    own: (query side, document side or None for the present one) of a user's Candidates.
    grammar, paraphrases: at most so many of each. as_profile: the winner is to become a Profile, so that a
    model that would not read it is refused. kept: where vectors and the use of held-out items are kept.
    """

    profile: Profile | None = None
    changed: Changed | None = None
    own: Sequence[tuple[str, str | None]] = ()
    grammar: int = 24
    paraphrases: int = 8
    plan: Plan = field(default_factory=Plan)
    as_profile: bool = False
    kept: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What is tried: the present Candidate first, none twice by what the model is given.

    trained: whether the model's family takes Instructions; else they stand before texts all the same.
    own: places of a user's Candidates. notes: what a user would not expect.
    """

    candidates: tuple[Candidate, ...]
    trained: bool
    changed: Changed
    own: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was tried on a set, and what came of it. Rounds and comparisons name places in `candidates`.

    mode: how a Collection was searched; None of a set. by_default: its winner as queries find by default, on
    the held-out items; None of a set, and where there is no winner. notes: what a user would not expect.
    """

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
    mode: str | None = None
    by_default: Compared | None = None
    notes: tuple[str, ...] = ()

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
    embedder: Embedder, task: Task, wanted: Tuning, on_progress: OnProgress | None = None
) -> list[Tuned]:
    """Try Instructions on a judged set; one answer for each of its labellings.

    Raises: UsageError: there are too few items, or no Candidates; the winner is to become a Profile, and the
    model reads none, or the set has several labellings. DataInvalid: the set breaks its layout.
    """
    pool = pool_of(embedder, task.kind, wanted)
    if wanted.as_profile and len(result_names(task)) > 1:
        raise UsageError("several labellings have several winners", remedy="name one: --label COLUMN")
    trials = trials_of(task, embedding(embedder, wanted.kept, on_progress))
    data = fingerprint_of(task)
    return [choose(one, pool, embedder, wanted, data, on_progress) for one in trials]


def pool_of(embedder: Embedder, kind: Kind, wanted: Tuning) -> Pool:
    """What is tried on a kind of task.

    Raises: UsageError: a side is asked for that cannot change, an Instruction is too long, or the winner is
    to become a Profile that the model would not read.
    """
    renderer = Renderer(embedder, making.task_of(kind))
    if wanted.as_profile and not renderer.trained:
        raise UsageError(
            f"{embedder.model} was not trained with instructions: a profile changes nothing that it reads",
            remedy="leave out --out to learn what literal texts do; or name a model that takes instructions, "
            "as in: --model hkunlp/instructor-large",
        )
    now = renderer.present(wanted.profile)
    changed = sides_changed(kind, wanted.changed)
    seed = wanted.plan.seed
    said = making.default_instructions(kind, wanted.profile)
    own = [_own(renderer, now, (query, document), changed) for query, document in wanted.own]
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
    kept = different(pool)
    return Pool(
        candidates=tuple(kept),
        trained=renderer.trained,
        changed=changed,
        own=tuple(place for place, one in enumerate(kept) if one.origin == "own"),
        notes=tuple(_not_tried_again(pool[2 : 2 + len(own)], kept)),
    )


def choose(
    trial: Trial,
    pool: Pool,
    embedder: Embedder,
    wanted: Tuning,
    data: str,
    on_progress: OnProgress | None = None,
) -> Tuned:
    """The choice among a Pool. data: fingerprint of what the Trial is of.

    Raises: UsageError: there are too few items, or no Candidates.
    """
    plan = wanted.plan
    told = None if on_progress is None else partial(on_progress, f"{trial.name}: instructions")
    found = selection.select(trial, [one.texts for one in pool.candidates], plan, told, pool.own)
    key = held_out.key_of(data, trial.name, embedder.fingerprint())
    looked_at = [
        held_out.key_of(dict(pool.candidates[one.candidate].texts), plan.seed, plan.held_out)
        for one in found.compared
    ]
    return Tuned(
        task=trial.name, kind=trial.kind, main=trial.main, model=embedder.model, trained=pool.trained,
        changed=pool.changed, items=found.items, held_out=found.held_out, candidates=pool.candidates,
        rounds=found.rounds, compared=found.compared, winner=found.winner,
        notes=(
            *pool.notes,
            *([found.warning] if found.warning else []),
            *_used(held_out.compared_before(wanted.kept, key, looked_at)),
        ),
    )  # fmt: skip


def best_unproven(tuned: Tuned) -> int | None:
    """The first of the choice that is not proven worse than the present Candidate; None where all are."""
    worse = {one.candidate for one in tuned.compared if one.difference < 0 and one.p < selection.SIGNIFICANT}
    return next((place for place in tuned.rounds[-1].kept if place not in worse), None)


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
    described = described.encode("utf-8", "replace").decode("utf-8")  # a set's file may have any name
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


def query_only(one: Candidate, now: Candidate) -> Candidate:
    """A Candidate with the documents of another."""
    texts: dict[Side, str] = {"query": one.texts["query"], "document": now.texts["document"]}
    return replace(one, document=now.document, texts=texts)


def _own(renderer: Renderer, now: Candidate, said: tuple[str, str | None], changed: Changed) -> Candidate:
    """A user's Candidate; without a document side documents stay as they are, where there are two sides."""
    query, document = said
    if document is not None and document != query and (renderer.symmetric or changed == "query"):
        raise UsageError(
            f"the candidate {query!r} has a document side, "
            + (
                "and this task has one for both"
                if renderer.symmetric
                else "and the query side alone is tried"
            ),
            remedy="leave out its 'document'" + ("" if renderer.symmetric else ", or try both: --side both"),
        )
    asked = renderer.own(query, "query")
    if renderer.symmetric:
        return renderer.candidate(asked, asked, "own")
    if document is None or changed == "query":
        return query_only(renderer.candidate(asked, now.document, "own"), now)
    return renderer.candidate(asked, renderer.own(document, "document"), "own")


def _not_tried_again(own: Sequence[Candidate], kept: Sequence[Candidate]) -> Iterator[str]:
    """A line for each of a user's Candidates that gives the model what another one does."""
    for one in own:
        same = next(other for other in kept if other.texts == one.texts)
        if same is not one:
            which = {"present": "the present instruction", "none": "no instruction"}
            yield (
                f"the candidate {one.shown} is {which.get(same.origin, 'another candidate')} to the model, "
                "and is not tried again"
            )


def _used(before: int) -> Iterator[str]:
    if before:
        yield (
            f"earlier runs made {before} other comparisons on held-out items of this set, which p does not "
            "know of: confirm what you choose on items that were never used"
        )
