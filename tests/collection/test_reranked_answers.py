"""Answers whose first hits were judged again."""

from dataclasses import replace

import numpy as np
import pytest

from searchkit.collection.library import Library
from searchkit.embedding import cross_encoder
from searchkit.errors import UsageError
from searchkit.profile import Instruction
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.fixture
def notes(library, tmp_path):
    for i in range(70):
        write(tmp_path / "in" / f"{i:02}.md", f"The gauge number {i} of the river shows level {i}.")
    write(tmp_path / "in" / "pump.md", "The pump of the river shows no level.")
    library.index([tmp_path / "in"])
    return library


def pumping(library):
    """The Collection's Profile with a query Instruction that speaks of pumps."""
    return replace(
        library.show().profile, name="pumping", query=Instruction(literal="The pump, no pump, no: ")
    )


class LongestFirst:
    model = "longest"
    asked: tuple[str, ...] = ()

    def score(self, query, texts):
        self.asked = tuple(texts)
        return np.array([float(text[-3:-1]) for text in texts], dtype=np.float32)  # 'level 17.' is 17


@pytest.fixture
def longest(monkeypatch):
    judge = LongestFirst()
    monkeypatch.setattr(cross_encoder, "is_cross_encoder", lambda model: model == "longest")
    monkeypatch.setattr(cross_encoder, "open_cross_encoder", lambda model: judge)
    return judge


QUERY = "gauge of the river shows level"
ONLY_GAUGES = {"where": "path != pump.md"}


def test_another_instruction_gives_another_order_and_embeds_no_passage(notes, embedder):
    plain = notes.query(QUERY, mode="vector", k=71)
    embedder.texts.clear()
    found = notes.query(QUERY, mode="vector", k=3, rerank_profile=pumping(notes), rerank_first=71)
    assert plain.hits[0].document != "pump.md" and found.hits[0].document == "pump.md"
    rank, score = found.hits[0].found
    assert plain.hits[rank - 1].document == "pump.md" and plain.hits[rank - 1].score == score
    assert found.reranked_by == "the collection's model under pumping" and found.mode == "vector"
    assert embedder.texts == [] and found.relevant


def test_a_cross_encoder_judges_what_was_embedded(notes, longest):
    found = notes.query(QUERY, k=5, rerank_model="longest", rerank_first=20, **ONLY_GAUGES)
    first = {hit.passage_id for hit in notes.query(QUERY, k=20, **ONLY_GAUGES).hits}
    assert len(longest.asked) == 20 and {hit.passage_id for hit in found.hits} <= first
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert found.hits[0].score == float(found.hits[0].document[:2]) and found.reranked_by == "longest"


def test_pages_of_a_reranked_answer_fit_together_and_end(notes, longest):
    asked = {"rerank_model": "longest", "rerank_first": 20, **ONLY_GAUGES}
    whole = notes.query(QUERY, k=20, **asked)
    pages = [notes.query(QUERY, k=5, offset=offset, **asked) for offset in (0, 5, 10, 15)]
    assert [hit.passage_id for page in pages for hit in page.hits] == [hit.passage_id for hit in whole.hits]
    assert not pages[-1].more and pages[0].more
    assert len(notes.query(QUERY, k=5, offset=18, **asked).hits) == 2
    with pytest.raises(UsageError, match="only the first 20 are reranked"):
        notes.query(QUERY, k=5, offset=20, **asked)


def test_more_than_are_usually_judged_are_judged_where_more_are_shown(notes, longest):
    assert len(notes.query(QUERY, k=65, rerank_model="longest", **ONLY_GAUGES).hits) == 65
    assert len(longest.asked) == 65


def test_reranking_by_the_search_itself_is_said_to_be_in_vain(notes):
    found = notes.query(QUERY, k=5, rerank_profile="company-docs")
    assert [hit.passage_id for hit in found.hits] == [hit.passage_id for hit in notes.query(QUERY, k=5).hits]
    assert "leaves every Hit where it was" in found.notices[0]


def test_hits_of_words_alone_can_be_judged(notes, longest):
    found = notes.query("river", mode="text", k=5, rerank_model="longest", **ONLY_GAUGES)
    assert found.hits[0].cosine is None and found.hits[0].score >= found.hits[1].score


def test_reranked_hits_of_several_collections_keep_their_order(notes, longest, tmp_path):
    notes.index([tmp_path / "in"], collection="again", profile="wiki-retrieval")
    names = ["company-docs", "again"]
    found = notes.query(QUERY, collection=names, k=10, rerank_model="longest", **ONLY_GAUGES)
    levels = [float(hit.document[:2]) for hit in found.hits]
    assert found.mode == "cross-encoder" and levels == sorted(levels, reverse=True)
    assert [hit.score for hit in found.hits] == levels


def test_what_contradicts_itself_costs_no_model(notes, library_folder):
    def refuse(model):
        raise AssertionError("a model was opened")

    with pytest.raises(UsageError, match="nothing says by what"):
        Library(library_folder, open_model=refuse).query(QUERY, rerank_first=10)


def test_a_cross_encoder_is_opened_once(notes, longest, monkeypatch):
    opened = []
    monkeypatch.setattr(cross_encoder, "open_cross_encoder", lambda model: opened.append(model) or longest)
    for _ in range(3):
        notes.query(QUERY, rerank_model="longest", **ONLY_GAUGES)
    assert opened == ["longest"]


def test_another_place_of_the_model_serves_for_both(notes, library_folder, monkeypatch):
    """The one that was named, opened once, and not the one that is stored."""
    opened = []

    def open_model(name):
        opened.append(name)
        if name != "moved":
            raise AssertionError(f"{name} was opened")
        return WordEmbedder(name)

    monkeypatch.setattr(cross_encoder, "is_cross_encoder", lambda model: False)
    library = Library(library_folder, open_model=open_model)
    library.query(QUERY, model="moved", rerank_profile=pumping(notes))
    library.query(QUERY, model="moved", rerank_model="moved")
    assert opened == ["moved"]
