"""What an answer consists of: pages, documents, surroundings, several Collections, the reasons."""

import json
from itertools import pairwise

import pytest

from searchkit.collection import query_pipeline
from searchkit.collection.merging import BY_RELEVANCE
from searchkit.errors import CollectionNotFound, UsageError
from searchkit.library import fulltext
from searchkit.library.database import Database
from tests.collection.conftest import write

FILL = " And so forth until the part is as long as a passage may be." * 9


@pytest.fixture
def manual(library, tmp_path):
    """Three long pages about gauges, one about pumps, and 60 tickets about gauges."""
    for page in range(3):
        parts = [
            f"## Part {i}\n\nA gauge of kind {page} shows level {i} of the water.{FILL}\n" for i in range(8)
        ]
        write(tmp_path / "in" / f"gauges{page}.md", "# Gauges\n\n" + "\n".join(parts))
    write(tmp_path / "in" / "pumps.md", "# Pumps\n\nA pump moves water uphill.\n")
    rows = [{"subject": f"gauge {i} shows nothing", "no": i} for i in range(60)]
    write(tmp_path / "in" / "tickets.jsonl", "\n".join(map(json.dumps, rows)))
    library.index([tmp_path / "in"])
    return library


def ids(result):
    return [hit.passage_id for hit in result.hits]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
@pytest.mark.parametrize("more", [{}, {"per_document": 1}, {"diversity": 0.3}, {"where": "type != pdf"}])
def test_pages_are_parts_of_one_answer(manual, mode, more):
    query = "gauge shows level of water"
    whole = manual.query(query, mode=mode, k=12, **more)
    pages = [manual.query(query, mode=mode, k=5, offset=offset, **more) for offset in (0, 5, 10)]
    assert [i for page in pages for i in ids(page)][:12] == ids(whole) and len(ids(whole)) == 12
    assert [hit.rank for page in pages for hit in page.hits] == list(range(1, 16))
    assert all(page.more for page in pages[:2])


def test_the_last_page_says_that_there_is_none_after_it(manual):
    found = manual.query("gauge", k=50, offset=50)
    assert 0 < len(found.hits) < 50 and not found.more
    assert manual.query("gauge", k=5, offset=5_000).hits == ()


def test_k_documents_are_found_though_one_has_most_passages(manual):
    found = manual.query("gauge of kind 1 shows level of the water", k=4, per_document=1, where="type = md")
    documents = {hit.document for hit in found.hits}
    assert documents == {"gauges0.md", "gauges1.md", "gauges2.md", "pumps.md"} and len(found.hits) == 4


def test_context_brings_the_passages_around(manual):
    asked = {"mode": "text", "where": "path = gauges2.md"}
    (hit,) = manual.query("3", k=1, context=1, **asked).hits
    assert "level 3" in hit.text and "level 2" in hit.before[0] and "level 4" in hit.after[0]
    assert (len(hit.before), len(hit.after)) == (1, 1)
    (first,) = manual.query("pump moves water uphill", k=1, context=9).hits
    assert (first.before, first.after) == ((), ())


def test_highlights_are_the_telling_words_that_led_to_the_hit(manual):
    (hit,) = manual.query("which pumps are moving the water", k=1).hits
    assert [hit.text[start:end] for start, end in hit.highlights] == ["Pumps", "pump", "moves"]


def test_arms_are_named_with_their_ranks(manual):
    hits = manual.query("pump moves water uphill", k=3).hits
    assert hits[0].vector_rank == hits[0].text_rank == 1
    by_vectors = manual.query("gauge of kind 2 shows level 3", k=3, mode="vector").hits
    assert (by_vectors[0].vector_rank, by_vectors[0].text_rank) == (1, None)


def test_a_longer_answer_begins_with_the_shorter_one(manual, monkeypatch):
    """Also where the candidates of both arms run out and more are fetched."""
    monkeypatch.setattr(query_pipeline, "ARM_DEPTH", 4)
    shorter = [ids(manual.query("gauge shows level of water", k=k)) for k in range(1, 40)]
    assert all(after[: len(before)] == before for before, after in pairwise(shorter))
    assert all(len(set(found)) == len(found) == k for k, found in enumerate(shorter, start=1))


def test_all_passages_come_once_however_many_are_asked_for(manual):
    total = manual.show().counts.passages
    for mode in ("hybrid", "vector"):
        found = ids(manual.query("gauge shows level of water", k=1_000, mode=mode))
        assert len(found) == len(set(found)) == total


def test_pages_by_words_fit_together_where_wider_words_are_needed(manual, monkeypatch):
    """What only the common words match comes after what the telling ones do, on whichever page."""
    monkeypatch.setattr(fulltext, "MATCHES", 20)
    query = "pump gauge"
    whole = manual.query(query, mode="text", k=40)
    pages = [manual.query(query, mode="text", k=8, offset=offset) for offset in range(0, 40, 8)]
    assert [i for page in pages for i in ids(page)] == ids(whole) and len(ids(whole)) == 40
    assert whole.hits[0].document == "pumps.md" and pages[0].hits[0].document == "pumps.md"


def test_rows_of_an_index_whose_vectors_are_lost_end_no_query(manual, library_folder):
    """A damaged database gives fewer hits, as verify says, and no endless search."""
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("DELETE FROM vectors WHERE rowid % 3 > 0")
    for mode in ("vector", "hybrid"):
        assert 5 <= len(manual.query("gauge shows level of water", mode=mode, k=60).hits) < 60


# -------------------------------------------------------------------- several Collections


@pytest.fixture
def two(library, tmp_path):
    for i in range(30):
        write(tmp_path / "gauges" / f"{i}.md", f"Gauge {i} of the river reports fault G-{i}.")
        write(tmp_path / "canteen" / f"{i}.md", f"Dish {i} of the canteen contains recipe R-{i}.")
    library.index([tmp_path / "gauges"], collection="gauges")
    library.index([tmp_path / "canteen"], collection="canteen", profile="wiki-retrieval")
    return library


def test_several_collections_give_one_list_by_relevance(two):
    """The answer comes first from wherever it is, and what has nothing to say stays below."""
    for query, right in (("gauge river fault G-7", "gauges"), ("dish canteen recipe R-7", "canteen")):
        for asked in (["gauges", "canteen"], ("canteen", "gauges")):
            found = two.query(query, collection=asked, k=6)
            assert found.mode == BY_RELEVANCE and found.collection == ", ".join(asked) and found.relevant
            assert [hit.collection for hit in found.hits] == [right] * 6
            assert [hit.rank for hit in found.hits] == list(range(1, 7))
            scores = [hit.score for hit in found.hits]
            assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_pages_of_several_collections_fit_together(two, mode):
    """A deeper page fetches no other hits than the first: hits count as much as what comes below them."""
    asked = {"collection": ["gauges", "canteen"], "mode": mode}
    whole = two.query("fault of the recipe", k=30, **asked)
    pages = [two.query("fault of the recipe", k=5, offset=offset, **asked) for offset in range(0, 30, 5)]
    assert [i for page in pages for i in ids(page)] == ids(whole) and len(ids(whole)) == 30
    assert [hit.rank for page in pages for hit in page.hits] == list(range(1, 31))


def test_collections_of_different_profiles_give_as_many_as_the_longest_wants(library, tmp_path):
    for i in range(12):
        write(tmp_path / "a" / f"{i}.md", f"Gauge {i} of the river.")
        write(tmp_path / "b" / f"{i}.md", f"Dish {i} of the canteen.")
    library.index([tmp_path / "a"], collection="a", profile="faq-retrieval")
    library.index([tmp_path / "b"], collection="b")
    assert (library.show("a").profile.k, library.show("b").profile.k) == (5, 10)
    found = library.query("gauge of the river", collection=["a", "b"])
    assert [hit.collection for hit in found.hits] == ["a"] * 10


def test_nothing_relevant_in_any_of_several(two):
    found = two.query("symphonies by Beethoven", collection=["gauges", "canteen"])
    assert found.relevant is False


def test_sentences_of_several_collections_belong_to_their_hits(two):
    result, sentences = two.query_with_sentences(
        "fault of the recipe", collection=["gauges", "canteen"], k=20
    )
    assert {hit.collection for hit in result.hits} == {"gauges", "canteen"}
    for hit, sentence in zip(result.hits, sentences, strict=True):
        assert sentence.text in hit.text
        marked = {sentence.text[start:end] for start, end in sentence.marks}
        assert marked == ({"recipe"} if hit.collection == "canteen" else {"fault"})


def test_one_named_twice_is_asked_once_and_an_unknown_one_is_named(two):
    assert two.query("gauge", collection=["gauges", "gauges"]).collection == "gauges"
    with pytest.raises(CollectionNotFound, match="did you mean: canteen"):
        two.query("gauge", collection=["gauges", "cantine"])


# -------------------------------------------------------------------- why


def test_an_explanation_names_what_was_read_looked_for_allowed_and_searched(manual):
    found = manual.query("gauge of kind 2", k=2, where="type = md", explain=True)
    why = found.explanation["company-docs"]
    assert why["model"]["instruction"] == manual.show().profile.instruction("query").render()
    assert why["model"]["tokens"] > 4 and not why["model"]["truncated"]
    assert [word["word"] for word in why["words"]] == ["gauge", "of", "kind", "2"]
    gauge, *_ = why["words"]
    assert gauge["texts"] == 84 and gauge["looked_for"]
    total = manual.show().counts.passages
    assert (why["passages"], why["allowed"]) == (total, total - 60)
    assert why["index"] == {"kind": "flat", "rows": total, "exact": True, "removed": 0, "scanned_beside": 0}
    assert set(why["took_ms"]) == {"model", "embedding", "filter and words", "search"}
    json.dumps(found.explanation)


def test_an_explanation_tells_what_lies_beside_the_snapshot(manual, tmp_path):
    write(tmp_path / "in" / "new.md", "A gauge that came late.")
    (tmp_path / "in" / "pumps.md").unlink()
    manual.index([tmp_path / "in"])
    index = manual.query("gauge", explain=True).explanation["company-docs"]["index"]
    assert (index["removed"], index["scanned_beside"]) == (1, 1)


def test_a_query_longer_than_the_model_reads_is_said_to_be_cut(manual):
    why = manual.query("gauge " * 400, explain=True).explanation["company-docs"]
    assert why["model"]["truncated"] and why["model"]["tokens"] > why["model"]["max_tokens"]


def test_words_alone_need_no_model_to_be_explained(manual):
    why = manual.query("gauge zebra", mode="text", explain=True).explanation["company-docs"]
    assert why["model"] is None and why["index"] is None and why["relevance"] is None
    assert {word["word"]: word["texts"] for word in why["words"]} == {"gauge": 84, "zebra": 0}


def test_nothing_is_explained_unasked(manual):
    assert manual.query("gauge").explanation is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"context": -1}, "expected 0 to 100"),
        ({"context": 101}, "expected 0 to 100"),
        ({"offset": -1}, "the offset"),
        ({"per_document": 0}, "of a document"),
        ({"diversity": 2}, "diversity is 2"),
        ({"min_relevance": -1}, "least relevance"),
    ],
)
def test_a_wrong_number_costs_no_model(library_folder, manual, wrong, told):
    from searchkit.collection.library import Library

    def refuse(model):
        raise AssertionError("a model was opened")

    with pytest.raises(UsageError, match=told):
        Library(library_folder, open_model=refuse).query("gauge", **wrong)
