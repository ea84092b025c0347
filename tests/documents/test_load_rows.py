"""CSV and JSONL: one Document per row, and what is lost is said."""

from __future__ import annotations

import csv
import json
import tracemalloc

import pytest

from searchkit.documents.load import Limits, load
from searchkit.errors import DocumentError
from tests.documents.make_files import read_all, source


def test_rows_are_documents_with_typed_fields(tmp_path):
    text = 'id,title,price,note\n007,Red chair,12.50,\n8,"Blue, chair",13,"two\nlines"\n'
    first, second = read_all(tmp_path, "a.csv", text)
    assert (first.name, first.kind, first.title) == ("a.csv#1", "row", "Red chair")
    assert first.text == "id: 007\ntitle: Red chair\nprice: 12.50"
    assert first.metadata == {"id": "007", "title": "Red chair", "price": 12.5}
    assert second.name == "a.csv#2"
    assert second.metadata == {"id": 8, "title": "Blue, chair", "price": 13, "note": "two\nlines"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    text = "\n".join(delimiter.join(row) for row in (["name", "says"], ["Ann", "hi"], ["Bob", "yes"]))
    assert [row.text for row in read_all(tmp_path, "a.csv", text)] == [
        "name: Ann\nsays: hi",
        "name: Bob\nsays: yes",
    ]


def test_a_single_column_needs_no_label(tmp_path):
    assert [row.text for row in read_all(tmp_path, "a.csv", "text\nhello world\n\nbye\n")] == [
        "hello world",
        "bye",
    ]


def test_a_row_that_says_nothing_is_passed_over(tmp_path):
    assert [row.name for row in read_all(tmp_path, "a.csv", "text\none\n---\ntwo\n")] == [
        "a.csv#1",
        "a.csv#3",
    ]
    assert [row.name for row in read_all(tmp_path, "a.jsonl", '"-"\n{"a": "-"}\n"x"')] == ["a.jsonl#3"]


def test_column_names_are_unique_and_extra_cells_are_kept(tmp_path):
    (row,) = read_all(tmp_path, "a.csv", "a,a,\n1,2,3,4\n")
    assert row.text == "a: 1\na (2): 2\ncolumn 3: 3\ncolumn 4: 4"


def test_nul_bytes_other_encodings_and_other_line_ends_are_read(tmp_path):
    assert read_all(tmp_path, "a.csv", b"a,b\nx\0y,two words here and more of them\n" * 9)[0].text.startswith(
        "a: x y"
    )
    assert read_all(tmp_path, "b.csv", "a,b\rGrüße,Öl\r".encode("cp1252"))[0].text == "a: Grüße\nb: Öl"
    assert read_all(tmp_path, "c.csv", "\ufeffa,b\r\n1,x\r\n".encode())[0].text == "a: 1\nb: x"
    assert read_all(tmp_path, "d.csv", "a,b\n1,x\n".encode("utf-16"))[0].text == "a: 1\nb: x"


def test_a_huge_field_is_read_up_to_the_limit_and_reported_beyond(tmp_path):
    failures = []
    path = tmp_path / "a.csv"
    path.write_text(f"a,b\n1,{'x' * 300_000}\n2,{'y' * 900_000}\n3,z\n")
    before = csv.field_size_limit()
    try:
        csv.field_size_limit(1000)
        rows = list(load(source(path), limits=Limits(row_characters=500_000), on_failure=failures.append))
    finally:
        csv.field_size_limit(before)
    assert [len(row.text) for row in rows][:1] == [300_008]
    assert [(failure.document, "field larger" in failure.reason) for failure in failures][:1] == [
        ("a.csv#2", True)
    ]


def test_a_large_file_is_streamed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + "1,some words in a row of a table\n" * 150_000)
    tracemalloc.start()
    try:
        count = sum(1 for _, _row in zip(range(3000), load(source(path)), strict=False))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 3000
    assert peak < 11 << 20  # the sample that tells the encoding, not the file's rows


def test_json_lines_are_documents(tmp_path):
    lines = [
        {"title": "Q", "body": {"text": "A & B", "n": 3}, "tags": ["x", "y"], "none": None},
        "just text",
        {"list": [{"a": 1}]},
        {},
    ]
    first, second, third = read_all(tmp_path, "a.jsonl", "\n".join(json.dumps(line) for line in lines))
    assert first.text == "title: Q\nbody.text: A & B\nbody.n: 3\ntags: x, y"
    assert first.metadata["body.n"] == 3
    assert (second.name, second.text) == ("a.jsonl#2", "just text")
    assert third.text == 'list: [{"a": 1}]'


def test_a_malformed_line_is_reported_and_the_others_survive(tmp_path):
    failures = []
    text = '{"a": "one"}\n\n{"a": \n' + "[" * 100_000 + '\n{"a": "\\ud800 four"}\n'
    rows = read_all(tmp_path, "a.jsonl", text, failures)
    assert [row.name for row in rows] == ["a.jsonl#1", "a.jsonl#4"]
    assert [failure.document for failure in failures] == ["a.jsonl#2", "a.jsonl#3"]
    assert rows[1].text.encode() == "a: \ufffd four".encode()


def test_many_malformed_lines_are_counted_rather_than_listed(tmp_path):
    failures = []
    read_all(tmp_path, "a.jsonl", '{"a": "b"}\n' + "no\n" * 250, failures)
    assert len(failures) == 101
    assert failures[-1].reason == "150 more rows could not be read"


@pytest.mark.parametrize(
    ("name", "text"), [("a.jsonl", "no\nno\n"), ("a.csv", "a,b\n"), ("a.csv", ",,\n,,\n")]
)
def test_a_file_without_any_row_fails(tmp_path, name, text):
    with pytest.raises(DocumentError, match="holds no row"):
        read_all(tmp_path, name, text)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nname;city\nAnn;Bonn, Rhein\n",
        'Customers\nas of 2024-05-01\n\nname,city\nAnn,"Bonn, Rhein"\nBob,Ulm\nEve,Kiel\n',
        'Customers,,\nname,city,age\nAnn,"Bonn, Rhein",\nBob,Ulm,4\n',
    ],
    ids=["Excel's", "lines", "padded"],
)
def test_what_stands_above_the_column_names_is_no_row(tmp_path, text):
    first, *_ = read_all(tmp_path, "a.csv", text)
    assert (first.name, first.text) == ("a.csv#1", "name: Ann\ncity: Bonn, Rhein")


def test_texts_with_a_comma_here_and_there_have_no_preamble(tmp_path):
    rows = read_all(tmp_path, "a.csv", "text\nhello\nwell, yes\nbye\n")
    assert [row.text for row in rows][:1] == ["hello"]


def test_a_quote_that_is_closed_by_that_of_another_row_swallows_no_row(tmp_path):
    failures = []
    text = 'id,remark\n1,"never closed\n2,with\n3,"two" quotes\n4,last\n'
    rows = read_all(tmp_path, "a.csv", text, failures)
    assert [row.text.splitlines()[0] for row in rows] == ["id: 1", "id: 2", "id: 3", "id: 4"]
    assert [failure.document for failure in failures] == ["a.csv#1"]


def test_a_text_of_several_lines_with_quotes_in_it_stays_one_row(tmp_path):
    failures = []
    rows = read_all(tmp_path, "a.csv", 'id,remark\n1,"one line\nand "another" line"\n2,b\n', failures)
    assert (len(rows), failures) == (2, [])


def test_a_quote_that_is_never_closed_is_reported_and_swallows_no_row(tmp_path):
    failures = []
    text = 'id,remark\n1,"two\nlines"\n2,"never closed\n3,"fine, really"\n4,last'
    rows = read_all(tmp_path, "a.csv", text.replace('"fine, really"', "fine"), failures)
    assert [row.text for row in rows] == [
        "id: 1\nremark: two\nlines", 'id: 2\nremark: "never closed', "id: 3\nremark: fine",
        "id: 4\nremark: last",
    ]  # fmt: skip
    (failure,) = failures
    assert failure.document == "a.csv#2" and "opens a quote on line 4" in failure.reason
