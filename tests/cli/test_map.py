"""`searchkit map`: a page, a picture, what is said, and what is wrong."""

import json
import sys

import pytest


@pytest.fixture
def indexed(searchkit, docs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert searchkit("index", docs)[0] == 0
    return searchkit


def test_a_page_is_written_and_said(indexed, tmp_path):
    code, out, err = indexed("map", "-o", "out.html")
    assert (
        code == 0 and "company-docs: 2 passages · t-SNE · coloured by type" in out and "wrote out.html" in out
    )
    assert "searchkit cluster -c company-docs" in err
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "Parental leave lasts" in page and "hr/leave.md" in page


def test_without_a_name_it_is_map_html_and_with_a_picture_only_that(indexed, tmp_path):
    assert indexed("map")[0] == 0 and (tmp_path / "map.html").exists()
    (tmp_path / "map.html").unlink()
    assert indexed("map", "--png", "map.png")[0] == 0
    assert (tmp_path / "map.png").exists() and not (tmp_path / "map.html").exists()


def test_json_says_what_was_made(indexed):
    indexed("cluster", "--k", "2")
    code, out, err = indexed("map", "-o", "a.html", "--png", "a.png", "--query", "laptop", "--json")
    made = json.loads(out)
    assert (code, err) == (0, "")
    assert (made["points"], made["of"], made["color_by"], made["kind"]) == (2, 2, "cluster", "category")
    assert [one["points"] for one in made["categories"]] == [1, 1]
    assert (made["html"], made["png"], made["hits"]) == ("a.html", "a.png", 2)


def test_a_part_of_it_by_documents(indexed):
    out = indexed("map", "--path", "hr/**", "--level", "document", "--color-by", "title", "--json")[1]
    assert (json.loads(out)["points"], json.loads(out)["level"]) == (1, "document")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "missing/map.html"], "is in a folder that does not exist"),
        (["-o", "docs"], "docs is a folder"),
        (["--png", "missing/map.png"], "is in a folder that does not exist"),
        (["-o", "a.png"], "use: --png a.png"),
        (["--png", "a.jpg"], "does not end in .png"),
        (["-o", "same.png", "--png", "docs/../same.png"], "would both be"),
        (["--color-by", ""], "the field to colour by is empty"),
        (["--color-by", "colour"], "no document has a field 'colour'"),
        (["--color-by", "cluster"], "make clusters with: searchkit cluster"),
        (["--where", "size > 9MB"], "fits the filter"),
        (["--limit", "0"], "--limit"),
        (["--method", "pca"], "--method"),
        (["-c", "other"], "there is no collection 'other'"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_written(indexed, tmp_path, arguments, said):
    code, out, err = indexed("map", *arguments)
    assert (code, out) == (2, "") and said in err
    assert not list(tmp_path.glob("*.html")) and not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("module", "arguments"), [("umap", ["--method", "umap"]), ("matplotlib", ["--png", "map.png"])]
)
def test_a_package_that_is_missing_is_named(indexed, monkeypatch, module, arguments):
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = indexed("map", *arguments)
    assert code == 2 and "pip install" in err


def test_a_library_that_is_not_there_is_said(searchkit):
    code, _, err = searchkit("map")
    assert code == 1 and "searchkit index" in err


def test_a_page_in_a_source_is_no_document_of_it(indexed, docs):
    """Else texts are found twice, and come back after they were forgotten."""
    assert indexed("map", "-o", docs / "map.html")[0] == 0
    assert indexed("duplicates", "--html", docs / "same.html")[0] == 0
    code, out, err = indexed("index", docs)
    assert code == 0 and "2 unchanged" in out and "added" not in out
    assert "left out pages that searchkit wrote: map.html, same.html" in err
    assert indexed("index", docs)[2] == err  # said again
