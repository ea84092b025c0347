"""Chooses among Instructions by measurement: many on few items, few on many, the last on items not yet seen.

Successive halving (Karnin, Koren and Somekh 2013; Jamieson and Talwalkar 2016): each round keeps the better
half and gives it twice the items. Whoever is chosen so looks better than it is. So what survives is compared
with the present Instruction on items held out from the choice, and wins only where the difference is no
chance, after Holm's correction for how many are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.errors import UsageError
from searchkit.evaluation import grouping, statistics
from searchkit.evaluation.candidates import Texts
from searchkit.evaluation.trial import Observed, Trial

LEAST_HELD_OUT = 20  # groups: of fewer, a difference as large as usual cannot be told from chance
LEAST_IN_A_ROUND = 16
TOO_LARGE = 0.1
SIGNIFICANT = 0.05

Tried = TypeVar("Tried")
OnTried = Callable[[int, int], None]  # Instructions tried, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How Instructions are chosen.

    held_out: share of the items that nothing is chosen by. confirmed: how many are compared on them.
    rounds: of resampling.
    """

    held_out: float = 0.5
    confirmed: int = 3
    rounds: int = 10_000
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of the choice: main measures, in percent, by the Candidate's place, and who went on."""

    items: int
    scores: dict[int, float]
    kept: tuple[int, ...]  # best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A Candidate beside the present Instruction on the same items, in percent."""

    candidate: int
    present: float
    score: float
    low: float  # of the difference, 95 % for all that are compared together; nan: too few to tell
    high: float
    p: float  # two-sided; adjusted for how many are compared; nan as low
    better: int  # items, where the measure is a mean over them
    worse: int

    @property
    def difference(self) -> float:
        """Points that the Candidate has more."""
        return self.score - self.present


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was chosen, and how. winner: None where no difference is significant; warning: of the items."""

    items: int
    held_out: int
    rounds: tuple[Round, ...]
    compared: tuple[Compared, ...]
    winner: int | None
    warning: str | None = None


def select(
    trial: Trial,
    candidates: Sequence[Texts],
    plan: Plan,
    on_tried: OnTried | None = None,
    own: Sequence[int] = (),
) -> Selection:
    """Choose among Candidates, of which the first is the present Instruction.

    own: places of those that a user wants to know of: the best of them goes on in any case.
    Raises: UsageError: there are too few items, or nothing but the present Instruction.
    """
    if len(candidates) < 2:
        raise UsageError(
            "there is no instruction to try but the present one", remedy="name some: --candidate TEXT"
        )
    tuning, held_out = split(trial, plan)
    learned, learned_apart = split_learned(trial, plan)
    final = np.concatenate([held_out, learned_apart])
    _check(trial, np.concatenate([tuning, learned]), "to choose by")
    _check(trial, final, "held out")
    steps = _steps(len(candidates) - 1, len(tuning), plan.confirmed)
    count = _Counter(on_tried, sum(alive for alive, _ in steps) + 1 + min(steps[-1][0], plan.confirmed))
    alive, rounds = list(range(1, len(candidates))), []
    for turn, (_, items) in enumerate(steps):
        while items < len(tuning) and trial.undefined(np.concatenate([tuning[:items], learned])):
            items = min(2 * items, len(tuning))
        rows = np.concatenate([tuning[:items], learned])
        scores = {one: count(_score(trial, candidates[one], rows)) for one in alive}
        # nan, where all texts were given one vector, is worse than all
        order = sorted(alive, key=lambda one: -scores[one] if np.isfinite(scores[one]) else np.inf)
        keep = steps[turn + 1][0] if turn + 1 < len(steps) else min(plan.confirmed, len(order))
        alive = order[:keep]
        if own and not set(own) & set(alive):
            alive += [one for one in order if one in own][:1]
        rounds.append(Round(items=items, scores=scores, kept=tuple(alive)))
    before = count(trial.observe(candidates[0], final))
    found = [
        compared(
            trial, final, before, count(trial.observe(candidates[one], final)), plan,
            candidate=one, comparisons=len(alive),
        )
        for one in alive
    ]  # fmt: skip
    adjusted = statistics.holm([one.p for one in found])
    found = [replace(one, p=p) for one, p in zip(found, adjusted, strict=True)]
    # The first that is better by more than chance, in the order of the choice: held-out figures say whether,
    # not which, so that those of the winner are not flattered by being the largest.
    winner = next((one.candidate for one in found if one.difference > 0 and one.p < SIGNIFICANT), None)
    return Selection(
        items=trial.items,
        held_out=len(held_out),
        rounds=tuple(rounds),
        compared=tuple(found),
        winner=winner,
        warning=grouping.lopsided(trial.groups),
    )


def split(trial: Trial, plan: Plan) -> tuple[Int64Vector, Int64Vector]:
    """Items to choose by, in random order, and items held out; groups are on one side.

    A group of more than TOO_LARGE of the items is chosen by: held out, it would be nearly all the evidence,
    and one piece. Raises: UsageError: there are too few groups on a side.
    """
    groups = grouping.renumbered(trial.groups)
    sizes = np.bincount(groups)
    different = len(sizes)
    kept = max(LEAST_IN_A_ROUND, round((1 - plan.held_out) * different))
    if different - kept < LEAST_HELD_OUT:
        raise UsageError(
            f"'{trial.name}' has {different} different items, of which {max(0, different - kept)} would be "
            f"held out; expected {LEAST_HELD_OUT} or more of these, and {LEAST_IN_A_ROUND} to choose by",
            remedy="with fewer, no difference could be told from chance: judge more"
            + (", or hold out a larger share: --held-out 0.5" if plan.held_out < 0.5 else ""),
        )
    order = np.random.default_rng(plan.seed).permutation(different)
    order = np.concatenate([order[too := sizes[order] > TOO_LARGE * trial.items], order[~too]])
    place = np.empty(different, dtype=np.int64)
    place[order] = np.arange(different)
    by_place = np.argsort(place[groups], kind="stable")
    cut = int(np.searchsorted(place[groups][by_place], kept))
    # Those that were put first are large: in rounds of few items they would be all there is.
    chosen = by_place[:cut]
    return np.random.default_rng(plan.seed).permutation(chosen) if too.any() else chosen, by_place[cut:]


def split_learned(trial: Trial, plan: Plan) -> tuple[Int64Vector, Int64Vector]:
    """Rows of texts to learn from while choosing, and of those held out; of most kinds there are none."""
    if not len(trial.learned):
        return trial.learned, trial.learned
    groups = grouping.renumbered(trial.learned)
    place = np.random.default_rng(plan.seed).permutation(int(groups.max()) + 1)[groups]
    chosen = place < round((1 - plan.held_out) * (int(groups.max()) + 1))
    return trial.items + np.flatnonzero(chosen), trial.items + np.flatnonzero(~chosen)


def _check(trial: Trial, rows: Int64Vector, where: str) -> None:
    why = trial.undefined(rows)
    if why is not None:
        raise UsageError(
            f"{trial.main} of '{trial.name}' is not defined on the items {where}: {why}",
            remedy="judge more items, or split them otherwise: --seed 1",
        )


def compared(
    trial: Trial,
    rows: Int64Vector,
    before: Observed,
    after: Observed,
    plan: Plan,
    *,
    candidate: int = 0,
    comparisons: int = 1,
) -> Compared:
    """Two observations of the same items, in the ways of statistics.py; p is not adjusted yet.

    comparisons: of how many this is one, so that their intervals hold together.
    """
    better = worse = 0
    present, score = trial.measure(before, rows), trial.measure(after, rows)
    if trial.means:
        by_item = after.mean(axis=0) - before.mean(axis=0)
        better, worse = int((by_item > 0).sum()), int((by_item < 0).sum())
        found = statistics.of_means(
            by_item, trial.groups[rows], comparisons=comparisons, rounds=plan.rounds, seed=plan.seed
        )
    elif trial.blocks is not None:
        by_block = trial.blocks(after, rows) - trial.blocks(before, rows)
        found = statistics.of_blocks(by_block, score - present, comparisons=comparisons)
    else:
        rounds = min(plan.rounds, statistics.ROUNDS)

        def more(places: Int64Vector) -> float:
            drawn = rows[places]
            return trial.measure(after[:, places], drawn) - trial.measure(before[:, places], drawn)

        found = statistics.of_joint(
            more, trial.groups[rows], comparisons=comparisons, rounds=rounds, seed=plan.seed
        )
    return Compared(
        candidate=candidate, present=100 * present, score=100 * score, low=100 * found.low,
        high=100 * found.high, p=found.p, better=better, worse=worse,
    )  # fmt: skip


def _steps(candidates: int, items: int, survivors: int) -> list[tuple[int, int]]:
    """(candidates, items) of each round: half of the one, twice the other, all items in the last."""
    alive = [candidates]
    while alive[-1] > 2 * survivors:
        alive.append(max(survivors, (alive[-1] + 1) // 2))
    first = max(min(LEAST_IN_A_ROUND, items), items // 2 ** (len(alive) - 1))
    return [
        (one, items if turn == len(alive) - 1 else min(items, first * 2**turn))
        for turn, one in enumerate(alive)
    ]


def _score(trial: Trial, texts: Texts, rows: Int64Vector) -> float:
    return 100 * trial.measure(trial.observe(texts, rows), rows)


class _Counter:
    """Tells how much was tried, and hands on what came of it."""

    def __init__(self, tell: OnTried | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def __call__(self, found: Tried) -> Tried:
        self._done += 1
        if self._tell is not None:
            self._tell(min(self._done, self._total), self._total)  # one of a user's own comes on top
        return found
