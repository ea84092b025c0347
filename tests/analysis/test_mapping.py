"""A map of a Collection: its points, what they are coloured by, which are shown."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from searchkit.analysis import clusters
from searchkit.analysis.map_page import about
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


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", ["passage", "document"])
def test_hits_are_shown_whatever_the_limit(indexed, seed, level):
    wanted = Wanted(
        query="fourteen weeks at full pay", where="type = markdown", limit=8, seed=seed, level=level
    )
    assert len(layout(indexed, wanted=replace(wanted, where="")).points) == 12
    asked = [*layout(indexed, wanted=replace(wanted, where="")).hits.values()]
    assert sorted(asked) == list(range(1, 13))
    found = layout(indexed, wanted=replace(wanted, limit=5))
    assert len(found.points) == len(found.hits) == 6  # all that the filter lets through


def test_a_hit_that_is_gone_when_the_map_is_read_is_none(indexed, monkeypatch, tmp_path):
    real = type(indexed).query

    def meanwhile(self, *arguments, **options):
        found = real(self, *arguments, **options)
        (tmp_path / "docs" / found.hits[0].document).unlink()
        self.index([tmp_path / "docs"])
        return found

    monkeypatch.setattr(type(indexed), "query", meanwhile)
    found = layout(indexed, wanted=Wanted(query="fourteen weeks at full pay"))
    assert len(found.points) == 11 == len(found.hits) and 1 not in found.hits.values()


def many_clusters(library, themes):
    """Twenty-one clusters, more than there are colours, in so many themes."""
    for number in range(21):
        write(library.folder.parent / "docs" / f"n{number}.txt", f"Number {number} " * (number + 1))
    library.index([library.folder.parent / "docs"])
    clusters.make(library, wanted=clusters.Wanted(k=21))
    with Database.write(library.folder) as db, db.transaction() as tx:
        tx.run(
            "UPDATE clusters SET theme = number % ?, "
            "theme_words = json_array('word', '' || (number % ? % 3))",
            (themes, themes),
        )


def test_more_clusters_than_colours_are_coloured_by_their_themes(library):
    many_clusters(library, 4)
    found = layout(library)
    names = [name for name, _ in found.colours.categories]
    assert sorted(names) == ["word, 0 (0)", "word, 0 (3)", "word, 1", "word, 2"]
    assert found.colours.field == "cluster" and len(set(found.colours.shown)) == 21  # each its own cluster
    write_png(found, library.folder.parent / "map.png")


def test_more_themes_than_colours_are_said(library):
    many_clusters(library, 21)
    found = layout(library)
    assert not found.colours.grouped and found.colours.categories[-1][0] == "other"
    assert "of 21 clusters the 20 largest have a colour" in found.notices[0]


def test_the_search_on_the_page_knows_a_document_within_limits(library, tmp_path, monkeypatch):
    text = "\n\n".join(f"# Part {part}\n\n" + f"words of part {part} " * 60 for part in range(3))
    write(tmp_path / "docs" / "0.md", text)
    library.index([tmp_path / "docs"])
    found = layout(library, wanted=Wanted(level="document"))
    assert "words of part 2" in found.points[0].further and not any(
        "the search" in one for one in found.notices
    )
    monkeypatch.setattr("searchkit.analysis.mapping.SEARCHED", 10)
    found = layout(library, wanted=Wanted(level="document"))
    assert (
        len(found.points[0].further) == 10
        and "1 documents are longer" in found.notices[-1] + found.notices[0]
    )


def test_a_long_query_is_shortened_in_the_title(indexed):
    assert len(about(replace(layout(indexed), query="leave " * 100))) < 150


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("field", ["cluster", "stars"])
def test_a_picture_with_a_long_query_and_odd_names_warns_of_nothing(indexed, tmp_path, field):
    clusters.make(indexed, wanted=clusters.Wanted(k=2))
    found = layout(indexed, wanted=Wanted(color_by=field, query="leave $x$ " * 60))
    if field == "cluster":
        named = tuple((f"_{name}", count) for name, count in found.colours.categories)
        found = replace(found, colours=replace(found.colours, categories=named))
    texts = drawn_texts(found, tmp_path / "map.png")
    wanted = ["_"] if field == "cluster" else ["none  6"]
    assert all(any(text.startswith(one) for text in texts) for one in wanted)


def drawn_texts(found, path):
    """The texts of the legends of a picture, and its width stays the map's."""
    from matplotlib.figure import Figure

    kept = []
    real = Figure.savefig

    def savefig(self, *arguments, **options):
        real(self, *arguments, **options)
        axes = self.axes[0]
        assert axes.get_window_extent().width > 600
        kept.extend(one.get_text() for one in axes.get_legend().get_texts())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Figure, "savefig", savefig)
        write_png(found, path)
    return kept


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


@pytest.mark.parametrize(
    "wrong", [{"method": "pca"}, {"level": "file"}, {"limit": 0}, {"seed": -1}, {"color_by": " "}]
)
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
