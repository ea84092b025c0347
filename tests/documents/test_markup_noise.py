"""Markdown, templates, AsciiDoc and logs: what looks like markup and is not, and the reverse."""

from __future__ import annotations

import pytest

from tests.documents.make_files import read


def headings(document):
    return [(heading.level, heading.text) for heading in document.headings]


@pytest.mark.parametrize(
    "text",
    [
        "Write `<!--` to open.\n\n# Next\n\nand `-->` to close.\n",
        "```html\n<!--\n```\n\n# Next\n\nan arrow --> here\n",
        "Use ``a ` <!-- `` so.\n\n# Next\n\n-->\n",
    ],
)
def test_a_comment_does_not_open_within_code(tmp_path, text):
    document = read(tmp_path, "a.md", text)
    assert document.text == text and headings(document) == [(1, "Next")]


def test_comments_go_and_headings_beside_them_stay(tmp_path):
    document = read(tmp_path, "a.md", "# A <!-- omit `x` in toc -->\n\na<!-- b\n# c\n-->d\n\n## E\n")
    assert headings(document) == [(1, "A"), (2, "E")]
    assert document.text.split() == ["#", "A", "a", "d", "##", "E"]


def test_a_badge_behind_the_end_of_a_comment_goes_too(tmp_path):
    text = "# A\n\n<!-- b\n-->[![c](d)](e)\n"
    document = read(tmp_path, "a.md", text)
    assert len(document.text) == len(text) and document.text.split() == ["#", "A"]


def test_raw_html_and_badges_are_blanked_in_place(tmp_path):
    text = (
        '<h1 align="center">\n  <img src="logo.png" alt="Widget">\n</h1>\n\n'
        "[![Build](https://ci/a.svg)](https://ci/a) [![PyPI](https://b.svg)](https://b)\n\n"
        '<div align="center">Makes <b>widgets</b> of `<div>` and List<String>.</div>\n\n    <p>code</p>\n'
    )
    document = read(tmp_path, "a.md", text)
    assert document.title == "Widget" and headings(document) == [(1, "Widget")]
    assert len(document.text) == len(text)
    assert " ".join(document.text.split()) == "Makes widgets of `<div>` and List<String>. <p>code</p>"


def test_headings_in_html_are_headings(tmp_path):
    document = read(tmp_path, "a.md", "<h1 align=center>The <i>tool</i></h1>\n\ntext\n\n<h2>Use</h2>\n")
    assert (document.title, headings(document)) == ("The tool", [(1, "The tool"), (2, "Use")])


@pytest.mark.parametrize(
    ("name", "text", "kind", "shown", "expected"),
    [
        ("a.yml.erb", "jobs:\n  host: <%= x %>\n  a < b\n", "code", "jobs:\n  host:         \n  a < b\n",
         [(1, "jobs"), (2, "host")]),
        ("a.sh.erb", "run() {\n  cat <file\n}\n", "code", "run() {\n  cat <file\n}\n", [(1, "run()")]),
        ("a.txt.erb", "Dear <%= name %>,\n", "text", "Dear            ,\n", []),
        ("a.md.erb", "# <%= title %>\n\n# B\n", "markdown", "              \n\n# B\n", [(1, "B")]),
        ("a.html.erb", "<h1>A</h1><%= b %>", "html", "A", [(1, "A")]),
        ("a.erb", "<h1>A</h1><%= b %>", "html", "A", [(1, "A")]),
    ],
)  # fmt: skip
def test_a_template_is_of_the_kind_below_its_suffix(tmp_path, name, text, kind, shown, expected):
    document = read(tmp_path, name, text)
    assert (document.kind, document.text, headings(document)) == (kind, shown, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.adoc", [(1, "Guide"), (2, "Install")]), ("a.org", [(1, "item"), (2, "deeper")])],
)
def test_stars_are_headings_in_org_and_lists_in_asciidoc(tmp_path, name, expected):
    assert headings(read(tmp_path, name, "= Guide\n\n* item\n** deeper\n\n== Install\n")) == expected


def test_the_colours_of_a_terminal_are_blanked(tmp_path):
    text = "\x1b[1;31mERROR\x1b[0m disk \x1b]0;title\x07full\n"
    document = read(tmp_path, "a.log", text)
    assert len(document.text) == len(text) and document.text.split() == ["ERROR", "disk", "full"]
