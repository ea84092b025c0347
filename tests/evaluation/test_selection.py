"""An Instruction that is better is found; where none is, none is claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchkit.errors import UsageError
from searchkit.evaluation import labelled, selection, statistics, tasks
from searchkit.evaluation.evaluate import Wanted, evaluate
from searchkit.evaluation.grouping import Drawing
from searchkit.evaluation.selection import Plan, select, split
from searchkit.evaluation.sets import LabelledSet
from searchkit.evaluation.trial import Trial, of_clustering, trials_of
from searchkit.evaluation.tuning import embedding
from tests.evaluation.reading import DIM, ReadingEmbedder, every_kind, pairs, retrieval

TEXTS = [{"query": text, "document": ""} for text in ("", *(f"say {word}: " for word in "abcdefgh"))]


def synthetic(seed: int, gain: float = 0.0, items: int = 120) -> Trial:
    """Measures of queries: how easy each is, and chance of its own under each Instruction."""
    drawn = np.random.default_rng(seed)
    easy, noise = drawn.random(items), drawn.normal(0, 0.25, (len(TEXTS), items))
    place = {one["query"]: row for row, one in enumerate(TEXTS)}

    def observe(texts, rows):
        more = gain if texts["query"] == "say e: " else 0.0
        return np.clip(easy + noise[place[texts["query"]]] + more, 0, 1)[None, rows]

    return Trial(
        name="made up", kind="retrieval", main="ndcg@10", groups=np.arange(items), observe=observe,
        measure=lambda observed, rows: float(observed.mean()), means=True,
    )  # fmt: skip


def of_set(embedder: ReadingEmbedder, path: Path) -> Trial:
    return trials_of(tasks.task_at(path), embedding(embedder, None, None))[0]


def test_where_none_is_better_none_is_claimed_in_95_of_100_repetitions():
    plan = Plan(rounds=1_000)
    claimed = [select(synthetic(seed), TEXTS, plan).winner for seed in range(200)]
    assert np.mean([one is not None for one in claimed]) <= 0.05


def test_one_that_is_better_is_found():
    found = [select(synthetic(seed, gain=0.25), TEXTS, Plan(rounds=1_000)) for seed in range(30)]
    assert np.mean([one.winner == 5 for one in found]) >= 0.9
    best = found[0].compared[0]
    assert best.low <= best.difference <= best.high


def test_without_holding_out_one_would_be_claimed_far_too_often():
    """What halving favours looks better on the items it was chosen by: the test above can fail."""
    claimed = 0
    for seed in range(100):
        trial = synthetic(seed)
        rows, _ = split(trial, Plan())
        found = select(trial, TEXTS, Plan(rounds=200))
        before, after = (trial.observe(TEXTS[one], rows) for one in (0, found.rounds[-1].kept[0]))
        again = selection.compared(trial, rows, before, after, Plan(rounds=1_000))
        claimed += again.p < 0.05
    assert claimed > 10


@pytest.mark.slow
@pytest.mark.parametrize("make", [retrieval, pairs])
def test_the_same_holds_of_vectors_that_depend_on_the_instruction(tmp_path: Path, make):
    path = make(tmp_path / "set.jsonl" if make is pairs else tmp_path / "set")
    claimed = []
    for seed in range(60):
        trial = of_set(ReadingEmbedder(good="", seed=seed), path)
        claimed.append(select(trial, TEXTS, Plan(rounds=400, seed=seed)).winner)
    assert sum(one is not None for one in claimed) <= 3


@pytest.mark.parametrize("kind", ["retrieval", "pairs"])
def test_an_instruction_that_is_truly_better_wins_on_vectors(tmp_path: Path, kind: str):
    trial = of_set(ReadingEmbedder(noise=3.0), every_kind(tmp_path)[kind])
    better = {"query": "supporting: ", "document": "supporting: "}
    assert select(trial, [*TEXTS[:4], better], Plan(rounds=300)).winner == 4


def clustering(seed: int, noises: dict[str, float]) -> Trial:
    """Vectors are the label's middle and noise, more or less of it under each Instruction."""
    labels = np.arange(120) % 3
    drawn = np.random.default_rng(seed)
    middles, noise = drawn.normal(size=(3, DIM)), drawn.normal(size=(len(noises), 120, DIM))
    place = {literal: one for one, literal in enumerate(noises)}

    def embed(texts, literal):
        rows = [int(text[1:]) for text in texts]
        made = middles[labels[rows]] + noises[literal] * noise[place[literal]][rows]
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    texts = tuple(f"d{one}" for one in range(120))
    return of_clustering(LabelledSet(texts=texts, labels={"label": tuple(map(str, labels))}), embed, ["t"])[0]


@pytest.mark.slow
def test_clusters_that_follow_the_labels_win_and_chance_does_not(monkeypatch):
    monkeypatch.setattr(labelled, "SEEDS", 2)
    tried = [{"query": one, "document": one} for one in ("", "a ", "b ")]
    better = clustering(1, {"": 1.6, "a ": 1.6, "b ": 0.3})
    assert select(better, tried, Plan(rounds=2_000)).winner == 2
    claimed = [
        select(clustering(seed, {"": 1.6, "a ": 1.6, "b ": 1.6}), tried, Plan(rounds=2_000, seed=seed)).winner
        for seed in range(3)
    ]
    assert claimed == [None] * 3


def test_blocks_that_disagree_prove_nothing_and_blocks_that_agree_do():
    agree, disagree = np.array([0.02, 0.03, 0.01, 0.02, 0.02] * 2), np.array([0.22, -0.18] * 5)
    found = statistics.of_blocks(agree, 0.02)
    assert 0 < found.low < 0.02 < found.high and found.p < 0.001
    found = statistics.of_blocks(disagree, 0.02)
    assert found.low < 0 < found.high and found.p > 0.5
    found = statistics.of_blocks(agree, -0.02)  # all items say the opposite of every block
    assert found.low < -0.02 < 0.02 < found.high and found.p == 1
    assert statistics.of_blocks(np.full(10, 0.02), 0.02).p == 2 / 2**10
    assert np.isnan(statistics.of_blocks(np.full(4, 0.02), 0.02).p)


@pytest.mark.parametrize(
    "kind", ["retrieval", "reranking", "pairs", "sts", "judgement", "clustering", "classification"]
)
def test_a_trial_over_all_items_is_what_an_evaluation_measures(tmp_path: Path, kind: str):
    task = tasks.task_at(every_kind(tmp_path)[kind], kind=kind)
    texts = {"query": "find: ", "document": "find: "}
    (whole,) = evaluate(ReadingEmbedder(), [task], Wanted(instructions=texts))
    (trial,) = trials_of(task, embedding(ReadingEmbedder(), None, None))
    rows = trial.rows
    assert trial.main == whole.measured.main
    assert 100 * trial.measure(trial.observe(texts, rows), rows) == pytest.approx(whole.main, abs=1e-9)


def test_each_round_halves_the_instructions_and_doubles_the_items():
    found = select(synthetic(0, items=400), [*TEXTS, *TEXTS[1:], *TEXTS[1:]], Plan())
    assert [(one.items, len(one.scores)) for one in found.rounds] == [(50, 24), (100, 12), (200, 6)]
    assert [len(one.kept) for one in found.rounds] == [12, 6, 3]
    assert len(found.compared) == 3


def test_items_of_one_group_stay_together(tmp_path: Path):
    trial = of_set(ReadingEmbedder(), pairs(tmp_path / "p.jsonl"))
    chosen, held_out = split(trial, Plan())
    assert not set(trial.groups[chosen]) & set(trial.groups[held_out])
    assert sorted([*chosen, *held_out]) == list(range(200))
    places = Drawing(trial.groups, 0)()
    drawn = np.bincount(places, minlength=200)
    assert (drawn[:100] == drawn[100:]).all() and drawn.max() > 1


def test_pairs_of_one_text_are_one_piece_of_evidence():
    """Each item four times over must not make chance look like proof."""
    one = synthetic(3, gain=0.05, items=60)
    rows = np.arange(60)
    four = Trial(
        name="four", kind="retrieval", main="ndcg@10", groups=np.repeat(rows, 4), means=True,
        observe=lambda texts, asked: one.observe(texts, asked // 4), measure=one.measure,
    )  # fmt: skip
    found = [
        selection.compared(trial, np.arange(trial.items), trial.observe(TEXTS[0], np.arange(trial.items)),
                           trial.observe(TEXTS[5], np.arange(trial.items)), Plan(rounds=4_000))
        for trial in (one, four)
    ]  # fmt: skip
    assert found[1].p == pytest.approx(found[0].p, abs=0.02)
    assert found[1].low == pytest.approx(found[0].low, abs=0.5)


def test_the_same_seed_gives_the_same_answer():
    assert select(synthetic(1), TEXTS, Plan()) == select(synthetic(1), TEXTS, Plan())


def test_too_few_items_and_nothing_to_try_are_refused():
    with pytest.raises(UsageError, match="39 different items, of which 19 would be held out; expected 20"):
        select(synthetic(0, items=39), TEXTS, Plan())
    with pytest.raises(UsageError, match="60 different items, of which 12 would be held out"):
        select(synthetic(0, items=60), TEXTS, Plan(held_out=0.2))
    with pytest.raises(UsageError, match="no instruction to try"):
        select(synthetic(0), TEXTS[:1], Plan())
