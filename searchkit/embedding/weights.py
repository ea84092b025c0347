"""Weight files of a model folder: which there are and whether they are whole. Loads no torch."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from searchkit.embedding.checkpoint import Checkpoint, DenseLayer
from searchkit.embedding.hashes import file_sha256, value_sha256
from searchkit.embedding.json_files import AGAIN
from searchkit.embedding.snapshots import DIFFERENCES, INT8_WEIGHTS, WEIGHTS, shards_of
from searchkit.errors import ModelError

LFS_POINTER = b"version https://git-lfs"
HEADER = "searchkit"  # under which a file of differences says what it is the difference from


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a file of differences is to be added to, as its header says: a name, and the weights meant."""

    base: str  # as for `open_embedder`
    base_sha256: str  # `weights_sha256` of it
    float32_bytes: int  # of all weights

    def as_metadata(self) -> dict[str, str]:
        """For safetensors, as one text: several are written in any order, and the file gets another hash."""
        return {HEADER: json.dumps(asdict(self), sort_keys=True)}


def network_weights(folder: Path) -> list[Path]:
    """The files that hold a network's weights, shards in order, each checked to be whole.

    Raises:
        ModelError: there are none, a shard is missing, or a file is cut off.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [_whole(folder / name)]
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = shards_of(index)
            missing = [shard for shard in shards if not (folder / shard).is_file()]
            if missing or not shards:
                raise ModelError(
                    f"{index} names {len(shards)} shards, of which {len(missing)} are not there"
                    f"{': ' + ', '.join(missing) if missing else ''}",
                    remedy=AGAIN,
                )
            return [_whole(folder / shard) for shard in shards]
    raise ModelError(
        f"{folder} has no weights: expected {' or '.join(WEIGHTS)}, or an index of shards",
        remedy=AGAIN,
    )


def dense_weights(layer: DenseLayer) -> Path:
    """The file that holds a Dense layer's weights, checked to be whole.

    Raises:
        ModelError: there is none, or it is cut off.
    """
    for name in WEIGHTS:
        if (layer.folder / name).is_file():
            return _whole(layer.folder / name)
    raise ModelError(f"{layer.folder} has no weights: expected {' or '.join(WEIGHTS)}", remedy=AGAIN)


def weight_bytes(files: Sequence[Path]) -> int:
    """Bytes in float32 of the weights that files stand for: in 8 bits a quarter of them, differences say."""
    return sum(
        base_of(file).float32_bytes
        if file.name == DIFFERENCES
        else file.stat().st_size * (4 if file.name == INT8_WEIGHTS else 1)
        for file in files
    )


def weight_files(checkpoint: Checkpoint) -> list[Path]:
    """All files of the folder with weights that shape the model's vectors, in the order they are applied.

    Of differences theirs alone: it pins the base's weights by hash.
    """
    dense = [dense_weights(step) for step in checkpoint.tail if isinstance(step, DenseLayer)]
    return network_weights(checkpoint.network) + dense


def weights_sha256(checkpoint: Checkpoint) -> str:
    """One hash of all that `weight_files` names."""
    hashes = [file_sha256(file) for file in weight_files(checkpoint)]
    return value_sha256(hashes) if len(hashes) > 1 else hashes[0]


def base_of(file: Path) -> Base:
    """What a file of differences is to be added to.

    Raises:
        ModelError: it does not say.
    """
    said = _safetensors_header(file)[1].get("__metadata__", {})
    try:
        return Base(**json.loads(said[HEADER]))
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{file} does not say what it is the difference from: {error!r} of its header", remedy=AGAIN
        ) from error


def _whole(file: Path) -> Path:
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(len(LFS_POINTER))
    if head == LFS_POINTER:
        raise ModelError(
            f"{file} is a Git LFS pointer of {size} bytes, not the weights",
            remedy="fetch them: git lfs pull",
        )
    if file.suffix == ".safetensors":
        expected = _safetensors_size(file)
        if size != expected:
            raise ModelError(f"{file} has {size:,} bytes, expected {expected:,}: cut off", remedy=AGAIN)
    elif head[:2] == b"PK" and not zipfile.is_zipfile(file):
        # The archive's directory is at its end, so that a cut-off file has none. Older checkpoints
        # are no archives; torch checks those.
        raise ModelError(f"{file} ({size:,} bytes) ends before its table of contents: cut off", remedy=AGAIN)
    elif size == 0:
        raise ModelError(f"{file} is empty", remedy=AGAIN)
    return file


def _safetensors_size(file: Path) -> int:
    """Bytes that the header promises."""
    length, header = _safetensors_header(file)
    try:
        ends = [int(t["data_offsets"][1]) for name, t in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{file} has a damaged header: {error}", remedy=AGAIN) from error
    return 8 + length + max(ends, default=0)


def _safetensors_header(file: Path) -> tuple[int, Mapping[str, Any]]:
    """Its length in bytes, and itself."""
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 0 < length <= file.stat().st_size - 8:
            raise ModelError(f"{file} is no safetensors file, or cut off within its header", remedy=AGAIN)
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{file} has a damaged header: {error}", remedy=AGAIN) from error
    if not isinstance(header, dict):
        raise ModelError(f"{file} has a damaged header: no object", remedy=AGAIN)
    return int(length), header
