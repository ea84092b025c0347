"""Exported networks in the cache: where one lies, whether it is whole, how it gets there. Runs none.

An artefact is a folder named by a hash of all that shapes it, so that it is never stale. It can always be
deleted and made again. A network that cannot be exported leaves a folder too, with the reason in it, so
that nobody tries again at every start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from searchkit.embedding.calibration import Parity
from searchkit.embedding.hashes import file_sha256, value_sha256
from searchkit.settings import cache_folder

GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
FACTS_FILE = "artefact.json"
FORMAT = 1  # of what lies in the folder; part of its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """What is known of an exported network without running it."""

    precision: str
    dim: int = 0
    vocabulary: int = 0  # rows of the table of embeddings
    position_limit: int | None = None
    parameters: int = 0
    parity: Parity | None = None
    spared: tuple[str, ...] = ()  # linear layers that stayed in float32
    refused: str = ""  # why there is no graph; '' where there is one
    files: Mapping[str, str] = field(default_factory=dict)  # name → sha256


def place_of(facts: Mapping[str, Any]) -> Path:
    """The folder of the artefact that is shaped by these facts."""
    return cache_folder() / "onnx" / value_sha256({**facts, "format": FORMAT})[:32]


def read_artefact(folder: Path) -> Artefact | None:
    """What lies in the folder; None if there is nothing, or it is not as it was written."""
    try:
        said = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        parity = Parity(**said.pop("parity")) if said.get("parity") else None
        spared = tuple(said.pop("spared"))
        found = Artefact(**{**said, "parity": parity, "spared": spared})
        whole = all(file_sha256(folder / name) == sha256 for name, sha256 in found.files.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found if whole and (found.refused or GRAPH_FILE in found.files) else None


def obtain(folder: Path, make: Callable[[Path], Artefact]) -> Artefact:
    """The artefact in this folder, made first where it is not there.

    make: writes the files into an empty folder and tells what they are. Of several processes that want
    the same artefact one makes it, the others wait.

    Raises: OSError: the cache cannot be written.
    """
    found = read_artefact(folder)
    if found is not None:
        return found
    from filelock import FileLock  # only here: 20 ms that a query need not pay

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        found = read_artefact(folder)  # made while we waited
        if found is not None:
            return found
        part = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".part"))
        try:
            made = make(part)
            _write_facts(part, made)
            shutil.rmtree(folder, ignore_errors=True)  # what is there is damaged
            part.replace(folder)  # the only instant at which anything changes
        finally:
            shutil.rmtree(part, ignore_errors=True)
    _sweep(folder.parent)
    found = read_artefact(folder)
    if found is None:
        raise OSError(f"{folder} is not as it was written")
    return found


def _write_facts(part: Path, made: Artefact) -> None:
    for file in part.iterdir():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
    facts = asdict(made)
    facts["files"] = {file.name: file_sha256(file) for file in sorted(part.iterdir())}
    with (part / FACTS_FILE).open("w", encoding="utf-8") as stream:
        json.dump(facts, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def _sweep(parent: Path) -> None:
    """Delete what a killed process left. A folder younger than a day may be of one at work."""
    with contextlib.suppress(OSError):  # others rename and sweep meanwhile
        newest = max((path.stat().st_mtime for path in parent.iterdir()), default=0.0)
        for part in parent.glob("*.part"):
            if newest - part.stat().st_mtime > 86_400:
                shutil.rmtree(part, ignore_errors=True)
