"""The InstructorEmbedding package's class, for programs written against it. Knows its calls and results.

Vectors are those of InstructorEmbedding 1.0.0 and 1.0.1, always in float32. Where sentence-transformers
2.2, on which that package is built, decides (`output_value`, tensors or arrays), its rules hold.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.embedding.checkpoint import read_checkpoint
from searchkit.embedding.embedder import LocalEmbedder, open_embedder
from searchkit.embedding.families import INSTRUCTOR as INSTRUCTOR_FAMILY
from searchkit.embedding.sources import find_model
from searchkit.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from searchkit.embedding.torch_runtime import TorchRuntime

Sentence: TypeAlias = str | Sequence[str]  # a text, or [instruction, text]
OutputValue: TypeAlias = Literal["sentence_embedding", "token_embeddings"]
CHUNK = 1024  # texts between two lines of progress


class INSTRUCTOR:
    """An INSTRUCTOR model with the interface of `InstructorEmbedding.INSTRUCTOR`.

    Args:
        model_name_or_path: a folder, or an id on the hub. It is read as INSTRUCTOR whatever its name.
        modules: at the reference's place; must be None.
        device: 'cpu', 'cuda', 'cuda:N', 'mps', or a torch.device; None for the best there is.
        cache_folder: the hub's cache; None for its usual place.
        use_auth_token: accepted for the sake of old calls; the hub's client knows its own.

    Raises:
        UsageError: modules are given, or the device is not there.
        ModelNotFound: the model is nowhere to be found.
        ModelError: it is incomplete, damaged, or of a kind that searchkit does not load.
    """

    def __init__(
        self,
        model_name_or_path: str | Path,
        modules: None = None,
        device: str | torch.device | None = None,
        cache_folder: str | Path | None = None,
        use_auth_token: bool | str | None = None,
    ) -> None:
        del use_auth_token
        if modules is not None:
            raise UsageError("found modules", remedy="expected the name of a model, or its folder, alone")
        self._source = find_model(model_name_or_path, cache_dir=cache_folder)
        self._embedder = self._open(device)
        self._elsewhere: dict[str, LocalEmbedder] = {}  # on devices that single calls asked for

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
        self._elsewhere = {name: one.windowed(value) for name, one in self._elsewhere.items()}

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer, as transformers makes it; changing it changes no vectors."""
        from transformers import AutoTokenizer

        folder = str(read_checkpoint(self._source).network)
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    @property
    def _target_device(self) -> torch.device:
        """Where the model computes, as sentence-transformers keeps it."""
        import torch

        return torch.device(self.device)

    def get_max_seq_length(self) -> int:
        """The window in tokens."""
        return self.max_seq_length

    def get_sentence_embedding_dimension(self) -> int:
        """Length of a vector."""
        return self._embedder.dim

    def to(self, device: str | torch.device) -> INSTRUCTOR:
        """Compute on another device from now on."""
        self._embedder, self._elsewhere = self._on(device), {}
        return self

    def cpu(self) -> INSTRUCTOR:
        """Compute on the CPU from now on."""
        return self.to("cpu")

    def cuda(self, device: int | str | torch.device | None = None) -> INSTRUCTOR:
        """Compute on a CUDA device from now on."""
        return self.to(f"cuda:{device}" if isinstance(device, int) else device or "cuda")

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
        device: str | torch.device | None = None,
        normalize_embeddings: bool = False,
    ) -> Any:
        """Embed texts or [instruction, text] pairs.

        Args:
            sentences: a list or tuple of pairs and of plain texts, which have no Instruction; or one plain
                text. A list or tuple of two texts is two texts, as it is for the reference.
            batch_size: accepted for the sake of old calls; batches are cut by tokens, results are the same.
            show_progress_bar: whether to tell the progress on stderr.
            output_value: 'sentence_embedding'; 'token_embeddings' for each token's vector; None for both.
            convert_to_numpy: give one array; else a list of tensors.
            convert_to_tensor: give one tensor; goes before `convert_to_numpy`.
            device: compute this call there; the model stays where it is.
            normalize_embeddings: vectors have length 1 either way.

        Returns: for 'sentence_embedding' an (n, dim) float32 array, tensor, or list of (dim,) tensors; for
            'token_embeddings' a list of (tokens, width) tensors without padding; for None a list of
            dictionaries with 'input_ids', 'attention_mask' (0 for masked tokens of the Instruction),
            'context_masks' (how many these are), 'token_embeddings' and 'sentence_embedding'. For a single
            text the one item of these.
        """
        del batch_size, normalize_embeddings
        embedder = self._embedder if device is None else self._on(device)
        single = isinstance(sentences, str)
        given: Sequence[Any] = [sentences] if single else sentences
        pairs = [_pair(item) for item in given]
        if output_value == "sentence_embedding":
            vectors = _vectors(embedder, pairs, bool(show_progress_bar))
            embedded = _in_form(vectors, embedder.device, convert_to_numpy, convert_to_tensor)
        elif output_value in ("token_embeddings", None):
            embedded = _inside(embedder, pairs, output_value)
        else:
            raise UsageError(
                f"output_value={output_value!r}",
                remedy="expected 'sentence_embedding', 'token_embeddings' or None",
            )
        return embedded[0] if single else embedded

    def _open(self, device: str | torch.device | None) -> LocalEmbedder:
        return open_embedder(
            self._source.folder,
            device="auto" if device is None else str(device),
            precision="float32",
            family=INSTRUCTOR_FAMILY,
            runtime="torch",  # the only one that gives token vectors
        )

    def _on(self, device: str | torch.device) -> LocalEmbedder:
        """The model on this device, in the window that is set."""
        name = str(device)
        if name == self.device:
            return self._embedder
        if name not in self._elsewhere:
            self._elsewhere[name] = self._open(name).windowed(self.max_seq_length)
        return self._elsewhere[name]


def _vectors(embedder: LocalEmbedder, pairs: list[tuple[str, str]], progress: bool) -> Float32Matrix:
    if not progress:
        return embedder.embed_pairs(pairs)
    parts = [np.empty((0, embedder.dim), dtype=np.float32)]
    for start in range(0, len(pairs), CHUNK):
        parts.append(embedder.embed_pairs(pairs[start : start + CHUNK]))
        print(f"embedded {min(start + CHUNK, len(pairs))} of {len(pairs)}", file=sys.stderr)
    return np.concatenate(parts)


def _in_form(vectors: Float32Matrix, device: str, as_array: bool, as_tensor: bool) -> Any:
    """The array itself, one tensor, or a list of tensors."""
    if as_array and not as_tensor:
        return vectors
    import torch

    tensor = torch.from_numpy(vectors).to(device)
    return tensor if as_tensor else list(tensor)


def _inside(embedder: LocalEmbedder, pairs: list[tuple[str, str]], output_value: str | None) -> list[Any]:
    import torch

    tokens = embedder.tokenise(pairs)
    results: list[Any] = [None] * len(pairs)
    runtime = cast("TorchRuntime", embedder.runtime)  # `_open` asks for it
    for position, hidden, row in runtime.hidden(tokens):
        if output_value is not None:
            results[position] = hidden
            continue
        masked = int(tokens.masked[position])
        mask = torch.ones(len(hidden), dtype=torch.int64)
        mask[:masked] = 0
        results[position] = {
            "input_ids": torch.from_numpy(tokens.ids[position]),
            "attention_mask": mask,
            "context_masks": torch.tensor(masked),
            "token_embeddings": hidden,
            "sentence_embedding": row,
        }
    return results


def _pair(item: Any) -> tuple[str, str]:
    """One input as (instruction, text)."""
    if isinstance(item, str):
        return "", item
    parts = list(item) if isinstance(item, Sequence) else []
    if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise UsageError(f"found {item!r}", remedy="expected a text or [instruction, text]")
    return parts[0], parts[1]
