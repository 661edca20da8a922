"""OpenVINO: the graphs of a model compiled for this machine's CPU.

Converted straight from the modules; a compiled network is what ``export_model`` gives, and depends on the version and
on the CPU. Documentation: docs.openvino.ai, "Model Caching Overview" and "PyTorch model conversion".
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.device import is_fast_in_bfloat16
from pixel2style2pixel_cli.engine.compiled import Network
from pixel2style2pixel_cli.engine.graphs import Graph, tracing
from pixel2style2pixel_cli.errors import UsageError


class OpenVINO:
    """The toolkit as ``engine/compiled.py`` needs it."""

    name, package, extra = "openvino", "openvino", "openvino"

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        if device.type != "cpu":
            raise UsageError(
                f"the backend openvino computes on the CPU, not on {device}", "use --device cpu, or --backend torch"
            )
        if dtype == torch.bfloat16 and not is_fast_in_bfloat16(device):
            raise UsageError("this CPU does not multiply bfloat16", "use --dtype float32, or --backend torch")
        self.precision = "bf16" if dtype == torch.bfloat16 else "f32"
        self._library = import_openvino()
        self._core = self._library.Core()

    @property
    def facts(self) -> dict[str, object]:
        """What the compiled networks depend on beside the graphs."""
        return {
            "version": self._library.__version__,
            "precision": self.precision,
            "cpu": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "can": sorted(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        }

    def build(self, graph: Graph) -> tuple[bytes, Network]:
        """The compiled network as bytes, and ready to run."""
        with tracing():
            converted = self._library.convert_model(
                graph.module, example_input=graph.example, input=list(graph.shapes), verbose=False
            )
        compiled = self._core.compile_model(converted, "CPU", self._settings)
        return compiled.export_model().getvalue(), _Compiled(compiled)

    def load(self, data: bytes) -> Network:
        """A compiled network out of its bytes."""
        return _Compiled(self._core.import_model(data, "CPU", self._settings))

    @property
    def _settings(self) -> dict[str, object]:
        return {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }


class _Compiled:
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __call__(self, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._compiled(list(inputs))[0]
        return found


def import_openvino() -> Any:
    """The library, without the part of it that would tell its makers: nothing of ours opens connections unasked."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")
