"""Where Passages stand in their files, compared with the files themselves."""

from __future__ import annotations

import io
import json
import random
import re

import pytest

from searchkit.documents.chunk import chunk
from searchkit.documents.places import Places
from searchkit.profile import Chunking
from searchkit.records import LINES, Document, Marks, Place, place_in_words
from tests.documents import make_files
from tests.documents.make_files import read, read_all


def passages(document, capacity=30, **chunking):
    def count(texts):
        return [len(text.split()) for text in texts]

    return list(chunk(document, Chunking(**chunking), capacity=capacity, count_tokens=count))


def span(place):
    return place.unit, place.first, place.last


def lines_of(data, encoding="utf-8"):
    """The lines of a file as an editor counts them."""
    return re.split("\r\n|\r|\n", data.decode(encoding).removeprefix("\ufeff"))


def require_lines(found, lines):
    """Each passage begins and ends with words of the lines it names."""
    assert found
    for passage in found:
        first, *_, last = [*passage.text.split("\n"), passage.text.rpartition("\n")[2]]
        place = passage.place
        assert place.unit == "line"
        assert len(passage.text.split("\n")) == place.last - place.first + 1
        for shown, number in ((first, place.first), (last, place.last)):
            assert shown.split() and all(word in lines[number - 1] for word in shown.split())


def markdown_file(dice):
    """A Markdown file of random parts, each line with words of its own."""
    names = iter(range(10_000))

    def line(most=12):
        return " ".join(f"word{next(names)}" for _ in range(dice.randint(1, most)))

    def part():
        return dice.choice(
            (
                lambda: [f"{'#' * dice.randint(1, 3)} {line(3)}"],
                lambda: [line(), line(), line()],
                lambda: [line(40)],
                lambda: ["```python", line(), "", "# " + line(), "```"],
                lambda: ["", "   ", ""],
                lambda: ["<!-- hidden", line(), "-->"],
                lambda: [f"- {line()}", f"- {line()}"],
                lambda: [line(2), "=====", line()],
                lambda: ["a\x0cform feed\u2028and\x85more " + line()],
                lambda: [f"<p>{line()}</p> [![badge](x)](y)"],
            )
        )()

    front = dice.choice(([], ["---", "title: Hello", "tags: [a]", "---"], ["", "+++", "x = 1", "+++"]))
    lines = list(front)
    for _ in range(dice.randint(1, 30)):
        lines += [*part(), *[""] * dice.randint(0, 2)]
    lines += ["last words here"]
    end = dice.choice(("\n", "\r\n", "\r"))
    if dice.random() < 0.2:
        return "".join(one + dice.choice(("\n", "\r\n", "\r")) for one in lines)
    return end.join(lines) + end * dice.randint(0, 3)


@pytest.mark.parametrize("seed", range(60))
def test_a_passage_of_markdown_names_the_lines_of_the_file(tmp_path, seed):
    dice = random.Random(seed)
    encoding = dice.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))
    data = markdown_file(dice).encode(encoding)
    require_lines(passages(read(tmp_path, "a.md", data)), lines_of(data, encoding))


CODE = b"""\r\n\r\n\r\n# what it does\r\ndef one(a):\r\n    return "\x00"\r\n\r\n
@cached\r\ndef two():\r\n    pass\r\n"""


@pytest.mark.parametrize(
    ("name", "data", "encoding"),
    [
        ("a.py", CODE * 9, "utf-8"),
        ("a.toml", b"\n[one]\nkey = 1\n\n[two]\nother = 2\n" * 12, "utf-8"),
        ("a.tex", b"% note\n\\section{One}\nWords of one.\n\n\\section{Two}\nWords of two.\n" * 9, "utf-8"),
        ("a.rst", b"\n\nTitle\n=====\n\nSome words.\n\nMore\n----\n\nOther words." * 5, "utf-8"),
        ("a.log", b"\x1b[31mred alert\x1b[0m here\n\n\x0cnext page\nand more of it\n" * 20, "utf-8"),
        ("a.txt", "Grüße und Öl\n\nÄpfel\n".encode("cp1252") * 30, "cp1252"),
        ("a.html.md.erb", b"<% if x %>\n# Head\n\nWords stay here.\n<% end %>\n\nMore words.\n" * 9, "utf-8"),
        ("a.json", b'{\n  "a": [\n    "first word",\n    "second"\n  ]\n}\n', "utf-8"),
    ],
)
def test_so_does_one_of_other_text(tmp_path, name, data, encoding):
    found = passages(read(tmp_path, name, data), capacity=12)
    require_lines(found, lines_of(data.replace(b"\x00", b" "), encoding))


def test_a_whole_document_stands_from_its_first_to_its_last_line_with_text(tmp_path):
    (passage,) = passages(read(tmp_path, "a.txt", "\n\n one\n\ntwo\n\n\n"), unit="document")
    assert span(passage.place) == ("line", 3, 5)


def test_lines_are_right_in_whatever_order_spans_are_asked_for():
    text = "\n".join(f"line{n}" for n in range(1, 101))
    places = Places(Document(name="a.txt", kind="text", text=text, marks=LINES))
    spans = [match.span() for match in re.finditer(r"line\d+(?:\nline\d+){2}", text)]
    random.Random(5).shuffle(spans)
    for start, end in spans:
        first, *_, last = text[start:end].split("\n")
        assert places.of(start, end) == Place(unit="line", first=int(first[4:]), last=int(last[4:]))


def test_slides_are_counted(tmp_path):
    document = read(tmp_path, "a.pptx", make_files.pptx())
    found = passages(document)  # two slides of few words are one passage
    assert [span(one.place) for one in found] == [("slide", 1, 1), ("slide", 2, 3)]
    assert found[1].place.page == 2


def test_pages_are_counted_empty_ones_too_and_a_passage_may_run_over_them(tmp_path):
    prose = ("Helvetica", 11, "The tunnel is open on weekdays from seven to nine and")
    more = ("Helvetica", 11, "on other days it is closed to all visitors.")
    cover = [("Helvetica", 11, "The cover of a guide to the tunnel and to the roads beside it.")] * 4
    data = make_files.pdf([cover, [], [prose], [more]])
    found = passages(read(tmp_path, "a.pdf", data), capacity=70)
    assert [span(one.place) for one in found] == [("page", 1, 1), ("page", 3, 4)]
    assert [one.place.page for one in found] == [1, 3]


def test_cells_of_a_notebook_are_counted_as_they_stand_in_it(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Words."]},
        {"cell_type": "code", "source": ""},
        {"cell_type": "raw", "source": " "},
        {"cell_type": "code", "source": "\n\nx = 1\n" + "y = 2 + 3\n" * 30},
        {"cell_type": "markdown", "source": "## Results\nGood."},
        {"cell_type": "code", "source": " "},
    ]
    document = read(tmp_path, "a.ipynb", json.dumps({"nbformat": 4, "cells": cells}))
    found = passages(document, capacity=40)
    for passage in found:
        inside = {n for n, mark in ((1, "Title"), (4, "y ="), (5, "Good")) if mark in passage.text}
        assert (passage.place.first, passage.place.last) == (min(inside), max(inside))
    assert {number for one in found for number in span(one.place)[1:]} == {1, 4, 5}


def workbook(sheets):
    """Sheets by name, each rows by number, of two cells that say where they are."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.cell(row, 2).value = f"{name}-{row}"
            sheet.cell(row, 4).value = "ten words of text in a cell of this row"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_rows_of_a_workbook_are_those_that_excel_shows(tmp_path):
    sheets = {"Prices": [2, 3, 4, *range(9, 40), 1000], "Empty": [], "Two  halves": [1, 2, 7], "End": [5]}
    document = read(tmp_path, "a.xlsx", workbook(sheets))
    assert len(document.marks.starts) < 12  # neighbouring rows need no marks of their own
    found = passages(document, capacity=45)
    assert len(found) > 5
    for passage in found:
        cells = re.findall(r"(Prices|Two halves|End)-(\d+)", passage.text)
        (sheet, first), (last_sheet, last) = cells[0], cells[-1]
        place = passage.place
        assert (place.sheet.replace("  ", " "), place.first) == (sheet, int(first))
        assert (place.last_sheet.replace("  ", " "), place.last) == (last_sheet, int(last))
    assert {place.sheet for place in (one.place for one in found)} >= {"Prices", "Two  halves"}


def row_lines(documents):
    return {one.name: span(passages(one, capacity=1000)[0].place)[1:] for one in documents}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_tables_name_their_lines(tmp_path, end):
    lines = ["sep=;", "", "id;note", "1;short", "", '2;"two', 'lines"', "3;x"]
    found = read_all(tmp_path, "a.csv", end.join(lines))
    assert row_lines(found) == {"a.csv#1": (4, 4), "a.csv#2": (6, 7), "a.csv#3": (8, 8)}
    assert {one.marks.unit for one in found} == {"line"}


def test_rows_behind_a_quote_that_is_not_closed_name_their_lines(tmp_path):
    rows = ["id,note", "1,fine", '2,"open', "3,next", "4,last"]
    found = read_all(tmp_path, "a.csv", "\n".join(rows), [])
    assert row_lines(found) == {f"a.csv#{n}": (n + 1, n + 1) for n in range(1, 5)}


def test_rows_of_a_long_table_name_their_lines(tmp_path):
    """Longer than what is read at first to tell the delimiter."""
    table = "".join(f'{n},"{"words " * 9}\n{n}"\n' for n in range(1000))
    found = row_lines(read_all(tmp_path, "a.csv", "id,note\n" + table))
    assert found == {f"a.csv#{n + 1}": (2 * n + 2, 2 * n + 3) for n in range(1000)}


def test_lines_of_jsonl_are_those_of_the_file(tmp_path):
    data = '{"a": "one"}\n\n"two\\nlines"\nbroken\n{"a": 3}\n'
    found = read_all(tmp_path, "a.jsonl", data, [])
    assert row_lines(found) == {"a.jsonl#1": (1, 1), "a.jsonl#2": (3, 3), "a.jsonl#4": (5, 5)}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", make_files.docx()),
        ("a.html", b"<p>One</p>\n<p>Two</p>"),
        ("a.eml", b"Subject: Hello\n\nSome words."),
    ],
)
def test_a_file_with_nothing_to_count_by_has_no_places(tmp_path, name, data):
    assert {one.place for one in passages(read(tmp_path, name, data))} == {None}


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [
        ("docx", None, ""),
        ("markdown", Place(unit="line", first=120, last=133), ":120-133"),
        ("code", Place(unit="line", first=7, last=7), ":7"),
        ("row", Place(unit="line", first=7, last=7), ", line 7"),
        ("row", Place(unit="line", first=7, last=9), ", lines 7-9"),
        ("pdf", Place(unit="page", first=3, last=4), ", pages 3-4"),
        ("pptx", Place(unit="slide", first=4, last=4), ", slide 4"),
        ("notebook", Place(unit="cell", first=7, last=9), ", cells 7-9"),
        (
            "xlsx",
            Place(unit="row", first=12, last=40, sheet="Prices", last_sheet="Prices"),
            ", sheet 'Prices', rows 12-40",
        ),
        (
            "xlsx",
            Place(unit="row", first=12, last=12, sheet="A", last_sheet="B"),
            ", sheet 'A', row 12 to sheet 'B', row 12",
        ),
    ],
)
def test_a_place_is_said_as_a_person_says_it(kind, place, words):
    assert place_in_words(kind, place) == words


def test_text_before_the_first_mark_belongs_to_it():
    marks = Marks(unit="page", starts=(4,), numbers=(2,))
    places = Places(Document(name="a.pdf", kind="pdf", text="abc\ndef", marks=marks))
    assert places.of(0, 7) == Place(unit="page", first=2, last=2)
