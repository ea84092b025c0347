"""The door to embedding: open a model, embed texts. Knows what the parts are for, not how they work.

Importing this file loads neither torch nor transformers nor tokenizers. Opening a model loads torch and
transformers only where torch runs it, or where it has yet to be exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from searchkit.arrays import BoolVector, Float32Matrix, Int64Vector
from searchkit.embedding.batching import distinct, plan_blocks
from searchkit.embedding.checkpoint import check_window
from searchkit.embedding.families import Family
from searchkit.embedding.prompts import prompt_notices, render
from searchkit.errors import UsageError
from searchkit.profile import SIDES, Profile, Side
from searchkit.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from searchkit.embedding.runtimes import Runtime
    from searchkit.embedding.tokens import TokenRows, Tokens

# An Instruction is paid from the text's window; from this share on it costs more than it can give.
MAX_INSTRUCTION_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedTexts:
    """Vectors of texts and how much of each text they saw."""

    vectors: Float32Matrix  # (n, dim), rows of length 1
    # (n,) tokens before truncation, Instruction and special tokens included: exact up to the window, a
    # lower bound beyond it, because a text is not tokenised further than the window needs.
    token_counts: Int64Vector
    truncated: BoolVector  # (n,) whether the text's end fell outside of the window
    border_merges: int = 0  # texts whose start melts with the Instruction's end: their mask may be off


class Embedder(Protocol):
    """A model ready to embed. Made by `open_embedder`; other runtimes may stand behind it."""

    @property
    def model(self) -> str:
        """The model as it was asked for: an id, or a folder's path."""

    @property
    def family(self) -> Family:
        """How the model takes an Instruction."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """The window: tokens of Instruction, text and special tokens that the model sees."""

    @property
    def precision(self) -> str:
        """What it computes in: 'float32', 'bfloat16' or 'int8'."""

    @property
    def device(self) -> str:
        """Where it computes: 'cpu', 'cuda', 'mps'."""

    def embed(self, texts: Sequence[str], instruction: str = "") -> Float32Matrix:
        """Embed texts, each with the literal `instruction` before it.

        Returns: (n, dim) float32, rows of length 1 in input order; (0, dim) for no texts.
        """

    def embed_pairs(self, pairs: Sequence[tuple[str, str]]) -> Float32Matrix:
        """Embed (instruction, text) pairs; returns like `embed`."""

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> EmbeddedTexts:
        """Embed texts like `embed`, and tell how many tokens they have and which were cut."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without Instruction and special tokens, untruncated.

        May be called by one thread while another embeds.
        """

    def instruction_for(self, profile: Profile, side: Side) -> str:
        """The literal text this model's family puts before texts of one side of the Profile.

        Raises:
            UsageError: it takes a quarter of the window or more.
        """

    def check_instruction(self, instruction: str) -> None:
        """Raise UsageError if this literal text takes a quarter of the window or more."""

    def notices_for(self, profile: Profile) -> tuple[str, ...]:
        """What to tell a user once who indexes with this model under this Profile."""

    def fingerprint(self) -> dict[str, str]:
        """All of the model that shapes vectors, by name. Equal fingerprints: comparable vectors."""


def open_embedder(
    model: str | Path = DEFAULT_MODEL,
    *,
    device: str = "auto",
    precision: str = "auto",
    max_tokens: int | None = None,
    family: str | None = None,
    revision: str | None = None,
    runtime: str = "auto",
    space: str | None = None,
    export: bool = True,
) -> LocalEmbedder:
    """Open a model: a local folder, the embedded default, or an id on the Hugging Face hub.

    The first time a model is used on a CPU it is exported into the cache: a graph that embeds faster than
    torch, and needs no torch to be opened. Where torch is used on a CPU, the number of its threads is set,
    for the whole process, to that of the processor's cores where it would use more.

    Args:
        model: a folder in sentence-transformers layout or a bare transformers checkpoint, or an id.
        device: 'auto' (CUDA, else Apple's, else the CPU), 'cpu', 'cuda', 'cuda:N' or 'mps'.
        precision: 'float32', 'bfloat16', 'int8', or 'auto': on a CPU 8 bits where they move vectors little
            enough for the model's family, else bfloat16 where it is native and proven equal.
        max_tokens: the window; None for the checkpoint's own.
        family: name of its model family; None to recognise it.
        revision: commit, tag or branch on the hub.
        runtime: 'auto' for what embeds many texts fastest; 'quick' for what is opened fastest, for a single
            text: the exported graph wherever the model has one; 'onnx' for the same, and an error where the
            graph fails, which else is noted, and torch runs the model; 'torch' never to use a graph.
        space: the precision class of stored vectors (`fingerprint()["precision"]`) that vectors have to be
            comparable with; None for any.
        export: whether the model may be exported, which takes from seconds to minutes; False to use a graph
            only if it is there.

    Raises:
        ModelNotFound: the model is nowhere to be found.
        ModelError: it is incomplete, damaged, or of a kind that searchkit does not load; or 8 bits are asked
            for, by name or by `space`, and cannot be had.
        UsageError: device, precision, runtime or family is unknown.
    """
    from searchkit.embedding.opening import open_local
    from searchkit.embedding.runtimes import Wanted

    wanted = Wanted(device=device, precision=precision, runtime=runtime, space=space, export=export)
    return open_local(model, wanted, max_tokens=max_tokens, family=family, revision=revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """A model's graph in the cache, or why there is none."""

    model: str
    precision: str
    folder: Path
    size: int  # bytes of graph, weights and tokenizer; 0 where there is none
    min_cosine: float | None  # to the model itself, over the calibration texts
    mean_cosine: float | None
    spared: tuple[str, ...]  # linear layers that stayed in float32
    refused: str  # '' where there is a graph


def instructions_for(model: str | Path, profile: Profile) -> tuple[Family, dict[str, str]]:
    """A model's family, and the literal text it puts before texts of each side, by name; no weights are read.

    Raises:
        ModelNotFound, ModelError: as for `open_embedder`.
        UsageError: an Instruction takes a quarter of the window or more.
    """
    from searchkit.embedding.opening import read_locally

    family, tokens = read_locally(model)
    return family, {side: _instruction(family, tokens, str(model), profile, side) for side in SIDES}


def export_model(
    model: str | Path = DEFAULT_MODEL, *, precision: str = "int8", revision: str | None = None
) -> ExportedModel:
    """Write a model as a graph into the cache, where it is not there yet; opening a model does so itself.

    precision: 'float32' or 'int8'.

    Raises:
        ModelNotFound, ModelError: as for `open_embedder`.
        UsageError: the precision is no such.
    """
    from searchkit.embedding.opening import export_local

    return export_local(model, precision=precision, revision=revision)


class LocalEmbedder:
    """An Embedder whose network runs in this process."""

    def __init__(
        self,
        *,
        model: str,
        family: Family,
        tokens: Tokens,
        runtime: Runtime,
        notices: tuple[str, ...],
        fingerprint: dict[str, str],
    ) -> None:
        self.model = model
        self.family = family
        self.dim = runtime.dim
        self.max_tokens = tokens.max_tokens
        self.precision = runtime.precision
        self.device = runtime.device
        self.notices = notices  # about the checkpoint itself
        self._tokens = tokens
        self._runtime = runtime
        self._fingerprint = fingerprint

    def embed(self, texts: Sequence[str], instruction: str = "") -> Float32Matrix:
        """Embed texts, each with the literal `instruction` before it."""
        return self.embed_counted(texts, instruction).vectors

    def embed_pairs(self, pairs: Sequence[tuple[str, str]]) -> Float32Matrix:
        """Embed (instruction, text) pairs."""
        for pair in pairs:
            if isinstance(pair, str) or len(pair) != 2:  # a str of two letters would be taken apart
                raise UsageError(f"found {pair!r}", remedy="expected (instruction, text)")
        return self._embed([(instruction, text) for instruction, text in pairs]).vectors

    def rows(self, tokens: TokenRows) -> Float32Matrix:
        """Embed what is tokenised already. Returns: (rows, dim) float32, of length 1."""
        return self._runtime.rows(tokens)

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> EmbeddedTexts:
        """Embed texts, and tell how many tokens they have and which were cut."""
        _refuse_single(texts)
        return self._embed([(instruction, text) for text in texts])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without Instruction and special tokens, untruncated."""
        _refuse_single(texts)
        _refuse_no_texts(texts)
        blocks = plan_blocks([len(text) for text in texts])
        return [count for block in blocks for count in self._tokens.count(texts[block])]

    def instruction_for(self, profile: Profile, side: Side) -> str:
        """The literal text this model's family puts before texts of one side of the Profile."""
        return _instruction(self.family, self._tokens, self.model, profile, side)

    def check_instruction(self, instruction: str) -> None:
        """Raise UsageError if this literal text takes a quarter of the window or more."""
        _check_instruction(self._tokens, self.model, instruction)

    def notices_for(self, profile: Profile) -> tuple[str, ...]:
        """What to tell a user once who indexes with this model under this Profile."""
        notices = [*self.notices, *prompt_notices(self.family, profile, self.model)]
        if not self.family.reading.pool_instruction:
            for instruction in dict.fromkeys(render(self.family, profile, side) for side in SIDES):
                if self._tokens.border_merges(instruction):
                    notices.append(
                        f"the end of the Instruction {instruction!r} melts into one token with the start of "
                        "some texts, so that the mask is off by a token there: end it with ': '"
                    )
        return tuple(notices)

    def fingerprint(self) -> dict[str, str]:
        """All of the model that shapes vectors, by name."""
        return dict(self._fingerprint)

    def windowed(self, max_tokens: int) -> LocalEmbedder:
        """The same network seen through another window.

        Raises:
            ModelError: the network has no positions for so many tokens.
        """
        check_window(max_tokens, self._runtime.position_limit, self.model)
        return LocalEmbedder(
            model=self.model,
            family=self.family,
            tokens=self._tokens.windowed(max_tokens),
            runtime=self._runtime,
            notices=self.notices,
            fingerprint={**self._fingerprint, "max_tokens": str(max_tokens)},
        )

    def tokenise(self, pairs: Sequence[tuple[str, str]]) -> TokenRows:
        """(instruction, text) pairs as the network reads them."""
        return self._tokens.rows(pairs)

    @property
    def runtime(self) -> Runtime:
        """What runs the network, for who wants to see inside."""
        return self._runtime

    def _embed(self, pairs: Sequence[tuple[str, str]]) -> EmbeddedTexts:
        """Embed each different pair once; tokenise and run in blocks, so that memory stays bounded."""
        _refuse_no_texts([text for pair in pairs for text in pair])
        different, inverse = distinct(pairs)
        vectors = np.empty((len(different), self.dim), dtype=np.float32)
        counts = np.empty(len(different), dtype=np.int64)
        merged = np.empty(len(different), dtype=np.bool_)
        most = self._tokens.head_characters
        for block in plan_blocks([min(len(one) + len(other), most) for one, other in different]):
            rows = self._tokens.rows(different[block])
            vectors[block] = self._runtime.rows(rows)
            counts[block], merged[block] = rows.counts, rows.merged
        if len(different) < len(pairs):
            vectors, counts, merged = vectors[inverse], counts[inverse], merged[inverse]
        return EmbeddedTexts(
            vectors=vectors,
            token_counts=counts,
            truncated=counts > self.max_tokens,
            border_merges=int(merged.sum()),
        )


def _instruction(family: Family, tokens: Tokens, model: str, profile: Profile, side: Side) -> str:
    instruction = render(family, profile, side)
    _check_instruction(tokens, model, instruction)
    return instruction


def _check_instruction(tokens: Tokens, model: str, instruction: str) -> None:
    count = tokens.count([instruction])[0]
    if count >= MAX_INSTRUCTION_SHARE * tokens.max_tokens:
        shown = instruction if len(instruction) <= 60 else f"{instruction[:57]}..."
        raise UsageError(
            f"the Instruction {shown!r} has {count} tokens; '{model}' sees {tokens.max_tokens} in "
            f"all, of which an Instruction may take fewer than {MAX_INSTRUCTION_SHARE:.0%}",
            remedy="shorten the Instruction, or use a model with a larger window",
        )


def _refuse_single(texts: Sequence[str]) -> None:
    if isinstance(texts, str):  # a str is a sequence of str: it would be embedded letter by letter
        raise UsageError("expected a sequence of texts, found a single str", remedy="pass [text]")


def _refuse_no_texts(texts: Sequence[object]) -> None:
    if odd := [text for text in texts if not isinstance(text, str)]:
        raise UsageError(f"found a {type(odd[0]).__name__} among the texts", remedy="expected str only")


__all__ = [
    "EmbeddedTexts",
    "Embedder",
    "ExportedModel",
    "LocalEmbedder",
    "export_model",
    "instructions_for",
    "open_embedder",
]
