import shutil
from contextlib import suppress

import numpy as np
import pytest

from searchkit.collection import index_pipeline
from searchkit.collection.library import Library
from searchkit.errors import CollectionNotFound, LibraryError, QueryInvalid, RecipeMismatch, UsageError
from searchkit.library.database import FILE_NAME, Database
from searchkit.profile import Profile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


def found(library, text, **options):
    return [(hit.document, hit.score) for hit in library.query(text, **options).hits]


@pytest.fixture
def many(library, tmp_path):
    """A library of 40 documents with a snapshot."""
    for number in range(40):
        write(
            tmp_path / "many" / f"{number:02}.txt",
            f"Item {number} costs {number * 3} and weighs {number % 7}.",
        )
    library.index([tmp_path / "many"])
    return tmp_path / "many"


def test_a_library_that_is_not_there_says_how_to_make_one(library):
    with pytest.raises(LibraryError, match="searchkit index FOLDER"):
        library.query("anything")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("?!... --", "punctuation only"),
        ("x" * 100_000, "100,000 characters"),
        ("lap\0top", "NUL"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused(library, docs, text, said):
    library.index([docs])
    with pytest.raises(QueryInvalid, match=said):
        library.query(text)


@pytest.mark.parametrize(
    "text", ["C++", "$", "日本語", "🎉", "\ud800 half", "x" * 9_999, "AND OR NOT (", "'; DROP"]
)
def test_an_odd_query_is_answered(library, docs, text):
    library.index([docs])
    assert len(library.query(text).hits) == 3


def test_scores_and_order_are_those_of_a_brute_force_scan(library, many, embedder):
    query = embedder.embed(["item 7 weighs 0"], library.show().profile.query.render())[0]
    instruction = library.show().profile.document.render()
    texts = {path.name: path.read_text() for path in many.iterdir()}
    cosines = dict(zip(texts, embedder.embed(list(texts.values()), instruction) @ query, strict=True))
    expected = sorted(cosines, key=lambda name: (-round(float(cosines[name]), 6), name))[:10]
    result = library.query("item 7 weighs 0", k=10, mode="vector")
    assert [hit.document for hit in result.hits] == expected
    np.testing.assert_allclose([hit.score for hit in result.hits], [cosines[n] for n in expected], atol=1e-6)
    assert [hit.rank for hit in result.hits] == list(range(1, 11))


def test_what_came_after_the_snapshot_is_found_too(library, many, library_folder):
    before = list(library_folder.glob("*.snapshot"))
    write(many / "new.txt", "A zebra crossed the yard.")
    (many / "00.txt").unlink()
    library.index([many])
    assert list(library_folder.glob("*.snapshot")) == before  # the change is too small for a new one
    assert found(library, "zebra yard")[0][0] == "new.txt"
    assert "00.txt" not in [name for name, _ in found(library, "item 0 costs 0", k=100)]
    assert library.verify() == []


@pytest.mark.parametrize("damage", ["deleted", "flipped", "cut", "foreign"])
def test_a_lost_snapshot_changes_no_answer(library, many, library_folder, damage):
    before = found(library, "item 12 costs 36")
    path = next(library_folder.glob("*.snapshot"))
    data = bytearray(path.read_bytes())
    if damage == "deleted":
        path.unlink()
    elif damage == "flipped":
        data[-7] ^= 16
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(bytes(len(data)))
    assert found(library, "item 12 costs 36") == before
    assert "snapshot" in library.verify()[0]
    library.index([many])  # the next run mends it
    assert library.verify() == [] and found(library, "item 12 costs 36") == before


def test_rebuild_makes_snapshots_from_the_stored_vectors_alone(library, many, embedder, library_folder):
    before = found(library, "item 12")
    next(library_folder.glob("*.snapshot")).unlink()
    embedder.texts.clear()
    assert library.rebuild() == ["company-docs"]
    assert embedder.texts == [] and library.verify() == [] and found(library, "item 12") == before


def test_verify_finds_a_changed_vector(library, many, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        vector = np.zeros(64, dtype="<f4")
        vector[0] = 1.0
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 3", (vector.tobytes(),))
    assert any("other vectors than the database" in problem for problem in library.verify())


def test_verify_finds_a_vector_that_is_not_of_length_one(library, many, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run(
            "UPDATE vectors SET vector = ? WHERE text_id = 3", (np.full(64, np.nan, dtype="<f4").tobytes(),)
        )
    assert any("not of length 1" in problem for problem in library.verify())


def test_verify_finds_a_changed_text(library, many, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("UPDATE texts SET text = 'forged' WHERE text_id = 3")
    assert any("differ from their hash" in problem for problem in library.verify())


def test_verify_finds_a_missing_vector(library, many, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("DELETE FROM vectors WHERE text_id = 3")
    assert any("1 passages have no vector" in problem for problem in library.verify())


def test_equal_texts_are_ordered_by_document_even_at_the_cut(library, tmp_path):
    for name in "zyxwvutsrqponmlkjihgfedcba":
        write(tmp_path / "equal" / f"{name}.txt", "The same words in every file.")
    for name in "AB":
        write(tmp_path / "equal" / f"{name}.txt", "The same words in file, nearly.")
    library.index([tmp_path / "equal"])
    hits = library.query("the same words in every file", k=5).hits
    assert [hit.document for hit in hits] == ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]


def test_fewer_passages_than_k_are_all_returned(library, docs):
    library.index([docs])
    assert len(library.query("laptop", k=1000).hits) == 3


@pytest.mark.parametrize("k", [0, -1, 10_001])
def test_an_impossible_k_is_refused(library, docs, k):
    library.index([docs])
    with pytest.raises(UsageError, match=f"k is {k}"):
        library.query("laptop", k=k)


def test_the_default_collection_is_asked_when_there_are_several(library, docs):
    library.index([docs], profile="company-docs")
    library.index([docs], profile="wiki-retrieval")
    assert library.query("laptop").collection == "company-docs"


def test_several_collections_without_a_default_are_listed(library, docs):
    library.index([docs], collection="one")
    library.index([docs], collection="two")
    with pytest.raises(CollectionNotFound, match="one, two"):
        library.query("laptop")


def test_an_unknown_collection_suggests_near_ones(library, docs):
    library.index([docs])
    with pytest.raises(CollectionNotFound, match=r"did you mean: company-docs\?"):
        library.query("laptop", collection="company-doc")


def test_a_query_during_an_index_sees_the_last_committed_state(library, many, library_folder, embedder):
    before = found(library, "item 5")
    seen = []

    class Asking(type(embedder)):
        def embed_counted(self, texts, instruction=""):
            seen.append(found(library, "item 5"))
            return super().embed_counted(texts, instruction)

    write(many / "late.txt", "item 5 item 5 item 5")
    Library(library_folder, open_model=lambda model: Asking()).index([many])
    assert seen == [before] and found(library, "item 5")[0][0] == "late.txt"


def test_the_one_file_that_is_the_truth_is_enough(library, many, library_folder, embedder, tmp_path):
    """Closing folds the write-ahead log into the database; snapshots and the rest can be left behind."""
    (tmp_path / "copy").mkdir()
    shutil.copy(library_folder / FILE_NAME, tmp_path / "copy")
    copy = Library(tmp_path / "copy", open_model=lambda model: embedder)
    assert found(copy, "item 9") == found(library, "item 9")


def test_best_sentences_come_from_the_passages(library, docs):
    write(docs / "long.md", "Cups are blue. A new laptop is ordered in the portal. Chairs are grey.\n")
    library.index([docs])
    result, sentences = library.query_with_sentences("order a laptop")
    shown = dict(zip([hit.document for hit in result.hits], [one.text for one in sentences], strict=True))
    assert shown["long.md"] == "A new laptop is ordered in the portal."


def test_batches_follow_the_models_speed_within_bounds(library, docs, monkeypatch):
    """However slow the clock says the model is, a commit covers no fewer texts than the smallest batch."""
    monkeypatch.setattr(index_pipeline, "COMMIT_S", 1e-9)
    for number in range(200):
        write(docs / f"{number}.txt", f"Thing {number} is here.")
    assert library.index([docs]).passages == 203


def test_a_collection_made_anew_while_the_model_loads_is_never_mixed(library_folder, many):
    """Between choosing a Collection and searching it lie seconds in which others may replace it."""

    class Meddling(WordEmbedder):
        done = False

        def embed(self, texts, instruction=""):
            if not self.done:
                self.done = True
                other = Library(library_folder, open_model=lambda model: WordEmbedder(weights="words-2"))
                other.remove("company-docs")
                other.index([many])
            return super().embed(texts, instruction)

    with pytest.raises(RecipeMismatch, match="words-2"):
        Library(library_folder, open_model=lambda model: Meddling()).query("item 7")


def test_sentences_come_from_the_model_that_was_asked_for(library_folder, docs):
    def open_model(name):
        if name == "gone":
            raise AssertionError("the stored model was opened")
        return WordEmbedder(name)

    Library(library_folder, open_model=WordEmbedder).index([docs], model="gone")
    moved = Library(library_folder, open_model=open_model)
    result, sentences = moved.query_with_sentences("laptop", model="elsewhere")
    assert result.model == "elsewhere" and len(sentences) == len(result.hits) == 3


def test_hits_below_the_profiles_threshold_are_left_out(library, docs):
    table = Profile.load("company-docs").to_dict()
    table["defaults"]["threshold"] = 0.6
    profile = Profile.from_dict(table)
    library.index([docs], profile=profile)
    scores = [hit.score for hit in library.query("order a new laptop in the portal").hits]
    assert len(scores) == 1 and scores[0] >= 0.6


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE vectors SET vector = x'00ff' WHERE text_id = 3", "has 2 bytes, expected 256"),
        ("UPDATE texts SET text = CAST(x'ff41' AS TEXT) WHERE text_id = 3", "Could not decode"),
        ("UPDATE collections SET profile = '{'", "is no JSON"),
        ("DROP TABLE loose_texts", None),
        ("UPDATE snapshots SET search = '7'", None),
        ("DELETE FROM vectors WHERE text_id = 3", "1 passages have no vector"),
    ],
)
def test_damage_is_reported_by_verify_and_never_a_traceback(library, many, library_folder, damage, said):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("PRAGMA defer_foreign_keys = ON")
        tx.run(damage)
    try:
        problems = library.verify()
    except LibraryError as error:
        problems = [error.message]
    assert said is None or any(said in problem for problem in problems)
    with suppress(LibraryError):  # anything else would be a traceback
        library.query("item 3 costs 9", k=40)
