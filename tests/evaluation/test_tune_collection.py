"""Which query Instruction is tried on a Collection, what comes of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchkit.collection.library import Library
from searchkit.errors import DataInvalid, RecipeMismatch, UsageError
from searchkit.evaluation.collection_tuning import tune_collection
from searchkit.evaluation.questions import read_questions
from searchkit.evaluation.selection import Plan, split
from searchkit.evaluation.stored import StoredRanking
from searchkit.evaluation.tuning import Tuning
from searchkit.profile import Profile
from tests.evaluation.reading import write
from tests.fakes import WordEmbedder

FEW = {"grammar": 4, "paraphrases": 2, "plan": Plan(rounds=400)}


class CountingEmbedder(WordEmbedder):
    def __init__(self, model: str = "words") -> None:
        super().__init__(model)
        self.asked: list[str] = []

    def embed(self, texts, instruction=""):
        self.asked += texts
        return super().embed(texts, instruction)


@pytest.fixture
def indexed(tmp_path: Path):
    """(Library, its embedder, file of questions): sixty documents, a question to each."""
    embedder = CountingEmbedder()
    library = Library(tmp_path / "library", open_model=lambda model: embedder)
    for number in range(60):
        place = tmp_path / "docs" / f"{number % 4}" / f"{number:02}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        long = " ".join(f"word{(number * 13 + one) % 97}" for one in range(300)) if number % 3 == 0 else ""
        place.write_text(f"{long}\n\nrule{number} speaks of item{number * 7} and of thing{number % 9}\n")
    library.index([tmp_path / "docs"], profile="company-docs")
    rows = [
        {"question": f"what does rule{n} say of thing{n % 9}", "documents": [f"{n:02}.txt"]}
        for n in range(60)
    ]  # fmt: skip
    rows.append({"question": "who won the cup", "answerable": False})
    return library, embedder, write(tmp_path / "questions.jsonl", rows)


def test_a_collection_is_tuned_without_embedding_any_of_it(indexed):
    library, embedder, questions = indexed
    embedder.texts.clear(), embedder.asked.clear()
    found = tune_collection(library, questions, Tuning(**FEW))
    assert embedder.texts == []
    assert {text.split()[0] for text in embedder.asked} == {"what"}
    assert (found.items, found.main, found.candidates[0].origin) == (60, "ndcg@10", "present")
    profile = Profile.load("company-docs")
    assert found.candidates[0].texts["query"] == profile.query.render()
    assert {one.texts["document"] for one in found.candidates} == {profile.document.render()}


@pytest.mark.parametrize("threshold", [None, 0.4])
def test_questions_find_what_a_query_by_vectors_finds(indexed, threshold):
    library, embedder, questions = indexed
    with library.reading() as (db, collection):
        asked = [one for one in read_questions(questions, db, collection) if one.documents]
        ranked = StoredRanking.read(db, collection, threshold)
    instruction = Profile.load("company-docs").query.render()
    assert len(ranked.vectors) > len(ranked.documents) == 60
    trial = ranked.trial(asked, embedder.embed)
    found = trial.observe({"query": instruction, "document": ""}, np.arange(60))[0]
    for one, score in zip(asked, found, strict=True):
        hits = library.query(one.text, mode="vector", per_document=1, k=10).hits
        names = [hit.document for hit in hits if threshold is None or hit.cosine >= threshold]
        rank = names.index(one.names[0]) + 1 if one.names[0] in names else None
        assert score == pytest.approx(0 if rank is None else 1 / np.log2(rank + 1), abs=1e-9)
    assert 0 < found.mean() < 1


def test_another_recipe_is_refused(indexed):
    library, _, questions = indexed
    other = Profile.load("scientific-retrieval")
    with pytest.raises(RecipeMismatch, match="document instruction"):
        tune_collection(library, questions, Tuning(profile=other, **FEW))


def test_an_instruction_that_cannot_change_is_no_subject(indexed, tmp_path: Path):
    library, _, questions = indexed
    with pytest.raises(UsageError, match="stored under one instruction"):
        tune_collection(library, questions, Tuning(changed="both", **FEW))
    library.index([tmp_path / "docs"], profile="topic-clustering")
    with pytest.raises(UsageError, match="'clustering' has one for both sides"):
        tune_collection(library, questions, Tuning(**FEW), collection="topic-clustering")


def test_too_few_questions_and_another_recipe_are_told_before_vectors_are_read(
    indexed, tmp_path, monkeypatch
):
    library, _, questions = indexed
    monkeypatch.setattr(StoredRanking, "read", lambda *_: pytest.fail("vectors were read"))
    few = write(tmp_path / "f.jsonl", [{"question": "what of rule1", "documents": ["01.txt"]}])
    with pytest.raises(UsageError, match="different items"):
        tune_collection(library, few, Tuning(**FEW))
    with pytest.raises(RecipeMismatch):
        tune_collection(library, questions, Tuning(profile=Profile.load("scientific-retrieval"), **FEW))


def test_a_winner_of_vector_mode_is_asked_for_in_hybrid_mode_too(indexed):
    """Words find every rule here, so that hybrid mode leaves an Instruction less to win."""
    library, _, questions = indexed
    loud = Profile.from_dict(
        {**Profile.load("company-docs").to_dict(), "query": {"literal": "item7 item14 thing1 thing2 " * 9}}
    )
    wanted = Tuning(profile=loud, own=[("rule ", None)], grammar=0, paraphrases=0, plan=Plan(rounds=400))
    found = tune_collection(library, questions, wanted)
    assert found.winner is not None and found.mode == "vector"
    with library.reading() as (db, collection):
        asked = [one for one in read_questions(questions, db, collection) if one.documents]
        ranked = StoredRanking.read(db, collection, None)
    _, held_out = split(ranked.trial(asked, WordEmbedder().embed), wanted.plan)
    scores = []
    for row in held_out:
        hits = library.query(asked[row].text, profile=loud, per_document=1, k=10).hits
        names = [hit.document for hit in hits]
        rank = names.index(asked[row].names[0]) + 1 if asked[row].names[0] in names else None
        scores.append(0.0 if rank is None else 1 / np.log2(rank + 1))
    assert found.by_default is not None
    assert found.by_default.present == pytest.approx(100 * np.mean(scores))
    lost = any("not proven better in hybrid mode" in note for note in found.notes)
    assert lost == (found.by_default.p >= 0.05)


def test_a_document_that_is_not_there_is_named_with_its_line(indexed, tmp_path: Path):
    library, _, _ = indexed
    wrong = write(tmp_path / "w.jsonl", [{"question": "what of rule1", "documents": ["gone.txt"]}])
    with pytest.raises(DataInvalid, match=r"line 1: .*gone\.txt"):
        tune_collection(library, wrong, Tuning(**FEW))
