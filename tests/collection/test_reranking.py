"""The first Hits get a better order: stably, by one kind of score, embedding nothing that is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from searchkit.collection import recipe
from searchkit.collection.library import Library
from searchkit.collection.query_pipeline import Candidate, Ranking, Request
from searchkit.collection.reranking import (
    FIRST,
    Reranking,
    UnderProfile,
    rerank,
    same_order_notice,
    scores,
    settle,
    stored_vectors,
    under_profile,
)
from searchkit.errors import LibraryDamaged, ModelError, UsageError
from searchkit.library import collections as catalogue
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors
from searchkit.profile import Chunking, Instruction, Profile
from tests.fakes import WordEmbedder, a_candidate

NOTES = {
    "clock.md": "# Tower\n\nThe clock was repaired by a watchmaker.\n",
    "ferry.md": "# Harbour\n\nThe ferry leaves at six.\n",
    "bees.md": "# Hives\n\nThe keeper counts the bees when the rain begins.\n\n"
    "The keeper wears a veil of black tulle.\n",
}


class CountingEmbedder(WordEmbedder):
    """Remembers what it embedded, with the Instruction before it."""

    def __init__(self, model: str = "words", **options) -> None:
        super().__init__(model, **options)
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str], instruction: str = "") -> np.ndarray:
        self.embedded += [instruction + text for text in texts]
        return super().embed(texts, instruction)


class Judgement:
    """A cross-encoder whose scores are given by the text."""

    model = "judge"

    def __init__(self, given: dict[str, float]) -> None:
        self.given = given

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.given[text] for text in texts], dtype=np.float32)


def profile(name: str, document: str, query: str) -> Profile:
    return Profile(name=name, document=Instruction(literal=document), query=Instruction(literal=query))


def found_at(rank: int, text: str = "", words: float = 0.0, **facts) -> Candidate:
    facts = {"cosine": 0.5 - rank / 100, "score": 0.5 - rank / 100 + words, **facts}
    return a_candidate(100 - rank, text, document_id=rank, **facts)


FOUND = [found_at(rank, text) for rank, text in enumerate(["bees", "rain", "clock", "ferry"], start=1)]
ASKING = replace(profile("asking", "", ""), chunking=Chunking(max_tokens=16))
OTHER = profile("other", "Note: ", "Ask: ")


def test_the_order_is_by_the_new_score_and_says_where_a_hit_was():
    ranked = rerank(FOUND, [0.1, 3.0, -2.0, 1.0])
    assert [one.passage.text for one in ranked] == ["rain", "ferry", "bees", "clock"]
    assert [one.score for one in ranked] == [3.0, 1.0, 0.1, -2.0]
    assert [one.found for one in ranked] == [(at + 1, FOUND[at].score) for at in (1, 3, 0, 2)]
    assert ranked[0].cosine == FOUND[1].cosine  # what the search found out stays


def test_equal_scores_keep_their_order():
    found = [found_at(rank, str(rank)) for rank in range(1, 501)]
    new = np.random.default_rng(3).integers(0, 4, 500).astype(float).tolist()
    former = [one.found[0] for one in rerank(found, new)]
    assert former == sorted(range(1, 501), key=lambda rank: -new[rank - 1])  # Python sorts stably


def test_no_hits_stay_none():
    assert rerank([], []) == []
    assert scores("clock?", [], Judgement({})).shape == (0,)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ModelError, match="1 of 4 scores are no numbers"):
        rerank(FOUND, [0.1, float("nan"), 0.2, 0.3])


def test_scores_of_other_hits_are_a_mistake_of_ours():
    with pytest.raises(ValueError, match="for 4 candidates"):
        rerank(FOUND, [0.1, 0.2])


def test_a_cross_encoder_judges_by_its_own_scores():
    found = scores("clock?", FOUND, Judgement({"bees": -4, "rain": 0.5, "clock": 9, "ferry": 0.25}))
    assert found.tolist() == [-4, 0.5, 9, 0.25] and found.dtype == np.float64


def test_an_embedder_judges_under_both_instructions_of_the_other_profile():
    embedder = CountingEmbedder()
    texts = ["bees and rain", "Ask: the old clock", "clock", "ferry"]
    candidates = [found_at(rank, text, words=0.0) for rank, text in enumerate(texts, start=1)]
    found = scores("the old clock", candidates, UnderProfile(embedder=embedder, profile=OTHER))
    assert embedder.embedded == ["Ask: the old clock", *(f"Note: {text}" for text in texts)]
    matrix = embedder._rows(embedder.embedded)
    assert found == pytest.approx(matrix[1:] @ matrix[0], abs=2e-6)
    assert int(found.argmax()) == 1


def test_cosines_are_rounded_so_that_equal_texts_tie():
    """float32 products differ in the last digits by where a row lies: ranks must not."""
    rows = np.full((4, 64), 0.125, dtype=np.float32)
    rows[2] *= np.float32(1 + 1e-7)
    judge = UnderProfile(embedder=CountingEmbedder(), profile=ASKING, vectors=lambda ids: rows)
    assert len(set(scores("bees", FOUND, judge).tolist())) == 1


def judged(candidates: list[Candidate], cosines: list[float]) -> np.ndarray:
    """Scores of candidates whose new cosines with the query 'bees' are given."""
    embedder = WordEmbedder()
    query = embedder.embed(["bees"])[0]
    rows = np.array([query * np.float32(cosine) for cosine in cosines])
    return scores(
        "bees", candidates, UnderProfile(embedder=embedder, profile=ASKING, vectors=lambda ids: rows)
    )


def test_words_keep_their_worth_beside_new_cosines():
    """Twice as far apart are the new cosines: twice as much is added for the words."""
    hits = [found_at(1), found_at(2, words=0.05), found_at(3, words=0.01)]  # cosines 0.49, 0.48, 0.47
    assert judged(hits, [0.8, 0.84, 0.82]) == pytest.approx([0.8, 0.84 + 0.1, 0.82 + 0.02], abs=2e-6)


def test_the_cosines_of_the_search_leave_its_order_as_it_was():
    hits = [found_at(rank, words=0.3 / rank) for rank in range(1, 30)]
    new = judged(hits, [one.cosine for one in hits])
    assert [one.found[0] for one in rerank(hits, new)] == list(range(1, 30))


def test_what_was_found_by_words_alone_is_judged_by_cosines():
    hits = [found_at(1, cosine=None, score=7.5), found_at(2, cosine=None, score=3.5)]
    assert judged(hits, [0.2, 0.4]) == pytest.approx([0.2, 0.4], abs=2e-6)


def test_one_hit_alone_has_no_spread():
    assert judged([found_at(1, words=0.25)], [0.5]) == pytest.approx([0.75], abs=2e-6)


@pytest.fixture
def indexed(tmp_path):
    """A Library of three notes in four passages, and the candidates for a question."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text, encoding="utf-8")
    library = Library(tmp_path / "library", open_model=lambda name: WordEmbedder(name))
    library.index([folder], profile=ASKING, collection="notes", model="words")
    with Database.read(tmp_path / "library") as db, db.one_state():
        collection = catalogue.collection_named(db, "notes")
        record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
        request = Request(vector=WordEmbedder().embed(["the clock"])[0])
        yield collection, record, Ranking(db, collection, request, None).first(4)


def test_stored_vectors_serve_where_the_recipe_is_theirs(indexed):
    """Another query Instruction over the same document Instruction embeds the query and nothing else."""
    collection, record, found = indexed
    embedder = CountingEmbedder()
    asked = profile("asked", "", "Tower clock: ")
    judge = under_profile(embedder, asked, collection.recipe, stored_vectors(record))
    stored = scores("the clock", found[::-1], judge)
    assert embedder.embedded == ["Tower clock: the clock"]
    anew = scores("the clock", found[::-1], UnderProfile(embedder=embedder, profile=asked))
    assert stored == pytest.approx(anew, abs=2e-6) and len(set(stored.tolist())) > 2


def test_stored_vectors_of_another_recipe_are_never_taken(indexed):
    collection, record, _ = indexed
    for embedder, asked in (
        (WordEmbedder(), OTHER),  # another document Instruction
        (WordEmbedder(weights="words-2"), ASKING),  # another checkpoint
    ):
        judge = under_profile(embedder, asked, collection.recipe, stored_vectors(record))
        assert judge.vectors is None and recipe.differences(
            collection.recipe, recipe.recipe_of(embedder, asked)
        )


def test_the_texts_judged_are_those_that_were_embedded(indexed):
    """With title and headings, where the passage does not begin with them."""
    _, _, found = indexed

    class Listening(Judgement):
        heard: tuple[str, ...] = ()

        def score(self, query, texts):
            self.heard = tuple(texts)
            return np.zeros(len(texts), dtype=np.float32)

    judge = Listening({})
    scores("the clock", found, judge)
    assert "Hives\nThe keeper wears a veil of black tulle." in judge.heard
    assert "The keeper wears a veil of black tulle." in [one.passage.text for one in found]


def test_a_passage_without_a_vector_is_a_damaged_library(indexed):
    _, record, _ = indexed
    with pytest.raises(LibraryDamaged, match="1 of 2 passages found have no vector"):
        stored_vectors(record)([1, 999])


def test_who_reranks_with_the_search_itself_is_told(indexed):
    collection, record, _ = indexed

    def notice(asked: Profile) -> str:
        judge = under_profile(WordEmbedder(), asked, collection.recipe, stored_vectors(record))
        return same_order_notice(judge, "")

    assert "leaves every Hit where it was" in notice(profile("again", "", ""))
    assert notice(profile("asked", "", "Ask: ")) == notice(OTHER) == ""


def test_what_is_asked_for_is_settled():
    def crosses(model: str) -> bool:
        return model == "ce"

    assert settle(None, None, None, crosses) is None
    assert settle("ce", None, None, crosses) == Reranking(
        first=FIRST, model="ce", profile=None, cross_encoder=True
    )
    assert settle(None, OTHER, 20, crosses) == Reranking(
        first=20, model=None, profile=OTHER, cross_encoder=False
    )
    assert settle("larger", OTHER, None, crosses) == Reranking(
        first=FIRST, model="larger", profile=OTHER, cross_encoder=False
    )
    assert settle("larger", None, None, crosses) == Reranking(
        first=FIRST, model="larger", profile=None, cross_encoder=False
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((None, None, 20), "nothing says by what"),
        (("ce", OTHER, None), "reads no Instruction, yet profile 'other' is named"),
        (("ce", None, 0), "0 Hits cannot be reranked"),
        ((None, OTHER, 10_001), "expected 1 to 10000"),
    ],
)
def test_what_contradicts_itself_is_refused(asked, message):
    with pytest.raises(UsageError, match=message) as caught:
        settle(*asked, lambda model: model == "ce")
    assert "--rerank" in caught.value.remedy


def test_a_model_is_looked_for_only_where_one_is_named():
    settle(None, OTHER, None, lambda model: pytest.fail("looked for a model"))


@pytest.mark.parametrize(
    ("k", "offset", "expected"), [(10, 0, 50), (50, 0, 50), (60, 0, 60), (10, 40, 50), (1, 49, 50)]
)
def test_all_that_is_shown_is_judged(k, offset, expected):
    asked = Reranking(first=50, model="ce", profile=None, cross_encoder=True)
    assert asked.over(k, offset) == expected


def test_a_page_that_begins_beyond_the_reranked_is_refused():
    asked = Reranking(first=50, model="ce", profile=None, cross_encoder=True)
    assert asked.over(10, 45) == 50  # a shorter last page
    with pytest.raises(UsageError, match="Hits from 51 on are asked for") as caught:
        asked.over(10, 50)
    assert "--rerank-first 60" in caught.value.remedy
