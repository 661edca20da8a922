"""ONNX Runtime: the graphs of a model as ONNX, run by the provider that fits the device.

Documentation: onnxruntime.ai, "Execution Providers" and "Thread management".
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.engine.compiled import Network
from pixel2style2pixel_cli.engine.graphs import Graph, tracing
from pixel2style2pixel_cli.errors import DeviceError, MissingError, UsageError

OPSET = 18
CPU = "CPUExecutionProvider"
# In the order of preference; DirectML is there only where somebody has installed the build that has it.
PROVIDERS = {
    "cpu": ("DmlExecutionProvider", CPU),
    "cuda": ("CUDAExecutionProvider",),
    "mps": ("CoreMLExecutionProvider",),
}


class OnnxRuntime:
    """The toolkit as ``engine/compiled.py`` needs it."""

    name, package, extra = "onnx", "onnxruntime", "onnx"

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        if dtype != torch.float32:
            raise UsageError("the backend onnx computes in float32", "leave out --dtype, or use --backend torch")
        import onnxruntime

        self._library, self._device = onnxruntime, device
        offered = onnxruntime.get_available_providers()
        self._providers = [name for name in PROVIDERS[device.type] if name in offered][:1]
        if not self._providers:
            raise DeviceError(
                f"this onnxruntime has no provider for {device.type}, only {', '.join(offered)}",
                "install the package onnxruntime-gpu, or use --device cpu or --backend torch",
            )

    @property
    def facts(self) -> dict[str, object]:
        """What the networks depend on beside the graphs."""
        return {"version": self._library.__version__, "providers": self._providers, "torch": torch.__version__}

    def build(self, graph: Graph) -> tuple[bytes, Network]:
        """The network as the bytes of an ONNX file, and ready to run."""
        data = onnx_bytes(graph)
        return data, self.load(data)

    def load(self, data: bytes) -> Network:
        """A network out of its bytes."""
        settings = self._library.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        settings.log_severity_level = 3  # what it warns of is its own affair
        options: list[Any] = list(self._providers)
        if self._device.type == "cuda":
            options = [(options[0], {"device_id": self._device.index or 0, "use_tf32": 0})]
        session = self._library.InferenceSession(
            data, settings, providers=[*options, *([] if CPU in options else [CPU])]
        )
        return _Session(session)


class _Session:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._names = [given.name for given in session.get_inputs()]

    def __call__(self, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))[0]
        return found


def onnx_bytes(graph: Graph) -> bytes:
    """A graph as an ONNX file with its weights inside; MissingError without the package onnx."""
    if find_spec("onnx") is None:
        raise MissingError(
            "ONNX files are written with the package onnx, which is not installed",
            "pip install 'pixel2style2pixel-cli[onnx]'",
        )
    names = (*graph.inputs, *graph.outputs) if graph.any_batch else ()
    file = io.BytesIO()
    out: Any = file  # its annotation knows paths only
    with tracing():
        # not the exporter on torch.export: it needs one more package, and takes several times as long
        torch.onnx.export(
            graph.module, graph.example, out, dynamo=False, opset_version=OPSET,
            input_names=list(graph.inputs), output_names=list(graph.outputs),
            dynamic_axes={name: {0: "batch"} for name in names} or None,
        )  # fmt: skip
    return file.getvalue()
