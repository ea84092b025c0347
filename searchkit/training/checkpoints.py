"""What a run needs to go on after it was ended: weights, the optimiser's memory, where it was.

One safetensors file per checkpoint, written whole or not at all. All that is drawn follows from the seed and
the step, so that no state of a random number generator has to be kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from searchkit.durable import write_durably
from searchkit.errors import TrainingFailed

KEPT = 2  # the last ones: a file system may lose what it said was written
NAME = re.compile(r"step-(\d{6,})\.safetensors")
BEST = "best-{step:06d}.safetensors"
BEST_NAME = re.compile(r"best-(\d{6,})\.safetensors")
MARK = "searchkit"  # key of the metadata, which says whose a file is
# How a file of ours begins, after eight bytes of length: to be told of one that is cut off, too.
METADATA = b'{"__metadata__":'
BEGINS = METADATA + f'{{"{MARK}":'.encode("ascii")
RESTART = "start over with --restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is."""

    step: int = 0  # steps done
    best_step: int | None = None  # of the best evaluation; None before the first
    best_score: float = 0.0
    worse: int = 0  # evaluations since the best one
    facts: Mapping[str, Any] = field(default_factory=dict)  # of recipe, data and base: what may not change


def write_checkpoint(
    folder: Path,
    progress: Progress,
    weights: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    names: Mapping[Tensor, str],
) -> None:
    """Keep where a run is; older checkpoints are deleted but for the one before."""
    tensors = {f"weights/{name}": tensor for name, tensor in weights.items()}
    for weight, memory in optimiser.state.items():
        for kind, value in memory.items():
            tensors[f"{kind}/{names[weight]}"] = torch.as_tensor(value).detach().cpu().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    said = json.dumps(asdict(progress), ensure_ascii=False)
    write_durably(folder / f"step-{progress.step:06d}.safetensors", save(tensors, {MARK: said}))
    for _, file in checkpoints(folder)[:-KEPT]:
        file.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, file) of those that searchkit wrote there, earliest first; damaged ones, too."""
    found = [(NAME.fullmatch(file.name), file) for file in _named_alike(folder) if _is_marked(file)]
    return sorted((int(match[1]), file) for match, file in found if match)


def strangers(folder: Path) -> list[str]:
    """Names of files that are called like a run's, but were written by something else."""
    ours = _ours(folder)
    return [file.name for file in _named_alike(folder) if file not in ours]


def _ours(folder: Path) -> list[Path]:
    """Files that searchkit wrote. Best weights once had no metadata: beside a checkpoint they are ours."""
    older = bool(checkpoints(folder))
    return [
        file
        for file in _named_alike(folder)
        if _is_marked(file)
        or (older and BEST_NAME.fullmatch(file.name) and _start(file, len(METADATA)) != METADATA)
    ]


def _named_alike(folder: Path) -> list[Path]:
    """Files that are called like those that a run keeps, parts of them too, in order."""
    if not folder.is_dir():
        return []
    names = [(file.name.removesuffix(".part"), file) for file in sorted(folder.iterdir()) if file.is_file()]
    return [file for name, file in names if NAME.fullmatch(name) or BEST_NAME.fullmatch(name)]


def _is_marked(file: Path) -> bool:
    return _start(file, len(BEGINS)) == BEGINS


def _start(file: Path, size: int) -> bytes:
    with file.open("rb") as stream:
        return stream.read(8 + size)[8:]


def read_progress(file: Path) -> Progress:
    """Where a run was.

    Raises:
        TrainingFailed: the file is damaged.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            said = json.loads((opened.metadata() or {})[MARK])
        return Progress(**said)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise TrainingFailed(
            f"the checkpoint {file} is damaged: {error}",
            remedy=f"delete it, and training goes on from the one before; or {RESTART}",
        ) from error


def read_checkpoint(
    file: Path, optimiser: torch.optim.Optimizer, names: Mapping[Tensor, str]
) -> dict[str, Tensor]:
    """Give the optimiser its memory back. Returns: the weights, by name.

    Raises:
        TrainingFailed: it is of other weights than these.
    """
    tensors: dict[str, dict[str, Tensor]] = {}
    with safe_open(file, framework="pt") as opened:
        for key in opened.keys():  # noqa: SIM118  # not a mapping
            kind, _, name = key.partition("/")
            tensors.setdefault(name, {})[kind] = opened.get_tensor(key)
    if set(tensors) != set(names.values()):
        raise TrainingFailed(f"the checkpoint {file} holds the weights of another network", remedy=RESTART)
    for weight, name in names.items():
        memory = {kind: one for kind, one in tensors[name].items() if kind != "weights"}
        if memory:
            optimiser.state[weight] = {
                kind: one if kind == "step" else one.to(weight.device) for kind, one in memory.items()
            }
    return {name: one["weights"] for name, one in tensors.items()}


def write_best(folder: Path, step: int, weights: Mapping[str, Tensor]) -> None:
    """Keep the weights of the best evaluation so far."""
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / BEST.format(step=step), save(dict(weights), {MARK: f"best of step {step}"}))


def read_best(folder: Path, step: int) -> dict[str, Tensor]:
    """The weights of the best evaluation.

    Raises:
        TrainingFailed: they are gone or damaged.
    """
    file = folder / BEST.format(step=step)
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainingFailed(f"the best weights, {file}, cannot be read: {error}", remedy=RESTART) from error


def sweep_best(folder: Path) -> None:
    """Delete best weights that no checkpoint names."""
    named = {read_progress(file).best_step for _, file in checkpoints(folder)}
    for file in _ours(folder):
        if (match := BEST_NAME.fullmatch(file.name)) and int(match[1]) not in named:
            file.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Delete what a run kept, and nothing that lies beside it."""
    for file in _ours(folder):
        file.unlink(missing_ok=True)
