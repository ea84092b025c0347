"""How relevant a passage is, and when nothing is."""

from dataclasses import replace

import numpy as np
import pytest

from searchkit.collection import recovery, relevance
from searchkit.collection.library import Library
from searchkit.errors import UsageError
from searchkit.library import collections as catalogue
from searchkit.library.collections import Calibration
from searchkit.library.database import Database
from searchkit.profile import Instruction, Profile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

MEASURED = Calibration(profile={}, instruction="", passages=10, last_passage_id=10, nearest=0.25, level=0.1)


def test_what_the_middle_unrelated_question_finds_is_at_half():
    """strength = (0.3 - 0.25) / 0.75 + 0.4 / 12 = 0.1, the level."""
    assert relevance.relevance(MEASURED, 0.3, 1 / 12) == 50.0


def test_the_percentile_follows_the_formula():
    """strength 1/15 + 0.2, distance (4/15 - 0.1) / 1.3, logistic over 0.07."""
    expected = 100 / (1 + np.exp(-((0.05 / 0.75 + 0.4 * 0.5 - 0.1) / 1.3) / 0.07))
    assert relevance.relevance(MEASURED, 0.3, 0.5) == round(expected, 1) == 86.2


@pytest.mark.parametrize("calibration", [MEASURED, replace(MEASURED, nearest=1.0, level=1.4)])
def test_it_grows_with_cosine_and_words_and_stays_within_bounds(calibration):
    """Also where all passages are alike, so that unrelated questions find nothing but perfect matches."""
    by_cosine = [relevance.relevance(calibration, cosine, 0.0) for cosine in np.linspace(-1, 1, 21)]
    by_words = [relevance.relevance(calibration, 0.2, share) for share in np.linspace(0, 1, 11)]
    for found in (by_cosine, by_words):
        assert found == sorted(found) and found[0] < 100 and found[0] >= 0 and found[-1] <= 99.9
    assert relevance.relevance(MEASURED, 1.0, 1.0) == 99.9 and by_cosine[0] == 0.0


def test_there_are_enough_different_probes():
    probes = relevance.probes()
    assert len(probes) == len(set(probes)) >= 100 and all(len(probe.split()) > 2 for probe in probes)


@pytest.fixture
def handbook(tmp_path):
    folder = tmp_path / "handbook"
    for i in range(40):
        write(folder / f"{i:02}.md", f"The gauge at site {i} reports fault X-{i} after frost.\n")
    return folder


def calibration_of(library):
    with Database.read(library.folder) as db:
        (collection, *_) = catalogue.collections(db)
        return catalogue.calibration(db, collection.collection_id)


def test_a_run_asks_the_unrelated_questions_and_queries_know_what_is_relevant(library, handbook):
    library.index([handbook])
    known = calibration_of(library)
    assert known.passages == 40 and 0 < known.nearest < 1
    found = library.query("gauge reports fault X-7 after frost", k=3)
    assert found.relevant and found.hits[0].document == "07.md" and found.hits[0].relevance > 99
    nothing = library.query("symphonies by Beethoven", k=3)
    assert nothing.relevant is False and max(hit.relevance for hit in nothing.hits) < relevance.RELEVANT


def test_the_verdict_does_not_depend_on_how_many_hits_are_asked_for(library, handbook):
    library.index([handbook])
    for query in ("fault X-31", "symphonies by Beethoven"):
        assert (
            len({library.query(query, k=k, offset=offset).relevant for k in (1, 30) for offset in (0, 20)})
            == 1
        )


def test_least_relevance_leaves_out_the_rest(library, handbook):
    library.index([handbook])
    everything = library.query("fault X-7", k=40)
    least = everything.hits[2].relevance
    some = library.query("fault X-7", k=40, min_relevance=least)
    assert some.hits and all(hit.relevance >= least for hit in some.hits)
    assert len(some.hits) == sum(hit.relevance >= least for hit in everything.hits) < 40
    assert library.query("symphonies by Beethoven", min_relevance=93).hits == ()


def test_words_alone_have_no_relevance(library, handbook):
    library.index([handbook])
    found = library.query("fault X-7", mode="text")
    assert found.relevant is None and all(hit.relevance is None for hit in found.hits)
    with pytest.raises(UsageError, match="measured by vectors"):
        library.query("fault", mode="text", min_relevance=90)


def test_another_query_instruction_has_another_null_distribution(library, handbook):
    library.index([handbook], profile="wiki-retrieval")
    stored = library.show().profile
    other = replace(stored, query=Instruction(literal="Represent the question: "))
    assert library.query("fault X-7").relevant is not None
    assert library.query("fault X-7", profile=other).relevant is None
    with pytest.raises(UsageError, match="under this query instruction"):
        library.query("fault X-7", profile=other, min_relevance=90)
    library.index([handbook], profile=other)  # the query side may change: it is asked anew under it
    assert library.query("fault X-7").relevant is not None
    assert calibration_of(library).instruction == "Represent the question: "


def test_it_is_measured_anew_only_after_a_tenth_has_changed(library, handbook, embedder):
    library.index([handbook])
    before = calibration_of(library)
    write(handbook / "new.md", "Another page about gauges.")
    library.index([handbook])
    assert calibration_of(library) == before
    for i in range(4):
        write(handbook / f"more{i}.md", f"Page {i} about pumps.")
    library.index([handbook])
    assert calibration_of(library).passages == 45


def test_a_tenth_is_also_what_was_rewritten(library, handbook):
    """The number of passages says nothing of what they are."""
    library.index([handbook])
    before = calibration_of(library)
    for i in range(3):
        write(handbook / f"{i:02}.md", f"Dish {i} of the canteen.")
    library.index([handbook])
    assert calibration_of(library) == before
    for i in range(3, 8):
        write(handbook / f"{i:02}.md", f"Dish {i} of the canteen.")
    library.index([handbook])
    assert calibration_of(library).passages == 40 and calibration_of(library) != before


def test_what_the_snapshot_does_not_hold_yet_is_asked_too(library, handbook, tmp_path):
    """A first run of one file, then one of forty: no new snapshot is due, a new measurement is."""
    write(tmp_path / "one" / "a.md", "A note about nothing.")
    library.index([tmp_path / "one"])
    library.index([handbook])
    assert library.show().snapshot.rows == 1
    measured = calibration_of(library)
    with Database.read(library.folder) as db, db.one_state():
        (collection,) = catalogue.collections(db)
        embedder = WordEmbedder()
        instruction = embedder.instruction_for(Profile.from_dict(collection.profile), "query")
        questions = embedder.embed(relevance.probes(), instruction)
        assert measured == relevance.calibrate(db, collection, instruction, questions, None)


def test_a_library_from_before_is_measured_by_the_next_run(library, handbook, library_folder):
    library.index([handbook])
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("DELETE FROM calibrations")
    assert library.query("fault X-7").relevant is None
    library.index([handbook])
    assert library.query("fault X-7").relevant


def test_damage_is_as_if_it_had_not_been_measured(library, handbook, library_folder):
    library.index([handbook])
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("UPDATE calibrations SET profile = 'no json'")
    assert library.query("fault X-7").relevant is None


def test_an_emptied_collection_has_none(library, handbook):
    library.index([handbook])
    library.remove("company-docs", source=handbook)
    assert library.query("fault").hits == ()
    library.remove("company-docs")
    with Database.read(library.folder) as db:
        assert db.rows("SELECT * FROM calibrations") == []


def test_without_a_snapshot_stored_vectors_are_scanned(library, handbook):
    """And with one the result is the same."""
    library.index([handbook])
    embedder = WordEmbedder()
    with Database.read(library.folder) as db, db.one_state():
        (collection,) = catalogue.collections(db)
        instruction = embedder.instruction_for(Profile.from_dict(collection.profile), "query")
        questions = embedder.embed(relevance.probes(), instruction)
        opened = recovery.open_snapshot(db, collection)
        ways = [
            relevance.calibrate(db, collection, instruction, questions, snapshot)
            for snapshot in (opened, None)
        ]
    assert ways[0] == ways[1] and opened is not None


def test_models_are_not_opened_for_it_when_nothing_has_changed(library, handbook, library_folder):
    library.index([handbook])

    def refuse(model):
        raise AssertionError("a model was opened")

    assert Library(library_folder, open_model=refuse).index([handbook]).unchanged == 40
