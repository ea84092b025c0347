"""Golden checkpoints, and copies of them that a test may spoil."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from searchkit.embedding.embedder import LocalEmbedder, open_embedder

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden checkpoints and vectors."""
    return GOLDEN


@pytest.fixture(scope="session")
def golden_pairs() -> list[tuple[str, str]]:
    """(instruction, text) pairs that the golden vectors belong to."""
    return [(pair[0], pair[1]) for pair in json.loads((GOLDEN / "pairs.json").read_text(encoding="utf-8"))]


@pytest.fixture
def copied(tmp_path: Path) -> Callable[..., Path]:
    """A function that copies a golden checkpoint into a folder of another name."""

    def copy(name: str, to: str = "a-model") -> Path:
        return Path(shutil.copytree(GOLDEN / name, tmp_path / to))

    return copy


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("SEARCHKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def bert() -> LocalEmbedder:
    """A tiny BERT with mean pooling."""
    return open_embedder(GOLDEN / "bert-mean")


@pytest.fixture(scope="session")
def instructor() -> LocalEmbedder:
    """A tiny INSTRUCTOR."""
    return open_embedder(GOLDEN / "instructor-relu")


def edit_json(file: Path, **changes: object) -> None:
    """Change keys of a JSON object in place."""
    value = {**json.loads(file.read_text(encoding="utf-8")), **changes}
    file.write_text(json.dumps(value), encoding="utf-8")


def of_run(folder: Path) -> LocalEmbedder:
    """The model as a query opens it: as a graph, made where there is none, else by torch."""
    return open_embedder(folder, precision="float32", runtime="quick")


def is_graph(embedder: LocalEmbedder) -> bool:
    """Whether ONNX Runtime runs it."""
    return type(embedder.runtime).__name__ == "OnnxRuntime"
