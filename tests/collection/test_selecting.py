"""From a ranking to the hits of one page."""

import numpy as np
import pytest

from searchkit.collection.selecting import POOL, Selection, diverse, first_of_each, select
from searchkit.errors import UsageError
from tests.fakes import a_candidate


def candidate(i, *, score=None, document=0, cosine=0.0):
    score = 1 - i / 1000 if score is None else score
    return a_candidate(i, document_id=document, score=score, cosine=cosine)


def ranking(documents):
    """Candidates 0, 1, 2 ... of these documents, and how many were asked for each time."""
    everything = [candidate(i, document=document) for i, document in enumerate(documents)]
    asked = []

    def first(n):
        asked.append(n)
        return everything[:n]

    return first, asked


def ids(candidates):
    return [one.passage.passage_id for one in candidates]


def no_vectors(wanted):
    raise AssertionError("vectors were read")


def no_relevance(candidates):
    raise AssertionError("relevance was asked")


def test_a_page_is_what_comes_before_its_end_and_one_more():
    first, asked = ranking(range(100))
    found = select(first, Selection(k=10, offset=20), no_relevance, no_vectors)
    assert ids(found) == list(range(31)) and asked == [31]


def test_k_documents_are_found_however_deep_they_lie():
    """The first document has the first 500 passages."""
    first, asked = ranking([0] * 500 + [1, 2, 3])
    found = select(first, Selection(k=3, per_document=1), no_relevance, no_vectors)
    assert ids(found) == [0, 500, 501, 502] and asked[0] < asked[-1]


def test_a_ranking_that_ends_is_not_asked_for_ever():
    first, asked = ranking([0] * 7)
    assert ids(select(first, Selection(k=3, per_document=2), no_relevance, no_vectors)) == [0, 1]
    assert len(asked) == 2


def test_first_of_each_keeps_the_order():
    found = [candidate(i, document=document) for i, document in enumerate("abacab")]
    assert ids(first_of_each(found, 1)) == [0, 1, 3] and ids(first_of_each(found, 2)) == [0, 1, 2, 3, 5]


def test_only_what_is_relevant_enough_is_left_and_few_are_looked_at():
    first, asked = ranking(range(10_000))
    found = select(
        first,
        Selection(k=3, relevance=50.0),
        lambda some: [99.0 if one.passage.passage_id % 80 == 1 else 49.9 for one in some],
        no_vectors,
    )
    assert ids(found) == [1, 81] and asked == [POOL]


def vectors_of(points):
    def read(wanted):
        return np.sort(wanted), np.array([points[i] for i in sorted(wanted)], dtype=np.float32)

    return read


def test_diversity_prefers_another_thing_to_the_same_again():
    points = {0: (1.0, 0.0), 1: (1.0, 0.0), 2: (0.0, 1.0)}
    found = [candidate(0, score=0.9), candidate(1, score=0.8), candidate(2, score=0.4)]
    assert ids(diverse(found, 3, 0.0, vectors_of(points))) == [0, 1, 2]
    assert ids(diverse(found, 3, 0.5, vectors_of(points))) == [0, 2, 1]
    # Scores count as 1, 0.8 and 0: 0.55 * 0.8 - 0.45 * 1 < 0, but 0.56 * 0.8 - 0.44 * 1 > 0.
    assert ids(diverse(found, 3, 0.45, vectors_of(points))) == [0, 2, 1]
    assert ids(diverse(found, 3, 0.44, vectors_of(points))) == [0, 1, 2]


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_diversity_means_the_same_on_every_scale_of_scores(scale):
    points = {0: (1.0, 0.0), 1: (1.0, 0.0), 2: (0.0, 1.0)}
    found = [candidate(i, score=score * scale - 7) for i, score in enumerate((0.9, 0.8, 0.4))]
    assert ids(diverse(found, 3, 0.45, vectors_of(points))) == [0, 2, 1]
    assert ids(diverse(found, 3, 0.44, vectors_of(points))) == [0, 1, 2]


def test_diversity_of_equal_scores_keeps_the_first():
    points = {0: (1.0, 0.0), 1: (1.0, 0.0), 2: (0.0, 1.0)}
    found = [candidate(i, score=0.5) for i in range(3)]
    assert ids(diverse(found, 3, 0.2, vectors_of(points))) == [0, 2, 1]


def test_pages_of_a_diverse_answer_fit_together():
    generator = np.random.default_rng(0)
    points = dict(enumerate(generator.normal(size=(POOL, 8))))
    first, _ = ranking(range(POOL))
    long = select(first, Selection(k=12, diversity=0.4), no_relevance, vectors_of(points))
    second = select(first, Selection(k=4, offset=4, diversity=0.4), no_relevance, vectors_of(points))
    assert ids(second)[:8] == ids(long)[:8] and ids(long) != sorted(ids(long))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"k": 0}, "k is 0, expected 1 to 10,000"),
        ({"k": 10_001}, "k is 10001"),
        ({"k": 1, "offset": -1}, "the offset is -1"),
        ({"k": 1, "per_document": 0}, "of a document is 0"),
        ({"k": 1, "diversity": 1.1}, "diversity is 1.1, expected 0 to 1"),
        ({"k": 1, "diversity": float("nan")}, "diversity is nan"),
        ({"k": 1, "relevance": 101}, "least relevance is 101"),
    ],
)
def test_numbers_out_of_bounds_are_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        Selection(**wrong)
