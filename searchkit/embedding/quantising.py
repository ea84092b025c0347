"""A model in 8 bits, in every way there is: how large each is, how fast, how near to the model itself.

float32           the network in torch, as it was trained
int8 weights      a file of a quarter of the size (int8_weights.py); run in float32
int8 differences  instead of it: what training changed of a base, of which only the name is kept
int8 linears      torch's dynamic quantisation of the linear layers, as INSTRUCTOR's authors advise
int8 graph        what searchkit runs on a CPU: linear layers, scales measured beforehand (exporting.py)
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from searchkit.arrays import Float32Matrix
from searchkit.durable import publish_folder
from searchkit.embedding.calibration import parity_rows
from searchkit.embedding.checkpoint import NOISE, READINGS, DenseLayer
from searchkit.embedding.embedder import LocalEmbedder, export_model, open_embedder
from searchkit.embedding.families import PLAIN, families
from searchkit.embedding.int8_weights import changed, packed
from searchkit.embedding.json_files import optional_json, read_json_list
from searchkit.embedding.network import HARMLESS, quiet
from searchkit.embedding.opening import TOKENIZER, TOKENIZER_CONFIG, VOCABULARY_FILES, Plan, open_in_torch
from searchkit.embedding.snapshots import CONFIG, DIFFERENCES, INT8_WEIGHTS, MODULES
from searchkit.embedding.tokens import Tokens
from searchkit.embedding.torch_runtime import TorchRuntime
from searchkit.embedding.weights import Base, dense_weights, network_weights, weights_sha256
from searchkit.errors import UsageError
from searchkit.settings import expanded

CONFIG_OF_PROMPTS = "config_sentence_transformers.json"
CARD = "README.md"
OF_TRAINING = ("recipe.toml", "log.jsonl")  # in "training", and with their cards below
LICENCES = ("LICEN[CS]E*", "NOTICE*")
ROUNDS = 5  # of which the fastest counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A way to keep and run a model; None where there is none."""

    name: str
    size: int | None = None  # bytes of weights, or of graph and tokenizer
    ratio: float | None = None  # float32's size is this many times as large
    texts_per_second: float | None = None  # of the calibration texts, the fastest of several rounds
    min_cosine: float | None = None  # to float32, over these
    mean_cosine: float | None = None
    figures: dict[str, float] = field(default_factory=dict)  # of the sets that were asked for, by name
    refused: str = ""  # why there is none


def quantise_model(
    model: str | Path,
    out: Path,
    judge: Callable[[LocalEmbedder], dict[str, float]] | None = None,
    *,
    over: str | None = None,
) -> list[Form]:
    """Write a model with its weights in 8 bits into a folder, and compare all forms of it.

    Args:
        model: as for `open_embedder`.
        out: a folder that is not there yet; searchkit opens it as it opens the model.
        judge: gives figures of a form, such as nDCG on a judged set.
        over: the model that this one was trained from: only what differs is written.

    Returns: float32 first. Raises: UsageError: `out` is there or cannot be made, the model is in 8 bits
    already, or not of the base's shape. ModelError, ModelNotFound.
    """
    with _to_be(out) as part:
        plan, tokens, runtime = open_in_torch(model, device="cpu")
        if network_weights(plan.checkpoint.network)[0].name == INT8_WEIGHTS:
            raise UsageError(
                f"'{model}' is in 8 bits already: it would be rounded twice",
                remedy="name the model that it was made of",
            )
        _fill(part, plan, runtime, over)
        # Before it has its name: who ends this early may give the same command again.
        return _compared(model, plan, tokens, runtime, part, judge)


def write_quantised(plan: Plan, runtime: TorchRuntime, out: Path, over: str | None = None) -> None:
    """Write the folder of `quantise_model`, and compare nothing; complete or not at all. Its errors, too."""
    with _to_be(out) as part:
        _fill(part, plan, runtime, over)


@contextmanager
def _to_be(out: Path) -> Iterator[Path]:
    """A folder to fill, which has its name once it is whole and on disk; of one that fails nothing is left.

    Raises: UsageError: a folder of that name is there, or cannot be made.
    """
    _refuse_there(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(
            prefix=f".{out.name}-", dir=out.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise UsageError(
            f"{out} cannot be made: {error.strerror or error}", remedy="name a folder that you may make"
        ) from error
    with beside:
        part = Path(beside.name) / out.name  # its name may tell the model's family
        part.mkdir()
        yield part
        publish_folder(part, out, _refuse_there)


def _refuse_there(out: Path) -> None:
    if out.exists():
        raise UsageError(f"{out} is there already", remedy="name a folder that is not")


def _in_8_bits(runtime: TorchRuntime) -> dict[str, bytes]:
    """By name, the file of the network's weights."""
    written: Any = runtime.network
    with tempfile.TemporaryDirectory() as folder:
        # Through transformers' own file: it knows which weights are one, and which names they have there.
        with quiet():
            written.save_pretrained(folder, max_shard_size="1TB")
        weights = load_file(Path(folder) / "model.safetensors")
    return {INT8_WEIGHTS: save(packed(weights), {"format": "pt"})}


def _over(plan: Plan, runtime: TorchRuntime, over: str) -> dict[str, bytes]:
    """By name, the files of differences and of the base's description, which shapes vectors as much."""
    base_plan, _, base = open_in_torch(over, device="cpu")
    try:
        if _built(base) != _built(runtime):  # not the files: who wrote one may have left out what is usual
            raise ValueError("its config.json is another")
        differences = changed(_shaping(runtime), _shaping(base))
    except ValueError as error:
        raise UsageError(
            f"'{plan.checkpoint.source.model}' was not trained from '{over}': {error}",
            remedy="name its base, or leave out --over",
        ) from error
    folder = expanded(over)
    said = Base(
        base=str(folder.resolve()) if folder.is_dir() else over,  # wherever it is opened from
        base_sha256=weights_sha256(base_plan.checkpoint),
        float32_bytes=sum(_sizes(runtime.network)),
    )
    config = (base_plan.checkpoint.network / CONFIG).read_bytes()
    return {DIFFERENCES: save(packed(differences), said.as_metadata()), CONFIG: config}


def _built(runtime: TorchRuntime) -> dict[str, Any]:
    """The facts that a network was built by."""
    config: Any = runtime.network.config
    return {key: value for key, value in config.to_dict().items() if key not in NOISE}


def _fill(part: Path, plan: Plan, runtime: TorchRuntime, over: str | None) -> None:
    """Write a model's folder with its network's weights in 8 bits, or what they differ by from another's."""
    if over is None:
        files, why = _in_8_bits(runtime), "its weights are kept in 8 bits"
    else:
        name = expanded(over).name if expanded(over).is_dir() else over
        files, why = _over(plan, runtime, over), f"it holds what differs from `{name}`, in 8 bits"
    source, network = plan.checkpoint.source.folder, plan.checkpoint.network
    for file in _read_beside_weights(source, network):
        if file.is_file():
            _copy(file, source, part)
    for step in plan.checkpoint.tail:
        if isinstance(step, DenseLayer):
            _copy(dense_weights(step), source, part)
    if plan.family.name in families() and plan.family.name != PLAIN:
        # The folder's own name may say nothing, or something else than the model's did.
        told = optional_json(part / CONFIG_OF_PROMPTS)
        mark = {**told.get("searchkit", {}), "family": plan.family.name}
        (part / CONFIG_OF_PROMPTS).write_text(
            json.dumps({**told, "searchkit": mark}, indent=2) + "\n", "utf-8"
        )
    place = part / network.relative_to(source)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(content)  # safetensors' own save_file lets only its owner read
    _say_who_opens(part / CARD, why)


def _shaping(runtime: TorchRuntime) -> dict[str, Tensor]:
    """Weights that shape vectors: a pooler that no checkpoint has is drawn anew each time it is opened."""
    return {name: one for name, one in runtime.network.named_parameters() if not HARMLESS.search(name)}


def _read_beside_weights(source: Path, network: Path) -> Iterator[Path]:
    """What searchkit reads of a model's folder, and what tells people where the model comes from.

    Nothing else: who keeps notes or data there does not mean to hand them on.
    """
    yield from (source / name for name in (MODULES, CONFIG_OF_PROMPTS, CARD))
    training = source / "training"
    yield from (training / name for name in OF_TRAINING)
    kept = (*OF_TRAINING, CARD)
    yield from (file for file in sorted((training / "before").rglob("*")) if file.name in kept)
    yield from (file for pattern in LICENCES for file in sorted(source.glob(pattern)))
    yield from (
        network / name for name in (CONFIG, *READINGS, TOKENIZER, TOKENIZER_CONFIG, *VOCABULARY_FILES)
    )
    if (source / MODULES).is_file():
        yield from (source / str(one.get("path", "")) / CONFIG for one in read_json_list(source / MODULES))


def _copy(file: Path, source: Path, part: Path) -> None:
    copied = part / file.relative_to(source)
    copied.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copied)


def _say_who_opens(card: Path, what: str) -> None:
    """Put a line before what the card says, which else tells how sentence-transformers opens the model."""
    said = card.read_text("utf-8", errors="replace") if card.is_file() else ""
    facts = re.match(r"---\n.*?\n---\n", said, re.DOTALL)  # for the hub; they have to stand first
    at = facts.end() if facts else 0
    # Hubs offer a model with the library that is named there.
    front = (
        said[:at]
        .replace("library_name: sentence-transformers\n", "")
        .replace("[sentence-transformers, ", "[")
    )
    line = f"Only searchkit opens this folder: {what}."
    if at and "sentence_transformers" in said:
        line += (
            " What is said below of sentence-transformers is true of the folder that this one was made of."
        )
    card.write_text(f"{front}{line}\n\n{said[at:].lstrip()}".rstrip() + "\n", "utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A form that can be measured, or why there is none."""

    name: str
    size: int = 0
    embedder: LocalEmbedder | None = None
    refused: str = ""


def _compared(
    model: str | Path,
    plan: Plan,
    tokens: Tokens,
    runtime: TorchRuntime,
    small: Path,
    judge: Callable[[LocalEmbedder], dict[str, float]] | None,
) -> list[Form]:
    """Time all forms in turns, so that what else the machine does meets all of them; then judge each."""
    weights = sum(_sizes(runtime.network, runtime.tail))
    file = next(one for name in (DIFFERENCES, INT8_WEIGHTS) for one in small.rglob(name))
    exact = LocalEmbedder(
        model=str(model), family=plan.family, tokens=tokens, runtime=runtime, notices=(), fingerprint={}
    )
    kept = open_embedder(small, runtime="torch", precision="float32", device="cpu")
    opened = [
        _Opened(name="float32", size=weights, embedder=exact),
        _Opened(
            name="int8 differences" if file.name == DIFFERENCES else "int8 weights",
            size=file.stat().st_size + sum(_sizes(runtime.tail)),
            embedder=kept,
        ),
        _dynamic(exact, runtime, tokens, weights),
        _graph(model),
    ]
    rows = parity_rows(tokens, runtime.position_limit)
    seconds: list[list[float]] = [[] for _ in opened]
    vectors: list[Float32Matrix | None] = [None for _ in opened]
    for _ in range(ROUNDS):
        for at, one in enumerate(opened):
            if one.embedder is not None:
                started = time.perf_counter()
                vectors[at] = one.embedder.rows(rows)
                seconds[at].append(time.perf_counter() - started)
    forms = []
    for one, its_seconds, found in zip(opened, seconds, vectors, strict=True):
        if one.embedder is None or found is None or vectors[0] is None:
            forms.append(Form(name=one.name, refused=one.refused))
            continue
        cosines = (found * vectors[0]).sum(1)
        forms.append(
            Form(
                name=one.name,
                size=one.size,
                ratio=weights / one.size,
                texts_per_second=len(found) / min(its_seconds),
                min_cosine=float(cosines.min()),
                mean_cosine=float(cosines.mean()),
                figures=judge(one.embedder) if judge is not None else {},
            )
        )
    return forms


def _dynamic(exact: LocalEmbedder, runtime: TorchRuntime, tokens: Tokens, weights: int) -> _Opened:
    name = "int8 linears"
    quantise: Any = getattr(getattr(torch.ao, "quantization", None), "quantize_dynamic", None)
    if quantise is None:
        return _Opened(name=name, refused=f"torch {torch.__version__} has no quantize_dynamic any more")
    dynamic = copy.copy(runtime)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to give it up
        try:
            dynamic.network = quantise(runtime.network, {nn.Linear}, dtype=torch.qint8)
        except RuntimeError as error:  # no engine for this processor
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return _Opened(name=name, refused=reason)
    linears = sum(one.weight.numel() for one in runtime.network.modules() if isinstance(one, nn.Linear))
    embedder = LocalEmbedder(
        model=exact.model, family=exact.family, tokens=tokens, runtime=dynamic, notices=(), fingerprint={}
    )
    return _Opened(name=name, size=weights - 3 * linears, embedder=embedder)


def _graph(model: str | Path) -> _Opened:
    name = "int8 graph"
    made = export_model(model, precision="int8")
    if made.refused:
        return _Opened(name=name, refused=made.refused)
    embedder = open_embedder(model, precision="int8", runtime="onnx", device="cpu")
    return _Opened(name=name, size=made.size, embedder=embedder)


def _sizes(*modules: nn.Module) -> list[int]:
    """Bytes of the weights of modules, as they lie in memory."""
    return [weight.numel() * weight.element_size() for module in modules for weight in module.parameters()]
