"""The same passages under another Instruction: embedded anew, compared, not stored."""

import zlib

import numpy as np
import pytest

from searchkit.analysis import clusters, instructed
from searchkit.analysis.clusters import Wanted
from searchkit.collection.library import Library
from searchkit.embedding.families import families
from searchkit.embedding.prompts import render
from searchkit.errors import UsageError
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

TOPIC, MOOD = ("invoice", "printer", "holiday"), ("wonderful", "dreadful")
BY_MOOD = "Represent the mood: "


class ListeningEmbedder(WordEmbedder):
    """Sees only the words that its instruction asks for."""

    def embed(self, texts, instruction=""):
        heard = MOOD if "mood" in instruction else TOPIC
        rows = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            word = next(
                (word for word in heard if word in text), "neither"
            )  # as questions of the calibration
            rows[row, zlib.crc32(word.encode()) % 64] = 1
        return rows


@pytest.fixture
def library(library_folder, tmp_path):
    for number in range(24):
        text = f"The {TOPIC[number % 3]} was {MOOD[number % 2]}, said {number}."
        write(tmp_path / "docs" / f"{number}.txt", text)
    made = Library(library_folder, open_model=ListeningEmbedder)
    made.index([tmp_path / "docs"])
    clusters.make(made, wanted=Wanted(k=3))
    return made


def stored_rows(library):
    with library.writing() as (db, _):
        return [db.rows(f"SELECT * FROM {table}") for table in ("vectors", "clusters", "cluster_passages")]


def compare(library, sentence):
    return instructed.compare(library, sentence)


def test_another_instruction_parts_the_same_passages_another_way(library):
    before = stored_rows(library)
    found = compare(library, BY_MOOD)
    assert (found.instruction, found.trained, found.passages) == (BY_MOOD, True, 24)
    assert found.v_measure == pytest.approx(0, abs=1e-9) and found.adjusted_rand < 0.1
    assert [len(found.stored), len(found.instructed)] == [3, 2]  # there are no three moods
    assert found.shared == ((4, 4),) * 3
    assert {one.name for one in found.instructed} == set(MOOD)
    assert stored_rows(library) == before


def test_under_the_same_instruction_nothing_changes(library):
    found = compare(library, "Represent the subject ")
    assert found.v_measure == found.adjusted_rand == 1


def test_a_text_without_a_blank_at_its_end_gets_one(library):
    assert compare(library, "Represent the mood:").instruction == BY_MOOD


@pytest.mark.parametrize(
    ("family", "text", "trained"),
    [
        ("instructor", BY_MOOD, True),
        ("plain", BY_MOOD, False),
        ("bge-en", BY_MOOD, False),
        ("sentence-t5", BY_MOOD, False),
        ("e5", f"query: {BY_MOOD}", False),
        ("nomic", f"clustering: {BY_MOOD}", False),
        ("embeddinggemma", f"task: clustering | query: {BY_MOOD}", False),
        ("e5-instruct", "Instruct: Represent the mood\nQuery: ", True),
        ("qwen3-embedding", "Instruct: Represent the mood\nQuery:", True),
        ("mistral-instruct", "Instruct: Represent the mood\nQuery: ", True),
        ("kalm", "Instruct: Represent the mood \n Query: ", True),
    ],
)
def test_each_family_is_asked_as_it_was_trained_for_clustering(library, family, text, trained):
    """Whatever the Collection is for: this one is for retrieval, whose documents stand alone."""

    class OfFamily(WordEmbedder):
        def instruction_for(self, profile, side):
            return render(families()[family], profile, side)

    with library.reading() as (_, collection):
        for sentence in (BY_MOOD, BY_MOOD.rstrip()):
            assert instructed.literal(OfFamily(), collection, sentence) == (text, trained)


def test_fewer_than_two_clusters_are_nothing_to_compare(library):
    for wanted, count in ((Wanted(k=1), 1), (Wanted(method="hdbscan", min_size=20), 0)):
        clusters.make(library, wanted=wanted)
        with pytest.raises(UsageError, match=f"has {count} stored clusters") as error:
            compare(library, BY_MOOD)
        assert "searchkit cluster -c company-docs --k" in error.value.remedy


def test_passages_of_no_cluster_take_no_part(library, tmp_path):
    write(tmp_path / "docs" / "odd.txt", "Nothing of the kind.")
    library.refresh()
    clusters.make(library, wanted=Wanted(method="hdbscan"))
    found = compare(library, "Represent the subject ")
    assert (found.passages, found.left_out) == (24, 1)
    assert found.v_measure == found.adjusted_rand == 1
    assert sum(map(sum, found.shared)) == 24 == sum(one.passages for one in found.instructed)


def test_progress_tells_how_many_passages_are_embedded(library):
    told = []
    instructed.compare(library, BY_MOOD, on_progress=lambda *now: told.append(now))
    assert told == [("embedding passages", 0, 24), ("making clusters", 0, 0)]


def test_an_empty_instruction_and_missing_clusters_are_refused(library, tmp_path):
    with pytest.raises(UsageError, match="the Instruction is empty"):
        compare(library, "  ")
    write(tmp_path / "docs" / "0.txt", "The invoice was wonderful.")
    library.index([tmp_path / "docs"], collection="other")
    with pytest.raises(UsageError, match="no clusters yet"):
        instructed.compare(library, BY_MOOD, collection="other")
