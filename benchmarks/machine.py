"""What can this machine do at most: matrices per second in each precision, and memory read per second?

Multiplies matrices of the shapes that MiniLM has (2,048 tokens at once, the batch that searchkit uses), in
torch and, where onnxruntime and onnx are installed, in ONNX Runtime; and reads far more memory than the
caches hold. The best of several short runs: a limit, not a mean. The throughput scripts compare with it.

    python -m benchmarks.machine [--save]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks._conditions import report, threads

TOKENS = 2048
# (inputs, outputs) of the linear layers of one block of MiniLM: four of the attention, two behind it.
SHAPES = ((384, 384),) * 4 + ((384, 1536), (1536, 384))
RUN_S = 1.0  # per kind of matrix
READ_BYTES = 1 << 29


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    found = limits()
    for name, rate in found["matrix_gops"].items():
        print(f"matrices, {name:20} {rate:8.1f} G operations/s")
    print(f"memory read, one thread   {found['read_gb_s_one_thread']:8.1f} GB/s")
    print(f"memory read, all threads  {found['read_gb_s']:8.1f} GB/s")
    report("machine", found, save=arguments.save)


def limits() -> dict[str, Any]:
    """Rates of this machine.

    Returns: `matrix_gops` by precision, 10^9 multiplications and additions per second (two per product of
    two numbers), the better of torch and ONNX Runtime first under the plain name; memory in GB/s.
    """
    found = {**_torch_rates(), **(_onnx_rates() if find_spec("onnxruntime") and find_spec("onnx") else {})}
    best: dict[str, float] = {}
    for name, rate in found.items():
        precision = name.split()[0]
        best[precision] = max(rate, best.get(precision, 0.0))
    one, every = _read_rates()
    return {
        "matrix_gops": {name: round(rate, 1) for name, rate in {**best, **found}.items()},
        "read_gb_s_one_thread": round(one, 1),
        "read_gb_s": round(every, 1),
    }


def minilm_operations(lengths: list[int]) -> float:
    """Multiplications and additions that MiniLM needs for texts of so many tokens, in 10^9, no padding."""
    linear = 6 * sum(2 * inputs * outputs for inputs, outputs in SHAPES)
    attention = 6 * 2 * 2 * 384  # per pair of tokens: scores, and the weighted mean
    return sum(length * linear + length * length * attention for length in lengths) / 1e9


def t5_base_operations(lengths: list[int]) -> float:
    """The same for the encoder of T5 base: 12 blocks of width 768, 3,072 behind the attention."""
    linear = 12 * 2 * (4 * 768 * 768 + 2 * 768 * 3072)
    attention = 12 * 2 * 2 * 768
    return sum(length * linear + length * length * attention for length in lengths) / 1e9


def _torch_rates() -> dict[str, float]:
    import torch

    torch.set_num_threads(threads())
    rates = {}
    for kind in (torch.float32, torch.bfloat16):
        layers = [torch.nn.Linear(inputs, outputs, bias=False, dtype=kind) for inputs, outputs in SHAPES]
        rows = {layer: torch.randn(TOKENS, layer.in_features, dtype=kind) for layer in layers}

        def once(layers: list[Any] = layers, rows: dict[Any, Any] = rows) -> None:
            with torch.inference_mode():
                for layer in layers:
                    layer(rows[layer])

        rates[f"{str(kind).removeprefix('torch.')} torch"] = _rate(once)
    return rates


def _onnx_rates() -> dict[str, float]:
    """The same products in ONNX Runtime; 8 bits as unsigned times signed, summed in 32 bits."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    source = np.random.default_rng(0)
    rates = {}
    for precision, operator, kind, made in (
        ("float32", "MatMul", TensorProto.FLOAT, lambda *shape: source.random(shape, dtype=np.float32)),
        (
            "int8",
            "MatMulInteger",
            TensorProto.UINT8,
            lambda *shape: source.integers(0, 127, shape, dtype=np.uint8),
        ),
    ):
        weight = np.int8 if precision == "int8" else np.float32
        summed = TensorProto.INT32 if precision == "int8" else TensorProto.FLOAT
        sessions = []
        for inputs, outputs in SHAPES:
            node = helper.make_node(operator, ["rows", "weights"], ["products"])
            graph = helper.make_graph(
                [node],
                "product",
                [helper.make_tensor_value_info("rows", kind, [TOKENS, inputs])],
                [helper.make_tensor_value_info("products", summed, [TOKENS, outputs])],
                [numpy_helper.from_array(made(inputs, outputs).astype(weight), "weights")],
            )
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), providers=["CPUExecutionProvider"]
            )
            sessions.append((session, {"rows": made(TOKENS, inputs)}))

        def once(sessions: list[Any] = sessions) -> None:
            for session, given in sessions:
                session.run(None, given)

        rates[f"{precision} onnxruntime"] = _rate(once)
    return rates


def _rate(once: Callable[[], None]) -> float:
    """10^9 operations per second of the best among runs of all SHAPES."""
    once()
    best, end = float("inf"), time.perf_counter() + RUN_S
    while time.perf_counter() < end:
        started = time.perf_counter()
        once()
        best = min(best, time.perf_counter() - started)
    return sum(2 * TOKENS * inputs * outputs for inputs, outputs in SHAPES) / best / 1e9


def _read_rates() -> tuple[float, float]:
    """GB/s read by one thread, and by all: sums over float32, which read everything once."""
    import torch

    block = torch.ones(READ_BYTES // 4)
    rates = []
    for n in (1, threads()):
        torch.set_num_threads(n)
        seconds = []
        for _ in range(4):
            started = time.perf_counter()
            block.sum()
            seconds.append(time.perf_counter() - started)
        rates.append(READ_BYTES / min(seconds) / 1e9)
    return rates[0], max(rates)


if __name__ == "__main__":
    main()
