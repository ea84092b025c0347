"""A small real embedder without a model: words hashed into a vector, so that shared words score."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.collection.query_pipeline import Candidate
from searchkit.embedding.embedder import EmbeddedTexts
from searchkit.embedding.families import Family, Prompt
from searchkit.library.documents import StoredPassage
from searchkit.profile import Profile, Side

DIM = 64
WORD = re.compile(r"\w+")


class WordEmbedder:
    """Follows the Embedder protocol; counts what it embeds. `weights` stands for another checkpoint."""

    device = "cpu"
    precision = "float32"
    dim = DIM

    def __init__(self, model: str = "words", *, weights: str = "words-1", max_tokens: int = 256) -> None:
        self.model = model
        self.family = Family(
            name="words",
            prompt=Prompt(document="{instruction}", query="{instruction}", symmetric="{instruction}"),
        )
        self.max_tokens = max_tokens
        self.weights = weights
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str], instruction: str = "") -> Float32Matrix:
        return self._rows([instruction + text for text in texts])

    def embed_pairs(self, pairs: Sequence[tuple[str, str]]) -> Float32Matrix:
        return self._rows([instruction + text for instruction, text in pairs])

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> EmbeddedTexts:
        self.texts += texts
        counts = np.array([len(WORD.findall(instruction + text)) for text in texts], dtype=np.int64)
        return EmbeddedTexts(
            vectors=self.embed(texts, instruction), token_counts=counts, truncated=counts > self.max_tokens
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(WORD.findall(text)) for text in texts]

    def instruction_for(self, profile: Profile, side: Side) -> str:
        return profile.instruction(side).render()

    def check_instruction(self, instruction: str) -> None:
        pass

    def notices_for(self, profile: Profile) -> tuple[str, ...]:
        return (f"notice for {profile.name}",)

    def fingerprint(self) -> dict[str, str]:
        return {"weights": self.weights, "family": "words", "dim": str(DIM)}

    @staticmethod
    def _rows(texts: Sequence[str]) -> Float32Matrix:
        matrix = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in WORD.findall(text.casefold()) or ["nothing"]:
                matrix[row, zlib.crc32(word.encode()) % DIM] += 1.0
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True).clip(min=1e-9)


class InterruptedEmbedder(WordEmbedder):
    """Ctrl-C in the second batch."""

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> EmbeddedTexts:
        if self.texts:
            raise KeyboardInterrupt
        return super().embed_counted(texts, instruction)


def a_candidate(passage_id: int, text: str = "", *, document_id: int = 0, **facts: Any) -> Candidate:
    """A passage that was found, of no Library."""
    passage = StoredPassage(
        passage_id=passage_id,
        document_id=document_id,
        position=0,
        document=f"{document_id}.md",
        kind="text",
        title="",
        metadata={},
        source=Path("/"),
        heading="",
        start=0,
        end=1,
        page=None,
        place=None,
        text=text,
        context="",
    )
    return Candidate(passage=passage, **facts)
