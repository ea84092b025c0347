"""`searchkit forget` at the command line."""

import json

from tests.collection.conftest import write


def test_it_says_what_it_did_and_what_it_searched(searchkit, docs):
    searchkit("index", docs)
    code, out, err = searchkit("forget", "hr/leave.md", "--yes")
    assert (code, err) == (0, "")
    assert "Forgot 'hr/leave.md': 1 documents, 1 passages in company-docs." in out
    assert "pieces of it: none is left" in out
    assert "reports written before (searchkit map, duplicates --html) keep their texts" in out
    code, _, err = searchkit("index")
    assert code == 0 and "1 file is left out, for it was forgotten (hr/leave.md)" in err
    code, out, _ = searchkit("forget", "hr/leave.md", "--yes")
    assert code == 0 and "Nothing is held of 'hr/leave.md' any more" in out


def test_json_has_the_promised_form(searchkit, docs):
    searchkit("index", docs)
    write(docs / "twin.md", (docs / "laptop.md").read_text())
    searchkit("index")
    code, out, _ = searchkit("forget", "laptop.md", "--yes", "--json")
    done = json.loads(out)
    assert code == 0
    told = [
        "document",
        "collections",
        "documents",
        "passages",
        "shared",
        "clusters",
        "classifiers",
        "proof",
        "took_s",
    ]
    assert list(done) == told
    assert list(done["proof"]) == ["files", "bytes", "pieces", "elsewhere", "snapshots"]
    assert (done["collections"], done["passages"], done["shared"]) == (["company-docs"], 1, 1)


def test_clusters_that_go_with_a_document_are_named(searchkit, docs):
    assert "clusters" in " ".join(searchkit("forget", "--help")[1].split())
    searchkit("index", docs)
    searchkit("cluster")
    _, out, _ = searchkit("forget", "laptop.md", "--yes")
    assert "The clusters of company-docs are deleted" in out and "searchkit cluster -c company-docs" in out
    searchkit("cluster")
    done = json.loads(searchkit("forget", "hr/leave.md", "--yes", "--json")[1])
    assert done["clusters"] == ["company-docs"]
    assert "clusters" not in searchkit("forget")[1]


def test_nobody_there_to_confirm_is_an_error(searchkit, docs):
    searchkit("index", docs)
    code, _, err = searchkit("forget", "hr/leave.md")
    assert code == 2 and "'hr/leave.md' (1 passages in company-docs)" in err and "--yes" in err
    assert searchkit("query", "parental", "--text")[1].count("leave.md") == 1


def test_an_unknown_document_is_an_error(searchkit, docs):
    searchkit("index", docs)
    code, _, err = searchkit("forget", "hr/leav.md", "--yes")
    assert code == 2 and "did you mean: hr/leave.md" in err


def test_no_document_erases_traces_without_asking(searchkit, docs, library_folder):
    searchkit("index", docs)
    code, out, _ = searchkit("remove", "company-docs", "--yes")
    assert code == 0 and "searchkit forget" in out
    code, out, _ = searchkit("forget")
    assert code == 0 and "none is left" in out
    assert b"Parental" not in b"".join(path.read_bytes() for path in library_folder.iterdir())


def test_there_must_be_a_library(searchkit, library_folder):
    code, _, err = searchkit("forget", "a.md", "--yes")
    assert code == 1 and "there is no Library" in err and not library_folder.exists()
