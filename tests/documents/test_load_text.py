"""Markdown, text, code, HTML, notebooks and mail: what becomes of their text, headings and metadata."""

from __future__ import annotations

import codecs
import json
import textwrap

import pytest

from searchkit.documents.load import supported_suffixes
from searchkit.records import Document
from tests.documents.make_files import read


def headings(document: Document) -> list[tuple[int, str]]:
    """Level and text of each heading, after checking that its start is the start of its line."""
    for heading in document.headings:
        assert heading.start == 0 or document.text[heading.start - 1] == "\n"
    return [(heading.level, heading.text) for heading in document.headings]


def heading_lines(document: Document) -> list[str]:
    return [document.text[heading.start :].split("\n")[0] for heading in document.headings]


def test_markdown_headings_stand_where_the_file_has_them(tmp_path):
    text = (
        "# One #\n\ntext\n\nTwo *words*\n-----------\n\n### [Three](x.md) `four` {#anchor}\n####### no\n#no\n"
    )
    document = read(tmp_path, "a.md", text)
    assert document.text == text
    assert headings(document) == [(1, "One"), (2, "Two words"), (3, "Three four")]
    assert heading_lines(document)[1] == "Two *words*"
    assert (document.kind, document.title) == ("markdown", "One")


def test_code_and_comments_in_markdown_hold_no_headings(tmp_path):
    code = "```sh\n# not this\n~~~\n```\n\n~~~~\n# nor this\n```\n~~~~\n"
    text = f"{code}<!-- \n# hidden\n-->\n# Yes\n- item\n---\n"
    document = read(tmp_path, "a.md", text)
    assert headings(document) == [(1, "Yes")]
    assert "hidden" not in document.text
    assert len(document.text) == len(text) and document.text.count("\n") == text.count("\n")


def test_a_comment_within_code_is_kept(tmp_path):
    text = "```html\n<!-- shown -->\n```\n\nEnd <!-- not shown --> here\n"
    document = read(tmp_path, "a.md", text)
    assert "<!-- shown -->" in document.text
    assert "not shown" not in document.text


def test_front_matter_becomes_metadata_and_its_lines_stay_empty(tmp_path):
    text = "---\ntitle: Leave policy\ntags: [hr, leave]\ndate: 2024-05-01\nx: {a: 1}\n---\n\n# Other\nbody\n"
    document = read(tmp_path, "a.md", text)
    assert document.title == "Leave policy"
    assert document.metadata == {
        "title": "Leave policy", "tags": ["hr", "leave"], "date": "2024-05-01", "x": {"a": 1}
    }  # fmt: skip
    assert document.text.strip() == "# Other\nbody"
    assert document.text.index("body") == text.index("body")


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("+++\ntitle = 'From TOML'\n+++\n", "From TOML"),
        ("---\ntitle: 'Broken'\nx: [1, 2\n---\n", "Broken"),
        ("---\nonly words, no fields\n---\n", "Heading"),
        ("---\ntitle: 7\n---\n", "Heading"),
    ],
)
def test_odd_front_matter_does_no_harm(tmp_path, front, title):
    assert read(tmp_path, "a.md", front + "# Heading\nbody\n").title == title


def test_aliases_in_front_matter_cannot_unfold_without_end(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    document = read(tmp_path, "a.md", "---\n" + "\n".join(lines) + "\n---\nbody text\n")
    assert len(json.dumps(document.metadata)) < 50_000


def test_template_tags_are_blanked_and_offsets_stay(tmp_path):
    text = "# Title <%= config[:x] %>\n<% if\n a %>\nbody\n"
    document = read(tmp_path, "page.html.md.erb", text)
    assert (document.kind, headings(document)) == ("markdown", [(1, "Title")])
    assert document.text.index("body") == text.index("body")
    assert "<%" not in document.text


def test_a_title_never_comes_from_the_files_name(tmp_path):
    """A title is embedded with the passages, and a renamed file's passages must stay what they are."""
    assert read(tmp_path, "travel-costs_2024.txt", "text").title == ""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.rst", "Title\n=====\n\nPart\n----\ntext\n", [(1, "Title"), (2, "Part")]),
        ("a.adoc", "= Title\n\n== Part\n", [(1, "Title"), (2, "Part")]),
        ("a.org", "* Title\n** Part\n", [(1, "Title"), (2, "Part")]),
        ("a.tex", "\\section{One}\n\\subsection*{Two}\n", [(2, "One"), (3, "Two")]),
        ("a.txt", "# no\n== no\n", []),
    ],
)
def test_text_markups_have_headings(tmp_path, name, text, expected):
    document = read(tmp_path, name, text)
    assert headings(document) == expected
    assert document.text == text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.py",
            "import os\n\n@decorated\nclass Invoice:\n    x = 1\n\n    def total(self):\n        return 1\n",
            [(1, "class Invoice"), (3, "def total(self)")],
        ),
        ("a.go", "// Sum adds.\nfunc Sum(a int) int {\n}\n", [(1, "func Sum(a int) int")]),
        (
            "A.java",
            "public class A {\n  /** Doc. */\n  public int sum(int a) {\n    if (a) {\n    }\n  }\n}\n",
            [(1, "public class A"), (2, "public int sum(int a)")],
        ),
        ("a.ts", "export interface Point {\n}\nexport async function go() {\n}\n",
         [(1, "export interface Point"), (1, "export async function go()")]),
        ("a.rs", "impl<T> Stack<T> {\n    pub fn push(&mut self) {}\n}\n",
         [(1, "impl<T> Stack<T>"), (3, "pub fn push(&mut self) {}")]),
        ("a.toml", "[tool.ruff]\nx = 1\n", [(1, "[tool.ruff]")]),
        ("a.yml", "jobs:\n  test:\n    steps:\n      - x\n", [(1, "jobs"), (2, "test")]),
        ("a.sql", "CREATE TABLE t (\n id int);\nselect 1;\n", [(1, "CREATE TABLE t (")]),
        ("a.json", '{"a": 1}', []),
    ],
)  # fmt: skip
def test_definitions_are_the_headings_of_code(tmp_path, name, text, expected):
    document = read(tmp_path, name, text)
    assert (document.kind, document.text, document.title) == ("code", text, "")
    assert headings(document) == expected


def test_comments_and_decorators_belong_to_the_definition_below(tmp_path):
    document = read(tmp_path, "a.py", "x = 1\n\n# Adds.\n@cached\ndef add():\n    pass\n")
    assert document.text[document.headings[0].start :].startswith("# Adds.")


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (codecs.BOM_UTF8 + "é\r\nb\rc".encode(), "é\nb\nc", None),
        (codecs.BOM_UTF16_LE + "Grüße".encode("utf-16-le"), "Grüße", "utf-16-le"),
        ("Grüße aus Köln".encode("utf-16-be"), "Grüße aus Köln", "utf-16-be"),
        ("Grüße aus Köln – “bald”".encode("cp1252"), "Grüße aus Köln – “bald”", "cp1252"),
        (("äöü " * 50).encode() + b"\xff end", "äöü " * 50 + "\ufffd end", "utf-8, damaged"),
        (b"one\0two" + b" text" * 100, "one two" + " text" * 100, None),
    ],
)
def test_encodings_are_recognised(tmp_path, data, text, encoding):
    document = read(tmp_path, "a.txt", data)
    assert document.text == text
    assert document.metadata.get("encoding") == encoding


HTML = """<!DOCTYPE html><html><head><title>Leave &amp; travel</title><style>p {}</style></head><body>
<header><a href=/>Home</a></header><nav>Menu</nav>
<h1>Leave &lt;policy&gt;</h1><p>Twenty   <b>days</b>
a year.<br>Ask <a href="x">HR</a>.</p><script>var x = 1;</script><!-- hidden -->
<h2>Table</h2><table><tr><th>City</th><th>Fare</th></tr><tr><td><p>Bonn</p></td><td>12</td></tr></table>
<ul><li>first</li><li>second <i>one</i></li></ul><pre>a
  b</pre><div hidden>no</div><footer>Imprint</footer></body></html>"""


def test_a_page_becomes_what_its_reader_sees(tmp_path):
    document = read(tmp_path, "a.html", HTML)
    assert document.text == (
        "Leave <policy>\n\nTwenty days a year.\nAsk HR.\n\nTable\n\nCity | Fare\nBonn | 12\n\n"
        "- first\n- second one\n\na\n  b"
    )
    assert document.title == "Leave & travel"
    assert headings(document) == [(1, "Leave <policy>"), (2, "Table")]


def test_the_main_part_of_a_page_is_enough(tmp_path):
    page = (
        f"<html><body><div>Cookies!</div><main><h1>Rules</h1><p>{'word ' * 60}</p></main>Links</body></html>"
    )
    text = read(tmp_path, "a.html", page).text
    assert "Rules" in text
    assert "Cookies" not in text and "Links" not in text


def test_a_page_is_decoded_as_it_declares(tmp_path):
    page = "<html><head><meta charset=windows-1251></head><body>Привет, мир</body></html>".encode("cp1251")
    document = read(tmp_path, "a.html", page)
    assert (document.text, document.metadata["encoding"]) == ("Привет, мир", "cp1251")


def test_a_false_declaration_does_no_harm(tmp_path):
    page = "<html><head><meta charset=iso-8859-1></head><body>Grüße</body></html>".encode()
    assert read(tmp_path, "a.html", page).text == "Grüße"
    assert read(tmp_path, "b.html", page.replace(b"iso-8859-1", b"klingon")).text == "Grüße"


def test_template_tags_of_page_fragments_are_no_text(tmp_path):
    document = read(tmp_path, "a.html.erb", "<p>Hello <%= name %> {{ page.x }} {% if y %}you{% endif %}</p>")
    assert document.text == "Hello you"


def test_cells_of_a_layout_table_are_read_as_blocks(tmp_path):
    inner = "<table><tr><td>a</td><td>b</td></tr></table>"
    page = f"<table><tr><td><h2>Left</h2><p>text</p>{inner}</td></tr></table>"
    document = read(tmp_path, "a.html", f"<html>{page}</html>")
    assert headings(document) == [(2, "Left")]
    assert document.text.endswith("a | b")


def test_a_notebook_keeps_prose_and_code_but_no_outputs(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Churn\n", "Why *customers* leave"]},
        {"cell_type": "code", "source": "# load\nx = 1", "outputs": [{"text": "SECRET"}]},
        {"cell_type": "markdown", "source": "\n\n## Result\nText"},
        {"cell_type": "raw"},
    ]
    notebook = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}
    document = read(tmp_path, "a.ipynb", json.dumps(notebook))
    assert document.text == (
        "# Churn\nWhy *customers* leave\n\n```python\n# load\nx = 1\n```\n\n## Result\nText"
    )
    assert headings(document) == [(1, "Churn"), (2, "Result")]
    assert (document.kind, document.title) == ("notebook", "Churn")


def test_a_mail_is_its_subject_and_its_plain_text(tmp_path):
    mail = textwrap.dedent("""\
        From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>
        To: hr@example.com
        Subject: =?utf-8?b?VXJsYXVic2FudHJhZw==?=
        Date: Wed, 01 May 2024 10:00:00 +0200
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary=B

        --B
        Content-Type: multipart/alternative; boundary=C

        --C
        Content-Type: text/plain; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        Gr=FC=DFe
        --C
        Content-Type: text/html

        <p>Not this</p>
        --C--
        --B
        Content-Type: application/pdf; name="plan.pdf"
        Content-Disposition: attachment; filename="plan.pdf"

        xxxx
        --B--
        """)
    document = read(tmp_path, "a.eml", mail)
    assert document.text == "Urlaubsantrag\n\nGrüße"
    assert (document.kind, document.title) == ("mail", "Urlaubsantrag")
    assert document.metadata["from"] == "Jürgen <j@example.com>"
    assert document.metadata["attachments"] == ["plan.pdf"]


def test_a_mail_without_plain_text_is_read_from_its_page(tmp_path):
    mail = "Subject: Hi\nContent-Type: text/html; charset=utf-8\n\n<h1>News</h1><p>Büro &amp; mehr</p>"
    document = read(tmp_path, "a.eml", mail)
    assert document.text == "Hi\n\nNews\n\nBüro & mehr"


@pytest.mark.parametrize(
    "mail",
    [
        "Subject: =?utf-8?q?=FF=FE?=\nFrom: <<<>@\nDate: yesterday\n\nbody text",
        "Subject: x\nContent-Type: text/plain; charset=klingon\n\nbody text",
        "Subject: x\nContent-Type: text/plain; charset=ascii\n\nbody text gr\xfc\xdfe",
        "Subject: x\nContent-Type: multipart/mixed; boundary=\n\nbody text",
        "Subject: x\nTo: \xff\xfe,,;;<>\nMessage-ID: <[\n\nbody text",
    ],
)
def test_a_mail_with_broken_headers_or_charset_is_still_read(tmp_path, mail):
    document = read(tmp_path, "a.eml", mail.encode("latin-1"))
    assert "body text" in document.text
    json.dumps(dict(document.metadata)).encode()
    document.title.encode()


def test_every_format_asked_for_has_a_loader():
    asked = (
        ".md .mdx .txt .rst .html .erb .pdf .docx .pptx .xlsx .eml .ipynb .csv .tsv .jsonl .py .ts .sql .yaml"
    )
    assert set(asked.split()) <= supported_suffixes()


def test_text_behind_the_end_of_a_page_is_kept(tmp_path):
    page = "<html><body><p>Before the end.</p></body></html>\n<p>Behind the end.</p>\n"
    assert read(tmp_path, "a.html", page).text == "Before the end.\n\nBehind the end."
