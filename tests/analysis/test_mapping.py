"""A map of a Collection: its points, what they are coloured by, which are shown."""

import sys

import numpy as np
import pytest

from searchkit.analysis import clusters
from searchkit.analysis.map_picture import write_png
from searchkit.analysis.mapping import Wanted, layout
from searchkit.errors import FilterInvalid, LibraryDamaged, UsageError
from searchkit.library.database import Database
from tests.collection.conftest import write

LEAVE = "Parental leave lasts fourteen weeks at full pay, case {}."
INVOICE = "The supplier's invoice was settled late by our bank, case {}."


@pytest.fixture
def indexed(library, tmp_path):
    for number in range(6):
        head = f"---\nauthor: {'Ann' if number % 2 else 'Bo'}\nstars: {number}\n---\n"
        write(tmp_path / "docs" / f"leave{number}.md", f"{head}# Leave\n\n{LEAVE.format(number)}\n")
        write(tmp_path / "docs" / f"invoice{number}.txt", f"{INVOICE.format(number)}\n")
    library.index([tmp_path / "docs"])
    return library


def clustered(library, k):
    clusters.make(library, wanted=clusters.Wanted(k=k))


def test_every_passage_is_a_point_near_to_its_like(indexed):
    found = layout(indexed)
    assert found.total == len(found.points) == 12 and len({one.passage_id for one in found.points}) == 12
    leave = np.array([(one.x, one.y) for one in found.points if "leave" in one.document])
    invoice = np.array([(one.x, one.y) for one in found.points if "invoice" in one.document])
    middles = leave.mean(axis=0), invoice.mean(axis=0)
    for own, other, points in ((0, 1, leave), (1, 0, invoice)):
        nearer = np.linalg.norm(points - middles[own], axis=1) < np.linalg.norm(
            points - middles[other], axis=1
        )
        assert nearer.all()
    one = next(one for one in found.points if one.document == "leave3.md")
    assert one.where.startswith("leave3.md:") and one.heading == "Leave" and "case 3" in one.text


def test_the_same_collection_gives_the_same_map(indexed):
    assert layout(indexed) == layout(indexed)


def test_points_have_the_colours_of_stored_clusters(indexed):
    clustered(indexed, 2)
    found = layout(indexed)
    assert found.colours.field == "cluster" and [count for _, count in found.colours.categories] == [6, 6]
    assert not found.notices
    of = {one.document[:5]: value for one, value in zip(found.points, found.colours.of, strict=True)}
    assert len(set(of.values())) == 2


def test_without_clusters_the_type_colours_and_that_is_said(indexed):
    found = layout(indexed)
    assert found.colours.field == "type" and dict(found.colours.categories) == {"markdown": 6, "text": 6}
    assert "searchkit cluster -c company-docs" in found.notices[0]


@pytest.mark.parametrize(
    ("field", "kind"),
    [("author", "category"), ("stars", "number"), ("meta.STARS", "number"), ("modified", "date"),
     ("size", "number"), ("path", "category"), ("heading", "category"), ("Type", "category")],
)  # fmt: skip
def test_any_field_of_a_filter_colours(indexed, field, kind):
    found = layout(indexed, wanted=Wanted(color_by=field))
    assert (found.colours.field, found.colours.kind) == (field, kind) and not found.notices


def test_values_are_those_of_the_point(indexed):
    found = layout(indexed, wanted=Wanted(color_by="stars"))
    for one, value in zip(found.points, found.colours.of, strict=True):
        assert value == (float(one.document[5]) if one.document.endswith(".md") else None)


def test_an_unknown_field_is_refused_with_those_there_are(indexed):
    with pytest.raises(FilterInvalid, match="no document has a field 'autor'"):
        layout(indexed, wanted=Wanted(color_by="autor"))


def test_clusters_that_are_asked_for_must_be_there(indexed):
    with pytest.raises(FilterInvalid, match="searchkit cluster"):
        layout(indexed, wanted=Wanted(color_by="cluster"))


def test_a_filter_maps_a_part(indexed):
    found = layout(indexed, wanted=Wanted(where="stars >= 4"))
    assert {one.document for one in found.points} == {"leave4.md", "leave5.md"}
    with pytest.raises(UsageError, match="no passage of 'company-docs' fits"):
        layout(indexed, wanted=Wanted(where="stars > 99"))


def test_of_more_points_than_the_limit_some_are_taken_and_that_is_said(indexed):
    found = layout(indexed, wanted=Wanted(limit=5))
    assert len(found.points) == 5 and found.total == 12 and "5 of 12 passages" in found.notices[0]
    assert found == layout(indexed, wanted=Wanted(limit=5))


def test_documents_are_points_of_all_their_passages(library, tmp_path):
    for number in range(3):
        text = "\n\n".join(f"# Part {part}\n\n" + "words of a long part " * 60 for part in range(number + 1))
        write(tmp_path / "docs" / f"{number}.md", text)
    library.index([tmp_path / "docs"])
    found = layout(library, wanted=Wanted(level="document"))
    assert sorted(one.document for one in found.points) == ["0.md", "1.md", "2.md"]
    counts = {one.document: one.passages for one in found.points}
    assert counts["0.md"] < counts["1.md"] < counts["2.md"] and found.total == 3
    assert sum(counts.values()) == library.show().counts.passages
    limited = layout(library, wanted=Wanted(level="document", limit=2))
    assert len(limited.points) == 2 and limited.total == 3
    assert all(one.passages == counts[one.document] for one in limited.points)


def test_hits_of_a_query_are_marked(indexed):
    found = layout(indexed, wanted=Wanted(query="fourteen weeks at full pay", where="size > 0"))
    first = next(at for at, rank in found.hits.items() if rank == 1)
    assert "Parental" in found.points[first].text and found.query == "fourteen weeks at full pay"


@pytest.mark.parametrize("texts", [["One page."], ["One page.", "Another thing."], ["The same."] * 40])
def test_small_and_equal_collections_have_a_map(library, tmp_path, texts):
    for number, text in enumerate(texts):
        write(tmp_path / "docs" / f"{number}.txt", text)
    library.index([tmp_path / "docs"])
    found = layout(library)
    assert len({(round(one.x, 4), round(one.y, 4)) for one in found.points}) == len(texts)
    write_png(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_collection_says_so(library, tmp_path):
    write(tmp_path / "docs" / "a.txt", "One page.")
    library.index([tmp_path / "docs"])
    (tmp_path / "docs" / "a.txt").unlink()
    write(tmp_path / "docs" / "b.txt", "")
    library.index([tmp_path / "docs"])
    with pytest.raises(UsageError, match="has no passages"):
        layout(library)


def test_a_vector_that_is_none_is_said(indexed):
    with Database.write(indexed.folder) as db, db.transaction() as tx:
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 2", (np.full(64, np.nan, "<f4").tobytes(),))
    with pytest.raises(LibraryDamaged, match="is no direction"):
        layout(indexed)


def test_a_vector_that_is_missing_is_said(indexed):
    with Database.write(indexed.folder) as db, db.transaction() as tx:
        tx.run("DELETE FROM vectors WHERE text_id = 2")
    with pytest.raises(LibraryDamaged, match="1 passages of 'company-docs' have no vector"):
        layout(indexed)


@pytest.mark.parametrize("wrong", [{"method": "pca"}, {"level": "file"}, {"limit": 0}, {"seed": -1}])
def test_what_cannot_be_is_refused(indexed, wrong):
    with pytest.raises(UsageError):
        layout(indexed, wanted=Wanted(**wrong))


def test_nothing_is_held_open_while_the_map_is_laid_out(indexed, monkeypatch, tmp_path):
    """Another process may write meanwhile."""
    from searchkit.analysis import map_layout

    def meanwhile(vectors, **options):
        write(tmp_path / "docs" / "new.txt", "Something new.")
        indexed.index([tmp_path / "docs"])
        return np.zeros((len(vectors), 2))

    monkeypatch.setattr(map_layout, "positions", meanwhile)
    assert len(layout(indexed).points) == 12 and indexed.show().counts.passages == 13


@pytest.mark.parametrize("field", ["author", "stars", "modified"])
def test_a_picture_shows_every_kind_of_colour(indexed, tmp_path, field):
    found = layout(indexed, wanted=Wanted(color_by=field, query="leave"))
    write_png(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_a_picture_without_matplotlib_is_an_error_with_its_remedy(indexed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="pip install matplotlib"):
        write_png(layout(indexed), tmp_path / "map.png")
    assert not (tmp_path / "map.png").exists()
