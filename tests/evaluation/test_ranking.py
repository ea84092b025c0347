"""Measures of rankings, against ir-measures on random runs and by hand."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, R, nDCG

from searchkit.evaluation import ranking

MEASURES = {
    nDCG @ 10: lambda ranked, judged: ranking.ndcg(ranked, judged, 10),
    nDCG @ 3: lambda ranked, judged: ranking.ndcg(ranked, judged, 3),
    AP: ranking.average_precision,
    RR: lambda ranked, _: ranking.reciprocal_rank(ranked),
    R @ 10: lambda ranked, judged: ranking.recall(ranked, judged, 10),
    R @ 100: lambda ranked, judged: ranking.recall(ranked, judged, 100),
}


def random_run(seed: int):
    """Graded and negative judgements, ties, documents not judged, judged ones not found."""
    drawn = np.random.default_rng(seed)
    qrels, run = {}, {}
    for query in range(12):
        names = [f"d{one}" for one in drawn.choice(400, 150, replace=False)]
        judged = [f"d{one}" for one in drawn.choice(400, 25, replace=False)]
        qrels[f"q{query}"] = {name: int(drawn.integers(-1, 4)) for name in judged}
        run[f"q{query}"] = {name: float(drawn.integers(0, 60)) / 7 for name in names}
    return qrels, run


@pytest.mark.parametrize("seed", range(5))
def test_every_measure_equals_that_of_ir_measures(seed: int):
    qrels, run = random_run(seed)
    theirs = {
        (one.measure, one.query_id): one.value for one in ir_measures.iter_calc(list(MEASURES), qrels, run)
    }
    for query, scores in run.items():
        order = ranking.in_order(list(scores), np.asarray(list(scores.values())))
        ranked, judged = ranking.gains(order, qrels[query])
        for measure, ours in MEASURES.items():
            assert ours(ranked, judged) == pytest.approx(theirs[measure, query], abs=1e-9), measure


def test_equal_scores_are_ordered_as_trec_eval_orders_them():
    assert ranking.in_order(["a", "c", "b"], np.array([0.5, 0.5, 0.9])) == ["b", "c", "a"]


def test_scores_that_differ_beyond_single_precision_are_equal():
    assert ranking.in_order(["a", "b"], np.array([0.5 + 1e-12, 0.5])) == ["b", "a"]


def test_a_query_without_a_relevant_document_scores_nothing():
    ranked, judged = ranking.gains(["a", "b"], {"a": 0, "b": -1})
    assert [ours(ranked, judged) for ours in MEASURES.values()] == [0.0] * len(MEASURES)


def test_an_empty_ranking_scores_nothing():
    assert [ours([], [1.0]) for ours in MEASURES.values()] == [0.0] * len(MEASURES)
