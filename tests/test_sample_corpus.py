"""The sample corpus keeps its promises: questions can be answered, binaries are what their sources say."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
import tomllib
import zipfile
from collections import Counter
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cache
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pathspec
import pytest

CORPUS = Path(__file__).resolve().parent.parent / "sample_corpus"
SOURCES = CORPUS / "_sources"
QUESTIONS = [json.loads(line) for line in (CORPUS / "questions.jsonl").read_text("utf-8").splitlines()]
TRAPS = {
    "binary.md",
    "invalid_utf8.txt",
    "truncated.pdf",
    "encrypted.pdf",
    "no_text_layer.pdf",
    "no_zip.docx",
    "zip_bomb.pptx",
    "truncated.xlsx",
    "nested_tags.html",
    "broken_headers.eml",
    "invalid_json.ipynb",
    "broken_quotes.csv",
    "malformed_lines.jsonl",
    "binary.py",
    "empty.md",
}
MADE_FROM_SOURCES = {".pdf", ".docx", ".pptx", ".xlsx"}
DOCUMENT_SUFFIXES = {".md", ".txt", ".html", ".eml", ".ipynb", ".csv", ".jsonl"} | MADE_FROM_SOURCES
CODE_SUFFIXES = {".py", ".sql", ".sh", ".yaml", ".c", ".ts"}
SIZE_LIMIT = 3_000_000  # bytes; a clone of the project should stay small


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script make_binaries.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("make_binaries", CORPUS / "make_binaries.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_binaries", module)  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@cache
def indexed_files() -> dict[str, Path]:
    """Every file that the corpus offers to an index, by its name relative to the corpus."""
    ignored = pathspec.GitIgnoreSpec.from_lines((CORPUS / ".searchkitignore").read_text("utf-8").splitlines())
    names = {path.relative_to(CORPUS).as_posix(): path for path in CORPUS.rglob("*") if path.is_file()}
    hidden = {name for name in names if "__pycache__" in name or name.rpartition("/")[2].startswith(".")}
    return {
        name: path
        for name, path in sorted(names.items())
        if name not in hidden | set(ignored.match_files(names))
    }


def squeeze(text: str) -> str:
    """Collapse white space: where a line is wrapped says nothing about what was written."""
    return " ".join(text.split())


class VisibleText(HTMLParser):
    """Collects the words of a page, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._skipped: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._skipped = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipped:
            self._skipped = None

    def handle_data(self, data: str) -> None:
        if self._skipped is None:
            self.words.append(data)


def html_text(page: str) -> str:
    """The visible words of a page."""
    reader = VisibleText()
    reader.feed(page)
    return "".join(reader.words)


def mail_text(path: Path) -> str:
    """The plain text of a mail."""
    mail = BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())
    body = mail.get_body(("plain",))
    assert body is not None, path
    return str(body.get_content())


def notebook_text(path: Path) -> str:
    """The sources and the printed output of a notebook's cells."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [line for cell in cells for output in cell.get("outputs", ()) for line in output["text"]]
    return "\n\n".join(["".join(cell["source"]) for cell in cells] + ["".join(outputs)])


def source_text(name: str) -> str:
    """The words from which a binary was made."""
    if name.endswith(".xlsx"):
        book = tomllib.loads((SOURCES / f"{name}.toml").read_text("utf-8"))
        rows = [row for sheet in book["sheet"] for row in (sheet["header"], *sheet["rows"])]
        return "\n".join(str(cell) for row in rows for cell in row)
    return re.sub(r"^(- |\d+\. )", "", (SOURCES / f"{name}.md").read_text("utf-8"), flags=re.MULTILINE)


@cache
def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a CSV or JSONL file."""
    with (CORPUS / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines)) if name.endswith(".csv") else [json.loads(line) for line in lines]


@cache
def text_of(document: str) -> str:
    """The text of a document, named as a question names it; for a row its values, one per line."""
    name, _, row = document.partition("#")
    path = CORPUS / name
    if row:
        return "\n".join(map(str, rows(name)[int(row) - 1].values()))
    if path.suffix in MADE_FROM_SOURCES:
        return source_text(name)
    readers = {".html": lambda: html_text(path.read_text("utf-8")), ".eml": lambda: mail_text(path)}
    readers[".ipynb"] = lambda: notebook_text(path)
    return readers.get(path.suffix, lambda: path.read_text("utf-8"))()


def test_there_are_documents_of_every_format():
    """At least 72 files are offered to an index, among them every format and several kinds of code."""
    suffixes = Counter(path.suffix for path in indexed_files().values())
    assert sum(suffixes.values()) >= 72
    assert set(suffixes) == DOCUMENT_SUFFIXES | CODE_SUFFIXES
    assert len(rows("support/tickets.csv")) >= 40 and len(rows("support/faq.jsonl")) >= 30


def test_the_corpus_stays_small():
    """A clone is not burdened by the corpus."""
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < SIZE_LIMIT


def test_there_are_questions_for_every_format_folder_and_language():
    """Questions reach every format and every folder, in five languages, with few across languages."""
    named = [question["document"].partition("#")[0] for question in QUESTIONS]
    assert len(QUESTIONS) >= 80
    assert {Path(name).suffix for name in named} == DOCUMENT_SUFFIXES | CODE_SUFFIXES
    assert {name.split("/")[0] for name in named} == {name.split("/")[0] for name in indexed_files()}
    assert {question["language"] for question in QUESTIONS} == {"en", "de", "fr", "es", "ja"}
    assert sum(question.get("hard", False) for question in QUESTIONS) <= 6
    assert "how do I get a new laptop" in {question["question"] for question in QUESTIONS}


def test_questions_are_told_apart():
    """No id and no question appears twice."""
    for field in ("id", "question"):
        assert len({question[field] for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["id"])
def test_the_answer_stands_in_the_document(question):
    """All documents named are indexed, and the first holds the answer word for word."""
    assert question["document"] == question["documents"][0]
    assert len(set(question["documents"])) == len(question["documents"])
    for document in question["documents"]:
        assert document.partition("#")[0] in indexed_files()
        assert text_of(document)
    assert squeeze(question["answer"]) in squeeze(text_of(question["document"]))


def test_every_binary_has_a_source_and_every_source_its_binary():
    """Nothing was edited in a binary only, and nothing was forgotten."""
    binaries = {name for name, path in indexed_files().items() if path.suffix in MADE_FROM_SOURCES}
    sources = {*SOURCES.rglob("*.md"), *SOURCES.rglob("*.toml")}
    assert binaries == {path.relative_to(SOURCES).with_suffix("").as_posix() for path in sources}


def test_making_the_binaries_again_gives_the_same_bytes(maker):
    """The committed binaries are what make_binaries.py makes of their sources."""
    recorded = json.loads(maker.MADE_WITH.read_text("utf-8"))
    try:
        installed = maker.versions()
    except metadata.PackageNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed: pip install -e '.[dev]'")
    if installed != recorded:
        changed = {
            name: (recorded[name], installed[name]) for name in recorded if recorded[name] != installed[name]
        }
        pytest.skip(f"bytes depend on versions, these are not the recorded ones: {changed}")
    different = [
        name
        for name, source in maker.sources().items()
        if maker.MAKERS[Path(name).suffix](source) != (CORPUS / name).read_bytes()
    ]
    assert different == []


def test_traps_are_present_and_kept_out_of_the_index():
    """One hostile file per loader, explained, and never offered to an index of the corpus."""
    names = {path.name for path in (CORPUS / "traps").iterdir()}
    assert names == TRAPS | {"README.md"}
    explained = (CORPUS / "traps" / "README.md").read_text("utf-8")
    assert [name for name in TRAPS if f"`{name}`" not in explained] == []
    assert {Path(name).suffix for name in TRAPS} >= DOCUMENT_SUFFIXES
    kept_out = ("traps/", "_sources/", "make_", "questions.jsonl", "README.md")
    assert [name for name in indexed_files() if name.startswith(kept_out)] == []


def test_the_zip_bomb_is_small_on_disk_and_declares_gigabytes():
    """The bomb really is one: reading the directory alone shows it."""
    bomb = CORPUS / "traps" / "zip_bomb.pptx"
    with zipfile.ZipFile(bomb) as deck:
        declared = sum(member.file_size for member in deck.infolist())
    assert bomb.stat().st_size < 100_000 and declared > 2 * 1024**3
