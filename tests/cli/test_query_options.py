"""The options of `query` that choose how and among what to look."""

import json
import os

import pytest

from tests.collection.conftest import write


@pytest.fixture
def indexed(searchkit, tmp_path):
    """A Markdown file, a mail from long ago and two rows."""
    folder = tmp_path / "in"
    write(
        folder / "it" / "laptop.md",
        "---\ntags: [hardware]\n---\nOrder a new laptop, code X-17, in the portal.",
    )
    write(folder / "mail" / "old.eml", "From: Ann Lee <ann@x.example>\nSubject: Laptop\n\nThe laptop is old.")
    write(folder / "stock.csv", "item,Unit price\nlaptop,900\nmouse,20\n")
    os.utime(folder / "mail" / "old.eml", (1_000_000_000, 1_000_000_000))
    assert searchkit("index", folder)[0] == 0
    return searchkit


def asked(searchkit, *arguments):
    code, out, err = searchkit("query", *arguments, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    return result["mode"], sorted(hit["document"] for hit in result["hits"])


LAPTOP, OLD, ROW, MOUSE = "it/laptop.md", "mail/old.eml", "stock.csv#1", "stock.csv#2"


@pytest.mark.parametrize(
    ("options", "mode", "documents"),
    [
        ([], "hybrid", [LAPTOP, OLD, ROW, MOUSE]),
        (["--vector"], "vector", [LAPTOP, OLD, ROW, MOUSE]),
        (["--text"], "text", [LAPTOP, OLD, ROW]),
        (["--fts"], "fts", [LAPTOP, OLD, ROW]),
        (["--type", "md"], "hybrid", [LAPTOP]),
        (["--type", "md", "--type", "mail"], "hybrid", [LAPTOP, OLD]),
        (["--path", "it/**"], "hybrid", [LAPTOP]),
        (["--since", "2w"], "hybrid", [LAPTOP, ROW, MOUSE]),
        (["--where", "tags has hardware"], "hybrid", [LAPTOP]),
        (["--where", '"unit price" < 100'], "hybrid", [MOUSE]),
        (["--where", "type = md or type = mail", "--where", "not tags exists"], "hybrid", [OLD]),
        (["--type", "csv", "--where", "item = mouse", "--text"], "text", []),
        (["--path", "it's"], "hybrid", []),
    ],
)
def test_what_an_option_finds(indexed, options, mode, documents):
    assert asked(indexed, "laptop", *options) == (mode, documents)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--where", "type = pdf) or (type = md", "--type", "csv"], "closes nothing"),
        (["--where", ""], "the filter is empty"),
        (["--where", "tpye = md"], "did you mean: type"),
        (["--since", "soon"], "'modified' is a date"),
        (["--fts", "--where", "type = md"], None),
    ],
)
def test_a_mistake_is_said_and_exits_with_2(indexed, options, said):
    code, out, err = indexed("query", '"laptop' if said is None else "laptop", *options)
    assert (code, out) == (2, "")
    assert (said or "cannot be read") in err


def test_nothing_found_is_said(indexed):
    code, out, _ = indexed("query", "zebra", "--text")
    assert code == 0 and "Nothing was found in 'company-docs'" in out
