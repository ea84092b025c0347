"""HTML and mail as programs really write them: deep, framed, in tables, with several forms of a text."""

from __future__ import annotations

import pytest

from searchkit.errors import DocumentError
from tests.documents.make_files import read

LONG = "A paragraph of the page's own text, long enough to be what the page is about. " * 4


def headings(document):
    return [(heading.level, heading.text) for heading in document.headings]


@pytest.mark.parametrize("depth", [300, 1500])
def test_text_below_deep_nesting_is_read(tmp_path, depth):
    markup = "<p>first</p>" + "<div>" * depth + "deep" + "</div>" * depth + "<p>last</p>"
    assert read(tmp_path, "a.html", markup).text == "first\n\ndeep\n\nlast"


def test_text_behind_a_script_of_many_megabytes_is_read(tmp_path):
    markup = "<p>first</p><script>" + "x" * 11_000_000 + "</script><p>last</p>"
    assert read(tmp_path, "a.html", markup).text == "first\n\nlast"


def test_a_page_that_is_too_deep_fails_and_is_not_cut(tmp_path):
    with pytest.raises(DocumentError, match="nested too deeply"):
        read(tmp_path, "a.html", "<p>first</p>" + "<div>" * 5000 + "deep")


def test_a_mail_quoted_many_times_is_read_to_its_end(tmp_path):
    page = "<blockquote>" * 260 + "the first mail" + "</blockquote>" * 260 + "<p>Regards</p>"
    document = read(tmp_path, "a.eml", f"Subject: Re\nContent-Type: text/html\n\n{page}")
    assert document.text == "Re\n\nthe first mail\n\nRegards"


@pytest.mark.parametrize(
    "markup",
    [
        f"<body><header id=title-block-header><h1 class=title>The title</h1></header><p>{LONG}</p></body>",
        f"<body><h1>The title</h1><p>intro</p><main><p>{LONG}</p></main></body>",
        f"<body><div role=banner><h1>The title</h1></div><main><p>{LONG}</p></main></body>",
    ],
)
def test_the_only_h1_of_a_page_is_kept_wherever_it_stands(tmp_path, markup):
    document = read(tmp_path, "a.html", markup)
    assert headings(document) == [(1, "The title")] and document.text.startswith("The title\n\n")


@pytest.mark.parametrize(
    "markup",
    [
        f"<body><header><h1>Site</h1></header><main><h1>Page</h1><p>{LONG}</p></main></body>",
        f"<body><nav><h1>Menu</h1></nav><main><h2>Page</h2><p>{LONG}</p></main></body>",
        f"<body><main><h1>Page</h1><p>{LONG}</p></main></body>",
    ],
)
def test_an_h1_is_read_once_and_not_from_navigation(tmp_path, markup):
    assert [text for _, text in headings(read(tmp_path, "a.html", markup))] == ["Page"]


def test_tables_that_arrange_a_page_keep_its_headings_and_code(tmp_path):
    markup = "<table><tr><td><h2>Use</h2><p>Type:</p><pre>if a:\n    b()</pre></td></tr></table>"
    document = read(tmp_path, "a.html", markup)
    assert headings(document) == [(2, "Use")]
    assert document.text == "Use\n\nType:\n\nif a:\n    b()"


def test_what_a_page_says_without_frames_is_no_markup(tmp_path):
    markup = "<html><frameset><noframes><h2>Manual</h2> click <a href=x>here</a></noframes></frameset>"
    assert read(tmp_path, "a.html", markup).text == "Manual\n\nclick here"


@pytest.mark.parametrize(
    ("declared", "encoded_as", "text"),
    [
        ("iso-8859-1", "cp1252", "„5 €“ – und mehr Müll"),
        ("us-ascii", "cp1252", "café – “quoted”"),
        ("gb2312", "gb18030", "朱镕基的文章"),
        ("shift_jis", "cp932", "①丸数字です"),
        ("euc-kr", "cp949", "똠방각하 이야기"),
    ],
)
def test_declared_encodings_mean_what_browsers_take_them_for(tmp_path, declared, encoded_as, text):
    page = f"<meta charset={declared}><p>".encode() + text.encode(encoded_as)
    assert read(tmp_path, "a.html", page).text == text
    mail = f"Subject: x\nContent-Type: text/plain; charset={declared}\n\n".encode() + text.encode(encoded_as)
    assert read(tmp_path, "a.eml", mail).text == f"x\n\n{text}"


def mail_of(*parts: tuple[str, str], kind: str = "alternative") -> str:
    body = "".join(f"--b\nContent-Type: {type_}\n\n{text}\n" for type_, text in parts)
    return f"Subject: S\nContent-Type: multipart/{kind}; boundary=b\n\n{body}--b--\n"


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (mail_of(("text/plain", "the same words here"), ("text/html", "<p>the same <b>words</b> here</p>")),
         "S\n\nthe same words here"),
        (mail_of(("text/plain", "no HTML?"), ("text/html", "<h2>News</h2><p>" + "many words " * 9 + "</p>")),
         "S\n\nNews\n\n" + " ".join(["many words"] * 9)),
        (mail_of(("text/html", "<p>the report</p>"), ("text/plain", "sent by a list"), kind="mixed"),
         "S\n\nthe report\n\nsent by a list"),
        (mail_of(("text/plain", "please see"), ("message/rfc822", "Subject: Lost key\n\nGone"), kind="mixed"),
         "S\n\nplease see\n\nLost key\n\nGone"),
    ],
    ids=["same", "stub", "mixed", "forwarded"],
)  # fmt: skip
def test_a_mail_is_read_whole_and_of_several_forms_one(tmp_path, mail, expected):
    document = read(tmp_path, "a.eml", mail)
    assert document.text == expected
    for heading in document.headings:
        assert document.text[heading.start :].startswith(heading.text)
