"""A model that costs next to nothing: what is left is the cost of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.embedding.embedder import EmbeddedTexts
from searchkit.profile import Profile, Side

DIM = 384  # as the embedded default: the Library's size and writing follow it
CHARACTERS_PER_TOKEN = 4


class FakeEmbedder:
    """Follows the Embedder protocol; a text's vector follows from its hash and says nothing."""

    model = "fake"
    device = "cpu"
    precision = "float32"
    dim = DIM
    max_tokens = 256
    family = SimpleNamespace(name="fake")

    def __init__(self) -> None:
        rows = np.random.default_rng(1).standard_normal((1024, DIM)).astype(np.float32)
        self._rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed(self, texts: Sequence[str], instruction: str = "") -> Float32Matrix:
        """Rows by the texts' hashes."""
        places = np.array([crc32(text.encode()) % len(self._rows) for text in texts], dtype=np.int64)
        return np.ascontiguousarray(self._rows[places])

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> EmbeddedTexts:
        """Like `embed`, with guessed counts."""
        counts = np.array(self.count_tokens(texts), dtype=np.int64)
        return EmbeddedTexts(
            vectors=self.embed(texts), token_counts=counts, truncated=counts > self.max_tokens
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A token for every four characters."""
        return [len(text) // CHARACTERS_PER_TOKEN + 1 for text in texts]

    def instruction_for(self, profile: Profile, side: Side) -> str:
        """No Instruction."""
        return ""

    def check_instruction(self, instruction: str) -> None:
        """Take any."""

    def notices_for(self, profile: Profile) -> tuple[str, ...]:
        """Nothing to say."""
        return ()

    def fingerprint(self) -> dict[str, str]:
        """What stands for a checkpoint."""
        return {"weights": "fake", "dim": str(DIM)}


class FirstFew:
    """A real model for the first texts and a fake one for the rest: its memory without its time."""

    def __init__(self, real: Any, texts: int) -> None:
        self._real, self._fake, self._left = real, FakeEmbedder(), texts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> EmbeddedTexts:
        """Embed, as long as there are texts left for the real model."""
        if self._left <= 0:
            return self._fake.embed_counted(texts, instruction)
        self._left -= len(texts)
        made: EmbeddedTexts = self._real.embed_counted(texts, instruction)
        return made
