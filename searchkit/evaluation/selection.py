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

from searchkit.arrays import Float64Vector, Int64Vector
from searchkit.errors import UsageError
from searchkit.evaluation import statistics
from searchkit.evaluation.candidates import Texts
from searchkit.evaluation.trial import Observed, Trial

LEAST_GROUPS = 40  # of items: of 20 held out, a difference as large as usual cannot be told from chance
LEAST_IN_A_ROUND = 16
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
    low: float  # of the difference, 95 %
    high: float
    p: float  # two-sided; adjusted for how many are compared
    better: int  # items, where the measure is a mean over them
    worse: int

    @property
    def difference(self) -> float:
        """Points that the Candidate has more."""
        return self.score - self.present


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was chosen, and how. winner: None where no difference is significant."""

    items: int
    held_out: int
    rounds: tuple[Round, ...]
    compared: tuple[Compared, ...]
    winner: int | None


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
    steps = _steps(len(candidates) - 1, len(tuning), plan.confirmed)
    count = _Counter(on_tried, sum(alive for alive, _ in steps) + 1 + min(steps[-1][0], plan.confirmed))
    alive, rounds = list(range(1, len(candidates))), []
    for turn, (_, items) in enumerate(steps):
        scores = {one: count(_score(trial, candidates[one], tuning[:items])) for one in alive}
        # nan, where a measure is not defined on so few items, is worse than all
        order = sorted(alive, key=lambda one: -np.nan_to_num(scores[one], nan=-1.0))
        keep = steps[turn + 1][0] if turn + 1 < len(steps) else min(plan.confirmed, len(order))
        alive = order[:keep]
        if own and not set(own) & set(alive):
            alive += [one for one in order if one in own][:1]
        rounds.append(Round(items=items, scores=scores, kept=tuple(alive)))
    before = count(trial.observe(candidates[0], held_out))
    found = [
        compared(trial, held_out, before, count(trial.observe(candidates[one], held_out)), plan, one)
        for one in alive
    ]
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
    )


def split(trial: Trial, plan: Plan) -> tuple[Int64Vector, Int64Vector]:
    """Items to choose by, in random order, and items held out; groups are on one side.

    Raises: UsageError: there are too few groups.
    """
    different = int(trial.groups.max()) + 1 if trial.items else 0
    if different < LEAST_GROUPS:
        raise UsageError(
            f"'{trial.name}' has {different} different items to choose by, expected {LEAST_GROUPS} or more",
            remedy="with fewer, no difference could be told from chance: ask more questions",
        )
    order = np.random.default_rng(plan.seed).permutation(different)
    place = np.empty(different, dtype=np.int64)
    place[order] = np.arange(different)
    by_place = np.argsort(place[trial.groups], kind="stable")
    last = max(LEAST_IN_A_ROUND, round((1 - plan.held_out) * different))
    cut = int(np.searchsorted(place[trial.groups][by_place], last))
    return by_place[:cut], by_place[cut:]


def compared(
    trial: Trial, rows: Int64Vector, before: Observed, after: Observed, plan: Plan, candidate: int
) -> Compared:
    """Two observations of the same items.

    Means are compared by paired randomisation over items, what depends on all items together by paired
    randomisation over blocks, other measures by bootstrap.
    """
    better = worse = 0
    present, score = trial.measure(before, rows), trial.measure(after, rows)
    if trial.means:
        by_item = after.mean(axis=0) - before.mean(axis=0)
        better, worse = int((by_item > 0).sum()), int((by_item < 0).sum())
        low, high, p = _of_means(by_item, _renumbered(trial.groups[rows]), plan)
    elif trial.blocks is not None:
        by_block = trial.blocks(after, rows) - trial.blocks(before, rows)
        low, high, p = _of_blocks(by_block, score - present, plan)
    else:
        low, high, p = _resampled(trial, rows, before, after, plan)
    return Compared(
        candidate=candidate, present=100 * present, score=100 * score, low=100 * low, high=100 * high, p=p,
        better=better, worse=worse,
    )  # fmt: skip


def _of_means(by_item: Float64Vector, groups: Int64Vector, plan: Plan) -> tuple[float, float, float]:
    """(low, high, p) of a mean difference; a group's sign is one, for its items are no evidence apart."""
    sums: Float64Vector = np.bincount(groups, weights=by_item).astype(np.float64)
    p = statistics.randomisation_p(np.zeros_like(sums), sums, rounds=plan.rounds, seed=plan.seed)
    # Groups as the mean of their items times their size, so that the mean over groups is that over items.
    scaled = sums * len(sums) / len(by_item)
    low, high = statistics.mean_interval(scaled, seed=plan.seed)
    return low, high, p


def _of_blocks(by_block: Float64Vector, difference: float, plan: Plan) -> tuple[float, float, float]:
    """(low, high, p): how far blocks scatter around the difference over all items says how sure that is.

    The interval is Student's; blocks are too few to be resampled. p is that of the blocks' own mean.
    """
    from scipy.stats import t

    p = statistics.randomisation_p(np.zeros_like(by_block), by_block, rounds=plan.rounds, seed=plan.seed)
    if len(by_block) < 2:
        return float("-inf"), float("inf"), 1.0
    free = len(by_block) - 1
    # Around the difference, not around their own mean: small blocks may say another thing than all items do.
    error = np.sqrt(((by_block - difference) ** 2).sum() / free / len(by_block))
    half = float(t.ppf(0.975, free) * error)
    return difference - half, difference + half, p


def _resampled(
    trial: Trial, rows: Int64Vector, before: Observed, after: Observed, plan: Plan
) -> tuple[float, float, float]:
    """(low, high, p) by drawing groups with replacement; p as in results.compare."""
    draw = Drawing(trial.groups[rows], plan.seed)
    rounds = min(plan.rounds, statistics.ROUNDS)
    found = np.empty(rounds)
    for turn in range(rounds):
        places = draw()
        drawn = rows[places]
        found[turn] = trial.measure(after[:, places], drawn) - trial.measure(before[:, places], drawn)
    found = found[np.isfinite(found)]
    if not len(found) or not found.any():
        return 0.0, 0.0, 1.0
    low, high = np.percentile(found, [2.5, 97.5])
    against = min(int((found <= 0).sum()), int((found >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (against + 1) / (len(found) + 1))


class Drawing:
    """Draws groups of items with replacement."""

    def __init__(self, groups: Int64Vector, seed: int) -> None:
        numbers = _renumbered(groups)
        self._by_group = np.argsort(numbers, kind="stable")
        self._sizes = np.bincount(numbers)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._drawn = np.random.default_rng(seed)

    def __call__(self) -> Int64Vector:
        """Places of the items of one draw."""
        chosen = self._drawn.integers(0, len(self._sizes), len(self._sizes))
        sizes = self._sizes[chosen]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places: Int64Vector = self._by_group[np.repeat(self._starts[chosen], sizes) + within]
        return places


def _renumbered(groups: Int64Vector) -> Int64Vector:
    numbers: Int64Vector = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return numbers


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
