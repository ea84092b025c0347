"""What is no difference is seldom called one, whatever the kind of task; what is one is seen."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from searchkit.errors import UsageError
from searchkit.evaluation import grouping, labelled, results, statistics, tuning, variants
from searchkit.evaluation.gate import worse
from searchkit.evaluation.labelled import Lesson, measure_classification, measure_clustering
from searchkit.evaluation.measured import Measured
from searchkit.evaluation.results import Result
from searchkit.evaluation.selection import Plan, compared, select, split, split_learned
from searchkit.evaluation.sets import JudgementSet, LabelledSet, PairSet
from searchkit.evaluation.similarity import measure_judgement, measure_pairs
from searchkit.evaluation.trial import Trial, of_classification, of_clustering, of_judgement, of_pairs

DIM, LABELS, CHOSEN = 8, 3, 3
TEXTS = [{"query": one, "document": one} for one in ("", "a ", "b ", "c ")]


def vectors(seed: int, middles: np.ndarray, noise: float, better: float) -> Callable:
    """An embedder of texts 'd17': what text 17 means, and noise of its own under each Instruction.

    better: how much of the noise is left under the last of TEXTS.
    """
    rng = np.random.default_rng([seed, 7])
    noises = {one["query"]: rng.normal(size=middles.shape) for one in TEXTS}

    def embed(texts, literal):
        rows = [int(text[1:]) for text in texts]
        scale = noise * (better if literal == TEXTS[CHOSEN]["query"] else 1.0)
        made = middles[rows] + scale * noises[literal][rows]
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    return embed


def labelled_set(texts: range, labels: np.ndarray) -> LabelledSet:
    return LabelledSet(
        texts=tuple(f"d{one}" for one in texts), labels={"l": tuple(map(str, labels[list(texts)]))}
    )


def made_up(kind: str, seed: int, better: float = 1.0) -> tuple[Trial, Callable[[str], Result]]:
    """A Trial, and its Result under an Instruction, of a set of a kind with few texts to learn from."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(60) % LABELS, rng.integers(0, LABELS, 240)])
    middles = rng.normal(size=(LABELS, DIM))[labels]
    if kind == "clustering":
        judged = labelled_set(range(200), labels)
        embed = vectors(seed, middles, 1.6, better)
        (trial,) = of_clustering(judged, embed, ["t"])

        def measured(literal: str) -> Measured:
            return measure_clustering(judged, lambda texts, _: embed(texts, literal), seeds=2)["l"]

    else:
        train, test = labelled_set(range(60), labels), labelled_set(range(60, 300), labels)
        embed = vectors(seed, middles, 2.5, better)
        (trial,) = of_classification(train, test, embed, ["t"])

        def measured(literal: str) -> Measured:
            found = measure_classification(train, test, lambda texts, _: embed(texts, literal), rounds=3)
            return found["l"]

    return trial, lambda literal: result(measured(literal))


def result(measured: Measured) -> Result:
    return Result(
        task="t", measured=measured, model="m", fingerprint={}, instructions={}, profile=None, data="d"
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two seeds, one in blocks; one thread, for several waiting for one another take twenty times as long."""
    import sklearn.cluster  # noqa: F401 (limits hold of what is loaded)

    monkeypatch.setattr(labelled, "SEEDS", 2)
    monkeypatch.setattr(labelled, "BLOCK_SEEDS", 1)
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("kind", ["clustering", "classification"])
def test_two_that_are_equally_good_are_seldom_told_apart(kind: str):
    """Of 40 repetitions two are expected, and more than six in one case of a hundred."""
    told = 0
    for seed in range(40):
        _, measured = made_up(kind, seed)
        (found,) = results.compare({"t": measured("a ")}, {"t": measured("b ")})
        assert found.low <= found.difference <= found.high
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
        told += found.p < 0.05
    assert told <= 6


@pytest.mark.parametrize("kind", ["clustering", "classification"])
def test_one_that_is_better_is_told_and_closes_a_gate(kind: str):
    told = 0
    for seed in range(10):
        _, measured = made_up(kind, seed, better=0.3)
        (found,) = results.compare({"t": measured("a ")}, {"t": measured("c ")})
        told += found.p < 0.05 and found.low > 0
    assert told >= 9
    assert worse([measured("a ")], {"t": measured("c ")})[0].startswith("t: ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clustering", "classification"])
def test_a_choice_among_equals_seldom_has_a_winner(kind: str):
    won = [select(made_up(kind, seed)[0], TEXTS, Plan(seed=seed)).winner for seed in range(60)]
    assert sum(one is not None for one in won) <= 8
    won = [select(made_up(kind, seed, better=0.2)[0], TEXTS, Plan(seed=seed)).winner for seed in range(6)]
    assert won.count(CHOSEN) >= 5


def test_blocks_that_say_the_opposite_make_no_winner():
    """A candidate may be better over all items and worse in each block of them: then nothing is proven."""
    rng = np.random.default_rng(0)
    scatter = rng.normal(0, 0.005, 10)

    def trial(sign: float) -> Trial:
        return Trial(
            name="t", kind="clustering", main="v_measure", groups=np.arange(200), means=False,
            observe=lambda texts, rows: np.full((1, len(rows)), float(texts["query"] == "c ")),
            measure=lambda observed, rows: 0.5 + 0.02 * float(observed.mean()),
            blocks=lambda observed, rows: 0.5 + float(observed.mean()) * (sign * 0.05 + scatter),
        )  # fmt: skip

    assert select(trial(1), TEXTS, Plan()).winner == CHOSEN
    opposite = select(trial(-1), TEXTS, Plan())
    assert opposite.winner is None
    (one,) = [one for one in opposite.compared if one.candidate == CHOSEN]
    assert one.p == 1 and one.low < 0 < one.difference < one.high


def test_blocks_share_no_text_and_learn_from_none_of_another():
    rng = np.random.default_rng(0)
    learned, asked = rng.integers(0, 4, 80), rng.integers(0, 4, 120)
    lesson = Lesson(
        learned=learned, asked=asked, learned_groups=np.arange(80) // 2, asked_groups=np.arange(120) // 3
    )
    blocks = lesson.blocks()
    assert len(blocks) == 10
    for side, groups in ((0, lesson.learned_groups), (1, lesson.asked_groups)):
        places = [one[side] for one in blocks]
        assert sorted(np.concatenate(places)) == list(range(len(groups)))
        seen = [set(groups[own]) for own in places]
        assert sum(map(len, seen)) == len(set().union(*seen))


def test_texts_learned_from_while_choosing_are_not_those_held_out():
    trial, _ = made_up("classification", 0)
    both = split_learned(trial, Plan())
    assert sorted(np.concatenate(both)) == list(range(240, 300)) and len(both[0]) == 30
    seen = []
    watched = Trial(
        name="t", kind="classification", main="accuracy", groups=trial.groups, learned=trial.learned,
        means=False, measure=trial.measure, blocks=trial.blocks,
        observe=lambda texts, rows: (seen.append(set(rows.tolist())), trial.observe(texts, rows))[1],
    )  # fmt: skip
    select(watched, TEXTS, Plan())
    assert seen[0].isdisjoint(seen[-1]) and seen[0] >= set(both[0].tolist())


def test_pairs_that_share_a_text_by_way_of_others_are_one_group():
    groups = grouping.by_pair(["a", "b", "x", "y", "c"], ["b", "c", "y", "z", "d"])
    assert groups.tolist() == [0, 0, 1, 1, 0]
    assert grouping.by_pair([], []).tolist() == []


def star(n: int) -> PairSet:
    """Pairs of which more than half hang together, and as many apart as 2 n / 3."""
    first = [f"q{one // 2}" for one in range(n)] + [f"q{n + one}" for one in range(1, 2 * n // 3)]
    second = [f"d{(one + 1) // 2}" for one in range(n)] + [f"d{one}" for one in range(n, len(first))]
    worth = tuple(float(one % 3 == 0) for one in range(len(first)))
    return PairSet(first=tuple(first), second=tuple(second), worth=worth)


def test_a_group_that_holds_most_is_chosen_by_and_said():
    judged = star(90)
    embed = vectors(0, np.random.default_rng(0).normal(size=(400, DIM)), 1.0, 1.0)
    trial = of_pairs(judged, embed, "t", "pairs")
    for seed in range(5):
        chosen, held_out = split(trial, Plan(seed=seed))
        assert set(range(90)) <= set(chosen.tolist())
        assert not set(trial.groups[chosen]) & set(trial.groups[held_out])
    found = select(trial, TEXTS, Plan(rounds=100))
    assert found.warning is not None and found.warning.startswith("90 of 149 items hang together")
    assert measure_pairs(judged, lambda texts, _: embed(texts, "")).counts == {
        "pairs": 149, "groups": 60, "pairs in the largest group": 90,
    }  # fmt: skip


def captions(pictures: int, systems: int) -> JudgementSet:
    rng = np.random.default_rng(1)
    liked = np.repeat(rng.normal(size=pictures), systems) + 0.1 * rng.normal(size=pictures * systems)
    return JudgementSet(
        generated=tuple(f"q{one}" for one in range(pictures * systems)),
        references=tuple((f"d{one // systems}",) for one in range(pictures * systems)),
        scores=tuple(liked.tolist()),
    )


def test_texts_about_one_picture_are_one_piece_of_evidence(monkeypatch):
    """Scores and cosines go by the picture: five systems on 40 pictures say no more than one system."""
    judged = captions(40, 5)
    liked = np.asarray(judged.scores)
    pictures = np.repeat(np.random.default_rng(2).normal(size=40), 5)

    def encode(texts, side):
        angles = np.zeros(len(texts)) if side == "document" else np.arccos(np.tanh(0.3 * liked + pictures))
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    by_picture = measure_judgement(judged, encode)
    monkeypatch.setattr(grouping, "by_text", lambda texts: np.arange(len(texts)))
    apart = measure_judgement(judged, encode)
    assert by_picture.high - by_picture.low > 1.7 * (apart.high - apart.low)


def test_intervals_of_several_comparisons_hold_together():
    drawn = np.random.default_rng(0).normal(0.1, 1, 200)
    one, of_ten = (statistics.of_means(drawn, comparisons=many) for many in (1, 10))
    assert of_ten.low < one.low and one.high < of_ten.high and one.p == of_ten.p
    blocks = drawn[:10]
    one, of_ten = (statistics.of_blocks(blocks, blocks.mean(), comparisons=many) for many in (1, 10))
    assert (of_ten.high - of_ten.low) / (one.high - one.low) == pytest.approx(3.690 / 2.262, abs=0.01)


def test_intervals_of_few_groups_hold_the_truth_as_often_as_they_say():
    rng, held = np.random.default_rng(5), 0
    for seed in range(400):
        found = statistics.of_means(rng.normal(0, 1, 20), rounds=100, seed=seed)
        held += found.low <= 0 <= found.high
    assert 0.93 <= held / 400 <= 0.98


def test_of_few_items_nothing_is_claimed():
    groups = np.arange(5)
    assert np.isnan(statistics.mean_interval(np.ones(5))).all()
    assert np.isnan(statistics.mean_interval(np.ones(60), np.arange(60) // 12)).all()
    assert np.isnan(statistics.joint_interval(lambda rows: 1.0, groups)).all()
    assert np.isnan(statistics.of_means(np.ones(5)).p)
    assert np.isnan(statistics.of_joint(lambda rows: 1.0, np.arange(19)).p)
    assert statistics.said(*statistics.mean_interval(np.ones(5))) == "too few"
    assert statistics.holm([0.04, float("nan"), 0.03])[::2] == pytest.approx([0.06, 0.06])


def few(n: int) -> Trial:
    judged = PairSet(
        first=tuple(f"q{one}" for one in range(n)), second=tuple(f"d{one + n}" for one in range(n)),
        worth=tuple(float(one % 2) for one in range(n)),
    )  # fmt: skip
    return of_pairs(
        judged, vectors(0, np.random.default_rng(0).normal(size=(2 * n, DIM)), 1.0, 1.0), "t", "pairs"
    )


def test_of_two_pairs_a_variant_is_neither_better_nor_worse():
    trial = few(2)
    observed = {str(turn): trial.observe(one, trial.rows) for turn, one in enumerate(TEXTS)}
    named = dict(zip(observed, [_Named(one) for one in TEXTS], strict=True))
    levels, _, gap_p = variants._levels(trial, named, observed, Plan(rounds=50))
    assert all(np.isnan([one.low, one.high, one.p]).all() for one in levels[1:]) and np.isnan(gap_p)


class _Named:
    def __init__(self, texts) -> None:
        self.texts = texts


def test_an_undefined_measure_is_refused_with_the_reason():
    worth = tuple(float(one == 0) for one in range(60))
    judged = PairSet(
        first=tuple(f"q{one}" for one in range(60)), second=tuple(f"d{one}" for one in range(60)),
        worth=worth,
    )  # fmt: skip
    embed = vectors(0, np.zeros((60, DIM)), 1.0, 1.0)
    with pytest.raises(
        UsageError, match=r"average_precision of 't' is not defined on the items (held out|to)"
    ):
        select(of_pairs(judged, embed, "t", "pairs"), TEXTS, Plan())


def test_a_round_in_which_all_labels_are_the_same_takes_more_items():
    trial = few(400)
    first = split(trial, Plan())[0][:60]
    worth = np.arange(400) % 2
    worth[first] = 0
    judged = PairSet(
        first=tuple(f"q{one}" for one in range(400)),
        second=tuple(f"d{one}" for one in range(400)), worth=tuple(worth.astype(float)),
    )  # fmt: skip
    embed = vectors(0, np.random.default_rng(0).normal(size=(400, DIM)), 1.0, 1.0)
    many = [*TEXTS, *(dict(one) for one in TEXTS[1:] * 5)]
    found = select(of_pairs(judged, embed, "t", "pairs"), many, Plan(rounds=50))
    assert [one.items for one in found.rounds] == [100, 100, 200] and np.isfinite(
        list(found.rounds[0].scores.values())
    ).all()


def test_what_gives_all_texts_one_vector_comes_last_and_is_null_in_json():
    judged = captions(60, 1)

    def embed(texts, literal):
        made = np.ones((len(texts), DIM), dtype=np.float32) / np.sqrt(np.float32(DIM))
        if literal != "a ":
            made += np.random.default_rng(len(texts)).normal(0, 0.3, made.shape).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    found = select(of_judgement(judged, embed, "t"), TEXTS, Plan(rounds=50, confirmed=3))
    assert np.isnan(found.rounds[0].scores[1]) and found.rounds[0].kept[-1] == 1
    assert np.isnan(found.compared[-1].score) and found.winner is None
    tuned = tuning.Tuned(
        task="t", kind="judgement", main="pearson", model="m", trained=True, changed="both", items=60,
        held_out=30, candidates=(), rounds=found.rounds, compared=found.compared, winner=None,
    )  # fmt: skip
    plain = json.loads(json.dumps(tuning.plain(tuned), allow_nan=False))
    assert plain["rounds"][0]["scores"][0] == {"candidate": 1, "score": None}
    assert plain["compared"][-1]["score"] is None and plain["compared"][0]["p"] is not None


def test_what_is_not_defined_is_worse_than_any_correlation():
    gives = {"": -0.9, "a ": np.nan, "b ": -0.5, "c ": -0.2}
    trial = Trial(
        name="t", kind="sts", main="spearman", groups=np.arange(60), means=False,
        observe=lambda texts, rows: np.full((1, len(rows)), gives[texts["query"]]),
        measure=lambda observed, rows: float(observed[0, 0]),
    )  # fmt: skip
    assert select(trial, TEXTS, Plan(rounds=20)).rounds[-1].kept == (3, 2, 1)


def test_a_comparison_of_a_few_texts_says_that_they_are_too_few():
    few = LabelledSet(texts=("d0", "d1", "d2", "d3"), labels={"l": ("a", "a", "b", "b")})
    embed = vectors(0, np.random.default_rng(0).normal(size=(4, DIM)), 1.0, 1.0)
    measured = measure_clustering(few, lambda texts, _: embed(texts, ""), seeds=2)["l"]
    assert measured.items == {"block": []} and np.isnan(measured.low)
    found = results.compare({"t": result(measured)}, {"t": result(measured)})
    assert found[0].too_few == "texts of each label are too few for 5 blocks that share none"
    assert np.isnan(found[0].p) and results.plain([result(measured)])[0]["low"] is None
    with pytest.raises(UsageError, match="no result of 't' can be significantly worse: texts of each label"):
        worse([result(measured)], {"t": result(measured)})


def test_one_observation_compared_with_itself_is_no_difference():
    for kind in ("clustering", "classification"):
        trial, _ = made_up(kind, 1)
        same = trial.observe(TEXTS[0], trial.rows)
        found = compared(trial, trial.rows, same, same, Plan(rounds=50))
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
