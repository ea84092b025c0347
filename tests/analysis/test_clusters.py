"""Clusters of a Collection: made, stored, kept true while passages come and go, and forgotten."""

from dataclasses import replace

import numpy as np
import pytest

from searchkit.analysis import clusters, describing
from searchkit.analysis.clusters import Wanted
from searchkit.analysis.kmeans import kmeans
from searchkit.collection import forgetting
from searchkit.collection.library import Library
from searchkit.errors import FilterInvalid, LibraryBusy, LibraryDamaged, UsageError
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
    return clusters.make(library, wanted=Wanted(**wanted))


def show(library):
    return clusters.show(library)


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
    assert (found.since, found.since_in_none, found.outlying) == (1, 1, 1)
    assert sum(one.passages for one in found.clusters) == 24
    assert topics(library, "not cluster exists")[1] == 1


def test_the_same_text_is_in_the_same_dense_cluster_whenever_it_came(library, docs):
    """Also one that HDBSCAN left out: what it left out and what came later are judged alike."""
    odd = (
        "Quantum chromodynamics binds quarks",
        "Salt soup slowly",
        "Her invoice was lost",
        "Office parties",
    )
    for number, text in enumerate(odd):
        write(docs / f"odd{number}.txt", text)
    library.refresh()
    make(library, method="hdbscan")
    before = {one.passage.document: one.number for one in clusters.members(library)}
    for path in sorted(docs.iterdir()):
        write(docs / f"again-{path.name}", path.read_text())
    library.refresh()
    found = {one.passage.document: one.number for one in clusters.members(library)}
    assert set(before.values()) >= {0, 1} and len(found) == 2 * len(before)
    assert all(found[f"again-{name}"] == found[name] == number for name, number in before.items())


def test_nobody_is_kept_from_writing_while_clusters_are_made(library, docs, monkeypatch):
    """A passage that comes meanwhile came since."""

    def indexing(*args, **options):
        write(docs / "leave99.txt", TOPICS["leave"].format(99))
        library.refresh()
        return kmeans(*args, **options)

    monkeypatch.setattr(clusters, "kmeans", indexing)
    found = make(library, k=3)
    assert (found.passages, found.since, found.gone) == (25, 1, 0)


def test_clusters_are_made_again_where_a_passage_went_away_meanwhile(library, docs, monkeypatch):
    made = []

    def removing(*args, **options):
        if not made:
            library.forget("leave0.txt")
        made.append(1)
        return kmeans(*args, **options)

    monkeypatch.setattr(clusters, "kmeans", removing)
    found = make(library, k=3)
    assert (len(made), found.passages, found.gone) == (2, 23, 0)


def test_where_passages_go_away_time_and_again_nothing_is_stored(library, docs, monkeypatch):
    def removing(*args, **options):
        next(docs.iterdir()).unlink()
        library.refresh()
        return kmeans(*args, **options)

    monkeypatch.setattr(clusters, "kmeans", removing)
    with pytest.raises(LibraryBusy, match="went away 3 times") as error:
        make(library, k=3)
    assert "run the same again" in error.value.remedy
    with pytest.raises(UsageError, match="no clusters yet"):
        clusters.show(library)


def test_another_collection_of_the_same_name_is_not_given_these_clusters(library, docs, monkeypatch):
    made = []

    def replacing(*args, **options):
        if not made:
            library.remove("company-docs")
            for number in range(8):
                (docs / f"network{number}.txt").unlink()
            library.index([docs])
        made.append(1)
        return kmeans(*args, **options)

    monkeypatch.setattr(clusters, "kmeans", replacing)
    assert (make(library, k=2).passages, len(made)) == (16, 2)


def test_vectors_of_another_recipe_are_not_what_was_read(library):
    with library.reading() as (db, collection):
        ids, _ = clusters.vectors_of(db, collection)
        assert clusters._is_same(db, collection, collection, ids)
        for other in ({"recipe_id": 99}, {"collection_id": 99}):
            assert not clusters._is_same(db, collection, replace(collection, **other), ids[:0])


def test_progress_tells_what_is_done(library):
    told = []
    clusters.make(library, on_progress=lambda *now: told.append(now))
    assert list(dict.fromkeys(what for what, _, _ in told)) == [
        "trying numbers of clusters",
        "making clusters",
        "reading words",
    ]
    assert ("reading words", 0, 24) in told


def test_a_filter_takes_names_in_any_form_of_their_letters(library):
    """As all other filters do: full-width letters, ligatures, either case."""
    found = make(library, k=3)
    wide = {ord(letter): ord(letter) + 0xFEE0 for letter in "abcdefghijklmnopqrstuvwxyz"}
    for one in found.clusters:
        for where in (
            f"cluster = '{one.name.translate(wide)}'",
            f"cluster has '{one.words[0].translate(wide)}'",
            f"cluster contains '{one.name.translate(wide)}'",
            f"cluster glob '{one.name.translate(wide)}*'",
        ):
            assert topics(library, where) == topics(library, f"cluster = {one.number}")


def test_what_belongs_to_none_is_as_near_as_the_nearest_cluster():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    centroids = np.eye(2, dtype=np.float32)
    cosines = describing.cosines_to_own(vectors, np.array([1, 1, 0]), centroids)
    np.testing.assert_allclose(cosines, [1, 0, 0.8], atol=1e-6)
    assert (describing.cosines_to_own(vectors, np.zeros(3, dtype=np.int64), centroids[:0]) == 0).all()


def test_many_clusters_have_themes(library):
    found = make(library, k=9)
    assert [one.number for one in found.themes] == [1, 2, 3] and all(one.words for one in found.themes)
    for theme in found.themes:
        own = [one for one in found.clusters if one.theme == theme.number]
        assert [one.number for one in own] == list(theme.clusters)
        assert sum(one.passages for one in own) == theme.passages


def test_members_come_by_cluster_the_nearest_first(library):
    make(library, k=3)
    rows = list(clusters.members(library))
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


def of_texts(folder, texts):
    for number, text in enumerate(texts):
        write(folder / "docs" / f"{number}.txt", text)
    library = Library(folder / "of-texts", open_model=WordEmbedder)
    library.index([folder / "docs"])
    return library


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_passages_are_one_cluster_unless_more_are_asked_for(tmp_path, count):
    library = of_texts(tmp_path, list(TOPICS.values())[:count])
    found = make(library)
    assert [one.passages for one in found.clusters] == [count]
    assert found.notices[0].startswith("No clusters stand apart")
    assert len(found.clusters[0].name) > len("the")
    assert len(make(library, k=count).clusters) == count
    dense = make(library, method="hdbscan")
    assert (dense.clusters, dense.themes, dense.outlying) == ((), (), count)
    assert dense.notices[0].startswith("No passages lie close enough together to be a cluster of at least 5")
    assert all((one.number, one.name, one.outlier) == (0, "", True) for one in clusters.members(library))
    with pytest.raises(UsageError, match=f"{count + 1} clusters were asked for, and .* has {count} passages"):
        make(library, k=count + 1)


def test_copies_are_one_cluster_however_many_are_asked_for(tmp_path):
    library = of_texts(tmp_path, ["All of these say the same."] * 12)
    for wanted, said in (
        ({}, "No clusters stand apart"),
        ({"k": 5}, "5 clusters were asked for, 1 made: there are no more different texts"),
        ({"method": "hdbscan"}, ""),
    ):
        found = make(library, **wanted)
        assert [(one.passages, len(one.examples)) for one in found.clusters] == [(12, 1)]
        assert found.outlying == 0 and found.clusters[0].name == "these"
        assert found.notices[0].startswith(said) if said else found.notices == ()
    assert clusters.show(library).notices == found.notices


def test_a_smallest_cluster_larger_than_all_passages_is_refused(library):
    with pytest.raises(UsageError, match="at least 25 passages were asked for, and 'company-docs' has 24"):
        make(library, method="hdbscan", min_size=25)
    assert make(library, method="hdbscan", min_size=9).clusters == ()
    assert "at least 9" in clusters.show(library).notices[0]
    assert len(make(library, method="hdbscan", min_size=8).clusters) == 3


def test_an_empty_collection_says_so(library, docs):
    for path in docs.iterdir():
        path.write_text("")
    library.refresh()
    for method in clusters.METHODS:
        with pytest.raises(UsageError, match="has no passages"):
            make(library, method=method)


@pytest.mark.parametrize("number", [np.nan, 0.0, np.inf])
def test_a_stored_vector_that_is_no_direction_is_named(library, number):
    with library.writing() as (db, _), db.transaction() as tx:
        bad = np.full(64, number, dtype="<f4").tobytes()
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 3", (bad,))
    for method in clusters.METHODS:
        with pytest.raises(LibraryDamaged, match="is no direction, expected a length of 1"):
            make(library, method=method)


@pytest.mark.parametrize(
    "wanted",
    [
        {"k": 0},
        {"k": 3, "method": "hdbscan"},
        {"method": "kmeams"},
        {"min_size": 5},
        {"min_size": 1, "method": "hdbscan"},
    ],
)
def test_what_cannot_be_carried_out_is_refused(library, wanted):
    with pytest.raises(UsageError):
        make(library, **wanted)


def test_forgetting_a_document_takes_the_names_of_clusters_with_it(library, docs, library_folder):
    for number in range(3):
        write(docs / f"secret{number}.txt", f"{SECRET} {SECRET} {number}")
    library.refresh()
    found = make(library, k=4)
    assert any(SECRET in one.words for one in found.clusters)
    assert [library.forget(f"secret{number}.txt").clusters for number in range(3)] == [
        ("company-docs",),
        (),
        (),
    ]
    with library.reading() as (db, collection):
        assert store.stored(db, collection.collection_id) is None
    assert not any(SECRET.encode() in path.read_bytes() for path in library_folder.iterdir())


def test_from_the_moment_a_document_is_forgotten_no_cluster_is_named_by_it(library):
    make(library, k=3)
    with library.writing() as (db, collection):
        forgetting.begin(db, forgetting.look_up(db, "leave0.txt", collection), everywhere=False)
        assert store.stored(db, collection.collection_id) is None


def test_among_near_copies_rounding_makes_no_outlier():
    assert describing.floor(np.array([0.9999998, 1, 1, 1], dtype=np.float32)) < 0.9999


def test_forgetting_what_was_removed_before_takes_clusters_made_of_it(library, docs, library_folder):
    secrets = [write(docs / f"secret{number}.txt", f"{SECRET} {number}") for number in range(2)]
    library.refresh()
    make(library, k=4)
    for path in secrets:
        path.unlink()
    library.refresh()
    assert any(SECRET in one.words for one in show(library).clusters)
    assert library.forget().clusters == ("company-docs",)
    assert not any(SECRET.encode() in path.read_bytes() for path in library_folder.iterdir())


def test_clusters_of_passages_that_are_all_there_outlive_a_forget_without_a_document(library):
    make(library, k=3)
    assert library.forget().clusters == ()
    assert len(show(library).clusters) == 3


def test_a_removed_collection_leaves_no_cluster(library):
    make(library, k=3)
    library.remove("company-docs")
    library.forget()
    with Database.read(library.folder) as db:
        for table in ("cluster_runs", "clusters", "cluster_passages"):
            assert db.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    assert library.verify() == []
