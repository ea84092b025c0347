"""What `query` prints: for people, for programs, for many queries, and why."""

import csv
import io
import json

import pytest

from searchkit.cli.output import csv_line
from tests.collection.conftest import write


@pytest.fixture
def indexed(searchkit, tmp_path):
    for i in range(12):
        write(
            tmp_path / "in" / f"{i:02}.md", f"# Page {i}\n\nGauge {i} reports fault X-{i}, after the frost.\n"
        )
    assert searchkit("index", tmp_path / "in")[0] == 0
    return searchkit


def test_the_table_names_relevance_and_the_next_page(indexed):
    code, out, _ = indexed("query", "gauge reports fault X-3", "-k", "2")
    assert code == 0 and "relevance" in out and "03.md" in out and "more with --offset 2" in out
    code, out, _ = indexed("query", "gauge reports fault X-3", "-k", "2", "--offset", "10")
    assert code == 0 and "more with" not in out and " 12 " in out


def test_nothing_relevant_is_said_before_the_hits(indexed):
    code, out, _ = indexed("query", "symphonies by Beethoven")
    assert code == 0 and out.startswith("Nothing relevant was found in 'company-docs'")
    assert ".md" in out  # what is nearest is shown all the same


def test_least_relevance_may_leave_nothing(indexed):
    code, out, _ = indexed("query", "symphonies by Beethoven", "--min-relevance", "93")
    assert code == 0 and "Nothing relevant was found" in out and ".md" not in out


def test_context_shows_the_whole_passage(searchkit, tmp_path):
    fill = "And so forth until the part is as long as a passage may be. " * 9
    write(tmp_path / "in" / "a.md", "".join(f"## {i}\n\nGauge {i} stands here. {fill}\n\n" for i in range(5)))
    searchkit("index", tmp_path / "in")
    _, out, _ = searchkit("query", "gauge 2 stands here", "-k", "1", "--context", "1")
    assert all(f"Gauge {i} stands here." in out for i in (1, 2, 3)) and "Gauge 4" not in out


def test_csv_has_a_line_for_each_hit(indexed):
    code, out, err = indexed("query", "fault X-3, after", "--format", "csv", "-k", "3")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, err, len(rows)) == (0, "", 3)
    assert rows[0]["document"] == "03.md" and rows[0]["query"] == "fault X-3, after"
    assert rows[0]["text"].endswith("after the frost.") and float(rows[0]["relevance"]) > 50
    assert [row["rank"] for row in rows] == ["1", "2", "3"] and rows[0]["where"] == "03.md:1-3"


@pytest.mark.parametrize("name", ["queries.txt", "queries.jsonl"])
def test_every_line_of_a_file_is_asked(indexed, tmp_path, name):
    asked = ["fault X-3", "fault X-7"]
    lines = asked if name.endswith("txt") else [json.dumps({"query": query, "id": 1}) for query in asked]
    write(tmp_path / name, "\n\n".join(lines) + "\n")
    code, out, err = indexed("query", "--queries", tmp_path / name, "--jsonl", "-k", "1")
    results = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "") and [result["query"] for result in results] == asked
    assert [result["hits"][0]["document"] for result in results] == ["03.md", "07.md"]
    code, out, _ = indexed("query", "--queries", tmp_path / name, "-k", "1")
    assert code == 0 and out.index("fault X-3") < out.index("03.md") < out.index("fault X-7")


def test_only_line_feeds_end_a_query(indexed, tmp_path):
    write(tmp_path / "q.jsonl", json.dumps({"query": "fault\u2028X-3"}, ensure_ascii=False) + "\r\n")
    code, out, err = indexed("query", "--queries", tmp_path / "q.jsonl", "--jsonl", "-k", "1")
    assert (code, err) == (0, "") and json.loads(out)["query"] == "fault\u2028X-3"


def test_json_of_many_queries_is_one_list(indexed, tmp_path):
    write(tmp_path / "q.txt", "fault X-3\nfault X-4\n")
    code, out, _ = indexed("query", "--queries", tmp_path / "q.txt", "--json", "-k", "1")
    assert code == 0 and [one["hits"][0]["document"] for one in json.loads(out)] == ["03.md", "04.md"]


def test_beyond_the_last_hit_it_is_said_so(indexed):
    code, out, _ = indexed("query", "gauge", "--offset", "50")
    assert code == 0 and out.startswith("There are no hits after the first 50 in 'company-docs'.")


def test_queries_come_from_stdin(indexed, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("fault X-3\nfault X-4\n"))
    code, out, _ = indexed("query", "--queries", "-", "--format", "csv", "-k", "1")
    assert code == 0 and [row["document"] for row in csv.DictReader(io.StringIO(out))] == ["03.md", "04.md"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "there is no TEXT"),
        (["gauge", "--queries", "q.txt"], "either TEXT or --queries"),
        (["--queries", "missing.txt"], "cannot be read"),
        (["--queries", "empty.txt"], "holds no query"),
        (["--queries", "bad.jsonl"], "bad.jsonl, line 2 is no JSON"),
        (["--queries", "other.jsonl"], "line 1 has no query"),
        (["--queries", "dashes.txt"], "dashes.txt, line 2: the query '---' is punctuation only"),
        (["gauge", "--type", ""], "--type is empty"),
        (["gauge", "--path", " "], "--path is empty"),
        (["gauge", "--since", ""], "--since is empty"),
        (["gauge", "--format", "xml"], "'xml' is not one of"),
        (["gauge", "--per-document", "0"], "expected 1 to 10,000"),
        (["gauge", "--text", "--min-relevance", "90"], "relevance is not known in the mode 'text'"),
    ],
)
def test_a_mistake_is_said(indexed, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "q.txt", "x")
    write(tmp_path / "empty.txt", "\n \n")
    write(tmp_path / "dashes.txt", "gauge\n---\nfault\n")
    write(tmp_path / "bad.jsonl", '{"query": "x"}\n{"query"\n')
    write(tmp_path / "other.jsonl", '{"question": "x"}\n')
    code, out, err = indexed("query", *arguments)
    assert (code, out) == (2, "") and said in err


def test_the_explanation_is_printed_below(indexed):
    code, out, _ = indexed("query", "gauge fault X-3", "-k", "2", "--explain", "--type", "md")
    assert code == 0
    for part in (
        "instruction  'Represent the",
        "words        gauge (12 texts)",
        "filter       leaves 12 of 12",
        "index        flat, exact: 12 rows compared",
        "relevance    of 120 unrelated questions",
        "1. score",
        "nearest no. 1",
        "for the words",
    ):
        assert part in out, part


def test_several_collections_are_named_beside_each_hit(indexed, tmp_path):
    write(tmp_path / "other" / "pump.md", "A pump has no gauge.")
    indexed("index", tmp_path / "other", "-c", "pumps")
    code, out, _ = indexed("query", "gauge fault", "-c", "company-docs", "-c", "pumps", "-k", "20")
    assert code == 0 and "pumps" in out and "company-docs" in out and "relevance" in out
    code, out, _ = indexed("query", "gauge", "-c", "company-docs", "-c", "pumps", "--text", "--json")
    assert code == 0 and json.loads(out)["mode"] == "reciprocal rank"


def test_control_characters_of_a_text_do_not_reach_the_terminal(searchkit, tmp_path):
    write(tmp_path / "in" / "a.md", "Gauge \x1b[31mred\x07 alarm of today.")
    searchkit("index", tmp_path / "in")
    for options in ([], ["--context", "1"]):
        _, out, _ = searchkit("query", "gauge red alarm", *options)
        assert "red" in out and "\x1b" not in out and "\x07" not in out


def test_what_judged_again_is_named(indexed):
    code, out, err = indexed(
        "query", "gauge fault", "--rerank-profile", "wiki-retrieval", "--explain", "--min-relevance", "1"
    )
    assert code == 0 and "reranked by the collection's model under" in out
    assert "judged again, before no." in out
    code, _, err = indexed("query", "gauge", "--rerank-first", "10")
    assert code == 2 and "nothing says by what" in err
    code, _, err = indexed("query", "gauge", "--rerank-profile", "company-docs")
    assert code == 0 and err.startswith("Note: under profile 'company-docs'")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *(("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("- a list", "'- a list"), ("@name", "'@name")),
        *(("\tx", "'\tx"), ("-3.5", "-3.5"), ("+1e6", "+1e6"), (-3.5, "-3.5"), ("a=1", "a=1"), ("", '""')),
    ],
)
def test_a_text_that_a_spreadsheet_would_calculate_is_written_as_text(cell, written):
    assert csv_line([cell]) == f"{written}\n"
