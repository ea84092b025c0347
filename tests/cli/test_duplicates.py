"""`searchkit duplicates`: tables, JSON, CSV, HTML, decisions, new files, and what is wrong."""

import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from searchkit.analysis import duplicates
from searchkit.cli import duplicate_report
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
    assert sorted(opened) == ["br", "meta", "meta", "meta"]


def test_decisions_are_kept_and_can_be_taken_back(indexed):
    assert "1 and 2 are no duplicates" in indexed("duplicates", "--reject", "1", "2")[1]
    assert "1 exact, 0 near" in indexed("duplicates", "--threshold", "0.8")[1]
    assert "moved by 0 accepted and 1 rejected" in indexed("duplicates")[1]
    assert "as they were before" in indexed("duplicates", "--reject", "2", "1")[1]
    assert indexed("duplicates", "--undecide", "1", "2", "--accept", "2", "4")[0] == 0
    assert "accepted" in indexed("duplicates", "--threshold", "0.99")[1]
    made = json.loads(indexed("duplicates", "--reject", "2", "4", "--json")[1])
    assert made == {"decisions": [{"first": 2, "second": 4, "same": False, "changed": True}]}


def test_new_files_are_compared_and_not_stored(indexed, tmp_path):
    new = write(tmp_path / "new.txt", LEAVE.replace("30", "31"))
    code, out, _ = indexed("duplicates", "--add", new, "--threshold", "0.8")
    assert code == 0 and "new.txt:1" in out and "→ 31" in out
    assert "4 passages" in indexed("duplicates")[1]


def test_files_that_cannot_be_read_are_no_silent_gap(indexed, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    code, out, err = indexed("duplicates", "--add", tmp_path / "new", "--json")
    assert code == 3 and "Not read: broken.pdf" in err
    found = json.loads(out)
    assert (found["passages"], found["groups"]) == (0, []) and found["failed"][0]["document"] == "broken.pdf"


def test_a_table_has_room_for_some_groups_and_some_copies(indexed, tmp_path):
    for number in range(15):
        write(tmp_path / "docs" / f"x{number:02}.txt", "Lunch is at noon.")
    indexed("index", tmp_path / "docs")
    out = indexed("duplicates", "--threshold", "0.8", "-k", "1")[1]
    assert "2 groups with 16 copies: 15 exact, 1 near" in out
    assert "and 4 more" in out and "1 more groups: show them with -k 2" in out
    whole = json.loads(indexed("duplicates", "--threshold", "0.8", "--json")[1])
    assert [len(group["copies"]) for group in whole["groups"]] == [14, 2]
    out = indexed("duplicates", "--level", "document", "--threshold", "0.8")[1]
    assert "and 4 more" in out and "x10.txt" in out and "x11.txt" not in out


def test_texts_that_are_alike_throughout_are_pointed_out(searchkit, tmp_path):
    for number in range(40):
        write(tmp_path / "docs" / f"{number}.txt", f"make{number % 10} " * 3 + f"camera model{number}")
    assert searchkit("index", tmp_path / "docs")[0] == 0
    assert "alike throughout" in searchkit("duplicates")[1]
    assert "alike throughout" not in searchkit("duplicates", "--threshold", "0.9")[1]


def test_a_report_that_cannot_be_written_costs_no_search(indexed, monkeypatch):
    monkeypatch.setattr(duplicates, "duplicates", None)
    code, _, err = indexed("duplicates", "--html", "missing/x.html")
    assert code == 2 and "no such folder" in err


def test_long_texts_that_differ_are_marked_in_no_time():
    """White space between words is equal to all other: by itself it made ten thousand pairs take minutes."""
    first = " ".join(f"word{i}" for i in range(500))
    second = first.replace("word250 ", "other ").replace("word400", "\n\nlast")
    left, right = duplicate_report._marked(first, second)
    assert re.findall("<del>(.*?)</del>", left) == ["word250", "word400"]
    assert re.findall("<ins>(.*?)</ins>", right, re.S) == ["other", "last"]


def test_commands_are_there_whichever_click_is_installed():
    """In click 8.2 and 8.3 ParamType takes no type in brackets."""
    code = (
        "import click, importlib, pkgutil, searchkit.cli\n"
        "click.ParamType = type('ParamType', (), {})\n"
        "for one in pkgutil.iter_modules(searchkit.cli.__path__):\n"
        "    importlib.import_module('searchkit.cli.' + one.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
        (["--against", "company-docs"], "collection itself"),
        (["--reject", "1", "0"], "0 is not in the range"),
        (["--reject", str(10**20), "1"], "is not in the range"),
        (["--accept", "1", "2", "--reject", "1", "2"], "named twice"),
        (["--accept", "1", "2", "-c", "company-docs"], "-c says nothing of a decision"),
        (["--accept", "1", "2", "--level", "document"], "--level says nothing of a decision"),
        (["--accept", "1", "2", "--format", "csv"], "--format csv says nothing"),
    ],
)
def test_a_mistake_is_said(indexed, arguments, said):
    code, out, err = indexed("duplicates", *arguments)
    assert (code, out) == (2, "") and said in err
