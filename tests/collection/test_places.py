"""Places through the Library: stored, moved by edits, shown by Hits, missing in Libraries made before."""

import json
import os

import pytest

from searchkit.collection import index_pipeline
from searchkit.collection.library import Library
from searchkit.errors import DocumentError
from searchkit.records import Place
from tests.collection.conftest import undo_places, write
from tests.documents import make_files

PARAGRAPHS = [f"Paragraph {n} of zebra{n} " + "has a few words more " * 30 for n in range(6)]


def where(library, text, **asked):
    """What the best Hit says of its place, in words and in numbers."""
    hit = library.query(text, mode="text", **asked).hits[0]
    return hit.where, hit.place and (hit.place.unit, hit.place.first, hit.place.last)


@pytest.fixture
def many(docs):
    """A file of every kind that has places, and one of a kind that has none."""
    write(docs / "long.md", "\n\n".join(PARAGRAPHS))
    write(docs / "stock.csv", 'item,note\nbolt,"two\nlines"\nscrew,small\n')
    cells = [
        {"cell_type": "markdown", "source": "Empty of code."},
        {"cell_type": "code", "source": "gnu = 1"},
    ]
    write(docs / "a.ipynb", json.dumps({"cells": cells}))
    (docs / "a.xlsx").write_bytes(make_files.xlsx())
    (docs / "a.pptx").write_bytes(make_files.pptx())
    cover = [("Helvetica", 11, "A guide to the old tunnel and to all the roads beside it.")] * 4
    (docs / "a.pdf").write_bytes(make_files.pdf([[], cover]))
    (docs / "a.docx").write_bytes(make_files.docx())
    return docs


PLACES = {
    "zebra3": ("long.md:7", ("line", 7, 7)),
    "bolt": ("stock.csv#1, lines 2-3", ("line", 2, 3)),
    "screw": ("stock.csv#2, line 4", ("line", 4, 4)),
    "gnu": ("a.ipynb, cells 1-2", ("cell", 1, 2)),
    "chair": ("a.xlsx, sheet 'Budget', rows 1-2", ("row", 1, 2)),
    "Quarterly": ("a.pptx, slides 1-3", ("slide", 1, 3)),
    "roads": ("a.pdf, page 2", ("page", 2, 2)),
    "Bonn": ("a.docx", None),
}


@pytest.mark.parametrize("processes", [0, 2])
def test_hits_say_where_they_stand(library, many, processes, request):
    if processes:
        request.getfixturevalue("two_processes")
    library.index([many])
    assert {text: where(library, text) for text in PLACES} == PLACES
    (hit,) = library.query("chair", mode="text").hits
    assert hit.place == Place(unit="row", first=1, last=2, sheet="Budget", last_sheet="Budget")
    (hit,) = library.query("roads", mode="text", where="page = 2").hits
    assert hit.metadata["page"] == 2


def test_an_edit_above_a_passage_moves_its_lines_and_embeds_nothing_below(library, many, embedder):
    library.index([many])
    before = library.query("zebra5", mode="text").hits[0]
    embedder.texts.clear()
    write(many / "long.md", "---\ntitle: ''\n---\nNew line.\n\n\n\n" + "\n\n".join(PARAGRAPHS))
    library.index([many])
    after = library.query("zebra5", mode="text").hits[0]
    assert (before.where, after.where) == ("long.md:11", "long.md:18")
    assert after.passage_id == before.passage_id
    assert not any("zebra5" in text for text in embedder.texts)


def test_lines_added_between_passages_embed_nothing_at_all(library, many, embedder):
    library.index([many])
    embedder.texts.clear()
    write(many / "long.md", "\n\n\n\n\n".join(PARAGRAPHS))
    report = library.index([many])
    assert (report.changed, report.embedded, embedder.texts) == (1, 0, [])
    assert where(library, "zebra3") == ("long.md:16", ("line", 16, 16))


def test_a_library_from_before_knows_pages_and_the_next_run_reads_the_rest_without_embedding(
    library, many, library_folder, embedder
):
    library.index([many])
    ids = {text: library.query(text, mode="text").hits[0].passage_id for text in PLACES}
    undo_places(library_folder)
    embedder.texts.clear()
    reopened = Library(library_folder, open_model=library._models._open_model)
    found = {text: where(reopened, text) for text in PLACES}
    assert found["roads"] == PLACES["roads"] and found["Quarterly"] == ("a.pptx, slide 1", ("slide", 1, 1))
    assert found["zebra3"] == ("long.md", None) and found["chair"] == ("a.xlsx", None)
    assert reopened.query("zebra3", mode="text", where="modified >= 2020").hits
    report = reopened.index([many])
    # laptop.md, hr/leave.md, vpn.txt, long.md, stock.csv, a.ipynb, a.xlsx; PDF, slides and Word are left
    assert (report.changed, report.unchanged, report.embedded, embedder.texts) == (7, 3, 0, [])
    assert {text: where(reopened, text) for text in PLACES} == {**PLACES, "Quarterly": found["Quarterly"]}
    assert {text: reopened.query(text, mode="text").hits[0].passage_id for text in PLACES} == ids
    assert reopened.index([many]).unchanged == 10 and reopened.verify() == []


def test_a_library_from_before_keeps_what_cannot_be_read_any_more(library, many, library_folder, monkeypatch):
    """A file that has not changed, and that only this version of searchkit fails at."""
    library.index([many])
    undo_places(library_folder)
    plain = index_pipeline.load

    def failing(source, **how):
        if source.name == "long.md":
            raise DocumentError("is too much for this version")
        return plain(source, **how)

    monkeypatch.setattr(index_pipeline, "load", failing)
    (report,) = library.refresh()
    assert [failure.document for failure in report.failed] == ["long.md"] and report.unchanged == 4
    assert library.query("zebra3", mode="text").hits
    (report,) = library.refresh()
    assert [failure.document for failure in report.failed] == ["long.md"]


def test_times_before_1970_need_nothing_of_their_own(library, many, library_folder):
    for name, time_ns in (("long.md", 0), ("laptop.md", -5_000_000_000)):
        os.utime(many / name, ns=(time_ns, time_ns))
    library.index([many])
    undo_places(library_folder)
    assert where(library, "zebra3") == ("long.md", None)
    library.index([many])
    assert where(library, "zebra3")[1] == ("line", 7, 7) and where(library, "laptop")[1] is not None
