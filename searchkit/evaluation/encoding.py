"""Texts to vectors under the Instruction of each side, kept on disk block by block.

Blocks are named by all that shapes them, so that an evaluation that was killed goes on where it was, and one
that puts another Instruction before queries embeds no document again. All of them can be deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.embedding.embedder import Embedder
from searchkit.profile import Side

BLOCK = 1_024  # texts: what is lost at most when a run is killed
KEPT_BYTES = 4 << 30  # of blocks; the oldest go first
PART_S = 3_600  # a block that was begun so long ago is written by nobody any more

OnProgress = Callable[[int, int], None]  # texts embedded or found, of how many


class Encoder:
    """Embeds texts of one model under the literal instructions of two sides.

    folder: where blocks are kept; None to keep none.
    """

    def __init__(
        self,
        embedder: Embedder,
        instructions: Mapping[Side, str],
        folder: Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.embedder = embedder
        self.instructions = dict(instructions)
        self._folder = folder
        self._on_progress = on_progress

    def __call__(self, texts: Sequence[str], side: Side) -> Float32Matrix:
        """(n, dim) float32, rows of length 1 in the order of the texts; equal texts are embedded once."""
        different = list(dict.fromkeys(texts))
        row_of = {text: row for row, text in enumerate(different)}
        vectors = np.empty((len(different), self.embedder.dim), dtype=np.float32)
        for start in range(0, len(different), BLOCK):
            block = different[start : start + BLOCK]
            vectors[start : start + len(block)] = self._block(block, self.instructions[side])
            if self._on_progress is not None:
                self._on_progress(start + len(block), len(different))
        if len(different) == len(texts):
            return vectors
        return vectors[[row_of[text] for text in texts]]

    def _block(self, texts: list[str], instruction: str) -> Float32Matrix:
        if self._folder is None:
            return self.embedder.embed(texts, instruction)
        path = self._folder / f"{_name(self.embedder.fingerprint(), instruction, texts)}.npy"
        if (kept := _read(path, (len(texts), self.embedder.dim))) is not None:
            return kept
        vectors = self.embedder.embed(texts, instruction)
        _write(path, vectors)
        return vectors


def prune(folder: Path, most_bytes: int = KEPT_BYTES) -> None:
    """Delete the blocks that were longest not used, until no more than that is left, and halves of blocks.

    Others may do the same at a time, and what cannot be deleted stays: nothing is wrong with more.
    """
    files = []
    for path in folder.glob("*.npy"):
        with contextlib.suppress(OSError):
            about = path.stat()
            files.append((about.st_mtime, about.st_size, path))
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > most_bytes:
            with contextlib.suppress(OSError):
                path.unlink()
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - PART_S:
                path.unlink()


def _name(fingerprint: Mapping[str, str], instruction: str, texts: Sequence[str]) -> str:
    made = hashlib.sha256()
    for part in _parts(fingerprint, instruction, texts):
        raw = part.encode("utf-8", "surrogatepass")
        made.update(len(raw).to_bytes(8, "little") + raw)  # lengths: 'ab', 'c' is not 'a', 'bc'
    return made.hexdigest()[:40]


def _parts(fingerprint: Mapping[str, str], instruction: str, texts: Sequence[str]) -> Iterator[str]:
    yield json.dumps(fingerprint, sort_keys=True)
    yield instruction
    yield from texts


def _read(path: Path, shape: tuple[int, int]) -> Float32Matrix | None:
    """A block, if it is there and whole."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if found.shape != shape or found.dtype != np.float32:
        return None
    with contextlib.suppress(OSError):  # pruned meanwhile, or not ours to touch: read it is
        os.utime(path)  # used now: `prune` spares it
    vectors: Float32Matrix = found
    return vectors


def _write(path: Path, vectors: Float32Matrix) -> None:
    part = path.with_name(f"{path.stem}-{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            np.save(out, vectors, allow_pickle=False)
        part.replace(path)
    except OSError:  # read-only, or full: what is not kept is embedded again, and the figures are the same
        with contextlib.suppress(OSError):
            part.unlink()
