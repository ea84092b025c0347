"""Clusters of a Collection: made, stored, kept true while passages come and go, and forgotten."""

import numpy as np
import pytest

from searchkit.analysis import clusters
from searchkit.analysis.clusters import Wanted
from searchkit.collection import forgetting
from searchkit.collection.library import Library
from searchkit.errors import FilterInvalid, LibraryDamaged, UsageError
from searchkit.library import clusters as store
from searchkit.library.database import Database
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

TOPICS = {
    "leave": "Parental leave lasts fourteen weeks at full pay, case {}",
    "invoice": "The supplier's invoice was settled late by our bank, case {}",
    "network": "A tunnel to the office network needs another factor, case {}",
}
SECRET = "zwetschgenknoedel"


@pytest.fixture
def docs(tmp_path):
    for name, text in TOPICS.items():
        for number in range(8):
            write(tmp_path / "docs" / f"{name}{number}.txt", text.format(number))
    return tmp_path / "docs"


@pytest.fixture
def library(library_folder, docs):
    made = Library(library_folder, open_model=WordEmbedder)
    made.index([docs])
    return made


def make(library, **wanted):
    with library.writing() as (db, collection):
        return clusters.make(db, collection, Wanted(**wanted))


def show(library):
    with library.reading() as (db, collection):
        return clusters.show(db, collection)


def topics(library, where):
    hits = library.query("case", where=where, k=100).hits
    return sorted({hit.document.rstrip("0123456789.tx") for hit in hits}), len(hits)


@pytest.mark.parametrize("wanted", [{"k": 3}, {}, {"method": "hdbscan"}])
def test_topics_become_clusters_and_a_filter_finds_them_by_name_number_and_word(library, wanted):
    found = make(library, **wanted)
    assert [one.passages for one in found.clusters] == [8, 8, 8] and found.passages == 24
    for one in found.clusters:
        topic, count = topics(library, f"cluster = {one.number}")
        assert (len(topic), count) == (1, 8)
        assert topics(library, f"cluster = '{one.name.upper()}'") == (topic, 8)
        assert topics(library, f"cluster has {one.words[0]}") == (topic, 8)
        assert {passage.document.rstrip("0123456789.tx") for passage in one.examples} == set(topic)
    assert topics(library, "cluster in (1, 2)")[1] == 16 and topics(library, "not cluster = 1")[1] == 16
    assert topics(library, "CLUSTER exists")[1] == 24


def test_passages_that_come_later_join_the_nearest_and_those_gone_leave(library, docs):
    make(library, k=3)
    write(docs / "leave99.txt", TOPICS["leave"].format(99))
    (docs / "invoice0.txt").unlink()
    library.refresh()
    found = show(library)
    assert (found.passages, found.since, found.gone) == (24, 1, 1)
    (leave,) = [one for one in found.clusters if "parental" in one.words or "leave" in one.words]
    assert leave.passages == 9 and topics(library, f"cluster = {leave.number}") == (["leave"], 9)
    assert sorted(one.passages for one in found.clusters) == [7, 8, 9]


def test_what_is_like_nothing_is_an_outlier(library, docs):
    write(docs / "odd.txt", "Quantum chromodynamics binds quarks")
    library.refresh()
    found = make(library, k=3)
    assert found.outlying == 1 and found.outliers[0].passage.document == "odd.txt"
    assert topics(library, "cluster = outliers")[1] == 1


def test_new_passages_between_dense_clusters_belong_to_none(library, docs):
    make(library, method="hdbscan")
    write(docs / "odd.txt", "Quantum chromodynamics binds quarks")
    library.refresh()
    found = show(library)
    assert (found.since, found.outlying) == (1, 1) and sum(one.passages for one in found.clusters) == 24
    assert topics(library, "not cluster exists")[1] == 1


def test_what_belongs_to_none_is_as_near_as_the_nearest_cluster():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    centroids = np.eye(2, dtype=np.float32)
    cosines = clusters.cosines_to_own(vectors, np.array([1, 1, 0]), centroids)
    np.testing.assert_allclose(cosines, [1, 0, 0.8], atol=1e-6)
    assert (clusters.cosines_to_own(vectors, np.zeros(3, dtype=np.int64), centroids[:0]) == 0).all()


def test_many_clusters_have_themes(library):
    found = make(library, k=9)
    assert set(found.themes) == {one.theme for one in found.clusters} == {1, 2, 3}
    assert all(found.themes.values())


def test_members_come_by_cluster_the_nearest_first(library):
    found = make(library, k=3)
    with library.reading() as (db, _):
        rows = list(clusters.members(db, found))
    assert [one.number for one in rows] == sorted(one.number for one in rows) and len(rows) == 24
    first = [one.cosine for one in rows if one.number == 1]
    assert first == sorted(first, reverse=True)


@pytest.mark.parametrize(
    ("filtered", "said"),
    [
        ("cluster = nowhere", "there is no cluster 'nowhere'"),
        ("cluster > 1", "clusters have no order"),
    ],
)
def test_a_filter_that_means_no_cluster_is_refused(library, filtered, said):
    make(library, k=3)
    with pytest.raises(FilterInvalid, match=said):
        topics(library, filtered)


def test_before_clusters_are_made_the_field_is_the_documents_own(library, docs):
    with pytest.raises(FilterInvalid, match="no clusters yet") as error:
        topics(library, "cluster = 1")
    assert "searchkit cluster" in error.value.remedy
    with pytest.raises(UsageError, match="no clusters yet"):
        show(library)
    write(docs / "own.md", "---\ncluster: north\n---\nA case of its own.\n")
    library.refresh()
    assert topics(library, "cluster = north")[1] == 1
    make(library, k=2)
    assert topics(library, "meta.cluster = north")[1] == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_passages_are_one_cluster_unless_more_are_asked_for(tmp_path, count):
    library = Library(tmp_path / "few", open_model=WordEmbedder)
    for number in range(count):
        write(tmp_path / "docs" / f"{number}.txt", f"{list(TOPICS.values())[number]}")
    library.index([tmp_path / "docs"])
    assert [one.passages for one in make(library).clusters] == [count]
    assert len(make(library, k=count).clusters) == count
    assert make(library, method="hdbscan").clusters == ()
    with pytest.raises(UsageError, match=f"{count + 1} clusters were asked for, and .* has {count} passages"):
        make(library, k=count + 1)


def test_copies_are_one_cluster_however_many_are_asked_for(tmp_path):
    library = Library(tmp_path / "same", open_model=WordEmbedder)
    for number in range(12):
        write(tmp_path / "docs" / f"{number}.txt", "All of these say the same.")
    library.index([tmp_path / "docs"])
    for wanted in ({}, {"k": 5}):
        found = make(library, **wanted)
        assert [(one.passages, len(one.examples)) for one in found.clusters] == [(12, 1)]
        assert found.outlying == 0


def test_an_empty_collection_says_so(library, docs):
    for path in docs.iterdir():
        path.write_text("")
    library.refresh()
    with pytest.raises(UsageError, match="has no passages"):
        make(library)


@pytest.mark.parametrize("number", [np.nan, 0.0, np.inf])
def test_a_stored_vector_that_is_no_direction_is_named(library, number):
    with library.writing() as (db, _), db.transaction() as tx:
        bad = np.full(64, number, dtype="<f4").tobytes()
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 3", (bad,))
    with pytest.raises(LibraryDamaged, match="is no direction, expected a length of 1"):
        make(library)


@pytest.mark.parametrize("wanted", [{"k": 0}, {"k": 3, "method": "hdbscan"}, {"method": "kmeams"}])
def test_what_cannot_be_carried_out_is_refused(library, wanted):
    with pytest.raises(UsageError):
        make(library, **wanted)


def test_forgetting_a_document_takes_the_names_of_clusters_with_it(library, docs, library_folder):
    for number in range(3):
        write(docs / f"secret{number}.txt", f"{SECRET} {SECRET} {number}")
    library.refresh()
    found = make(library, k=4)
    assert any(SECRET in one.words for one in found.clusters)
    for number in range(3):
        library.forget(f"secret{number}.txt")
    with library.reading() as (db, collection):
        assert store.stored(db, collection.collection_id) is None
    assert not any(SECRET.encode() in path.read_bytes() for path in library_folder.iterdir())


def test_from_the_moment_a_document_is_forgotten_no_cluster_is_named_by_it(library):
    make(library, k=3)
    with library.writing() as (db, collection):
        forgetting.begin(db, forgetting.look_up(db, "leave0.txt", collection), everywhere=False)
        assert store.stored(db, collection.collection_id) is None


def test_among_near_copies_rounding_makes_no_outlier():
    assert clusters.floor(np.array([0.9999998, 1, 1, 1], dtype=np.float32)) < 0.9999


def test_forgetting_what_was_removed_before_takes_clusters_made_of_it(library, docs, library_folder):
    secrets = [write(docs / f"secret{number}.txt", f"{SECRET} {number}") for number in range(2)]
    library.refresh()
    make(library, k=4)
    for path in secrets:
        path.unlink()
    library.refresh()
    assert any(SECRET in one.words for one in show(library).clusters)
    library.forget()
    assert not any(SECRET.encode() in path.read_bytes() for path in library_folder.iterdir())


def test_clusters_of_passages_that_are_all_there_outlive_a_forget_without_a_document(library):
    make(library, k=3)
    library.forget()
    assert len(show(library).clusters) == 3


def test_a_removed_collection_leaves_no_cluster(library):
    make(library, k=3)
    library.remove("company-docs")
    library.forget()
    with Database.read(library.folder) as db:
        for table in ("cluster_runs", "clusters", "cluster_passages"):
            assert db.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    assert library.verify() == []
