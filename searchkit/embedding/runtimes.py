"""Which runtime a model is run by: an exported graph or torch, in which precision. Loads only the chosen."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from searchkit.arrays import Float32Matrix
from searchkit.embedding.artefacts import (
    GRAPH_FILE,
    TOKENIZER_FILE,
    Artefact,
    GraphFailed,
    obtain,
    place_of,
    read_artefact,
)
from searchkit.embedding.calibration import calibration_sha256
from searchkit.embedding.checkpoint import Checkpoint
from searchkit.embedding.hashes import value_sha256
from searchkit.embedding.json_files import AGAIN
from searchkit.embedding.precision import BFLOAT16_FLAGS, PRECISIONS, SMALL_MODEL, settle_precision
from searchkit.embedding.processor import may_have_accelerator, multiplies_mixed_bytes, processor_flags
from searchkit.embedding.progress import tell
from searchkit.errors import ModelError, UsageError
from searchkit.export.kinds import EXPORTABLE
from searchkit.settings import CACHE_VARIABLE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from searchkit.embedding.tokens import TokenRows, Tokens
    from searchkit.embedding.torch_runtime import TorchRuntime

RUNTIMES = ("auto", "quick", "onnx", "torch")
FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"
# The class of vectors made in 8 bits. Its number is that of the way scales are chosen: another way, other
# vectors, and a Collection has to be embedded anew. Where layers stay in float32, `int8_space` adds which.
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
    export: bool = True  # whether a graph may be made, if there is none yet

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
    shape: Mapping[str, str]  # hashes of all that shapes its vectors in float32, but the window
    tokenizer_file: Path  # which may not be there
    build_tokenizer: Callable[[], Tokenizer]  # where it is not
    tokens: Read  # a tokenizer with the rows of the table of embeddings
    load: Callable[[], TorchRuntime]  # its network in torch, in float32 on the CPU: read once, however often

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
        ModelError: it cannot be loaded, or has no form in 8 bits where nothing else will do, or its graph
            failed where one was asked for.
        UsageError: the device is unknown or not there.
    """
    exportable = parts.checkpoint.model_type in EXPORTABLE and wanted.runtime != "torch"
    if wanted.in_8_bits:
        return _in_8_bits(parts, wanted, exportable=exportable)
    bfloat16 = wanted.precision == BFLOAT16 or (wanted.precision == "auto" and wanted.space == BFLOAT16)
    if not exportable or bfloat16 or not _on_cpu(wanted):
        return _in_torch(parts, wanted.device, BFLOAT16 if bfloat16 else wanted.precision)
    try:
        if wanted.precision == "auto" and wanted.space is None and parts.weight_bytes > SMALL_WEIGHTS:
            opened, _ = _graph(parts, wanted, INT8, parts.int8_cosine)
            if opened is not None:
                return opened
        # Where bfloat16 is native torch may be faster than a float32 graph, but not for a single text.
        first = _in_torch(parts, "cpu", wanted.precision) if _bfloat16_pays(wanted) else None
        if first is not None and first.runtime.precision != FLOAT32:
            return first
        opened, _ = _graph(parts, wanted, FLOAT32, MIN_FLOAT32_COSINE)
        return opened or first or _in_torch(parts, "cpu", FLOAT32)
    except GraphFailed as error:
        if wanted.runtime == "onnx":
            raise ModelError(
                f"'{parts.model}' cannot be run as a graph: {error.message}",
                remedy=f"{error.remedy}; or use runtime='torch'",
            ) from error
        slow = f"it is run by torch and not as a graph: {error.in_one_line}"
    return _in_torch(parts, "cpu", wanted.precision, notices=(slow,))


def export(parts: Parts, precision: str) -> tuple[Path, Artefact]:
    """The exported graph of a model in one precision, made where it is not in the cache yet.

    Returns: its folder, and what is known of it; `refused` where there is none.
    Raises: OSError: the cache cannot be written. GraphFailed: it cannot be made here. ModelError: the model
        cannot be loaded.
    """

    def make(part: Path) -> Artefact:
        tell(f"Preparing {parts.model} for this machine in {precision}, once")
        return _made(part, parts, precision)

    folder = _place(parts, precision)
    return folder, obtain(folder, make)


def int8_space(spared: Collection[str]) -> str:
    """The class of vectors made in 8 bits by a graph that leaves these layers in float32."""
    return f"{INT8_SPACE}/{value_sha256(sorted(spared))[:8]}" if spared else INT8_SPACE


def _place(parts: Parts, precision: str) -> Path:
    """Where the graph lies: a folder named by all that shapes it and what is judged of it."""
    facts: dict[str, Any] = {**parts.shape, "precision": precision, "calibration": calibration_sha256()}
    if precision == INT8:
        facts |= {"space": INT8_SPACE, "signed": multiplies_mixed_bytes(), "aim": parts.int8_cosine}
    return place_of(facts)


def _made(part: Path, parts: Parts, precision: str) -> Artefact:
    """Make the graph in an empty folder; errors are those of `export`."""
    try:
        from searchkit.embedding.exporting import Limits, Source, make_artefact

        tokenizer, runtime = _tokenizer(parts, None), parts.load()
        tokens = parts.tokens(tokenizer, runtime.vocabulary)
        limits = Limits(aim=parts.int8_cosine, refusal=MIN_INT8_COSINE)
        if precision == FLOAT32:
            limits = Limits(aim=MIN_FLOAT32_COSINE, refusal=MIN_FLOAT32_COSINE)
        source = Source(runtime=runtime, tokens=tokens, tokenizer=tokenizer.to_str())
        signed = precision != INT8 or multiplies_mixed_bytes()
        return make_artefact(part, source, precision=precision, limits=limits, signed=signed)
    except ImportError as error:
        raise _not_installed(error) from error
    except MemoryError as error:
        raise GraphFailed("making it takes more memory than there is", remedy="give it more") from error


def _graph(parts: Parts, wanted: Wanted, precision: str, min_cosine: float) -> tuple[Opened | None, str]:
    """The exported graph, opened; or None and why the model has none. Raises: GraphFailed."""
    if not wanted.export:
        folder = _place(parts, precision)
        found = read_artefact(folder)
        if found is None:
            raise GraphFailed(
                "it has not been prepared for this machine yet; the first index or query does so",
                remedy=f"or do it now: searchkit models export {parts.model}",
            )
    else:
        try:
            folder, found = export(parts, precision)
        except OSError as error:
            raise GraphFailed(
                f"its graph cannot be kept in the cache: {error}",
                remedy=f"free space, or name another cache: set {CACHE_VARIABLE}",
            ) from error
    return _opened(parts, folder, found, min_cosine)


def _opened(parts: Parts, folder: Path, found: Artefact, min_cosine: float) -> tuple[Opened | None, str]:
    """The graph in this folder, opened; or None and why it is not used."""
    if found.refused:
        return None, found.refused
    if found.parity is None or found.parity.min_cosine < min_cosine:
        return None, "it moves vectors too far"
    try:
        from searchkit.embedding.onnx_runtime import OnnxRuntime
    except ImportError as error:
        raise _not_installed(error) from error
    runtime = OnnxRuntime(folder / GRAPH_FILE, {name: getattr(found, name) for name in OnnxRuntime.FACTS})
    tokens = parts.tokens(_tokenizer(parts, folder), runtime.vocabulary)
    space = int8_space(found.spared) if found.precision == INT8 else FLOAT32
    return Opened(runtime=runtime, tokens=tokens, space=space), ""


def _not_installed(error: ImportError) -> GraphFailed:
    """What is said where onnx or onnxruntime is there in part only, or lacks a library of the system's."""
    return GraphFailed(
        f"what makes and runs graphs cannot be loaded: {error}",
        remedy="install it again: pip install --force-reinstall onnx onnxruntime",
    )


# ------------------------------------------------------------------ nothing but 8 bits


def _in_8_bits(parts: Parts, wanted: Wanted, *, exportable: bool) -> Opened:
    """The model in 8 bits. Raises: ModelError: it cannot be had; says what helps."""
    stored = wanted.precision == "auto"  # vectors are there, which queries have to be compared with
    otherwise = "use precision='float32'"
    if stored:
        otherwise = "embed it anew under another name: searchkit index FOLDER -c NAME"
    refused = f"networks of type '{parts.checkpoint.model_type}' are not exported"
    opened: Opened | None = None
    if wanted.runtime == "torch":
        refused = "torch was asked for, which runs no graphs"
        otherwise = f"leave out the runtime; or {otherwise}"
    elif exportable:
        if wanted.device not in ("auto", "cpu"):
            raise UsageError("8 bits are computed on the CPU only", remedy="leave out the device")
        try:
            opened, refused = _graph_anywhere(parts, wanted)
        except GraphFailed as error:
            refused, otherwise = error.message, f"{error.remedy}; or {otherwise}"
    if opened is None:
        raise ModelError(f"'{parts.model}' cannot be run in 8 bits: {refused}", remedy=otherwise)
    if stored and wanted.space != opened.space and (wanted.space or "").split("/")[0] == INT8_SPACE:
        raise ModelError(
            f"'{parts.model}' leaves other layers in float32 here than where its vectors were made: found "
            f"the class '{opened.space}', expected '{wanted.space}'",
            remedy=f"copy that machine's cache here (see {CACHE_VARIABLE}); or {otherwise}",
        )
    return opened


def _graph_anywhere(parts: Parts, wanted: Wanted) -> tuple[Opened | None, str]:
    """The graph in 8 bits; where the cache is closed, one made for this process. Raises: GraphFailed."""
    try:
        return _graph(parts, wanted, INT8, MIN_INT8_COSINE)
    except GraphFailed as error:
        if not isinstance(error.__cause__, OSError):
            raise
        closed = error
    try:
        folder = Path(tempfile.mkdtemp(prefix="searchkit-"))
    except OSError:
        raise closed from None
    tell(f"Preparing {parts.model} for this run alone: {closed.in_one_line}")
    opened: Opened | None = None
    try:
        opened, refused = _opened(parts, folder, _made(folder, parts, INT8), MIN_INT8_COSINE)
    except OSError as error:
        raise GraphFailed(f"{closed.message}; nor elsewhere: {error}", remedy=closed.remedy) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is mapped stays readable
        if folder.exists() and opened is not None:  # Windows removes nothing that is mapped
            atexit.register(_remove, opened.runtime, folder)
    if opened is None:
        return None, refused
    return replace(opened, notices=(f"it is prepared anew by every process: {closed.in_one_line}",)), ""


def _remove(runtime: Any, folder: Path) -> None:
    """Let go of a graph made for this process alone."""
    runtime.close()
    shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------ torch


def _in_torch(parts: Parts, device: str, precision: str, notices: tuple[str, ...] = ()) -> Opened:
    from searchkit.embedding.torch_runtime import TorchRuntime

    tokenizer = _tokenizer(parts, None)
    on_cpu = device == "cpu"
    runtime = parts.load() if on_cpu else TorchRuntime(parts.checkpoint, parts.pooling, device)
    tokens = parts.tokens(tokenizer, runtime.vocabulary)
    weights = value_sha256(dict(parts.shape))
    space = settle_precision(precision, runtime, tokens, weights)
    return Opened(runtime=runtime, tokens=tokens, space=space, notices=notices)


def _on_cpu(wanted: Wanted) -> bool:
    """Whether an exported graph may be run. Asks torch only where it may have something else to say."""
    if wanted.device != "auto":
        return wanted.device == "cpu"
    if wanted.runtime in ("quick", "onnx") or not may_have_accelerator():
        return True
    from searchkit.embedding.torch_runtime import resolve_device

    return resolve_device("auto") == "cpu"


def _bfloat16_pays(wanted: Wanted) -> bool:
    return (
        wanted.precision == "auto" and wanted.runtime == "auto" and bool(BFLOAT16_FLAGS & processor_flags())
    )


def _tokenizer(parts: Parts, artefact: Path | None) -> Tokenizer:
    """The model's tokenizer; where the model has only a vocabulary, the one built when it was exported."""
    file = parts.tokenizer_file
    if artefact is not None and not file.is_file():
        file = artefact / TOKENIZER_FILE
    return read_tokenizer(file, parts.build_tokenizer)


def read_tokenizer(file: Path, build: Callable[[], Tokenizer]) -> Tokenizer:
    """The tokenizer in this file, or one that is built where there is none. Raises: ModelError."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file)) if file.is_file() else build()
    # The boundary to foreign files: tokenizers raises bare Exception, transformers many kinds.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{file.parent} has no usable tokenizer: {reason}",
            remedy="expected tokenizer.json: " + AGAIN,
        ) from error
