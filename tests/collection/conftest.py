from pathlib import Path

import pytest

from searchkit.collection.library import Library
from tests.fakes import WordEmbedder


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
