"""Several processes that train together take the steps that one process takes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from searchkit.errors import TrainingInvalid
from searchkit.training.processes import Processes, join
from searchkit.training.recipe import recipe_toml
from searchkit.training.runlog import read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import GOLDEN

Recipe = Callable[..., TrainingRecipe]
PROGRAM = """
import sys
import torch
torch.set_num_threads(1)
from searchkit.cli.main import main
main(["train", sys.argv[1]])
"""


def run_together(file: Path, count: int) -> list[str]:
    """Train in so many processes, as torchrun starts them. Returns: what each printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(count):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        said = {
            **os.environ,
            **{name: str(value) for name, value in place.items()},
            "MASTER_ADDR": "127.0.0.1",
        }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(file)],
                cwd=Path(__file__).parents[2], env=said, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
    ended = [one.communicate(timeout=240) for one in processes]
    assert [one.returncode for one in processes] == [0] * count, [said[1][-2000:] for said in ended]
    return [out for out, _ in ended]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_have_the_losses_of_one(recipe: Recipe, tmp_path: Path):
    """On CPUs, by gloo: the same batches, all negatives, guide and anchor; one log, one folder; resumed."""
    asked = recipe(
        steps=8, dropout=False, checkpoint_every=4, evaluate_every=4, data={"held_out": 4},
        loss={"name": "in_batch", "guide": "base"}, anchor={"weight": 0.5, "texts": 6},
        optimiser={"rate": 1e-3},
    )  # fmt: skip
    train(asked)
    file = tmp_path / "two.toml"
    file.write_text(recipe_toml(replace(asked, out="two")), encoding="utf-8")
    printed = run_together(file, 2)
    assert "8 steps" in printed[0] and printed[1] == ""
    one, two = (read_log(tmp_path / name / "log.jsonl") for name in ("run", "two"))
    assert two[0]["processes"] == 2
    for mine, theirs in zip(one[1:], two[1:], strict=True):
        assert mine["step"] == theirs["step"]
        for key in {"loss", "norm", "score"} & set(mine):
            assert mine[key] == pytest.approx(theirs[key], rel=1e-4)
    weights = [load_file(tmp_path / name / "model" / "model.safetensors") for name in ("run", "two")]
    base = load_file(GOLDEN / "bert-mean" / "model.safetensors")
    # Keys' biases have no effect and gradients of rounding alone, from which AdamW makes whole steps.
    names = [name for name in weights[0] if not name.endswith("key.bias") and "pooler" not in name]

    def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
        return float(torch.cat([(one[name] - other[name]).flatten() for name in names]).norm())

    assert apart(*weights) < 0.02 * apart(weights[0], base)

    whole = (tmp_path / "two" / "model" / "model.safetensors").read_bytes()
    (tmp_path / "two" / "checkpoints" / "step-000008.safetensors").unlink()
    run_together(file, 2)
    assert (tmp_path / "two" / "model" / "model.safetensors").read_bytes() == whole


def test_every_row_is_read_by_one_process_and_long_ones_by_all():
    """Shares differ by one row at most, and each has long and short ones."""
    lengths = [5, 90, 3, 80, 70, 4, 60]
    shares = [Processes(rank=rank, count=3).share(lengths) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == list(range(7))
    assert {len(share) for share in shares} == {2, 3}
    assert all(max(lengths[row] for row in share) >= 70 for share in shares)


def test_one_device_is_not_shared_by_processes(monkeypatch: pytest.MonkeyPatch):
    """Each has its own; a recipe that names one is refused."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingInvalid, match="2 processes cannot share the device 'cuda:1'"):
        join("cuda:1")


@pytest.mark.parametrize(
    ("gpus", "asked", "backend", "devices"),
    [
        (1, "auto", "gloo", ["cpu", "cpu"]),
        (2, "auto", "nccl", ["cuda:0", "cuda:1"]),
        (2, "cpu", "gloo", ["cpu", "cpu"]),
    ],
)
def test_all_processes_come_to_the_same_kind_of_device(
    monkeypatch: pytest.MonkeyPatch, gpus: int, asked: str, backend: str, devices: list[str]
):
    """One GPU is none for two: they would wait for each other by different means."""
    begun: list[str] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda kind, timeout: begun.append(kind))
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    found = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        found.append(join(asked).device)
    assert (found, begun) == (devices, [backend, backend])


def test_gpus_that_were_asked_for_have_to_be_there(monkeypatch: pytest.MonkeyPatch):
    """It is not the CPU without a word."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingInvalid, match="2 processes want a GPU each, and there are 1"):
        join("cuda")


@pytest.mark.parametrize("said", [{"WORLD_SIZE": "2"}, {"WORLD_SIZE": "two", "RANK": "0"}])
def test_an_environment_that_says_it_by_halves_is_refused(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
):
    """As a job of a cluster may leave it."""
    monkeypatch.delenv("RANK", raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingInvalid, match="not clearly which this one is: WORLD_SIZE=") as raised:
        join("auto")
    assert "torchrun" in raised.value.remedy


def test_alone_it_is_the_first(monkeypatch: pytest.MonkeyPatch):
    """And its share is everything."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = join("cpu")
    assert alone.first and alone.share([3, 1, 2]) == [0, 1, 2]
    assert json.dumps(alone.told(lambda: {"a": 1})) == '{"a": 1}'
