"""What makes a build fail, and what is no gate at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from searchkit.errors import UsageError
from searchkit.evaluation import gate, labelled, results, retrieval, sets, similarity
from searchkit.evaluation.gate import Bound
from searchkit.evaluation.kinds import MEASURES_OF
from searchkit.evaluation.measured import Measured
from searchkit.evaluation.results import Result


def result(values, task="own", data="d", **facts) -> Result:
    measured = Measured(
        kind="retrieval",
        main="ndcg@10",
        measures={"ndcg@10": 100 * float(np.mean(values)), "recall@1": 40.0},
        items={"ndcg@10": list(values)},
        counts={"questions": len(values)},
        low=0,
        high=100,
    )
    facts = {"model": "m", "fingerprint": {}, "instructions": {}, "profile": None, **facts}
    return Result(task=task, measured=measured, data=data, **facts)


@pytest.mark.parametrize(
    ("text", "measure", "least"),
    [
        ("60", None, 60), ("0.6", None, 60), ("60%", None, 60), ("1%", None, 1), ("1", None, 100),
        ("ndcg@10=0.6", "ndcg@10", 60), ("recall@1 = 45.5", "recall@1", 45.5), ("0", None, 0),
    ],
)  # fmt: skip
def test_a_bound_is_a_share_or_percent(text, measure, least):
    assert gate.bound(text) == Bound(measure, pytest.approx(least))


@pytest.mark.parametrize("text", ["", "x", "nan", "-1", "101", "inf", "ndcg@10=", "=0.6", "ndcg@10"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(UsageError, match="is no bound"):
        gate.bound(text)


def test_a_measure_below_its_bound_is_named():
    found = [result([0.5, 0.7])]
    assert gate.below(found, [Bound(None, 60.0), Bound("recall@1", 40.0)]) == []
    assert gate.below(found, [Bound(None, 60.01), Bound("recall@1", 41)]) == [
        "own: ndcg@10 is 60.00, below 60.01",
        "own: recall@1 is 40.00, below 41",
    ]


def test_what_is_no_number_passes_no_bound():
    assert gate.below([result([float("nan")])], [Bound(None, 0.0)])


def test_a_measure_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(
        UsageError, match=r"(?s)no measure 'ndcg@1'.*ndcg@10.*expected one of: ndcg@10, recall@1"
    ):
        gate.below([result([1.0])], [Bound("ndcg@1", 10)])


def test_only_what_is_significantly_worse_fails():
    better, chance = np.full(20, 0.9), np.full(20, 0.9)
    chance[:2] = 0.0
    worse = np.full(20, 0.2)
    kept = {"own": result(better)}
    assert gate.worse([result(better)], kept) == []
    assert gate.worse([result(chance)], kept) == []  # two of twenty: p = 0.5
    assert gate.worse([result(better)], {"own": result(worse)}) == []
    (line,) = gate.worse([result(worse)], kept)
    assert line.startswith("own: ndcg@10 is 20.00, was 90.00 (-70.00, p 0.0001; 20 worse, 0 better)")


def test_six_questions_are_the_fewest_that_can_fail():
    """Of five that all got worse p is 2 / 2 ** 5: such a gate would never close."""
    with pytest.raises(UsageError, match="no result of 'own' can be significantly worse: 5 different items"):
        gate.worse([result([0.0] * 5)], {"own": result([1.0] * 5)})
    assert gate.worse([result([0.0] * 6)], {"own": result([1.0] * 6)})


def test_a_baseline_of_something_else_is_refused(tmp_path):
    kept = {"own": result([1.0] * 9)}
    with pytest.raises(UsageError, match="the baseline has no 'self', it has own"):
        gate.worse([result([1.0] * 9, task="self")], kept)
    with pytest.raises(UsageError, match="different texts"):
        gate.worse([result([1.0] * 9, data="other")], kept)
    with pytest.raises(UsageError, match="there is no baseline"):
        gate.kept(tmp_path / "absent")
    results.write(kept["own"], tmp_path)
    assert gate.kept(tmp_path) == gate.kept(tmp_path / "own.json") == kept


def test_other_conditions_are_said():
    then = {"own": result([1.0], profile="a")}
    now = result([1.0], profile="b")
    assert gate.other_conditions([now], then) == ["own: the baseline has profile 'a', this is 'b'"]


@pytest.mark.parametrize("what", ["mode", "collection"])
def test_a_baseline_of_another_mode_or_collection_is_refused(what):
    then, now = (result([1.0] * 9, details={what: one}) for one in ("vector", "hybrid"))
    with pytest.raises(UsageError, match=f"the baseline is of {what} 'vector', this is of 'hybrid'"):
        gate.worse([now], {"own": then})


def test_a_bound_that_says_nothing_of_a_task_is_said():
    pairs = replace(
        result([1.0], task="pairs"), measured=replace(result([1.0]).measured, measures={"map": 1.0})
    )
    found = [result([1.0]), pairs]
    assert gate.below(found, [Bound("recall@1", 40)]) == []
    assert gate.unbounded(found, [Bound("recall@1", 40), Bound(None, 0)]) == [
        "pairs: there is no recall@1, so that its bound says nothing of it"
    ]


def test_what_can_be_no_gate_is_refused_before_anything_is_measured():
    with pytest.raises(UsageError, match="no measure 'foo'"):
        gate.require_measures([Bound("foo", 3)], ["map"])
    gate.require_measures([Bound("map", 3), Bound(None, 3)], ["map"])
    with pytest.raises(UsageError, match="5 different items, expected 6 or more"):
        gate.require_comparable(["own"], {"own": result([1.0] * 5)})
    with pytest.raises(UsageError, match="the baseline has no 'other', it has own"):
        gate.require_comparable(["other"], {"own": result([1.0] * 9)})


def test_measures_known_before_are_those_that_are_found():
    def encode(texts, side):
        made = np.random.default_rng(len(texts)).normal(size=(len(texts), 8)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    words = tuple(f"word{n}" for n in range(12))
    labels = {"label": ("a", "b") * 6}
    pairs = sets.PairSet(first=words, second=words[::-1], worth=(0.0, 1.0) * 6)
    candidates = sets.Candidates(query="q", texts=words, relevant=2)
    judged = sets.RetrievalSet(documents={"d": "x", "e": "y"}, queries={"q": "z"}, judgements={"q": {"d": 1}})
    texts = sets.LabelledSet(texts=words, labels=labels)
    generated = sets.JudgementSet(generated=words, references=((("r",),) * 12), scores=tuple(range(12)))
    found = {
        "retrieval": retrieval.measure_retrieval(judged, encode),
        "reranking": retrieval.measure_reranking(sets.RerankingSet(queries=(candidates,)), encode),
        "clustering": labelled.measure_clustering(texts, encode)["label"],
        "classification": labelled.measure_classification(texts, texts, encode)["label"],
        "pairs": similarity.measure_pairs(pairs, encode),
        "sts": similarity.measure_sts(pairs, encode),
        "judgement": similarity.measure_judgement(generated, encode),
    }
    assert {kind: set(one.measures) for kind, one in found.items()} == {
        kind: set(names) for kind, names in MEASURES_OF.items() if kind != "prompts"
    }
