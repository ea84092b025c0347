"""Building an ONNX graph node by node, and writing it beside its weights. Owns the onnx package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

# Operators that ONNX Runtime adds to the standard: fused attention, products of 8-bit matrices.
RUNTIME = "com.microsoft"
OPSET, RUNTIME_OPSET, IR_VERSION = 21, 1, 10
WEIGHTS_FILE = "weights.bin"
# Tensors from this size on go into the weights file, which the runtime maps instead of reading it.
SMALLEST_MAPPED = 1024  # bytes

KINDS = {"int64": TensorProto.INT64, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}


class GraphBuilder:
    """A graph that grows; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, shape: tuple[str | int, ...]) -> str:
        """A value that is given when the graph is run; named sizes may differ from run to run."""
        self._inputs.append(helper.make_tensor_value_info(name, KINDS[kind], list(shape)))
        return name

    def output(self, value: str, shape: tuple[str | int, ...], *, name: str | None = None) -> None:
        """Make a float32 value one of the graph's results, under its own or another name."""
        if name is not None:
            self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name or value, TensorProto.FLOAT, list(shape)))

    def constant(self, array: npt.NDArray[Any] | np.generic | float) -> str:
        """A value that is stored with the graph; a float becomes a float32 scalar."""
        name = f"constant_{len(self._constants)}"
        whole = np.ascontiguousarray(array, dtype=np.float32 if isinstance(array, float) else None)
        self._constants.append(numpy_helper.from_array(whole.reshape(np.shape(array)), name))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Apply an operator that has one result; '' stands for an input that is left out."""
        return self.nodes(kind, *inputs, results=1, domain=domain, **attributes)[0]

    def nodes(self, kind: str, *inputs: str, results: int, domain: str = "", **attributes: Any) -> list[str]:
        """Apply an operator that has several results."""
        name = f"{kind}_{len(self._nodes)}"
        names = [name if results == 1 else f"{name}_{at}" for at in range(results)]
        self._nodes.append(
            helper.make_node(kind, list(inputs), names, name=name, domain=domain, **attributes)
        )
        return names

    def write(self, folder: Path, name: str) -> None:
        """Write the graph as `name`, and its large tensors beside it into WEIGHTS_FILE.

        Raises: OSError: the disk is full, the folder is closed.
        """
        graph = helper.make_graph(
            self._nodes, "searchkit", self._inputs, self._outputs, initializer=self._constants
        )
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, RUNTIME_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)
        (folder / WEIGHTS_FILE).unlink(missing_ok=True)  # onnx would append to it
        onnx.save_model(
            model,
            str(folder / name),
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location=WEIGHTS_FILE,
            size_threshold=SMALLEST_MAPPED,
        )
