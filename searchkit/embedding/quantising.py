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
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from searchkit.arrays import Float32Matrix
from searchkit.embedding.calibration import parity_rows
from searchkit.embedding.checkpoint import NOISE, DenseLayer
from searchkit.embedding.embedder import LocalEmbedder, export_model, open_embedder
from searchkit.embedding.families import PLAIN, families
from searchkit.embedding.int8_weights import changed, packed
from searchkit.embedding.json_files import optional_json
from searchkit.embedding.network import quiet
from searchkit.embedding.opening import Plan, open_in_torch
from searchkit.embedding.snapshots import CONFIG, DIFFERENCES, INT8_WEIGHTS
from searchkit.embedding.tokens import TokenRows, Tokens
from searchkit.embedding.torch_runtime import TorchRuntime
from searchkit.embedding.weights import Base, dense_weights, weights_sha256
from searchkit.errors import UsageError

CONFIG_OF_PROMPTS = "config_sentence_transformers.json"
DESCRIPTIONS = (".json", ".txt", ".md", ".model", ".jinja")
ROUNDS = 5  # of which the fastest counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A way to keep and run a model."""

    name: str
    size: int  # bytes of weights, or of graph and tokenizer
    ratio: float  # float32's size is this many times as large
    texts_per_second: float  # of the calibration texts
    min_cosine: float  # to float32, over these
    mean_cosine: float
    figures: dict[str, float]  # of the sets that were asked for, by name
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

    Returns: float32 first. Raises: UsageError: `out` is there, or the model is not of the base's shape.
    ModelError, ModelNotFound.
    """
    if out.exists():
        raise UsageError(f"{out} is there already", remedy="name a folder that is not")
    plan, tokens, runtime = open_in_torch(model, device="cpu")
    if over is None:
        write_int8_weights(plan, runtime, out)
    else:
        write_differences(plan, runtime, over, out)
    rows = parity_rows(tokens, runtime.position_limit)
    measure = _Measure(rows, runtime, judge, weights=sum(_sizes(runtime.network, runtime.tail)))
    exact = LocalEmbedder(
        model=str(model), family=plan.family, tokens=tokens, runtime=runtime, notices=(), fingerprint={}
    )
    forms = [measure.of("float32", exact, measure.weights)]
    small = open_embedder(out, runtime="torch", precision="float32", device="cpu")
    file = next(out.rglob(DIFFERENCES if over else INT8_WEIGHTS))
    size = file.stat().st_size + sum(_sizes(runtime.tail))
    forms.append(measure.of("int8 differences" if over else "int8 weights", small, size))
    forms.append(_dynamic(measure, exact, plan, tokens, runtime))
    return [*forms, _graph(measure, model)]


def write_int8_weights(plan: Plan, runtime: TorchRuntime, out: Path) -> None:
    """Write the model's folder with the network's weights in 8 bits; complete or not at all."""
    written: Any = runtime.network
    with tempfile.TemporaryDirectory() as folder:
        # Through transformers' own file: it knows which weights are one, and which names they have there.
        with quiet():
            written.save_pretrained(folder, max_shard_size="1TB")
        weights = load_file(Path(folder) / "model.safetensors")
    _write_beside(plan, out, {INT8_WEIGHTS: save(packed(weights), {"format": "pt"})})


def write_differences(plan: Plan, runtime: TorchRuntime, over: str, out: Path) -> None:
    """Write the model's folder with what the network's weights differ by from those of a base, in 8 bits.

    Raises: UsageError: the base is another network. ModelError, ModelNotFound: it cannot be opened.
    """
    base_plan, _, base = open_in_torch(over, device="cpu")
    try:
        if _built(base) != _built(runtime):  # not the files: who wrote one may have left out what is usual
            raise ValueError("its config.json is another")
        differences = changed(dict(runtime.network.named_parameters()), dict(base.network.named_parameters()))
    except ValueError as error:
        raise UsageError(
            f"'{plan.checkpoint.source.model}' was not trained from '{over}': {error}",
            remedy="name its base, or leave out --over",
        ) from error
    said = Base(
        base=over,
        base_sha256=weights_sha256(base_plan.checkpoint),
        float32_bytes=sum(_sizes(runtime.network)),
    )
    config = (base_plan.checkpoint.network / CONFIG).read_bytes()
    _write_beside(plan, out, {DIFFERENCES: save(packed(differences), said.as_metadata()), CONFIG: config})


def _built(runtime: TorchRuntime) -> dict[str, Any]:
    """The facts that a network was built by."""
    config: Any = runtime.network.config
    return {key: value for key, value in config.to_dict().items() if key not in NOISE}


def _write_beside(plan: Plan, out: Path, files: Mapping[str, bytes]) -> None:
    """Write a model's folder with these for its network's weights; complete or not at all."""
    source, network = plan.checkpoint.source.folder, plan.checkpoint.network
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        described = file.suffix in DESCRIPTIONS and not file.name.endswith(".index.json")
        if file.is_file() and described and not any(one.startswith(".") for one in inside.parts):
            (part / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, part / inside)
    for step in plan.checkpoint.tail:
        if isinstance(step, DenseLayer):
            dense = dense_weights(step)
            shutil.copyfile(dense, part / dense.relative_to(source))
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
    part.rename(out)


class _Measure:
    """What every form is compared by."""

    def __init__(
        self,
        rows: TokenRows,
        exact: TorchRuntime,
        judge: Callable[[LocalEmbedder], dict[str, float]] | None,
        *,
        weights: int,
    ) -> None:
        self.weights = weights
        self._rows = rows
        self._judge = judge
        self._exact: Float32Matrix = exact.rows(rows)

    def of(self, name: str, embedder: LocalEmbedder, size: int) -> Form:
        """Time and judge a form."""
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            vectors = embedder.rows(self._rows)
            seconds.append(time.perf_counter() - started)
        cosines = (vectors * self._exact).sum(1)
        return Form(
            name=name,
            size=size,
            ratio=self.weights / size,
            texts_per_second=len(vectors) / min(seconds),
            min_cosine=float(cosines.min()),
            mean_cosine=float(cosines.mean()),
            figures=self._judge(embedder) if self._judge is not None else {},
        )


def _dynamic(
    measure: _Measure, exact: LocalEmbedder, plan: Plan, tokens: Tokens, runtime: TorchRuntime
) -> Form:
    name = "int8 linears"
    quantise: Any = getattr(getattr(torch.ao, "quantization", None), "quantize_dynamic", None)
    if quantise is None:
        return _refused(name, f"torch {torch.__version__} has no quantize_dynamic any more")
    changed = copy.copy(runtime)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to give it up
        try:
            changed.network = quantise(runtime.network, {nn.Linear}, dtype=torch.qint8)
        except (RuntimeError, NotImplementedError) as error:  # no engine for this processor
            return _refused(name, str(error).splitlines()[0])
        linears = sum(one.weight.numel() for one in runtime.network.modules() if isinstance(one, nn.Linear))
        embedder = LocalEmbedder(
            model=exact.model, family=plan.family, tokens=tokens, runtime=changed, notices=(), fingerprint={}
        )
        return measure.of(name, embedder, measure.weights - 3 * linears)


def _graph(measure: _Measure, model: str | Path) -> Form:
    name = "int8 graph"
    made = export_model(model, precision="int8")
    if made.refused:
        return _refused(name, made.refused)
    embedder = open_embedder(model, precision="int8", runtime="onnx", device="cpu")
    return measure.of(name, embedder, made.size)


def _refused(name: str, why: str) -> Form:
    return Form(
        name=name, size=0, ratio=0.0, texts_per_second=0.0, min_cosine=0.0, mean_cosine=0.0,
        figures={}, refused=why,
    )  # fmt: skip


def _sizes(*modules: nn.Module) -> list[int]:
    """Bytes of the weights of modules, as they lie in memory."""
    return [weight.numel() * weight.element_size() for module in modules for weight in module.parameters()]
