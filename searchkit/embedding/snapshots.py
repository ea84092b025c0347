"""Which files a model folder lacks. Knows layouts by name; opens descriptions, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from searchkit.embedding.json_files import fact, inside, read_json, read_json_list
from searchkit.errors import ModelError

MODULES = "modules.json"
CONFIG = "config.json"
INT8_WEIGHTS = "model.int8.safetensors"  # as `searchkit models quantise` writes them
DIFFERENCES = "model.differences.safetensors"  # from another model's weights; so does `--over`
# in the order transformers looks for them; it knows nothing of the last two
WEIGHTS = ("model.safetensors", "pytorch_model.bin", INT8_WEIGHTS, DIFFERENCES)
# What a tokenizer is made of: one of these is enough.
VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
)  # fmt: skip


def lacking(folder: Path) -> list[str]:
    """Files that the folder should hold and does not, relative to it.

    Without modules.json, which is then lacking itself, the folder is taken for the network's alone.
    Files whose description is damaged are not told: reading the checkpoint tells more.
    """
    if not (folder / MODULES).is_file():
        return [MODULES, *_network_lacks(folder, "")]
    try:
        lacks: list[str] = []
        for entry in read_json_list(folder / MODULES):
            kind = str(entry.get("type")).rpartition(".")[2]
            path = fact(entry, "path", str, folder / MODULES, "")
            place = inside(folder, path, folder / MODULES)
            if kind == "Transformer":
                lacks += _network_lacks(place, path)
            elif kind in ("Pooling", "Dense") and not (place / CONFIG).is_file():
                lacks.append(f"{path}/{CONFIG}")
            if kind == "Dense":
                lacks += _weights_lack(place, path)
        return lacks
    except ModelError:
        return []


def shards_of(index: Path) -> list[str]:
    """The files that an index of weights names.

    Raises:
        ModelError: the index is damaged, or names files outside of its folder.
    """
    weight_map: dict[str, Any] = fact(read_json(index), "weight_map", dict, index, {})
    shards = sorted({fact(weight_map, key, str, index, "") for key in weight_map})
    for shard in shards:
        inside(index.parent, shard, index)
    return shards


def _network_lacks(folder: Path, path: str) -> list[str]:
    lacks = [] if (folder / CONFIG).is_file() else [_below(path, CONFIG)]
    if not any((folder / name).is_file() for name in VOCABULARIES):
        lacks.append(_below(path, VOCABULARIES[0]))
    return lacks + _weights_lack(folder, path)


def _weights_lack(folder: Path, path: str) -> list[str]:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return []
        index = folder / f"{name}.index.json"
        if index.is_file():
            return [_below(path, shard) for shard in shards_of(index) if not (folder / shard).is_file()]
    return [_below(path, WEIGHTS[0])]


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
