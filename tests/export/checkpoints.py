"""Tiny random checkpoints of every kind of network that is exported, made by transformers itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from torch import nn

from searchkit.embedding.embedder import LocalEmbedder, export_model, open_embedder

GOLDEN = Path(__file__).parents[1] / "golden"
WIDTH = 48
# No multiple of what rows are padded to, and beyond the distance (128) from which all are one to a bias.
LONG_WINDOW = 203
SHORT_WINDOW = 50
QUESTION = "Represent the question for retrieval: "
# Of which no letter is in the vocabulary: one unknown token per word, and of RoBERTa's kind the unknown
# token is made the padding token (see `_relative`), so that padding stands within texts.
STRANGE = "꧁ ꧂ the ferry ꧁ leaves ꧂ ꧂"
LONG = " ".join(f"the keeper counts {number} bees and the ferry leaves at six" for number in range(40))
PAIRS = [
    ("", "who repaired the clock?"),
    (QUESTION, "who repaired the clock?"),
    ("", ""),
    (QUESTION, ""),
    ("", "a"),
    ("", STRANGE),
    (QUESTION, STRANGE),
    ("", "[PAD] <pad> bees"),
    ("", LONG[:400]),
    (QUESTION, LONG[:333]),
    ("", LONG),
    (QUESTION, LONG),
    (LONG, "the Instruction fills the window"),
]


def _relative(kind: str, *, window: int = SHORT_WINDOW, **changes: object) -> transformers.PretrainedConfig:
    """A relative of BERT that has positions for `window` tokens."""
    if kind == "distilbert":
        sizes = {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 96}
    else:
        sizes = {
            "hidden_size": WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 96,
        }
    offset = 0 if kind in ("bert", "distilbert") else 2
    facts = {"vocab_size": 360, "max_position_embeddings": window + offset, "initializer_range": 0.2}
    padding = {"pad_token_id": 1 if offset else 0}
    return transformers.AutoConfig.for_model(kind, **{**sizes, **facts, **padding, **changes})


def _t5(kind: str, projection: str, **changes: object) -> transformers.PretrainedConfig:
    sizes = {"vocab_size": 360, "d_model": WIDTH, "d_kv": 12, "d_ff": 96, "num_layers": 2, "num_heads": 4}
    facts = {"num_decoder_layers": 1, "feed_forward_proj": projection, "pad_token_id": 0, "eos_token_id": 1}
    return transformers.AutoConfig.for_model(kind, **{**sizes, **facts, **changes})


KINDS = {
    "bert": lambda: _relative("bert"),
    "bert-relu": lambda: _relative("bert", hidden_act="relu"),
    "bert-gelu-new": lambda: _relative("bert", hidden_act="gelu_new"),
    "bert-gelu-tanh": lambda: _relative("bert", hidden_act="gelu_pytorch_tanh"),
    "bert-token-types": lambda: _relative("bert", type_vocab_size=3, layer_norm_eps=1e-3),
    "roberta": lambda: _relative("roberta", type_vocab_size=1),
    "xlm-roberta": lambda: _relative("xlm-roberta", type_vocab_size=1, layer_norm_eps=1e-5),
    "camembert": lambda: _relative("camembert", type_vocab_size=1),
    "distilbert": lambda: _relative("distilbert"),
    "mpnet": lambda: _relative("mpnet", window=LONG_WINDOW),
    "mpnet-spare-buckets": lambda: _relative("mpnet", relative_attention_num_buckets=40),
    "t5-relu": lambda: _t5("t5", "relu"),
    "t5-gated": lambda: _t5("t5", "gated-gelu"),
    "t5-near": lambda: _t5("t5", "relu", relative_attention_max_distance=40, layer_norm_epsilon=1e-3),
    "mt5": lambda: _t5("mt5", "gated-gelu"),
    "umt5": lambda: _t5("umt5", "gated-gelu"),
}


def make(
    folder: Path,
    config: transformers.PretrainedConfig,
    *,
    pooling: str | Sequence[str] = "mean",
    tail: Sequence[tuple[int, bool, str] | str] = (),
    window: int | None = None,
) -> Path:
    """Write a checkpoint in sentence-transformers layout, with random but seeded weights.

    tail: Dense layers as (outputs, bias, activation of torch.nn), and 'Normalize'. Instructions are masked.
    """
    torch.manual_seed(3)
    t5 = config.model_type in ("t5", "mt5", "umt5")
    if t5:
        network = getattr(transformers, f"{config.model_type.upper()}EncoderModel")(config)
    else:
        network = transformers.AutoModel.from_config(config)
    with torch.no_grad():  # transformers sets biases to 0 and norms to 1: what is left out would not show
        for weight in network.parameters():
            if weight.ndim == 1:
                weight += 0.3 * torch.randn_like(weight)
            elif t5 and len(weight) == 32:  # biases by distance
                weight.normal_()
    folder.mkdir(parents=True)
    network.save_pretrained(folder)
    golden = GOLDEN / ("instructor-relu" if t5 else "bert-mean")
    shutil.copy(golden / "tokenizer.json", folder)
    write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    write(folder / "sentence_bert_config.json", {"max_seq_length": window or (LONG_WINDOW if t5 else None)})
    modes = [pooling] if isinstance(pooling, str) else list(pooling)
    write(folder / "1_Pooling" / "config.json", {"pooling_mode": modes, "include_prompt": False})
    kinds = ["Transformer", "Pooling", *(step if isinstance(step, str) else "Dense" for step in tail)]
    places = [f"{at}_{kind}" if at else "" for at, kind in enumerate(kinds)]
    write(
        folder / "modules.json",
        [
            {"idx": at, "name": str(at), "path": place, "type": f"sentence_transformers.models.{kind}"}
            for at, (kind, place) in enumerate(zip(kinds, places, strict=True))
        ],
    )
    width = WIDTH * len(modes)
    for place, step in zip(places[2:], tail, strict=True):
        if not isinstance(step, str):
            width = _dense(folder / place, width, *step)
    return folder


def _dense(folder: Path, inputs: int, outputs: int, bias: bool, activation: str) -> int:
    module = type(getattr(nn, activation)())
    facts = {"in_features": inputs, "out_features": outputs, "bias": bias}
    write(
        folder / "config.json", {**facts, "activation_function": f"{module.__module__}.{module.__qualname__}"}
    )
    layer = nn.Linear(inputs, outputs, bias=bias)
    save_file(
        {f"linear.{name}": value for name, value in layer.state_dict().items()}, folder / "model.safetensors"
    )
    return outputs


def write(file: Path, value: object) -> None:
    """Write JSON, and the folder it lies in."""
    if isinstance(value, dict):
        value = {key: one for key, one in value.items() if one is not None}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(value), encoding="utf-8")


def both(folder: Path) -> tuple[LocalEmbedder, LocalEmbedder]:
    """The checkpoint run by torch, and as an exported graph; no silent stand-ins."""
    torch_one = open_embedder(folder, family="plain", precision="float32", runtime="torch")
    graph = open_embedder(folder, family="plain", precision="float32", runtime="onnx")
    assert type(torch_one.runtime).__name__ == "TorchRuntime"
    assert type(graph.runtime).__name__ == "OnnxRuntime", export_model(folder, precision="float32").refused
    return torch_one, graph
