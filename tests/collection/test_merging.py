"""One list of the hits of several Collections."""

from searchkit.collection.merging import BY_RANK, BY_RELEVANCE, RANK_CONSTANT, merged
from searchkit.records import Hit


def hit(rank, document, relevance=None, collection="a", source="/docs"):
    return Hit(
        rank=rank,
        score=0.5,
        document=document,
        passage_id=rank,
        heading="",
        start=0,
        end=1,
        text="",
        collection=collection,
        relevance=relevance,
        metadata={"source": source},
    )


def test_hits_come_by_relevance_and_each_list_keeps_its_order():
    """A first hit counts as much as the more relevant one below it: its own Collection put it above."""
    one = [hit(1, "a1", 80.0), hit(2, "a2", 99.0), hit(3, "a3", 20.0)]
    two = [hit(1, "b1", 90.0, "b"), hit(2, "b2", 50.0, "b")]
    by, found = merged([one, two])
    assert by == BY_RELEVANCE and [h.document for h in found] == ["a1", "a2", "b1", "b2", "a3"]
    assert [h.score for h in found] == [99.0, 99.0, 90.0, 50.0, 20.0] and found[0].relevance == 80.0
    assert [h.rank for h in found] == [1, 2, 3, 4, 5]


def test_without_relevance_everywhere_ranks_decide():
    by, found = merged([[hit(1, "a1", 99.0), hit(2, "a2", 98.0)], [hit(1, "b1", None, "b")]])
    assert by == BY_RANK and [h.document for h in found] == ["a1", "b1", "a2"]
    assert found[0].score == round(1 / (RANK_CONSTANT + 1), 6)


def test_a_passage_of_two_collections_comes_once():
    by, found = merged([[hit(1, "same", 70.0), hit(2, "a2", 10.0)], [hit(1, "same", 95.0, "b")]])
    assert [(h.document, h.collection) for h in found] == [("same", "b"), ("a2", "a")]
    by, found = merged([[hit(1, "a1"), hit(2, "same")], [hit(1, "b1", None, "b"), hit(2, "same", None, "b")]])
    assert by == BY_RANK and found[0].document == "same"  # both say so
    assert found[0].score == round(2 / (RANK_CONSTANT + 2), 6)


def test_the_same_name_in_another_source_is_another_passage():
    _, found = merged([[hit(1, "x", 9.0)], [hit(1, "x", 8.0, "b", source="/other")]])
    assert len(found) == 2


def test_nothing_merges_to_nothing():
    assert merged([[], []]) == (BY_RELEVANCE, [])
