"""The backends: one row each, imported when one is chosen, and who takes over where one cannot."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import cast

import torch

from pixel2style2pixel_cli.engine.backend import Backend, TorchBackend
from pixel2style2pixel_cli.engine.compiled import CompiledBackend, Toolkit
from pixel2style2pixel_cli.engine.compiled_cache import CompiledCache
from pixel2style2pixel_cli.engine.loading import Model, load_model
from pixel2style2pixel_cli.errors import MissingError, P2S2PError, in_one_line
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event

TORCH, AUTO = "torch", "auto"
# The libraries that compile: package, extra of ours, and module and class here.
TOOLKITS = {
    "openvino": ("openvino", "openvino", ("openvino_toolkit", "OpenVINO")),
    "onnx": ("onnxruntime", "onnx", ("onnx_toolkit", "OnnxRuntime")),
}
# What ``auto`` takes on a CPU once it was prepared there.
PREFERRED = "openvino"


def make_backend(
    name: str, model: Model, device: torch.device, dtype: torch.dtype, on_event: OnEvent = ignore_event
) -> Backend:
    """The backend of that name, running a model on a device.

    ``auto`` is PyTorch, or on a CPU what was compiled and compared with PyTorch there before, where that was faster. A
    backend asked for by name is compiled now if need be; where its pictures differ, or it cannot run the model, PyTorch
    takes over and a warning says so. MissingError where its package is not installed.
    """
    plain = TorchBackend(model, device, dtype)
    if name == TORCH:
        return plain
    if name == AUTO:
        return _prepared(plain, on_event) or plain
    backend = _compiled(name, plain, on_event)
    try:
        found = backend.prepare()
    except P2S2PError:
        raise
    except Exception as error:  # libraries raise anything
        return _instead(plain, name, f"it cannot run {model.card.name}: {in_one_line(error)}", on_event)
    return backend if found.accepted else _instead(plain, name, f"it {found.told}", on_event)


def _prepared(plain: TorchBackend, on_event: OnEvent) -> Backend | None:
    """What ``auto`` takes before PyTorch: nothing that would first have to be made."""
    if plain.device.type != "cpu" or not CompiledCache().has_records or not _is_installed(PREFERRED):
        return None  # found without importing the library, which takes as long as drawing ten small pictures
    try:
        backend = _compiled(PREFERRED, plain, on_event)
        found = backend.parity()
    except P2S2PError:
        return None  # a precision that it does not have, or a package that does not load
    return backend if found is not None and found.accepted and found.faster else None


def _compiled(name: str, plain: TorchBackend, on_event: OnEvent) -> CompiledBackend:
    toolkit, model = _toolkit(name, plain.device, plain.dtype), plain.model

    @cache
    def reference() -> Model:
        same = plain.dtype == torch.float32 and plain.device.type == "cpu"
        return model if same else load_model(model.installed, torch.device("cpu"), torch.float32)

    return CompiledBackend(toolkit, plain, reference, cache=CompiledCache(), on_event=on_event)


def _toolkit(name: str, device: torch.device, dtype: torch.dtype) -> Toolkit:
    package, extra, (module, kind) = TOOLKITS[name]
    hint = f"pip install 'pixel2style2pixel-cli[{extra}]', or use --backend torch"
    if not _is_installed(name):
        raise MissingError(f"the backend {name} needs the package {package}, which is not installed", hint)
    make = cast(
        "Callable[[torch.device, torch.dtype], Toolkit]", getattr(import_module(f"{__package__}.{module}"), kind)
    )
    try:
        return make(device, dtype)
    except (ImportError, OSError) as error:
        raise MissingError(f"the package {package} cannot be loaded: {in_one_line(error)}", hint) from error


def _is_installed(name: str) -> bool:
    try:
        return find_spec(TOOLKITS[name][0]) is not None
    except (ImportError, ValueError):
        return False


def _instead(plain: TorchBackend, name: str, reason: str, on_event: OnEvent) -> TorchBackend:
    on_event(Notice(message=f"PyTorch draws, not {name}: {reason}", level="warning"))
    return plain
