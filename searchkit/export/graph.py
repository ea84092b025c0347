"""Building an ONNX graph node by node, its weights written as they come. Owns the onnx package."""

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
ALIGNMENT = 64  # bytes: where tensors begin, so that a mapped one lies as an allocated one would

KINDS = {"int64": TensorProto.INT64, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}


class GraphBuilder:
    """A graph that grows in a folder; values are known by their names.

    Large tensors go into the folder's WEIGHTS_FILE at once, so that of a network's weights no copy is held.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0  # bytes of the weights file; one of an earlier graph is replaced
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
        """A value that is stored with the graph; a float becomes a float32 scalar.

        Raises: OSError: the disk is full, the folder is closed.
        """
        name = f"constant_{len(self._constants)}"
        whole = np.ascontiguousarray(array, dtype=np.float32 if isinstance(array, float) else None)
        whole = whole.reshape(np.shape(array))
        mapped = whole.nbytes >= SMALLEST_MAPPED
        self._constants.append(self._mapped(whole, name) if mapped else numpy_helper.from_array(whole, name))
        return name

    def _mapped(self, whole: npt.NDArray[Any], name: str) -> TensorProto:
        """Write a tensor's numbers, and return what says where they are."""
        start = -(-self._written // ALIGNMENT) * ALIGNMENT
        with (self._folder / WEIGHTS_FILE).open("r+b" if self._written else "wb") as stream:
            stream.seek(start)
            stream.write(whole.astype(whole.dtype.newbyteorder("<"), copy=False).data)
        self._written = start + whole.nbytes
        tensor = TensorProto(name=name, dims=whole.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(whole.dtype)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS_FILE), ("offset", start), ("length", whole.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

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

    def write(self, name: str) -> None:
        """Write the graph into its folder as `name`, to be opened there together with WEIGHTS_FILE.

        Raises: OSError: the disk is full, the folder is closed.
        """
        graph = helper.make_graph(
            self._nodes, "searchkit", self._inputs, self._outputs, initializer=self._constants
        )
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, RUNTIME_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)
        # Not onnx.save_model: it looks for files of that name in the folder the user happens to be in.
        (self._folder / name).write_bytes(model.SerializeToString())
