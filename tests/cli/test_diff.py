"""`searchkit diff`: what it prints, and what is a mistake."""

import json

import pytest

from tests.collection.conftest import write

PROFILE = """
[document]
domain = "company"
text_type = "document"
task_objective = "retrieval"
[query]
literal = "Parental weeks: "
"""


@pytest.fixture
def indexed(searchkit, docs, tmp_path):
    searchkit("index", docs)
    write(tmp_path / "asked.txt", "a new laptop\nhow long is leave\n")
    return searchkit, write(tmp_path / "other.toml", PROFILE), tmp_path / "asked.txt"


def test_a_table_of_measures_and_the_queries_that_moved(indexed):
    searchkit, other, asked = indexed
    code, out, err = searchkit("diff", other, "-c", "company-docs", "--queries", asked)
    assert (code, err) == (0, "")
    assert "A  company-docs: " in out and "query 'Parental weeks: '; stored vectors" in out
    assert "over 2 queries, 2 passages" in out and "overlap@10" in out and "rbo" in out
    assert "a new laptop" in out and "cosine A" in out and "laptop.md:1-3" in out


def test_made_queries_are_said_to_be_weak(indexed):
    searchkit, other, _ = indexed
    code, out, err = searchkit("diff", "company-docs", other, "-c", "company-docs", "--show", "0")
    assert code == 0 and "made queries" in out and "weak evidence" in err and "cosine A" not in out


def test_json_holds_every_query(indexed):
    searchkit, other, asked = indexed
    out = searchkit("diff", other, "-c", "company-docs", "--queries", asked, "--json", "-k", "1")[1]
    found = json.loads(out)
    assert [side["embedded"] for side in (found["first"], found["second"])] == [False, False]
    assert sorted(one["query"] for one in found["moved"]) == ["a new laptop", "how long is leave"]
    assert set(found["measures"]["overlap@1"]) == {"mean", "low", "high"}
    assert all(len(one["first"]) == len(one["second"]) == 1 for one in found["moved"])


def test_of_one_query_no_interval_is_made_up(indexed, tmp_path):
    searchkit, other, _ = indexed
    asked = write(tmp_path / "one.txt", "a new laptop\n")
    arguments = ("diff", other, "-c", "company-docs", "--queries", asked)
    out = searchkit(*arguments)[1]
    assert "over 1 query, 2 passages" in out and " to " not in out.split("a new laptop")[0]
    found = json.loads(searchkit(*arguments, "--json")[1])
    assert {(mean["low"], mean["high"]) for mean in found["measures"].values()} == {(None, None)}


def test_what_did_not_move_is_not_shown(indexed, tmp_path):
    searchkit, _, asked = indexed
    same = PROFILE.split("[query]")[0] + "[query]\nliteral = 'company-docs: '\n"
    both = [write(tmp_path / f"{name}.toml", same) for name in ("one", "two")]
    code, out, err = searchkit("diff", *both, "-c", "company-docs", "--queries", asked)
    assert code == 0 and "nothing can differ" in err and "cosine A" not in out


def test_literal_is_an_option(indexed):
    searchkit, other, asked = indexed
    arguments = (other, "-c", "company-docs", "--queries", asked)
    assert searchkit("diff", *arguments, "--literal") == searchkit("diff", *arguments)  # its model takes them


def test_two_collections(indexed, docs):
    searchkit, other, asked = indexed
    searchkit("index", docs, "-c", "other", "--profile", other)
    code, out, _ = searchkit("diff", "company-docs", "other", "--queries", asked)
    assert code == 0 and "A  company-docs: " in out and "B  other: " in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["company-docs"], "name two collections"),
        (["a", "b", "--model-b", "x"], "name two collections"),
        (["a", "b"], "there is no collection 'a'"),
        (["-c", "company-docs"], "both sides are the same"),
        (["wiki-retreival", "-c", "company-docs"], "did you mean: wiki-retrieval"),
        (["wiki-retrieval", "-c", "company-docs", "--queries", "/nowhere.txt"], "cannot be read"),
        (["wiki-retrieval", "-c", "company-docs", "-k", "101"], "101"),
    ],
)
def test_a_mistake_is_said(indexed, arguments, said):
    code, out, err = indexed[0]("diff", *arguments)
    assert (code, out) == (2, "") and said in err
