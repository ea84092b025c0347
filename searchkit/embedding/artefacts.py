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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from searchkit.embedding.calibration import Parity
from searchkit.embedding.hashes import file_sha256, plain_sha256, value_sha256
from searchkit.embedding.progress import tell
from searchkit.errors import ModelError
from searchkit.settings import cache_folder

GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
FACTS_FILE = "artefact.json"
FORMAT = 2  # of what lies in the folder; part of its name


class GraphFailed(ModelError):
    """A graph cannot be made, opened or trusted, where torch might run the model all the same.

    of_model: whether that is the model's doing, and so will not be otherwise the next time; else it is the
    disk's, the memory's, or that of what is installed.
    """

    def __init__(self, message: str, *, remedy: str, of_model: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.of_model = of_model


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
    the same artefact one makes it, the others wait, and tell so.

    Raises: OSError: the cache cannot be written.
    """
    found = read_artefact(folder)
    if found is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        found = read_artefact(folder)  # made while we waited
        if found is not None:
            return found
        # Not mkdtemp: its folder is its owner's alone, and a cache may be shared.
        part = folder.with_name(f"{folder.name}-{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)  # of a killed process that had our number
        try:
            part.mkdir()
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


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock; tell if another process has it."""
    import filelock  # only here: 20 ms that a query need not pay

    lock = filelock.FileLock(file)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        tell("Waiting: another process is preparing the model for this machine")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write_facts(part: Path, made: Artefact) -> None:
    for file in part.iterdir():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
    facts = asdict(made)
    # Not file_sha256: what it remembers of a file here is of no use once the folder is renamed.
    facts["files"] = {file.name: plain_sha256(file) for file in sorted(part.iterdir())}
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
