import json

import pytest

from searchkit.collection import library as library_module
from searchkit.library.database import Database
from searchkit.profile import profiles_folder
from tests.collection.conftest import write

RESULT_FIELDS = [
    *(
        "query",
        "collection",
        "profile",
        "model",
        "took_ms",
        "mode",
        "relevant",
        "offset",
        "more",
        "hits",
        "reranked_by",
        "notices",
        "explanation",
    ),
]
HIT_FIELDS = [
    *("rank", "score", "document", "passage_id", "heading", "start", "end", "text", "collection"),
    *("relevance", "cosine", "bm25", "vector_rank", "text_rank", "found", "highlights", "before", "after"),
    *("place", "where", "metadata"),
]
REPORT_FIELDS = [
    "collection",
    "added",
    "changed",
    "moved",
    "removed",
    "unchanged",
    "failed",
    "passages",
    "embedded",
    "reused",
    "truncated",
    "took_s",
]


def test_index_then_query_as_in_the_readme(searchkit, docs):
    code, out, err = searchkit("index", docs, "--profile", "wiki-retrieval")
    assert code == 0 and "wiki-retrieval: 2 added" in out and "Note: notice for wiki-retrieval" in err
    code, out, err = searchkit("query", "order a new laptop")
    assert code == 0 and err == ""
    assert "laptop.md" in out and "Order a new laptop in the hardware portal." in out
    assert "Cups are blue" not in out  # the snippet is the sentence that answers


def test_query_json_has_the_promised_form(searchkit, docs):
    searchkit("index", docs)
    code, out, err = searchkit("query", "order a new laptop", "--json", "-k", "1")
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert list(result) == RESULT_FIELDS
    (hit,) = result["hits"]
    assert list(hit) == HIT_FIELDS
    assert (hit["rank"], hit["document"]) == (1, "laptop.md") and 0 < hit["cosine"] <= hit["score"] <= 1.2
    assert (docs / "laptop.md").read_text()[hit["start"] : hit["end"]] == hit["text"]


def test_index_json_has_the_promised_form(searchkit, docs):
    write(docs / "broken.pdf", "no pdf")
    code, out, _ = searchkit("index", docs, "--json")
    report = json.loads(out)
    assert code == 3 and list(report) == REPORT_FIELDS
    assert report["failed"][0]["document"] == "broken.pdf" and report["failed"][0]["reason"]


def test_a_partial_index_says_what_is_missing_and_exits_with_3(searchkit, docs):
    write(docs / "broken.pdf", "no pdf")
    code, out, err = searchkit("index", docs)
    assert code == 3 and "2 added" in out and "1 not indexed" in err and "broken.pdf: " in err


def test_index_without_a_path_refreshes_all(searchkit, docs):
    searchkit("index", docs, "-c", "one")
    searchkit("index", docs / "hr", "-c", "two")
    write(docs / "hr" / "new.md", "A new page.")
    code, out, _ = searchkit("index", "--json")
    reports = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [(r["collection"], r["added"]) for r in reports] == [("one", 1), ("two", 1)]


def test_index_without_a_path_takes_no_profile(searchkit, docs):
    searchkit("index", docs)
    code, _, err = searchkit("index", "--profile", "wiki-retrieval")
    assert code == 2 and "need a PATH" in err


def test_collections_and_show_and_remove(searchkit, docs):
    assert "has no collection" in searchkit("collections")[1]
    searchkit("index", docs)
    assert "company-docs" in searchkit("collections")[1]
    assert json.loads(searchkit("collections", "--json")[1])[0]["files"] == 2
    shown = searchkit("show", "company-docs")[1]
    assert "Represent the company document for retrieval: " in shown and "flat, exact, 2 rows" in shown
    assert json.loads(searchkit("show", "--json")[1])["recipe"]["weights"] == "words-1"
    code, _, err = searchkit("remove", "company-docs")
    assert code == 2 and "--yes" in err
    code, out, _ = searchkit("remove", "company-docs", "--yes")
    assert code == 0 and "2 files" in out
    assert json.loads(searchkit("collections", "--json")[1]) == []


def test_verify_and_rebuild(searchkit, docs, library_folder):
    searchkit("index", docs)
    assert searchkit("verify")[:2] == (0, "Clean: texts, vectors and snapshots agree.\n")
    next(library_folder.glob("*.snapshot")).write_bytes(b"junk")
    code, _, err = searchkit("verify")
    assert code == 1 and "snapshot" in err and "searchkit rebuild" in err
    assert json.loads(searchkit("verify", "--json")[1])["clean"] is False
    assert "Rebuilt" in searchkit("rebuild")[1]
    assert searchkit("verify")[0] == 0


@pytest.mark.parametrize("search", ["no json", "{}", "7", "[]", '{"plan": {}}', '{"plan": 7, "tuning": []}'])
def test_a_snapshot_of_which_nothing_is_said_is_shown_as_none(searchkit, docs, library_folder, search):
    searchkit("index", docs)
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("UPDATE snapshots SET search = ?", (search,))
    code, out, err = searchkit("show")
    assert code == 0 and "none: stored vectors are scanned" in out and err == ""
    assert json.loads(searchkit("show", "--json")[1])["snapshot"] is None
    assert searchkit("query", "cups")[0] == searchkit("index", docs)[0] == 0
    assert "none" not in searchkit("show")[1].partition("snapshot")[2].partition("\n")[0]


def test_profiles_list_show_new_and_use(searchkit, docs):
    assert "company-docs" in searchkit("profiles", "list")[1]
    assert {p["origin"] for p in json.loads(searchkit("profiles", "list", "--json")[1])} == {"shipped"}
    code, out, _ = searchkit("profiles", "new", "medical", "--domain", "medicine")
    assert code == 0 and "medical.toml" in out
    shown = searchkit("profiles", "show", "medical")[1]
    assert "Represent the medicine document for retrieval: " in shown
    assert searchkit("index", docs, "--profile", "medical")[0] == 0
    code, _, err = searchkit("profiles", "new", "medical")
    assert code == 2 and "already there" in err


def test_a_profile_file_can_be_named(searchkit, docs, tmp_path):
    assert searchkit("profiles", "new", "mine", "-o", tmp_path / "mine.toml")[0] == 0
    code, out, _ = searchkit("index", docs, "--profile", tmp_path / "mine.toml")
    assert code == 0 and out.startswith("mine: 2 added")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["query", "laptop"], 1, "there is no Library"),
        (["show"], 1, "there is no Library"),
        (["verify"], 1, "there is no Library"),
        (["index"], 1, "there is no Library"),
        (["index", "nowhere"], 2, "nowhere: there is no such file"),
        (["index", ".", "--profile", "company-dogs"], 2, "did you mean: company-docs"),
        (["index", ".", "--profile", "./gone.toml"], 2, "there is no profile file"),
        (["query", "x", "-k", "0"], 2, "-k"),
        (["query", ""], 2, "the query is empty"),
        (["query", "?!"], 2, "punctuation only"),
        (["query", "x" * 100_000], 2, "100,000 characters"),
        (["serch", "x"], 2, "serch"),
        (["profiles", "show", "wiki-retreival"], 2, "did you mean: wiki-retrieval"),
        (["profiles", "new", "a/b"], 2, "cannot name a profile"),
    ],
)
def test_a_mistake_gets_a_message_and_a_code(searchkit, arguments, code, said):
    found, _, err = searchkit(*arguments)
    assert found == code and said in err and "Traceback" not in err


def test_an_unknown_collection_lists_those_there_are(searchkit, docs):
    searchkit("index", docs)
    code, _, err = searchkit("query", "laptop", "-c", "compny-docs")
    assert code == 2 and "did you mean: company-docs" in err


def test_no_progress_is_written_where_stderr_is_no_terminal(searchkit, docs):
    assert searchkit("index", docs, "--json")[2] == "Note: notice for company-docs\n"


def test_file_names_of_every_kind_are_shown(searchkit, tmp_path):
    names = ["with space.md", "new\nline.md", "emoji 🎉.md", "ünïcode.md", "[bold]markup[/bold].md"]
    for number, name in enumerate(names):
        write(tmp_path / "docs" / name, f"Matter number {number} is unlike the others.")
    code, out, _ = searchkit("index", tmp_path / "docs", "--json")
    assert code == 0 and json.loads(out)["added"] == len(names)
    hits = json.loads(searchkit("query", "matter number", "--json")[1])["hits"]
    assert {hit["document"] for hit in hits} == set(names)
    shown = searchkit("query", "matter number")[1]
    assert "[bold]markup[/bold].md" in shown and "new line.md" in shown


@pytest.mark.parametrize("name", ["[/red] c", "[red]c", "é :smile:"])
def test_markup_in_names_is_shown_as_it_is(searchkit, docs, name):
    assert searchkit("index", docs, "-c", name)[0] == 0
    for arguments in (["collections"], ["show", name], ["query", "laptop", "-c", name]):
        code, out, _ = searchkit(*arguments)
        assert code == 0 and name in out


def test_nothing_that_a_terminal_obeys_is_printed_from_documents(searchkit, tmp_path):
    write(
        tmp_path / "docs" / "bell\x07.md",
        "# Evil \x1b[31m heading\n\nText with \x1b[2J in the middle of it.\n",
    )
    assert searchkit("index", tmp_path / "docs")[0] == 0
    code, out, _ = searchkit("query", "text in the middle")
    assert code == 0 and "\x07" not in out and "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", "~nosuchuser/docs"], "no such file or folder"),
        (["index", ".", "--profile", "~nosuchuser/mine.toml"], "there is no profile file"),
    ],
)
def test_a_home_that_is_not_there_is_no_traceback(searchkit, arguments, said):
    code, _, err = searchkit(*arguments)
    assert code == 2 and said in err and "Traceback" not in err


def test_a_broken_profile_does_not_hide_the_others(searchkit):
    write(profiles_folder() / "broken.toml", "task = [")
    code, out, err = searchkit("profiles", "list")
    assert code == 0 and "company-docs" in out and "broken.toml" in err


def test_a_new_profile_may_be_named_with_its_suffix(searchkit, docs):
    assert searchkit("profiles", "new", "mine.toml")[0] == 0
    assert [path.name for path in profiles_folder().iterdir()] == ["mine.toml"]
    assert searchkit("index", docs, "--profile", "mine")[0] == 0


def test_a_profile_that_cannot_be_written_is_no_traceback(searchkit, tmp_path):
    write(tmp_path / "in the way", "a file")
    code, _, err = searchkit("profiles", "new", "mine", "-o", tmp_path / "in the way" / "mine.toml")
    assert code == 2 and "cannot be written" in err


def test_what_nobody_expected_is_still_a_sentence(searchkit, docs, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(library_module.Library, "query", fail)
    code, _, err = searchkit("query", "x", "--json")
    assert (
        code == 1 and "ZeroDivisionError" in err and "SEARCHKIT_TRACEBACK" in err and "Traceback" not in err
    )
    monkeypatch.setenv("SEARCHKIT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        searchkit("query", "x", "--json")
