"""Which runtime a model is run by: an exported graph or torch, in which precision. Loads only the chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from searchkit.arrays import Float32Matrix
from searchkit.embedding.artefacts import GRAPH_FILE, TOKENIZER_FILE, Artefact, obtain, place_of
from searchkit.embedding.checkpoint import Checkpoint
from searchkit.embedding.hashes import value_sha256
from searchkit.embedding.json_files import AGAIN
from searchkit.embedding.precision import BFLOAT16_FLAGS, PRECISIONS, SMALL_MODEL, settle_precision
from searchkit.embedding.processor import may_have_accelerator, multiplies_mixed_bytes, processor_flags
from searchkit.errors import ModelError, UsageError
from searchkit.export.kinds import EXPORTABLE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from searchkit.embedding.tokens import TokenRows, Tokens
    from searchkit.embedding.torch_runtime import TorchRuntime

RUNTIMES = ("auto", "onnx", "torch")
FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"
# The class of vectors made in 8 bits. Its number is that of the way scales are chosen: another way, other
# vectors, and a Collection has to be embedded anew.
INT8_SPACE = "int8-1"
# A float32 graph adds in another order than torch, and nothing else.
MIN_FLOAT32_COSINE = 0.99999
SMALL_WEIGHTS = 2 * SMALL_MODEL  # bytes of a small model's file in 16 bits: not worth to be tried in 8
# Asked for by name, 8 bits may move vectors as far as this; see Family.int8_cosine for those not asked for.
MIN_INT8_COSINE = 0.9


class Runtime(Protocol):
    """Runs a network: token ids to unit vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def vocabulary(self) -> int:
        """Rows of the network's table of embeddings."""

    @property
    def position_limit(self) -> int | None:
        """Tokens it has positions for; None for no limit."""

    @property
    def precision(self) -> str:
        """What it computes in."""

    @property
    def device(self) -> str:
        """Where it computes."""

    def rows(self, tokens: TokenRows, *, token_budget: int | None = None) -> Float32Matrix:
        """Embed tokenised texts: (rows, dim) float32, of length 1, in order."""


Read: TypeAlias = "Callable[[Tokenizer, int], Tokens]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `open_embedder` was asked for."""

    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    space: str | None = None

    def check(self) -> None:
        """Raise UsageError for what does not exist."""
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"no precision '{self.precision}'",
                remedy=f"known: {', '.join(PRECISIONS)}; float16 overflows in T5 and is not offered",
            )
        if self.runtime not in RUNTIMES:
            raise UsageError(f"no runtime '{self.runtime}'", remedy=f"known: {', '.join(RUNTIMES)}")

    @property
    def in_8_bits(self) -> bool:
        """Whether nothing else will do."""
        return self.precision == INT8 or (self.precision == "auto" and (self.space or "").startswith(INT8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A model before its weights are read."""

    checkpoint: Checkpoint
    pooling: tuple[str, ...]
    int8_cosine: float
    weight_bytes: int  # of the files that hold the network's weights
    shape: Mapping[str, str]  # hashes of all that shapes its vectors in float32
    tokenizer_file: Path  # which may not be there
    build_tokenizer: Callable[[], Tokenizer]  # where it is not
    tokens: Read  # a tokenizer with the rows of the table of embeddings

    @property
    def model(self) -> str:
        """The model as it was asked for."""
        return self.checkpoint.source.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A runtime, its tokens, and the precision class its vectors belong to."""

    runtime: Runtime
    tokens: Tokens
    space: str
    notices: tuple[str, ...] = ()


def open_runtime(parts: Parts, wanted: Wanted) -> Opened:
    """Open a model in the runtime and precision that suit what is wanted.

    Raises:
        ModelError: it cannot be loaded, or has no form in 8 bits where nothing else will do.
        UsageError: the device is unknown or not there.
    """
    exportable = parts.checkpoint.model_type in EXPORTABLE and wanted.runtime != "torch"
    if wanted.in_8_bits:
        return _in_8_bits(parts, wanted, exportable=exportable)
    bfloat16 = BFLOAT16 in (wanted.precision, wanted.space)
    if not exportable or bfloat16 or not _on_cpu(wanted):
        return _in_torch(parts, wanted.device, BFLOAT16 if bfloat16 else wanted.precision)
    try:
        if wanted.precision == "auto" and wanted.space is None and parts.weight_bytes > SMALL_WEIGHTS:
            opened, _ = _graph(parts, INT8, parts.int8_cosine)
            if opened is not None:
                return opened
        # Where bfloat16 is native torch may be faster than a float32 graph, but not for a single text.
        first = _in_torch(parts, "cpu", wanted.precision) if _bfloat16_pays(wanted) else None
        if first is not None and first.runtime.precision != FLOAT32:
            return first
        opened, _ = _graph(parts, FLOAT32, MIN_FLOAT32_COSINE)
        return opened or first or _in_torch(parts, "cpu", FLOAT32)
    except OSError as error:
        slow = f"its faster form cannot be kept in the cache, so that it is run by torch: {error}"
        return _in_torch(parts, "cpu", wanted.precision, notices=(slow,))


def export(parts: Parts, precision: str) -> tuple[Path, Artefact]:
    """The exported graph of a model in one precision, made where it is not in the cache yet.

    Returns: its folder, and what is known of it; `refused` where there is none.
    Raises: OSError: the cache cannot be written. ModelError: the model cannot be loaded.
    """
    facts: dict[str, Any] = {**parts.shape, "precision": precision}
    signed = precision != INT8 or multiplies_mixed_bytes()
    if precision == INT8:
        facts |= {"space": INT8_SPACE, "signed": signed, "aim": parts.int8_cosine}
    folder = place_of(facts)

    def make(part: Path) -> Artefact:
        from searchkit.embedding.exporting import Limits, Source, make_artefact
        from searchkit.embedding.torch_runtime import TorchRuntime

        tokenizer = _tokenizer(parts, None)
        runtime = TorchRuntime(parts.checkpoint, parts.pooling, "cpu")
        tokens = parts.tokens(tokenizer, runtime.vocabulary)
        limits = Limits(aim=parts.int8_cosine, refusal=MIN_INT8_COSINE)
        if precision == FLOAT32:
            limits = Limits(aim=MIN_FLOAT32_COSINE, refusal=MIN_FLOAT32_COSINE)
        source = Source(runtime=runtime, tokens=tokens, tokenizer=tokenizer.to_str())
        return make_artefact(part, source, precision=precision, limits=limits, signed=signed)

    return folder, obtain(folder, make)


def _in_8_bits(parts: Parts, wanted: Wanted, *, exportable: bool) -> Opened:
    refused = f"networks of type '{parts.checkpoint.model_type}' are not exported"
    if wanted.runtime == "torch":
        refused = "torch was asked for, which runs no graphs"
    if exportable:
        if wanted.device not in ("auto", "cpu"):
            raise UsageError("8 bits are computed on the CPU only", remedy="leave out the device")
        try:
            opened, refused = _graph(parts, INT8, MIN_INT8_COSINE)
        except OSError as error:
            opened, refused = None, f"the cache cannot be written: {error}"
        if opened is not None:
            return opened
    raise ModelError(f"'{parts.model}' cannot be run in 8 bits: {refused}", remedy="use precision='float32'")


def _graph(parts: Parts, precision: str, min_cosine: float) -> tuple[Opened | None, str]:
    """The exported graph, opened; or None and why there is none."""
    folder, found = export(parts, precision)
    if found.refused:
        return None, found.refused
    if found.parity is None or found.parity.min_cosine < min_cosine:
        return None, "it moves vectors too far"
    from searchkit.embedding.onnx_runtime import OnnxRuntime

    facts = {name: getattr(found, name) for name in OnnxRuntime.FACTS}
    runtime = OnnxRuntime(folder / GRAPH_FILE, facts)
    tokens = parts.tokens(_tokenizer(parts, folder), runtime.vocabulary)
    space = INT8_SPACE if precision == INT8 else FLOAT32
    return Opened(runtime=runtime, tokens=tokens, space=space), ""


def _in_torch(parts: Parts, device: str, precision: str, notices: tuple[str, ...] = ()) -> Opened:
    from searchkit.embedding.torch_runtime import TorchRuntime

    tokenizer = _tokenizer(parts, None)
    runtime: TorchRuntime = TorchRuntime(parts.checkpoint, parts.pooling, device)
    tokens = parts.tokens(tokenizer, runtime.vocabulary)
    space = settle_precision(precision, runtime, tokens, value_sha256(dict(parts.shape)))
    return Opened(runtime=runtime, tokens=tokens, space=space, notices=notices)


def _on_cpu(wanted: Wanted) -> bool:
    """Whether an exported graph may be run. Asks torch only where it may have something else to say."""
    if wanted.device != "auto":
        return wanted.device == "cpu"
    if wanted.runtime == "onnx" or not may_have_accelerator():
        return True
    from searchkit.embedding.torch_runtime import resolve_device

    return resolve_device("auto") == "cpu"


def _bfloat16_pays(wanted: Wanted) -> bool:
    return (
        wanted.precision == "auto" and wanted.runtime == "auto" and bool(BFLOAT16_FLAGS & processor_flags())
    )


def _tokenizer(parts: Parts, artefact: Path | None) -> Tokenizer:
    """The model's tokenizer; where the model has only a vocabulary, the one built when it was exported."""
    from tokenizers import Tokenizer

    try:
        if parts.tokenizer_file.is_file():
            return Tokenizer.from_file(str(parts.tokenizer_file))
        if artefact is not None:
            return Tokenizer.from_file(str(artefact / TOKENIZER_FILE))
        return parts.build_tokenizer()
    # The boundary to foreign files: tokenizers raises bare Exception, transformers many kinds.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{parts.tokenizer_file.parent} has no usable tokenizer: {reason}",
            remedy="expected tokenizer.json: " + AGAIN,
        ) from error
