"""`searchkit similar`: a table, JSON, CSV, filters, and what is wrong."""

import csv
import io
import json

import pytest

from tests.collection.conftest import write


@pytest.fixture
def indexed(searchkit, docs):
    write(docs / "laptops.txt", "Order an old laptop in the hardware portal.\n")
    assert searchkit("index", docs)[0] == 0
    return searchkit


def test_a_table_for_people_and_json_for_programs(indexed):
    code, out, err = indexed("similar", "laptop.md", "-k", "1")
    assert (code, err) == (0, "") and "laptops.txt" in out and "more with --offset 1" in out
    assert "relevance" not in out
    result = json.loads(indexed("similar", "laptop.md", "--json")[1])
    assert (result["query"], result["mode"]) == ("laptop.md", "similar")
    assert [hit["document"] for hit in result["hits"]] == ["laptops.txt", "hr/leave.md"]
    (row, *_) = csv.DictReader(io.StringIO(indexed("similar", "laptop.md", "--format", "csv")[1]))
    assert (row["query"], row["document"]) == ("laptop.md", "laptops.txt")


@pytest.mark.parametrize(
    ("options", "documents"),
    [
        (["--type", "md"], ["hr/leave.md"]),
        (["--path", "hr/**"], ["hr/leave.md"]),
        (["--where", "type = text", "--since", "2w"], ["laptops.txt"]),
        (["--offset", "1", "-c", "company-docs"], ["hr/leave.md"]),
        (["--passages", "-k", "1"], ["laptops.txt"]),
    ],
)
def test_options_are_those_of_a_query(indexed, options, documents):
    result = json.loads(indexed("similar", "laptop.md", *options, "--json")[1])
    assert [hit["document"] for hit in result["hits"]] == documents


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["latpop.md"], 2, "did you mean: laptop.md"),
        (["laptop.md", "-k", "0"], 2, "k is 0"),
        (["laptop.md", "-c", "other"], 2, "there is no collection 'other'"),
        ([], 2, "DOCUMENT"),
    ],
)
def test_a_mistake_is_said(indexed, arguments, code, said):
    found, out, err = indexed("similar", *arguments)
    assert (found, out) == (code, "") and said in err
