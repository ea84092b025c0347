"""Which documents are like one: stored vectors alone, judged by a comparison with every document."""

import os
import shutil

import numpy as np
import pytest

from searchkit.collection import similar
from searchkit.collection.library import Library
from searchkit.errors import FilterInvalid, UsageError
from searchkit.library import naming
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors
from tests.collection.conftest import write

WORDS = (
    *("gauge", "valve", "river", "frost", "tunnel", "laptop", "leave"),
    *("pay", "sensor", "battery", "cable", "order", "code", "tax"),
)
COLD, DESK, OFFICE = (
    f"{text}\n" * 50 for text in ("Frost on a valve.", "A laptop to order.", "Tax and leave.")
)


@pytest.fixture
def reports(library, tmp_path):
    """60 Markdown reports of one to six sections, of words drawn at random."""
    random = np.random.default_rng(5)
    for number in range(60):
        sections = [
            f"# Part {part}\n\n{' '.join(random.choice(WORDS, 40))}.\n"
            for part in range(random.integers(1, 7))
        ]
        write(tmp_path / "in" / f"{number:02}.md", "\n".join(sections))
    library.index([tmp_path / "in"])
    return library


def scores(result):
    return [(hit.document, hit.score) for hit in result.hits]


def compared_with_all(library, name):
    """What the scores say they are, computed of all documents."""
    with Database.read(library.folder) as db:
        rows = db.rows("SELECT document_id, name FROM documents")
        record = CollectionVectors(db, 1, 1, 64)
        matrices = {}
        for document_id, document in rows:
            ids = [passage for _, passage in naming.passages_of(db, [document_id])]
            matrices[document] = record.of(np.array(ids))[1].astype(np.float64)
    own = matrices.pop(name)
    found = [(other, round(float((own @ m.T).max(axis=1).mean()), 6)) for other, m in matrices.items()]
    return sorted(found, key=lambda one: (-one[1], one[0]))


@pytest.mark.parametrize("depth", [1, 100])
def test_the_best_are_those_of_a_comparison_with_every_document(reports, monkeypatch, depth):
    """However few passages are looked at first: it looks deeper until none that is left can be better."""
    monkeypatch.setattr(similar, "DEPTH", depth)
    monkeypatch.setattr(similar, "DEPTH_PER_HIT", 0)
    monkeypatch.setattr(similar, "READ_TOGETHER", 2)
    for name in ("00.md", "17.md", "59.md"):
        expected = compared_with_all(reports, name)
        assert scores(reports.similar(name, k=7)) == expected[:7]
        assert scores(reports.similar(name, k=100)) == expected  # itself is not among them


def test_pages_fit_together_and_the_last_says_so(reports):
    whole = reports.similar("03.md", k=30)
    pages = [reports.similar("03.md", k=10, offset=offset) for offset in (0, 10, 20, 50)]
    assert [hit for page in pages[:3] for hit in scores(page)] == scores(whole)
    assert [hit.rank for hit in pages[1].hits] == list(range(11, 21))
    assert [page.more for page in pages] == [True, True, True, False]
    assert len(pages[3].hits) == 9


def test_a_hit_shows_the_passage_that_fits_best(library, tmp_path):
    write(tmp_path / "in" / "a.md", f"# One\n\n{COLD}\n# Two\n\n{DESK}")
    write(tmp_path / "in" / "b.md", f"# Three\n\n{OFFICE}\n# Two\n\n{DESK}")
    library.index([tmp_path / "in"], profile="wiki-retrieval")
    result, sentences = library.similar_with_sentences("a.md")
    (hit,) = result.hits
    assert (hit.document, hit.heading) == ("b.md", "Two")
    assert 0 < hit.score < hit.cosine and hit.relevance is None
    assert (result.mode, result.query, result.more) == ("similar", "a.md", False)
    assert [one.text for one in sentences] == ["A laptop to order."]


def test_copies_are_shown_first(reports, tmp_path):
    shutil.copy(tmp_path / "in" / "07.md", tmp_path / "in" / "copy.md")
    reports.index([tmp_path / "in"])
    first, second, *_ = reports.similar("07.md").hits
    assert (first.document, first.score, first.cosine) == ("copy.md", 1.0, 1.0)
    assert second.score < 1.0


def test_no_model_is_opened(reports):
    def refuse(model):
        raise AssertionError(f"{model} was opened")

    found = Library(reports.folder, open_model=refuse).similar_with_sentences("00.md", k=3)
    assert scores(found[0]) == scores(reports.similar("00.md", k=3))


def test_with_passages_each_is_a_hit_by_its_own_cosine(reports):
    hits = reports.similar("00.md", k=40, passages=True).hits
    assert all(hit.score == hit.cosine for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    documents = [hit.document for hit in hits]
    assert len(set(documents)) < len(documents) == 40 and "00.md" not in documents
    best = max(reports.similar("00.md", k=100).hits, key=lambda hit: hit.cosine)
    assert hits[0].cosine == best.cosine


def test_a_filter_leaves_k_where_k_fit(reports, monkeypatch):
    """Also where the nearest passages are all of one document that is not the one looked for."""
    monkeypatch.setattr(similar, "DEPTH", 1)
    monkeypatch.setattr(similar, "DEPTH_PER_HIT", 0)
    monkeypatch.setattr(similar, "DEEPEST", 1)
    every = dict(compared_with_all(reports, "00.md"))
    found = scores(reports.similar("00.md", k=10, where="path glob '5*'"))
    assert sorted(found) == sorted((name, every[name]) for name in every if name.startswith("5"))
    with pytest.raises(FilterInvalid, match="colour"):
        reports.similar("00.md", where="colour = red")


def test_only_passages_that_fit_are_compared(library, tmp_path):
    for name in ("a.md", "b.md"):
        write(tmp_path / "in" / name, f"# One\n\n{COLD}\n# Two\n\n{DESK}")
    library.index([tmp_path / "in"], profile="wiki-retrieval")
    (hit,) = library.similar("a.md", where="heading = Two").hits
    assert hit.heading == "Two" and hit.cosine == 1.0 and hit.score < 1.0
    assert library.similar("a.md").hits[0].score == 1.0


def test_what_was_added_and_removed_since_the_snapshot_counts(reports, tmp_path):
    shutil.copy(tmp_path / "in" / "07.md", tmp_path / "in" / "copy.md")
    best = reports.similar("07.md").hits[0].document
    (tmp_path / "in" / best).unlink()
    reports.index([tmp_path / "in"])
    with Database.read(reports.folder) as db:
        assert db.rows("SELECT passage_id FROM passages p, snapshots s WHERE passage_id > s.last_passage_id")
        assert db.rows("SELECT * FROM removals")  # the snapshot was not written anew
    names = [hit.document for hit in reports.similar("07.md", k=100).hits]
    assert names[0] == "copy.md" and best not in names and len(names) == 59
    for snapshot in reports.folder.glob("*.snapshot"):
        snapshot.unlink()
    assert [hit.document for hit in reports.similar("07.md", k=100).hits] == names


def test_passages_that_are_gone_take_nobodys_place(library, tmp_path, monkeypatch):
    monkeypatch.setattr(similar, "TIE_MARGIN", 0)
    for number in range(20):
        write(tmp_path / "in" / f"{number:02}.txt", "valve " * 20 + "frost " * number)
    library.index([tmp_path / "in"])
    for number in range(1, 10):
        (tmp_path / "in" / f"{number:02}.txt").unlink()
    library.index([tmp_path / "in"])
    names = [hit.document for hit in library.similar("00.txt", k=3, passages=True).hits]
    assert names == ["10.txt", "11.txt", "12.txt"]


def test_of_a_long_document_passages_from_all_over_are_compared():
    assert similar.spread(range(5), 64) == [0, 1, 2, 3, 4]
    assert similar.spread(range(641), 64)[::21] == [0, 213, 427, 640]
    assert len(set(similar.spread(range(65), 64))) == 64


@pytest.fixture
def two_sources(library, docs, tmp_path):
    """Sources that share a name, with a table and a file on its own."""
    write(docs / "staff.csv", "name,city\nAnn Lee,Lyon\nBo Chen,Turin\n")
    write(tmp_path / "other" / "vpn.txt", "A tunnel to another office.\n")
    write(tmp_path / "other" / "it" / "laptop.md", "Laptops are old here.\n")
    write(tmp_path / "note.txt", "A note on laptops.\n")
    library.index([docs, tmp_path / "other", tmp_path / "note.txt"])
    return library


@pytest.mark.parametrize(
    ("asked", "document", "others"),
    [
        ("hr/leave.md", "hr/leave.md", 7),
        ("leave.md", "hr/leave.md", 7),
        ("docs/hr/leave.md", "hr/leave.md", 7),  # a path, as seen from the folder it is asked in
        ("./docs/vpn.txt", "vpn.txt", 7),
        ("docs/staff.csv#2", "staff.csv#2", 7),
        ("staff.csv#2", "staff.csv#2", 7),
        ("staff.csv", "staff.csv", 6),  # all of its rows
        ("it/laptop.md", "it/laptop.md", 7),
        ("laptop.md", "laptop.md", 7),  # a whole name wins over the end of one
        ("note.txt", "note.txt", 7),
    ],
)
def test_a_document_may_be_named_in_several_ways(two_sources, tmp_path, monkeypatch, asked, document, others):
    monkeypatch.chdir(tmp_path)
    result = two_sources.similar(asked, k=50)
    assert result.query == document
    assert len(result.hits) == others
    assert not [hit for hit in result.hits if hit.document == document and document != "vpn.txt"]


def test_a_hit_names_its_document_even_where_its_name_does_not(two_sources, tmp_path):
    for hit in two_sources.query("tunnel office", mode="text").hits:
        found = {(one.document, one.metadata["source"]) for one in two_sources.similar(hit, k=50).hits}
        assert len(found) == 7 and (hit.document, hit.metadata["source"]) not in found


def test_a_hit_that_is_gone_is_said_to_be(two_sources, docs):
    hit = two_sources.query("parental leave", k=1).hits[0]
    write(docs / "hr" / "leave.md", "Something else.")
    two_sources.refresh()
    for ask in (two_sources.similar, lambda hit: two_sources.with_context(hit, 1)):
        with pytest.raises(UsageError, match="changed or gone"):
            ask(hit)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("vpn.txt", "may be any of 2 files.*docs/vpn.txt.*other/vpn.txt"),
        ("hr/laeve.md", "did you mean: hr/leave.md"),
        ("laeve.md", "did you mean: hr/leave.md"),
        ("a/folder/that/is/not/there/laeve.md", "did you mean: leave.md"),
        ("/nowhere/at/all.zip", "no document of collection 'company-docs' is called '/nowhere/at/all.zip'"),
        ("", "is called ''"),
        ("broken.pdf", "holds no text that could be read"),
    ],
)
def test_a_name_that_leads_nowhere_or_to_several_is_refused(two_sources, docs, asked, said):
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    two_sources.refresh()
    with pytest.raises(UsageError, match=f"(?s){said}"):
        two_sources.similar(asked)


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_path_may_lead_through_a_link(two_sources, docs, tmp_path):
    (tmp_path / "link").symlink_to(docs)
    assert two_sources.similar(tmp_path / "link" / "hr" / "leave.md").query == "hr/leave.md"


@pytest.mark.parametrize("wanted", [{"k": 0}, {"k": 10_001}, {"offset": -1}])
def test_numbers_out_of_bounds_are_refused(reports, wanted):
    with pytest.raises(UsageError, match="expected"):
        reports.similar("00.md", **wanted)


def test_a_hit_of_another_collection_is_a_mistake_and_no_damage(library, docs):
    library.index([docs], collection="a")
    library.index([docs], collection="b")
    hit = library.query("laptop", collection="a", mode="text").hits[0]
    with pytest.raises(UsageError, match="is none of collection 'b'"):
        library.similar(hit, collection="b")
