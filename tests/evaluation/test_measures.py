"""Each kind of task, on vectors of which the answer is known, and against scikit-learn and scipy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.metrics import average_precision_score

from searchkit.evaluation import similarity
from searchkit.evaluation.labelled import drawn, measure_classification, measure_clustering, split
from searchkit.evaluation.retrieval import measure_reranking, measure_retrieval, of_candidates
from searchkit.evaluation.sets import (
    Candidates,
    JudgementSet,
    LabelledSet,
    PairSet,
    RerankingSet,
    RetrievalSet,
)
from searchkit.evaluation.similarity import measure_judgement, measure_pairs, measure_sts
from searchkit.evaluation.trial import Trial, of_reranking, of_retrieval

DIM = 24


def encode(texts: Sequence[str], side: str):
    """A vector of words, by their hashes: texts that share words are near; the sides differ a little."""
    made = np.zeros((len(texts), DIM), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            made[row] += np.random.default_rng(sum(map(ord, word)) * 7919 + len(word)).normal(size=DIM)
    if side == "query":
        made[:, 0] += 0.05
    return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)


def under_nothing(texts: Sequence[str], instruction: str):
    return encode(texts, "document")


def observed(trial: Trial) -> list[float]:
    """What a Trial of `tune` observes of all its items, which is what `eval` measures."""
    return trial.observe({"query": "", "document": ""}, np.arange(trial.items))[0].tolist()


def test_retrieval_ranks_every_document_for_every_judged_query():
    judged = RetrievalSet(
        documents={"a": "red fox", "b": "blue whale", "c": "green tree"},
        queries={"q1": "red fox", "q2": "whale tree"},
        judgements={"q1": {"a": 1.0}, "q2": {"b": 1.0, "c": 2.0}},
    )
    found = measure_retrieval(judged, encode)
    assert found.measures["recall@10"] == 100
    assert found.items["ndcg@10"][0] == 1
    assert found.measures["ndcg@10"] == pytest.approx(100 * np.mean(found.items["ndcg@10"]))
    assert np.isnan(found.low) and np.isnan(found.high)  # two queries are no interval
    with_more = RetrievalSet(
        documents=judged.documents,
        queries={**judged.queries, **{f"r{n}": f"red n{n}" for n in range(9)}},
        judgements={**judged.judgements, **{f"r{n}": {"ab"[n % 2]: 1.0} for n in range(9)}},
    )
    found = measure_retrieval(with_more, encode)
    assert found.low < found.measures["ndcg@10"] < found.high


@pytest.mark.parametrize("text", ["red fox", "Animals red fox"])
def test_a_document_that_is_the_query_itself_is_left_out(text: str):
    judged = RetrievalSet(
        documents={"same": text, "other": "red wolf"},
        queries={"same": "red fox"},
        judgements={"same": {"other": 1.0}},
    )
    assert measure_retrieval(judged, encode).measures["ndcg@10"] == 100
    assert observed(of_retrieval(judged, under_nothing, "set")) == [1.0]


def test_an_unrelated_document_of_the_same_id_is_found_and_one_that_is_judged_relevant_too():
    judged = RetrievalSet(
        documents={"1": "blue whale", "2": "red fox", "3": "green tree"},
        queries={"1": "whale", "2": "red fox"},
        judgements={"1": {"1": 1.0}, "2": {"2": 1.0}},
    )
    assert measure_retrieval(judged, encode).measures["ndcg@10"] == 100
    assert observed(of_retrieval(judged, under_nothing, "set")) == [1.0, 1.0]


def test_reranking_orders_the_candidates_of_each_query():
    judged = RerankingSet(
        queries=(
            Candidates(query="red fox", texts=("red fox", "blue whale", "green tree"), relevant=1),
            Candidates(query="red fox", texts=("blue whale", "red fox"), relevant=1),
        ),
    )
    found = measure_reranking(judged, encode)
    assert list(found.items["map"]) == [1.0, 0.5]
    assert found.measures["map"] == 75


def test_equal_scores_favour_no_candidate():
    texts = ("same",) * 10
    judged = RerankingSet(queries=(Candidates(query="same", texts=texts, relevant=1),))
    found = measure_reranking(judged, encode)
    theirs = average_precision_score([1] + [0] * 9, [0.5] * 10)
    assert found.measures["map"] == pytest.approx(100 * theirs) == pytest.approx(10)
    assert found.measures["mrr@10"] == pytest.approx(10)
    assert observed(of_reranking(judged, under_nothing, "set")) == pytest.approx([theirs])


@pytest.mark.parametrize("seed", range(5))
def test_candidates_are_measured_as_scikit_learn_measures_them_ties_and_all(seed: int):
    scores = (np.random.default_rng(seed).integers(0, 6, 30) / 7).astype(np.float32)
    found = of_candidates(scores, 4)
    assert found["map"] == pytest.approx(average_precision_score([1] * 4 + [0] * 26, scores), abs=1e-12)
    better = int((scores[4:] >= scores[:4].max()).sum())
    assert found["mrr@10"] == (1 / (better + 1) if better < 10 else 0)


def pairs(n: int, *, graded: bool) -> PairSet:
    drawn_ = np.random.default_rng(5)
    words = [f"w{one}" for one in range(30)]
    first = [" ".join(drawn_.choice(words, 4)) for _ in range(n)]
    second = [" ".join([*text.split()[: int(drawn_.integers(0, 5))], "end"]) for text in first]
    worth = drawn_.integers(0, 6 if graded else 2, n).astype(float)
    return PairSet(first=tuple(first), second=tuple(second), worth=tuple(worth))


def test_pairs_are_measured_as_scikit_learn_measures_them():
    judged = pairs(60, graded=False)
    found = measure_pairs(judged, encode)
    theirs = average_precision_score(judged.worth, found.items["cosine"])
    assert found.measures["average_precision"] == pytest.approx(100 * theirs, abs=1e-9)


def test_similarity_is_measured_as_scipy_measures_it():
    judged = pairs(60, graded=True)
    found = measure_sts(judged, encode)
    cosines = found.items["cosine"]
    assert found.measures["spearman"] == pytest.approx(
        100 * spearmanr(cosines, judged.worth).statistic, abs=1e-9
    )
    assert found.measures["pearson"] == pytest.approx(
        100 * pearsonr(cosines, judged.worth).statistic, abs=1e-9
    )


def test_a_generated_text_is_as_good_as_its_best_reference():
    judged = JudgementSet(
        generated=("red fox runs", "blue whale", "stone", "tree grows"),
        references=(("red fox", "stone"), ("green tree", "whale"), ("fox",), ("tree", "red")),
        scores=(5.0, 3.0, 1.0, 4.0),
    )
    found = measure_judgement(judged, encode)
    best = [
        max(float(encode([text], "query")[0] @ encode([one], "document")[0]) for one in references)
        for text, references in zip(judged.generated, judged.references, strict=True)
    ]
    assert found.items["cosine"] == pytest.approx(best, abs=1e-6)
    assert found.measures["pearson"] == pytest.approx(100 * pearsonr(best, judged.scores).statistic, abs=1e-4)
    assert found.measures["kendall"] == pytest.approx(100 * kendalltau(best, judged.scores).statistic)


def labelled() -> LabelledSet:
    drawn_ = np.random.default_rng(6)
    texts, topics, moods = [], [], []
    for topic in ("red", "blue", "green"):
        for one in range(20):
            mood = ("glad", "sad")[one % 2]
            texts.append(f"{topic} {topic} {topic} {mood} n{drawn_.integers(1000)}")
            topics.append(topic)
            moods.append(mood)
    return LabelledSet(texts=tuple(texts), labels={"topic": tuple(topics), "mood": tuple(moods)})


def test_clusters_are_compared_with_every_labelling():
    found = measure_clustering(labelled(), encode, seeds=3)
    assert found["topic"].measures["v_measure"] > 90 > found["mood"].measures["v_measure"]
    assert len(found["topic"].items["block"]) == 10


def test_a_head_on_frozen_vectors_learns_the_labels_from_a_few_texts():
    train, test = split(labelled(), 0.5)
    found = measure_classification(train, test, encode, per_label=8, rounds=4)
    assert found["topic"].measures["accuracy"] > 95
    assert found["topic"].counts == {"texts": len(test.texts), "labels": 3}


def test_equal_texts_are_on_one_side_of_a_split():
    texts = tuple(f"t{one % 10}" for one in range(40))
    train, test = split(LabelledSet(texts=texts, labels={"l": texts}), 0.5)
    assert set(train.texts).isdisjoint(test.texts)
    assert len(train.texts) + len(test.texts) == 40


def test_as_many_texts_of_each_label_are_drawn_where_there_are_enough():
    rows = drawn(["a"] * 50 + ["b"] * 3, 8, 0)
    assert (np.sum(rows < 50), np.sum(rows >= 50)) == (8, 3)


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_equals_that_of_scikit_learn_with_ties(seed: int):
    drawn_ = np.random.default_rng(seed)
    cosines = drawn_.integers(0, 6 + 20 * (seed % 2), 40) / 7
    worth = np.append([0.0, 1.0], drawn_.integers(0, 2, 38)).astype(np.float64)
    theirs = average_precision_score(worth, cosines)
    assert similarity.average_precision(cosines, worth) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("worth", [np.zeros(3), np.ones(3), np.zeros(0)])
def test_average_precision_is_not_defined_where_all_are_worth_the_same(worth):
    assert np.isnan(similarity.average_precision(np.linspace(0, 1, len(worth)), worth))
