"""What the machine can do is told by its files, and torch is asked only where they leave a doubt."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from searchkit.embedding import processor

DRIVERS = processor.DRIVERS  # before a fixture puts others in their place
TWO_CORES_OF_TWO_THREADS = """
processor\t: 0
model name\t: A Processor @ 2.00GHz
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 avx512_vnni
processor\t: 1
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 avx512_vnni
processor\t: 2
physical id\t: 0
core id\t\t: 1
processor\t: 3
physical id\t: 0
core id\t\t: 1
"""


@pytest.fixture
def described(monkeypatch):
    """Let Linux say this of the processor, of a machine of this kind."""

    def say(text: str, machine: str = "x86_64") -> None:
        monkeypatch.setattr(processor, "processor_lines", lambda: tuple(text.splitlines()))
        monkeypatch.setattr(platform, "machine", lambda: machine)

    return say


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (TWO_CORES_OF_TWO_THREADS, {"fpu", "avx2", "avx512_vnni"}),
        ("flags\t\t:\nflags\t\t: avx2", set()),
        ("Features\t: fp asimd\n", set()),
        ("", set()),
    ],
)
def test_flags_are_those_of_the_first_processor(described, text, flags):
    described(text)
    assert processor.processor_flags() == flags


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        (TWO_CORES_OF_TWO_THREADS, 2),
        (TWO_CORES_OF_TWO_THREADS + TWO_CORES_OF_TWO_THREADS.replace("id\t: 0", "id\t: 1"), 4),
        ("processor\t: 0\nBogoMIPS\t: 50\n", None),
        ("", None),
    ],
)
def test_second_threads_are_no_cores(described, text, cores):
    described(text)
    assert processor.physical_cores() == cores


@pytest.mark.parametrize(
    ("text", "allowed", "cores"),
    [
        (TWO_CORES_OF_TWO_THREADS, {0, 1, 2, 3}, 2),
        (TWO_CORES_OF_TWO_THREADS, {3}, 1),  # a container, taskset
        ("", {0, 5}, 2),  # ARM tells no cores
        (TWO_CORES_OF_TWO_THREADS, None, 2),
        ("", None, None),  # macOS, Windows
    ],
)
def test_no_more_threads_than_cores_one_may_run_on(described, monkeypatch, text, allowed, cores):
    described(text)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    if allowed is not None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: allowed, raising=False)
    assert processor.usable_cores() == cores


@pytest.mark.parametrize(("cores", "threads"), [(3, 3), (None, 0)])  # 0: onnxruntime counts them
def test_graphs_and_torch_use_no_more_threads_than_that(monkeypatch, cores, threads):
    from searchkit.embedding import onnx_runtime, torch_runtime

    taken = []
    monkeypatch.setattr(onnx_runtime, "usable_cores", lambda: cores)
    monkeypatch.setattr(
        onnx_runtime.onnxruntime,
        "InferenceSession",
        lambda file, options, providers: taken.append(options.intra_op_num_threads),
    )
    onnx_runtime.open_session(Path("model.onnx"))
    monkeypatch.setattr(torch_runtime, "usable_cores", lambda: cores)
    monkeypatch.setattr(torch_runtime.torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch_runtime.torch, "set_num_threads", taken.append)
    torch_runtime.use_physical_cores()
    assert taken == ([threads, threads] if cores else [threads])


@pytest.mark.parametrize(
    ("flags", "machine", "exact"),
    [
        ("avx2 avx512_vnni", "x86_64", True),
        ("avx2 avx_vnni", "AMD64", True),
        ("avx2 avx512f", "x86_64", False),
        ("", "x86_64", False),
        ("", "aarch64", True),
        ("", "arm64", True),
    ],
)
def test_mixed_bytes_are_trusted_only_where_they_are_added_in_32_bits(described, flags, machine, exact):
    described(f"flags\t\t: {flags}", machine)
    assert processor.multiplies_mixed_bytes() is exact


CPU_BUILD = """
__version__ = '2.13.0+cpu'
cuda: Optional[str] = None
hip: Optional[str] = None
xpu: str | None = None
"""
CUDA_BUILD = CPU_BUILD.replace("cuda: Optional[str] = None", "cuda: Optional[str] = '13.0'")
HIP_BUILD = CPU_BUILD.replace("hip: Optional[str] = None", "hip: Optional[str] = '6.4.1'")
OLD_CUDA_BUILD = '__version__ = "1.9"\ncuda = "11.1"\nhip = None\n'


@pytest.fixture
def torch_there(tmp_path, monkeypatch):
    """A torch whose version.py holds this, on Linux, and a driver's file that may be there."""
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(processor, "DRIVERS", (str(tmp_path / "kfd"), str(driver)))
    monkeypatch.setattr(sys, "platform", "linux")

    def put(version: str | None, *, with_driver: bool) -> None:
        if version is not None:
            (tmp_path / "version.py").write_text(version, encoding="utf-8")
        if with_driver:
            driver.touch()
        spec = ModuleSpec("torch", None, is_package=True)
        assert spec.submodule_search_locations is not None
        spec.submodule_search_locations.append(str(tmp_path))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    return put


@pytest.mark.parametrize(
    ("version", "with_driver", "may"),
    [
        (CPU_BUILD, True, False),
        (CUDA_BUILD, True, True),
        (CUDA_BUILD, False, False),
        (HIP_BUILD, True, True),
        (OLD_CUDA_BUILD, True, True),
        (None, False, True),  # a torch of another shape has to be asked
    ],
)
def test_an_accelerator_needs_a_build_for_it_and_a_driver(torch_there, version, with_driver, may):
    torch_there(version, with_driver=with_driver)
    assert processor.may_have_accelerator() is may


@pytest.mark.parametrize(
    "driver", ["/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/kfd", "/dev/dxg", "/dev/null"]
)
def test_the_drivers_of_every_maker_are_looked_for(torch_there, monkeypatch, driver):
    torch_there(CUDA_BUILD, with_driver=False)
    monkeypatch.setattr(processor, "DRIVERS", DRIVERS)
    monkeypatch.setattr(Path, "exists", lambda path: path == Path(driver))
    assert processor.may_have_accelerator() is (driver != "/dev/null")


def test_outside_of_linux_a_driver_is_not_looked_for(torch_there, monkeypatch):
    torch_there(CUDA_BUILD, with_driver=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert processor.may_have_accelerator()


@pytest.mark.parametrize(("machine", "may"), [("arm64", True), ("x86_64", False)])
def test_an_apple_processor_may_have_one(monkeypatch, machine, may):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert processor.may_have_accelerator() is may


def test_without_torch_there_is_none(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert processor.may_have_accelerator() is False


def test_the_installed_torch_says_what_its_version_file_says():
    """The guess may be too careful, never too bold: what torch finds, it must not deny."""
    import torch

    found = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert processor.may_have_accelerator() or not found
    version = (Path(torch.__file__).parent / "version.py").read_text(encoding="utf-8")
    built_for = torch.version.cuda or torch.version.hip
    assert bool(processor.ACCELERATED_BUILD.search(version)) == bool(built_for)
