"""The InstructorEmbedding package's class, for programs written against it. Knows its calls and results.

Vectors are those of InstructorEmbedding 1.0.0 and 1.0.1, always in float32. Where sentence-transformers
2.2, on which that package is built, decides (`output_value`, tensors or arrays), its rules hold.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from searchkit.embedding.embedder import LocalEmbedder, open_embedder
from searchkit.embedding.families import INSTRUCTOR as INSTRUCTOR_FAMILY
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Sentence: TypeAlias = str | Sequence[str]  # a text, or [instruction, text]
OutputValue: TypeAlias = Literal["sentence_embedding", "token_embeddings"]
CHUNK = 1024  # texts between two lines of progress


class INSTRUCTOR:
    """An INSTRUCTOR model with the interface of `InstructorEmbedding.INSTRUCTOR`.

    Args:
        model_name_or_path: a folder, or an id on the hub. It is read as INSTRUCTOR whatever its name.
        device: 'cpu', 'cuda', 'cuda:N', 'mps'; None for the best there is.
        cache_folder: accepted for the sake of old calls; the hub's own cache is used.

    Raises:
        ModelNotFound: the model is nowhere to be found.
        ModelError: it is incomplete, damaged, or of a kind that searchkit does not load.
    """

    def __init__(
        self, model_name_or_path: str | Path, device: str | None = None, cache_folder: str | None = None
    ) -> None:
        del cache_folder
        self._name = model_name_or_path
        self._embedder = self._open(device)

    @property
    def device(self) -> str:
        """Where the model computes."""
        return self._embedder.device

    @property
    def max_seq_length(self) -> int:
        """The window in tokens, Instruction included. May be set."""
        return self._embedder.max_tokens

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self._embedder = self._embedder.windowed(value)

    def get_max_seq_length(self) -> int:
        """The window in tokens."""
        return self.max_seq_length

    def get_sentence_embedding_dimension(self) -> int:
        """Length of a vector."""
        return self._embedder.dim

    def to(self, device: str) -> INSTRUCTOR:
        """Compute on another device from now on."""
        self._move(str(device))
        return self

    def eval(self) -> INSTRUCTOR:
        """Nothing to do: the model is never in training mode."""
        return self

    def tokenize(self, texts: Sequence[Sentence]) -> dict[str, Tensor]:
        """Token ids as the network reads them.

        Returns: 'input_ids' and 'attention_mask' (n, longest) int64, padded with 0, and 'context_masks' (n,)
            int64: leading tokens that the mean leaves out.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        rows = self._embedder.tokenise([_pair(text) for text in texts])
        ids = [torch.from_numpy(row) for row in rows.ids]
        return {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "context_masks": torch.from_numpy(rows.masked),
        }

    def encode(
        self,
        sentences: Sentence | Sequence[Sentence],
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: OutputValue | None = "sentence_embedding",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
    ) -> Any:
        """Embed texts or [instruction, text] pairs.

        Args:
            sentences: a list of pairs and of plain texts, which have no Instruction; or one plain text, or
                one pair as a tuple. A *list* of two texts is two texts, as it is for the reference.
            batch_size: accepted for the sake of old calls; batches are cut by tokens, results are the same.
            show_progress_bar: whether to tell the progress on stderr.
            output_value: 'sentence_embedding'; 'token_embeddings' for each token's vector; None for both.
            convert_to_numpy: give one array; else a list of tensors.
            convert_to_tensor: give one tensor; goes before `convert_to_numpy`.
            device: move to this device first.
            normalize_embeddings: vectors have length 1 either way.

        Returns: for 'sentence_embedding' an (n, dim) float32 array, tensor, or list of (dim,) tensors; for
            'token_embeddings' a list of (tokens, width) tensors without padding; for None a list of
            dictionaries with 'input_ids', 'attention_mask' (0 for masked tokens of the Instruction),
            'token_embeddings' and 'sentence_embedding'. For a single text or tuple the one item of these.
        """
        del batch_size, normalize_embeddings
        if device is not None:
            self._move(device)
        single = isinstance(sentences, str) or _is_tuple_pair(sentences)
        given: Sequence[Any] = [sentences] if single else sentences
        pairs = [_pair(item) for item in given]
        if output_value == "sentence_embedding":
            embedded = self._vectors(pairs, bool(show_progress_bar), convert_to_numpy, convert_to_tensor)
        elif output_value in ("token_embeddings", None):
            embedded = self._inside(pairs, output_value)
        else:
            raise UsageError(
                f"output_value={output_value!r}",
                remedy="expected 'sentence_embedding', 'token_embeddings' or None",
            )
        return embedded[0] if single else embedded

    def _vectors(self, pairs: list[tuple[str, str]], progress: bool, as_array: bool, as_tensor: bool) -> Any:
        parts = [np.empty((0, self._embedder.dim), dtype=np.float32)]
        for start in range(0, len(pairs), CHUNK if progress else max(1, len(pairs))):
            parts.append(self._embedder.embed_pairs(pairs[start : start + CHUNK] if progress else pairs))
            if progress:
                print(f"embedded {min(start + CHUNK, len(pairs))} of {len(pairs)}", file=sys.stderr)
        vectors = np.concatenate(parts)
        if as_array and not as_tensor:
            return vectors
        import torch

        tensor = torch.from_numpy(vectors).to(self.device)
        return tensor if as_tensor else list(tensor)

    def _inside(self, pairs: list[tuple[str, str]], output_value: str | None) -> list[Any]:
        import torch

        tokens = self._embedder.tokenise(pairs)
        results: list[Any] = [None] * len(pairs)
        for position, hidden, row in self._embedder.runtime.hidden(tokens):
            if output_value is not None:
                results[position] = hidden
                continue
            mask = torch.ones(len(hidden), dtype=torch.int64)
            mask[: int(tokens.masked[position])] = 0
            results[position] = {
                "input_ids": torch.from_numpy(tokens.ids[position]),
                "attention_mask": mask,
                "token_embeddings": hidden,
                "sentence_embedding": row,
            }
        return results

    def _open(self, device: str | None) -> LocalEmbedder:
        return open_embedder(
            self._name, device=device or "auto", precision="float32", family=INSTRUCTOR_FAMILY
        )

    def _move(self, device: str) -> None:
        if device != self.device:
            window = self.max_seq_length
            self._embedder = self._open(device).windowed(window)


def _pair(item: Any) -> tuple[str, str]:
    """One input as (instruction, text)."""
    if isinstance(item, str):
        return "", item
    parts = list(item) if isinstance(item, Sequence) else []
    if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise UsageError(f"found {item!r}", remedy="expected a text or [instruction, text]")
    return parts[0], parts[1]


def _is_tuple_pair(sentences: Any) -> bool:
    return isinstance(sentences, tuple) and len(sentences) == 2 and all(isinstance(s, str) for s in sentences)
