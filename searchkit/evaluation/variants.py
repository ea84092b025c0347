"""How much an Instruction's wording matters, and how much of it is needed, as INSTRUCTOR's paper asked.

Robustness (arXiv 2212.09741, figure 4): the Instruction and k paraphrases of it; the gap is that between the
best and the worst of them. Ablation (figure 5): nothing, a tag (the set's name), a simple Instruction (domain
and kind of text), the detailed one. The paper trained a model for each degree; here one model reads them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.embedding.embedder import Embedder
from searchkit.errors import UsageError
from searchkit.evaluation import candidates as making
from searchkit.evaluation import grouping, statistics
from searchkit.evaluation.candidates import Candidate, Changed, Renderer, Texts
from searchkit.evaluation.measured import Kind
from searchkit.evaluation.results import without_nan
from searchkit.evaluation.selection import Plan, compared
from searchkit.evaluation.tasks import Task
from searchkit.evaluation.trial import Observed, Trial, trials_of
from searchkit.evaluation.tuning import different, embedding, query_only
from searchkit.profile import Instruction, Profile

AS_IT_IS = "as it is"
OnProgress = Callable[[str, int, int], None]  # what is done, so much of it, of how much


@dataclass(frozen=True, slots=True, kw_only=True)
class Varying:
    """Under which Instructions sets are measured.

    profile: for Tasks that name none; None for the first Instruction that the grammar makes.
    changed: the sides that change. kept: where vectors are kept between runs. plan: how is resampled.
    """

    profile: Profile | None = None
    changed: Changed | None = None
    kept: Path | None = None
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A set measured under one of the Instructions, in percent, beside the first of them."""

    name: str
    texts: Texts
    score: float
    difference: float  # points more than the first
    low: float  # of the difference, 95 % for all of the set together; nan: items are too few to tell
    high: float
    p: float  # adjusted for how many of the set are compared with the first; nan as low


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """A set under several Instructions, the one that others are compared with first."""

    task: str
    kind: Kind
    main: str
    model: str
    trained: bool  # whether the model's family takes Instructions; else they stood before texts all the same
    changed: Changed
    items: int
    levels: tuple[Level, ...]
    gap: float  # points between the best and the worst
    gap_p: float  # of the two being equal; adjusted for the pairs that they were picked from
    warning: str | None = None  # of the items


def robustness(
    embedder: Embedder,
    tasks: Sequence[Task],
    wanted: Varying,
    k: int = 5,
    on_progress: OnProgress | None = None,
) -> list[Variation]:
    """Measure sets under an Instruction and k paraphrases of it; fewer where the rules know no more.

    changed: by default the query side of asymmetric tasks, so that documents are embedded once.
    Raises: UsageError: no paraphrase is known, or an Instruction is too long. DataInvalid.
    """
    prepared = []
    for task in tasks:
        profile, renderer = _opened(embedder, task, wanted)
        changed = _sides(task.kind, wanted.changed or "query")
        said = making.default_instructions(task.kind, profile)
        # More than k, for what differs as an Instruction may be the same to a family.
        pairs = [said, *making.paraphrased(said, 4 * k, wanted.plan.seed)]
        pool = _pool([renderer.candidate(*pair, "paraphrase") for pair in pairs], changed)
        pool = different(pool)[: k + 1]
        if len(pool) < 2:
            raise UsageError(
                f"the rules know no paraphrase of {pool[0].shown}",
                remedy="word it as the template does: Represent the ... for ...: ",
            )
        named = {f"paraphrase {turn}" if turn else AS_IT_IS: one for turn, one in enumerate(pool)}
        prepared.append(_Prepared(task, named, renderer.trained, changed))
    return [one for each in prepared for one in _varied(embedder, each, wanted, on_progress)]


def ablate(
    embedder: Embedder, tasks: Sequence[Task], wanted: Varying, on_progress: OnProgress | None = None
) -> list[Variation]:
    """Measure sets under no Instruction, a tag, a simple and a detailed Instruction.

    changed: by default both sides, so that 'none' is none; documents are embedded under each.
    Raises: UsageError: an Instruction is too long. DataInvalid.
    """
    prepared = []
    for task in tasks:
        profile, renderer = _opened(embedder, task, wanted)
        changed = _sides(task.kind, wanted.changed or "both")
        detailed = making.default_instructions(task.kind, profile)
        plain = making.default_instructions(task.kind, None)
        tag = Instruction(literal=f"{task.name}: ", task_sentence=task.name)
        named = {
            "none": renderer.candidate(making.NOTHING, making.NOTHING, "none"),
            "tag": renderer.candidate(tag, tag, "tag"),
            "simple": renderer.candidate(
                _simple(detailed[0], plain[0]), _simple(detailed[1], plain[1]), "simple"
            ),
            "detailed": renderer.candidate(*detailed, "profile"),
        }
        pool = dict(zip(named, _pool(list(named.values()), changed), strict=True))
        prepared.append(_Prepared(task, pool, renderer.trained, changed))
    return [one for each in prepared for one in _varied(embedder, each, wanted, on_progress)]


def plain(found: Sequence[Variation]) -> list[dict[str, Any]]:
    """The stable JSON form; what is not defined, or items are too few to tell, is null."""
    return [dict(without_nan(asdict(one))) for one in found]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A set with its Instructions: all are looked at before the first is measured."""

    task: Task
    named: Mapping[str, Candidate]
    trained: bool
    changed: Changed


def _opened(embedder: Embedder, task: Task, wanted: Varying) -> tuple[Profile | None, Renderer]:
    profile = Profile.load(task.profile) if task.profile else wanted.profile
    return profile, Renderer(embedder, making.task_of(task.kind))


def _sides(kind: Kind, asked: Changed) -> Changed:
    """The sides that change: always both of a symmetric task, also where it is measured among others."""
    return asked if making.asymmetric(kind) else "both"


def _pool(pool: Sequence[Candidate], changed: Changed) -> list[Candidate]:
    """With the documents of the first, where the query side changes alone."""
    return [query_only(one, pool[0]) for one in pool] if changed == "query" else list(pool)


def _simple(detailed: Instruction, otherwise: Instruction) -> Instruction:
    """Domain and kind of text, and no more; of a literal Instruction, which has no slots, the grammar's."""
    slots = detailed if detailed.literal is None else otherwise
    words = " ".join(part for part in (slots.domain, slots.text_type) if part)
    return Instruction(literal=f"{words}: ", task_sentence=words)


def _varied(
    embedder: Embedder, prepared: _Prepared, wanted: Varying, on_progress: OnProgress | None
) -> list[Variation]:
    made = []
    named = prepared.named
    for trial in trials_of(prepared.task, embedding(embedder, wanted.kept, on_progress)):
        rows = trial.rows
        if (why := trial.undefined(rows)) is not None:
            raise UsageError(f"{trial.main} of '{trial.name}' is not defined: {why}")
        observed = {}
        for done, (name, one) in enumerate(named.items(), start=1):
            observed[name] = trial.observe(one.texts, rows)
            if on_progress is not None:
                on_progress(f"{trial.name}: instructions", done, len(named))
        levels, gap, gap_p = _levels(trial, named, observed, wanted.plan)
        made.append(
            Variation(
                task=trial.name, kind=trial.kind, main=trial.main, model=embedder.model,
                trained=prepared.trained, changed=prepared.changed, items=trial.items, levels=levels, gap=gap,
                gap_p=gap_p, warning=grouping.lopsided(trial.groups),
            )
        )  # fmt: skip
    return made


def _levels(
    trial: Trial, named: Mapping[str, Candidate], observed: Mapping[str, Observed], plan: Plan
) -> tuple[tuple[Level, ...], float, float]:
    rows = trial.rows
    names = list(named)
    first = observed[names[0]]
    score = 100 * trial.measure(first, rows)
    levels = [
        Level(
            name=names[0], texts=named[names[0]].texts, score=score, difference=0.0, low=0.0, high=0.0, p=1.0
        )
    ]
    against = [
        compared(trial, rows, first, observed[name], plan, comparisons=len(names) - 1) for name in names[1:]
    ]
    adjusted = statistics.holm([one.p for one in against])
    for name, one, p in zip(names[1:], against, adjusted, strict=True):
        levels.append(
            Level(
                name=name, texts=named[name].texts, score=one.score, difference=one.difference,
                low=one.low, high=one.high, p=p,
            )
        )  # fmt: skip
    worst, *_, best = sorted(levels, key=lambda level: level.score if np.isfinite(level.score) else -np.inf)
    apart = compared(trial, rows, observed[worst.name], observed[best.name], plan)
    pairs = len(levels) * (len(levels) - 1) / 2
    gap_p = pairs * apart.p
    return tuple(levels), best.score - worst.score, 1.0 if gap_p > 1 else gap_p  # nan stays nan
