"""`searchkit duplicates`: tables, JSON, CSV, HTML, decisions, new files, and what is wrong."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from tests.collection.conftest import write

LEAVE = "Staff may take 30 days of leave & <b>rest</b>."
EDITED = "Staff may not take 60 days of leave & <b>rest</b>."


@pytest.fixture
def indexed(searchkit, tmp_path):
    for name, text in (
        ("a", LEAVE),
        ("b", EDITED),
        ("c", LEAVE),
        ("d", "Order a laptop [red] in the portal."),
    ):
        write(tmp_path / "docs" / f"{name}.txt", text)
    assert searchkit("index", tmp_path / "docs")[0] == 0
    return searchkit


def test_a_table_for_people(indexed):
    code, out, err = indexed("duplicates", "--threshold", "0.8")
    assert (code, err) == (0, "")
    assert "4 passages, 1 group with 2 copies: 1 exact, 1 near" in out and "as given" in out
    assert "a.txt:1 [1]" in out and "numbers, negation" in out and "30 → 60" in out


def test_json_and_csv_for_programs(indexed):
    found = json.loads(indexed("duplicates", "--threshold", "0.8", "--json")[1])
    (group,) = found["groups"]
    assert [one["document"] for one in group["copies"]] == ["c.txt", "b.txt"]
    assert group["copies"][1]["differences"]["kinds"] == ["numbers", "negation"]
    rows = list(
        csv.DictReader(io.StringIO(indexed("duplicates", "--threshold", "0.8", "--format", "csv")[1]))
    )
    assert [row["role"] for row in rows] == ["representative", "copy", "copy"]
    assert rows[2]["differs_in"] == "numbers negation" and rows[2]["text"] == EDITED


def test_documents(indexed):
    code, out, _ = indexed("duplicates", "--level", "document", "--threshold", "0.8")
    assert code == 0 and "4 documents, 1 group" in out and "100%" in out
    (group,) = json.loads(indexed("duplicates", "--level", "document", "--threshold", "1", "--json")[1])[
        "groups"
    ]
    assert [one["document"] for one in group["copies"]] == ["c.txt"]


def test_a_report_shows_texts_side_by_side_and_obeys_none_of_them(indexed, tmp_path):
    page = tmp_path / "report.html"
    assert indexed("duplicates", "--threshold", "0.8", "--html", page)[0] == 0
    html = page.read_text(encoding="utf-8")
    assert "<b>" not in html and "&lt;b&gt;rest&lt;/b&gt;" in html and "&amp;" in html
    assert "<del>30</del>" in html and "<ins>60</ins>" in html and "http" not in html
    opened = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: opened.append(tag)
    parser.handle_endtag = lambda tag: opened.remove(tag)
    parser.feed(html)
    assert sorted(opened) == ["br", "meta", "meta"]


def test_decisions_are_kept_and_can_be_taken_back(indexed):
    assert "1 and 2 are no duplicates" in indexed("duplicates", "--reject", "1", "2")[1]
    assert "1 exact, 0 near" in indexed("duplicates", "--threshold", "0.8")[1]
    assert "moved by 0 accepted and 1 rejected" in indexed("duplicates")[1]
    assert "as they were before" in indexed("duplicates", "--reject", "2", "1")[1]
    assert indexed("duplicates", "--undecide", "1", "2", "--accept", "2", "4")[0] == 0
    assert "accepted" in indexed("duplicates", "--threshold", "0.99")[1]


def test_new_files_are_compared_and_not_stored(indexed, tmp_path):
    new = write(tmp_path / "new.txt", LEAVE.replace("30", "31"))
    code, out, _ = indexed("duplicates", "--add", new, "--threshold", "0.8")
    assert code == 0 and "new.txt:1" in out and "→ 31" in out
    assert "4 passages" in indexed("duplicates")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threshold", "2"], "expected a cosine"),
        (["--threshold", "much"], "neither 'auto' nor a number"),
        (["--reject", "1", "99"], "there is no passage 99"),
        (["--reject", "1", "3"], "have the same text"),
        (["--against", "other"], "there is no collection 'other'"),
        (["--contained", "0.7"], "--level document"),
        (["--level", "document", "--html", "x.html"], "side by side"),
        (["--level", "document", "--add", "x.txt"], "compare passages"),
        (["--add", "x.txt", "--against", "y"], "cannot be combined"),
        (["--add", "missing.txt"], "no such file"),
        (["--html", "missing/x.html"], "cannot be written"),
    ],
)
def test_a_mistake_is_said(indexed, arguments, said):
    code, out, err = indexed("duplicates", *arguments)
    assert (code, out) == (2, "") and said in err
