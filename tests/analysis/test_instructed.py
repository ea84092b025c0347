"""The same passages under another Instruction: embedded anew, compared, not stored."""

import zlib

import numpy as np
import pytest

from searchkit.analysis import clusters, instructed
from searchkit.analysis.clusters import Wanted
from searchkit.collection.library import Library
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
    with made.writing() as (db, collection):
        clusters.make(db, collection, Wanted(k=3))
    return made


def stored_rows(library):
    with library.writing() as (db, _):
        return [db.rows(f"SELECT * FROM {table}") for table in ("vectors", "clusters", "cluster_passages")]


def compare(library, sentence):
    with library.reading() as (db, collection):
        stored = instructed.gathered(db, collection)
    return instructed.compare(stored, library.embedder(stored.collection), sentence)


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


def test_an_empty_instruction_and_missing_clusters_are_refused(library, tmp_path):
    with pytest.raises(UsageError, match="the Instruction is empty"):
        compare(library, "  ")
    write(tmp_path / "docs" / "0.txt", "The invoice was wonderful.")
    library.index([tmp_path / "docs"], collection="other")
    with library.reading("other") as (db, collection), pytest.raises(UsageError, match="no clusters yet"):
        instructed.gathered(db, collection)
