"""`searchkit doctor`: what it prints, and its exit code."""

import json


def test_warnings_alone_end_with_0(searchkit, docs):
    searchkit("index", docs)
    code, out, err = searchkit("doctor")
    assert (code, err) == (0, "")
    assert "collection company-docs" in out and "warn     family" in out and "ok       canaries" in out
    assert (
        "expected: a model of a family" in out and "helps: see how it is read: searchkit models show" in out
    )


def test_a_failure_ends_with_1_and_says_what_helps(searchkit, docs, library_folder):
    searchkit("index", docs)
    for path in library_folder.glob("*.snapshot"):
        path.unlink()
    code, out, _ = searchkit("doctor", "-c", "company-docs")
    assert code == 1 and "fail     snapshot" in out and "helps: searchkit rebuild company-docs" in out


def test_json_is_for_monitors(searchkit, docs, library_folder):
    searchkit("index", docs)
    code, out, _ = searchkit("doctor", "--json")
    printed = json.loads(out)
    assert (code, printed["status"], printed["library"]) == (0, "warn", str(library_folder))
    assert list(printed["checks"][0]) == [
        "name", "status", "found", "expected", "remedy", "collection", "facts",
    ]  # fmt: skip
    canaries = next(one for one in printed["checks"] if one["name"] == "canaries")
    assert canaries["facts"]["passages"] == 2 and canaries["collection"] == "company-docs"


def test_without_a_library_it_fails_clearly(searchkit, library_folder):
    code, out, err = searchkit("doctor")
    assert (code, err) == (1, "") and f"there is no Library in {library_folder}" in out
    assert "searchkit index FOLDER" in out and not library_folder.exists()


def test_an_unknown_collection_is_a_mistake(searchkit, docs):
    searchkit("index", docs)
    code, out, err = searchkit("doctor", "-c", "company-doc")
    assert (code, out) == (2, "") and "did you mean: company-docs" in err
