"""What this machine can compute with, found out without loading torch. Knows /proc, files of drivers."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
from functools import cache
from pathlib import Path

# Products of unsigned with signed bytes, added in 32 bits: without one of these, in 16, which overflow.
BYTE_PRODUCTS = {"avx512_vnni", "avx_vnni", "avx_vnni_int8"}
# NVIDIA, the same on Tegra and Jetson by older and newer drivers, AMD, either one under WSL.
DRIVERS = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/kfd", "/dev/dxg")
ACCELERATED_BUILD = re.compile(r"^(?:cuda|hip|xpu)\b[^=]*=\s*['\"]", re.MULTILINE)


@cache
def processor_lines() -> tuple[str, ...]:
    """What Linux says of the processor; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines())


def processor_flags() -> set[str]:
    """What the processor says it can do; empty where the system does not tell."""
    flags = (line.split(":")[1].split() for line in processor_lines() if line.startswith("flags"))
    return set(next(flags, ()))


def physical_cores() -> int | None:
    """Cores without their second threads, which only get in each other's way when multiplying matrices.

    None where the system does not tell.
    """
    packages, cores = (
        [line.split(":")[1].strip() for line in processor_lines() if line.startswith(name)]
        for name in ("physical id", "core id")
    )
    return len(set(zip(packages, cores, strict=True))) or None if len(packages) == len(cores) else None


def usable_cores() -> int | None:
    """Threads to multiply matrices with: physical cores, as far as this process may run on them.

    None where the system tells neither. A container or a batch system may leave a process 2 of 64 cores.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    known = [count for count in (physical_cores(), allowed) if count is not None]
    return min(known, default=None)


def multiplies_mixed_bytes() -> bool:
    """Whether unsigned and signed bytes are multiplied exactly; true on ARM, whose kernels widen first."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    return bool(BYTE_PRODUCTS & processor_flags())


def may_have_accelerator() -> bool:
    """Whether torch may find an accelerator here. True has to be asked of torch.

    False is certain where the build is for the CPU alone; else as certain as DRIVERS is complete.

    Importing torch takes a second, which a query on a machine without one need not spend.
    """
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        return False
    try:
        built = (Path(found.submodule_search_locations[0]) / "version.py").read_text(encoding="utf-8")
    except OSError:
        return True
    if not ACCELERATED_BUILD.search(built):
        return False
    return sys.platform != "linux" or any(Path(driver).exists() for driver in DRIVERS)
