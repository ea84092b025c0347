import sqlite3
from pathlib import Path

import pytest

from searchkit.collection import extraction, index_pipeline, processes
from searchkit.collection.extraction import Extraction
from searchkit.collection.library import Library
from searchkit.documents.discover import discover
from searchkit.errors import DocumentError
from searchkit.library.database import FILE_NAME
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]

SECRET = "Frau Wintersteiner lives in Quellengasse and told the Zwetschgenknoedel anecdote"
WORDS = ("wintersteiner", "quellengasse", "zwetschgenknoedel")


@pytest.fixture
def embedder():
    return WordEmbedder()


@pytest.fixture
def library(library_folder, embedder):
    return Library(library_folder, open_model=lambda model: embedder)


@pytest.fixture
def docs(tmp_path) -> Path:
    """Three small documents about different things."""
    folder = tmp_path / "docs"
    write(folder / "laptop.md", "# Laptops\n\nOrder a new laptop in the hardware portal.\n")
    write(folder / "hr" / "leave.md", "# Leave\n\nParental leave lasts fourteen weeks at full pay.\n")
    write(folder / "vpn.txt", "The tunnel to the office network needs a second factor.\n")
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def hostile(monkeypatch):
    """Processes that do what names of files tell them to."""
    boot = processes._BOOT.replace("searchkit.documents.worker", "tests.collection.hostile_worker")
    monkeypatch.setattr(processes, "_BOOT", boot)
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def two_processes(monkeypatch):
    """However little there is to read."""
    monkeypatch.setattr(index_pipeline, "processes_for", lambda files: 2)


@pytest.fixture
def started(monkeypatch):
    """The processes that extractions start."""
    found = []

    class Watched(extraction.Process):
        def __init__(self):
            super().__init__()
            found.append(self._popen)

    monkeypatch.setattr(extraction, "Process", Watched)
    return found


def answers(files, count):
    """For every file its Documents or its error, and the rows it lost."""
    reading = Extraction(files, count)
    try:
        return [outcome(reading.documents, file) for file in files]
    finally:
        reading.close()


def outcome(read, file):
    lost = []
    try:
        documents = list(read(file, on_failure=lost.append))
    except DocumentError as error:
        return type(error), error.message, error.remedy, lost
    return documents, lost


def files_under(folder):
    return discover(folder).files


def undo_places(folder):
    """Make of a Library what it was before places were stored."""
    connection = sqlite3.connect(folder / FILE_NAME)
    for column in ("unit", "first", "last", "sheet", "last_sheet"):
        connection.execute(f"ALTER TABLE passages DROP COLUMN place_{column}")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm004_places'")
    connection.commit()
    connection.close()


@pytest.fixture
def secret(docs):
    """A document whose text, title, heading, property and name are its own."""
    front = "---\nauthor: Adalbert Geheimrat\n---\n"
    text = f"{front}# Besuchsprotokoll Nummer siebzehn\n\n## Verschwiegenes Kapitel\n\n{SECRET}.\n"
    return write(docs / "hr" / "wintersteiner-besuch.md", text)


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir())


def assert_gone(folder):
    """Looked for in the plain way, byte by byte."""
    held = bytes_of(folder).lower()
    for piece in (SECRET, *WORDS, "Adalbert Geheimrat", "Besuchsprotokoll", "Verschwiegenes", "besuch.md"):
        assert piece.lower().encode() not in held, piece
