"""Weights into torch modules: the transformer and the Dense layers. Knows no tokens and no batches."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from torch import Tensor, nn

from searchkit.embedding.checkpoint import Checkpoint, DenseLayer, read_checkpoint
from searchkit.embedding.int8_weights import read_packed
from searchkit.embedding.json_files import AGAIN, read_json
from searchkit.embedding.snapshots import CONFIG, DIFFERENCES, INT8_WEIGHTS
from searchkit.embedding.sources import find_model
from searchkit.embedding.weights import base_of, dense_weights, network_weights, weights_sha256
from searchkit.errors import ModelError, ModelNotFound
from searchkit.export.kinds import T5_KINDS

# Names, not classes: each loads a module of its own.
T5_ENCODERS = {kind: f"{kind.upper()}EncoderModel" for kind in T5_KINDS}
# A checkpoint may leave these out: we pool ourselves, and position numbers are no weights.
HARMLESS = re.compile(r"(^|\.)(pooler\.|position_ids$|rotary_emb\.inv_freq$)")
BUFFERS = re.compile(r"(^|\.)(position_ids|rotary_emb\.inv_freq)$")
# Where a network of each kind keeps the layers that make a score: without them it would be a random one.
SCORING = re.compile(r"^(classifier|pre_classifier|head)\.")
# Weights that a checkpoint may bring beyond what embeds: heads it was trained with, a decoder's half,
# buffers that older versions stored. Anything else that finds no place belongs to another network.
HEADS = re.compile(
    r"(^|\.)(cls|classifier|pooler|lm_head|mlm_head|score|decoder|qa_outputs|predictions|sop_classifier"
    r"|vocab_transform|vocab_layer_norm|vocab_projector|generator_predictions|generator_lm_head"
    r"|discriminator_predictions)\."
    r"|(^|\.)(position_ids|token_type_ids|inv_freq|masked_bias|attn\.bias|lm_head|embed_tokens\.weight)$"
)


def load_network(checkpoint: Checkpoint) -> nn.Module:
    """The transformer in float32, on the CPU, in evaluation mode, its weights checked to be complete.

    Raises:
        ModelError: weights are missing, damaged or of other shapes than config.json says, or the
            architecture is not one of the installed transformers.
    """
    (file, *_) = network_weights(checkpoint.network)
    if file.name == DIFFERENCES:
        return _added(file, checkpoint)
    model, kind = checkpoint.source.model, checkpoint.model_type
    network, report = _read(_loader(checkpoint), checkpoint.network, model, kind)
    _check_complete(report, checkpoint.network)
    return network


def _added(file: Path, checkpoint: Checkpoint) -> nn.Module:
    """The network of the base that a file of differences names, with these added to its weights."""
    said = base_of(file)
    try:
        base = read_checkpoint(find_model(said.base))
    except ModelNotFound as error:
        raise ModelNotFound(
            f"'{checkpoint.source.model}' holds what differs from another model: {error.message}",
            remedy=error.remedy,
        ) from error
    found = weights_sha256(base)
    if found != said.base_sha256:
        raise ModelError(
            f"{file} is to be added to '{said.base}' with the weights {said.base_sha256[:12]}, found are "
            f"{found[:12]} in {base.network}",
            remedy="install or download the base again, in the version that the model was trained from",
        )
    if base.network_facts != checkpoint.network_facts:
        raise ModelError(f"{checkpoint.network / CONFIG} is not that of '{said.base}'", remedy=AGAIN)
    network = load_network(base)
    weights = dict(network.named_parameters())
    try:
        with torch.no_grad():
            for name, difference in read_packed(file).items():
                weights[name].add_(difference)
    # The boundary to foreign files, as below.
    except Exception as error:
        raise ModelError(f"{file} cannot be added to '{said.base}': {error}", remedy=AGAIN) from error
    return network


def load_scorer(network: Path, model: str, kind: str) -> nn.Module:
    """A network with a head that scores pairs, in float32, on the CPU, in evaluation mode.

    Raises:
        ModelError: as for `load_network`; or the weights have no head.
    """
    loader = transformers.AutoModelForSequenceClassification
    scorer, report = _read(loader, network, model, kind)
    if any(SCORING.search(key) for key in report["missing_keys"]):
        raise ModelError(
            f"the weights in {network} have no head that scores pairs: they lack "
            f"{_few(sorted(report['missing_keys']))}",
            remedy="it is an embedder or a network that nobody trained to rerank: name a cross-encoder",
        )
    _check_complete(report, network, harmless=BUFFERS)
    return scorer


def load_completer(folder: Path, model: str) -> nn.Module:
    """A causal language model, in float32, on the CPU, in evaluation mode.

    Raises:
        ModelError: as for `load_network`.
    """
    kind = str(read_json(folder / "config.json").get("model_type"))
    network, report = _read(transformers.AutoModelForCausalLM, folder, model, kind)
    _check_complete(report, folder, harmless=BUFFERS)
    return network


def load_tail(checkpoint: Checkpoint, width: int) -> nn.Sequential:
    """The layers after the pooling, in float32: (rows, width) to (rows, dim).

    Raises:
        ModelError: a layer's weights are missing, damaged, or do not fit what comes before.
    """
    steps: list[nn.Module] = []
    for step in checkpoint.tail:
        if isinstance(step, DenseLayer):
            if step.in_features != width:
                raise ModelError(f"{step.folder} takes {step.in_features} numbers, but gets {width}")
            steps += [_dense(step), getattr(nn, step.activation)()]
            width = step.out_features
        else:
            steps.append(UnitLength())
    if not steps or not isinstance(steps[-1], UnitLength):
        steps.append(UnitLength())
    return nn.Sequential(*steps).eval()


class UnitLength(nn.Module):
    """Rows scaled to length 1; a zero row stays zero."""

    def forward(self, rows: Tensor) -> Tensor:
        """(rows, width) to the same shape."""
        return nn.functional.normalize(rows, dim=1)


class Bfloat16Linear(nn.Module):
    """A linear layer that multiplies in bfloat16 and hands float32 on.

    Only matrix products gain from bfloat16; norms, residuals and softmax stay in float32, which keeps
    vectors much closer to float32 than a network converted as a whole (LOG: minimum cosine on short
    texts 0.99993 against 0.99987).

    feeds_linear: only an activation stands between this layer and the next product, which rounds its input
    anyway: then bfloat16 is handed on.
    """

    def __init__(self, linear: nn.Linear, *, feeds_linear: bool = False) -> None:
        super().__init__()
        self.feeds_linear = feeds_linear
        # T5 asks its layers for `weight`.
        self.weight = nn.Parameter(linear.weight.detach().to(torch.bfloat16), requires_grad=False)
        bias = None if linear.bias is None else linear.bias.detach().to(torch.bfloat16)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, rows: Tensor) -> Tensor:
        """(..., in) float32 or bfloat16 to (..., out) float32, or bfloat16 where it feeds a linear layer."""
        product = nn.functional.linear(_in_bfloat16(rows), self.weight, self.bias)
        return product if self.feeds_linear else product.float()


# Names of the layers that feed another one in BERT, RoBERTa, MPNet and their like. T5's are not among them:
# it multiplies two of them with each other.
FEEDS_LINEAR = ("intermediate.dense",)


def _in_bfloat16(rows: Tensor) -> Tensor:
    """`rows` rounded, once for all layers that take the same tensor, as query, key and value do."""
    if rows.dtype == torch.bfloat16:
        return rows
    rounded: Tensor | None = getattr(rows, "_rounded", None)
    if rounded is None:
        rounded = rows.to(torch.bfloat16)
        rows._rounded = rounded  # type: ignore[attr-defined]  # lives as long as the tensor, no longer
    return rounded


def swap_linears(network: nn.Module) -> list[tuple[nn.Module, str, nn.Linear]]:
    """Put a Bfloat16Linear in place of every linear layer.

    Returns: what `restore_linears` needs to undo it.
    """
    swapped = [
        (parent, name, child, f"{path}.{name}".endswith(FEEDS_LINEAR))
        for path, parent in list(network.named_modules())
        for name, child in list(parent.named_children())
        if type(child) is nn.Linear
    ]
    for parent, name, child, feeds_linear in swapped:
        setattr(parent, name, Bfloat16Linear(child, feeds_linear=feeds_linear))
    return [(parent, name, child) for parent, name, child, _ in swapped]


def restore_linears(swapped: list[tuple[nn.Module, str, nn.Linear]]) -> None:
    """Put the float32 layers back."""
    for parent, name, child in swapped:
        setattr(parent, name, child)


def _read(loader: Any, folder: Path, model: str, kind: str) -> tuple[nn.Module, dict[str, Any]]:
    """What a class of transformers makes of a folder's weights, and its report of what did not fit.

    Raises:
        ModelError: weights are missing, damaged or of other shapes, or the kind is not known.
    """
    network_weights(folder)
    if kind not in transformers.CONFIG_MAPPING:
        raise ModelError(
            f"'{model}' is of type '{kind}', which transformers {transformers.__version__} does not know "
            "without code of the model's authors",
            remedy="searchkit never runs code from a model folder; a newer transformers may know the type",
        )
    try:
        with quiet():
            given: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True}
            files = network_weights(folder)
            if files[0].name == INT8_WEIGHTS:
                config: Any = transformers.AutoConfig.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False
                )
                weights = read_packed(files[0])
                network, report = _class_of(loader, config).from_pretrained(
                    None, config=config, state_dict=weights, **given
                )
            else:
                network, report = loader.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False, **given
                )
    # The boundary to foreign files: transformers, safetensors, pickle and zip each raise their own.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the weights in {folder} cannot be loaded: {reason}", remedy=AGAIN) from error
    return cast("nn.Module", network.eval()), report


def _class_of(loader: Any, config: Any) -> Any:
    """The class itself, of one that chooses it by a folder's configuration."""
    return loader._model_mapping[type(config)] if hasattr(loader, "_model_mapping") else loader


def _loader(checkpoint: Checkpoint) -> Any:
    """The class that loads the network; of T5 the encoder alone."""
    if checkpoint.model_type in T5_KINDS:
        return getattr(transformers, T5_ENCODERS[checkpoint.model_type])
    if checkpoint.config.get("is_encoder_decoder"):
        raise ModelError(
            f"'{checkpoint.source.model}' is an encoder-decoder of type '{checkpoint.model_type}'; "
            f"of those searchkit runs {', '.join(T5_KINDS)}"
        )
    return transformers.AutoModel


def _check_complete(report: dict[str, Any], folder: Path, harmless: re.Pattern[str] = HARMLESS) -> None:
    """Refuse weights that transformers would quietly fill up with random numbers."""
    missing = sorted(key for key in report["missing_keys"] if not harmless.search(key))
    if missing:
        raise ModelError(
            f"the weights in {folder} lack {len(missing)} tensors that config.json calls for: "
            f"{_few(missing)}",
            remedy="config.json and weights are not of one model, or the download was partial: " + AGAIN,
        )
    spare = sorted(key for key in report["unexpected_keys"] if not HEADS.search(key))
    if spare:
        raise ModelError(
            f"the weights in {folder} hold {len(spare)} tensors that config.json has no place for: "
            f"{_few(spare)}",
            remedy="config.json and weights are not of one model: " + AGAIN,
        )


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _dense(layer: DenseLayer) -> nn.Linear:
    file = dense_weights(layer)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors = load_file(file)
        else:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
        weight = tensors["linear.weight"].float()
        bias = tensors["linear.bias"].float() if layer.bias else None
    # The boundary to foreign files, as above.
    except Exception as error:
        raise ModelError(f"{file} cannot be loaded: {error}", remedy=AGAIN) from error
    spare = sorted(set(tensors) - {"linear.weight", "linear.bias" if layer.bias else "linear.weight"})
    bias_shape = () if bias is None else tuple(bias.shape)
    if spare or bias_shape != ((layer.out_features,) if layer.bias else ()):
        found = f"holds {_few(spare)}" if spare else f"holds a bias of {bias_shape} numbers"
        raise ModelError(
            f"{file} {found}, expected {'a bias of' if layer.bias else 'no bias beside'} "
            f"{layer.out_features} numbers as {layer.folder.name}/config.json says",
            remedy=AGAIN,
        )
    if tuple(weight.shape) != (layer.out_features, layer.in_features):
        raise ModelError(
            f"{file} holds a {tuple(weight.shape)} matrix, expected ({layer.out_features}, "
            f"{layer.in_features}) as {layer.folder.name}/config.json says",
            remedy=AGAIN,
        )
    linear = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias)
    linear.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias, requires_grad=False)
    return linear


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' report tables and progress bars from a user's terminal."""
    reports: Any = transformers.utils.logging
    verbosity, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.CRITICAL)
    reports.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        reports.set_verbosity(verbosity)
        if bars:
            reports.enable_progress_bar()
