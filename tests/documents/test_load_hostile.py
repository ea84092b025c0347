"""Files that are broken, locked, lying or too large: each ends in an error that says what helps."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
import zlib
from pathlib import Path

import pytest

from searchkit.documents import load as door
from searchkit.documents.load import Limits, load
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, SourceFile
from tests.documents import make_files
from tests.documents.make_files import read_all, source

NOISE = random.Random(7).randbytes(5000)
PLAIN_PDF = make_files.pdf([[("Helvetica", 10, "Hello, this is a page of text")]])


LAUGHING_SHEET = {"xl/worksheets/sheet1.xml": make_files.billion_laughs()}
LAUGHING_SLIDE = {"ppt/slides/slide1.xml": make_files.billion_laughs().encode("utf-16")}


def word_file(body: str | bytes) -> bytes:
    return make_files.docx(parts={"word/document.xml": body})


CASES = {
    "zero bytes": ("a.md", b"", "is empty"),
    "white space": ("a.txt", b" \n\t\n ", "holds no text"),
    "byte order mark only": ("a.txt", b"\xef\xbb\xbf", "holds no text"),
    "punctuation only": ("a.md", b"--- *** ---\n", "no letter and no digit"),
    "front matter only": ("a.md", b"---\ntitle: x\n---\n", "holds no text"),
    "noise as text": ("a.md", NOISE, "binary data"),
    "zeros as text": ("a.log", bytes(5000), "binary data"),
    "zeros in text": ("a.csv", b"a,b\n" + bytes(1000) + b"c" * 1000, "binary data"),
    "unknown encoding": (
        "a.txt",
        "これは日本語の文章です。".encode("shift_jis") * 20,
        "encoding that cannot be told",
    ),
    "cut UTF-16": ("a.txt", b"\xff\xfea\x00b\x00c", "begins like utf-16-le but is not"),
    "unknown kind": ("a.xyz", b"text", "of a kind that is not read"),
    "noise as PDF": ("a.pdf", NOISE, "does not begin as a PDF"),
    "cut PDF": ("a.pdf", PLAIN_PDF[:300], "cannot be opened as PDF"),
    "encrypted PDF": ("a.pdf", make_files.pdf([[("Helvetica", 9, "secret")]], password="x"), "is encrypted"),
    "PDF without text": ("a.pdf", make_files.pdf([[]]), "has no text layer"),
    "no zip": ("a.docx", b"just text", "is no zip archive"),
    "cut zip": ("a.docx", make_files.docx()[:2000], "is no zip archive"),
    "old or locked Office": ("a.docx", make_files.ole_file(), "is encrypted"),
    "old Office": ("a.xlsx", make_files.ole_file()[:900], "before 2007"),
    "zip without parts": ("a.pptx", make_files.lying_zip("a.txt", b"x"), "lacks its part"),
    "zip bomb": ("a.docx", make_files.zip_bomb("word/document.xml"), "zip bomb"),
    "zip bomb in a sheet": ("a.xlsx", make_files.zip_bomb("xl/workbook.xml"), "zip bomb|at most"),
    "zip that lies": (
        "a.docx",
        make_files.lying_zip("word/document.xml", b"<a>" + b"b" * 9999 + b"</a>"),
        "cannot be read as docx",
    ),
    "billion laughs": ("a.docx", word_file(make_files.billion_laughs()), "document type definition"),
    "laughs in UTF-16": (
        "a.docx",
        word_file(make_files.billion_laughs().encode("utf-16")),
        "document type definition",
    ),
    "laughs in a sheet": (
        "a.xlsx",
        make_files.with_parts(make_files.xlsx(), LAUGHING_SHEET),
        "document type definition",
    ),
    "laughs in a slide": (
        "a.pptx",
        make_files.with_parts(make_files.pptx(), LAUGHING_SLIDE),
        "document type definition",
    ),
    "zip bomb in a slide": (
        "a.pptx",
        make_files.with_parts(make_files.pptx(), {"ppt/slides/slide9.xml": bytes(20 << 20)}),
        "zip bomb",
    ),
    "strict sheets": (
        "a.xlsx",
        make_files.with_text(
            make_files.xlsx(),
            "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
            "http://purl.oclc.org/ooxml/spreadsheetml/main",
        ),
        "Strict Open XML",
    ),
    "no XML": ("a.docx", word_file("this is no xml"), "cannot be read as docx"),
    "archive in a book": (
        "a.epub",
        make_files.lying_zip("inner.zip", make_files.zip_bomb("x", 1 << 20)),
        "further archive",
    ),
    "empty page": ("a.html", b"<html><head><title>x</title></head><body></body></html>", "holds no text"),
    "no notebook": ("a.ipynb", b"not json", "is no notebook"),
    "notebook without cells": ("a.ipynb", b'{"nbformat": 4}', "no list of cells"),
    "notebook that is a list": ("a.ipynb", b"[1, 2]", "no list of cells"),
    "deep notebook": ("a.ipynb", b'{"cells":' + b"[" * 200_000, "nested too deeply"),
    "no mail": ("a.eml", NOISE, "none of the headers"),
    "empty notebook": ("a.ipynb", b'{"cells": [{"cell_type": "code", "source": ""}, 7]}', "holds no text"),
}


@pytest.mark.parametrize(("name", "content", "said"), CASES.values(), ids=CASES.keys())
def test_a_hostile_file_is_refused_with_a_reason_and_a_remedy(tmp_path, name, content, said):
    with pytest.raises(DocumentError, match=said) as caught:
        read_all(tmp_path, name, content)
    assert caught.value.remedy
    assert len(str(caught.value)) < 600


def test_a_file_without_permission_is_unavailable(open_folder, unprivileged):
    path = open_folder / "a.md"
    path.write_text("text")
    path.chmod(0)
    with unprivileged(), pytest.raises(DocumentUnavailable, match="permission denied"):
        list(load(source(path)))


def test_a_file_that_vanished_is_unavailable(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("text")
    gone = source(path)
    path.unlink()
    with pytest.raises(DocumentUnavailable, match="vanished"):
        list(load(gone))


def test_a_file_that_changes_while_it_is_read_is_unavailable(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\none\ntwo\n")
    rows = load(source(path))
    assert next(rows).text == "one"
    with path.open("a") as file:
        file.write("three\n")
    with pytest.raises(DocumentUnavailable, match="changed while it was being read"):
        list(rows)


def test_a_pipe_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.md")
    pipe = SourceFile(path=tmp_path / "a.md", name="a.md", size=1, mtime_ns=0)
    with pytest.raises(DocumentError, match="no regular file"):
        list(load(pipe))


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("a.txt", Limits(file_bytes=100)),
        ("a.html", Limits(tree_bytes=100)),
        ("a.eml", Limits(tree_bytes=100)),
        ("a.ipynb", Limits(tree_bytes=100)),
        ("a.docx", Limits(unpacked_bytes=5000)),
        ("a.docx", Limits(tree_bytes=100)),
        ("a.docx", Limits(members=3)),
        ("a.docx", Limits(text_characters=20)),
        ("a.xlsx", Limits(unpacked_bytes=1000)),
        ("a.xlsx", Limits(tree_bytes=1000)),
        ("a.xlsx", Limits(text_characters=20)),
        ("a.pptx", Limits(unpacked_bytes=50_000)),
        ("a.pptx", Limits(tree_bytes=50_000)),
        ("a.pptx", Limits(text_characters=20)),
        ("a.pdf", Limits(text_characters=20)),
    ],
)
def test_every_limit_is_kept(tmp_path, name, limits):
    made = {
        "docx": make_files.docx,
        "pptx": make_files.pptx,
        "xlsx": make_files.xlsx,
        "pdf": lambda: PLAIN_PDF,
    }
    path = tmp_path / name
    path.write_bytes(made.get(path.suffix[1:], lambda: b"Subject: x\n\n" + b"word " * 100)())
    with pytest.raises(DocumentError) as caught:
        list(load(source(path), limits=limits))
    assert "at most" in caught.value.message or "more than" in caught.value.message


def test_glyphs_without_meaning_are_not_indexed(tmp_path):
    with pytest.raises(DocumentError, match="glyphs without meaning on 1 of 1 pages"):
        read_all(tmp_path, "a.pdf", make_files.garbled_pdf())


@pytest.mark.parametrize(
    ("text", "garbled"),
    [("\ue001\ue002\ue003 ab", True), ("• Bullet \uf0b7 list of words", False), ("", False)],
)
def test_garbled_text_is_told_from_text_with_bullets(text, garbled):
    from searchkit.documents.pdf import _is_garbled

    assert _is_garbled(text) is garbled


class PanicException(BaseException):
    """Stands for what Rust extensions raise when they panic."""


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (PanicException("index out of bounds"), DocumentError),
        (ValueError("bad token"), DocumentError),
        (RecursionError(), DocumentError),
        (MemoryError(), DocumentUnavailable),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(), SystemExit),
    ],
)
def test_whatever_a_library_raises_becomes_an_error_of_the_file(tmp_path, monkeypatch, raised, expected):
    def failing(*_):
        raise raised
        yield

    monkeypatch.setitem(door._LOADERS, ".md", ("markdown", failing))
    with pytest.raises(expected) as caught:
        read_all(tmp_path, "a.md", "text")
    assert type(caught.value) is expected
    if raised.args:
        assert str(raised.args[0]) in str(caught.value)


def test_halves_of_surrogate_pairs_never_leave_the_door(tmp_path, monkeypatch):
    def odd(file, _):
        yield Document(name=file.name, kind="text", text="a\ud800b", title="\udcff t")

    monkeypatch.setitem(door._LOADERS, ".md", ("markdown", odd))
    (document,) = read_all(tmp_path, "a.md", "text")
    assert (document.text, document.title) == ("a\ufffdb", "\ufffd t")


SLOW_TO_PARSE = {
    "comments": ("a.md", "<!--" * 100_000),
    "tags": ("a.html.md.erb", "x <%" * 100_000),
    "open tags": ("a.html", "<a " * 100_000 + "x"),
    "open comments": ("a.html", "<!-- <" * 100_000 + "x"),
    "deep page": ("a.html", "<div>" * 50_000 + "x"),
    "heading of spaces": ("a.md", "# a" + " " * 200_000 + "b"),
    "backticks": ("a.md", ("# " + "`" * 400 + "\n") * 300),
    "brackets": ("a.md", ("# " + "[" * 400 + "\n") * 300),
    "emphasis": ("a.md", ("# " + "*a" * 200 + "\n") * 300),
    "front matter of spaces": ("a.md", "---\n" + " " * 60_000 + "x\n---\nx"),
    "code of spaces": ("a.java", ("public " * 40 + "\n") * 1000),
    "code of names": ("a.cs", ("a<b, c> " * 30 + "(\n") * 1000),
    "one line": ("a.txt", "word " * 1_000_000),
    "deep JSON": ("a.json", "[" * 1_000_000),
    "open quote": ("a.csv", 'a,b\n1,"' + "x\n" * 200_000),
    "delimiters": ("a.csv", ";,|\t" * 100_000 + "a"),
}


@pytest.mark.parametrize(("name", "content"), SLOW_TO_PARSE.values(), ids=SLOW_TO_PARSE.keys())
def test_no_input_is_slow_to_parse(tmp_path, name, content):
    started = time.process_time()
    with contextlib.suppress(DocumentError):
        read_all(tmp_path, name, content, [])
    assert time.process_time() - started < 5  # quadratic parsers need minutes for these


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.pdf", "a.eml", "a.ipynb", "a.html"])
def test_damaged_bytes_never_escape_as_anything_but_a_document_error(tmp_path, name):
    made = {
        "docx": make_files.docx,
        "pptx": make_files.pptx,
        "xlsx": make_files.xlsx,
        "pdf": lambda: PLAIN_PDF,
    }
    text = b'Subject: x\nContent-Type: text/html\n\n{"cells": [{"source": "<p>text</p>"}]}'
    original = made.get(name[2:], lambda: text)()
    chance = random.Random(zlib.crc32(name.encode()))
    for _ in range(40):
        damaged = bytearray(original)
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        with contextlib.suppress(DocumentError):
            for document in read_all(tmp_path, name, bytes(damaged)):
                document.text.encode()
                json.dumps(dict(document.metadata)).encode()


def test_loading_prints_nothing_and_leaves_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.pdf", PLAIN_PDF), ("b.docx", make_files.docx()), ("c.pdf", PLAIN_PDF[:300])):
        with contextlib.suppress(DocumentError):
            read_all(tmp_path, name, content)
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in Path().iterdir()) == ["a.pdf", "b.docx", "c.pdf"]
