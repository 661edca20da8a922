"""NVIDIA's network pickles read for their tensors only; the source code they carry is never run.

Such a file holds modules as ``_reconstruct_persistent_obj(meta)``, where ``meta`` carries Python source and the
``__dict__`` of the module. The reader here maps that call to an inert record, builds tensors from their bytes, and
refuses every name outside a short list.
"""

from __future__ import annotations

import codecs
import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import SHOWN, IntegrityError, in_one_line

PERSISTENT_OBJECT = "torch_utils.persistence._reconstruct_persistent_obj"
NETWORK = "G_ema"  # the averaged generator, the only network used


@dataclass(frozen=True, slots=True)
class Record:
    """A module of the pickle, inert: its class name and the contents of its ``__dict__``."""

    class_name: str
    state: dict[str, object]


def load_nvidia_pickle(path: Path) -> dict[str, object]:
    """`{"G_ema": state dict, "conv_clamp": value or None}` of a network pickle; IntegrityError if it asks for more."""
    try:
        with path.open("rb") as stream:
            loaded: object = _InertUnpickler(stream, path).load()
        return _contents(loaded, path)
    except IntegrityError:
        raise
    except Exception as error:
        # A hostile pickle can raise anything from inside the tensor builders; none of it is a bug of ours.
        raise IntegrityError(f"{path} is damaged or truncated: {in_one_line(error)}", "fetch the file again") from error


def _contents(loaded: object, path: Path) -> dict[str, object]:
    network = loaded.get(NETWORK) if isinstance(loaded, dict) else None
    if not isinstance(network, Record):
        found = (
            ", ".join(in_one_line(key)[:SHOWN] for key in loaded) if isinstance(loaded, dict) else type(loaded).__name__
        )
        raise IntegrityError(f"{path} holds {found}, expected a network pickle with {NETWORK}", "name another file")
    parts = list(_modules(network, "", set()))
    state = {prefix + name: tensor for prefix, record in parts for name, tensor in _tensors(record)}
    stated = (record.state.get("conv_clamp") for _, record in parts)
    clamps = {value for value in stated if isinstance(value, (int, float))}
    return {NETWORK: state, "conv_clamp": max(clamps) if clamps else None}


def _modules(record: Record, prefix: str, seen: set[int]) -> Iterator[tuple[str, Record]]:
    """A record and everything in it, with the beginning of its tensors' names; ValueError where it is no tree."""
    if id(record) in seen:
        # two references on each of fifty levels would be visited a thousand million million times
        raise ValueError(f"the module {prefix[:100]} occurs twice")
    seen.add(id(record))
    yield prefix, record
    modules = record.state.get("_modules")
    for name, child in modules.items() if isinstance(modules, dict) else ():
        if isinstance(child, Record):
            yield from _modules(child, f"{prefix}{name}.", seen)


def _tensors(record: Record) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of one module."""
    for part in ("_parameters", "_buffers"):
        entries = record.state.get(part)
        for name, value in entries.items() if isinstance(entries, dict) else ():
            if isinstance(value, Tensor):
                yield str(name), value


class _InertUnpickler(pickle.Unpickler):
    """An unpickler that knows a dozen names; none of them can do more than make a value."""

    def __init__(self, stream: io.BufferedReader, path: Path) -> None:
        super().__init__(stream)
        self.path = path
        easy_dict = type("EasyDict", (dict,), {})  # fresh per file, since a pickle can set attributes of a class
        self.known: dict[str, Callable[..., Any]] = {
            PERSISTENT_OBJECT: _record,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
            "torch.storage._load_from_bytes": _storage,
            "torch.nn.parameter.Parameter": _parameter,
            "collections.OrderedDict": type("OrderedDict", (OrderedDict,), {}),
            "dnnlib.util.EasyDict": easy_dict,
            "dnnlib.EasyDict": easy_dict,
            "numpy.core.multiarray.scalar": _number,
            "numpy._core.multiarray.scalar": _number,
            "numpy.dtype": _dtype,
            "_codecs.encode": _encode,
            "builtins.set": lambda values=(): set(values),
        }

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Refuse every name that is not on the list, before anything of it is looked up."""
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full not in self.known:
            raise IntegrityError(
                f"{self.path} is a pickle that asks for {in_one_line(full)}, which no network needs",
                "the file was not run; ask its author for a state dict or safetensors file",
            )
        return self.known[full]


def _record(meta: object) -> Record:
    if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict):
        raise ValueError("a module without a state")
    name = meta.get("class_name")
    return Record(name if isinstance(name, str) else "", dict(meta["state"]))


def _storage(data: object) -> torch.UntypedStorage | torch.storage.TypedStorage:
    """The numbers behind a tensor: a small torch file inside the pickle, read without its pickle rights."""
    if not isinstance(data, bytes):
        raise ValueError("a storage that is not bytes")
    loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(loaded, torch.storage.TypedStorage):
        raise ValueError("a storage without a type")
    return loaded


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    """A tensor over a storage, none of whose numbers lies outside it or is used twice.

    torch would make a storage that is too short longer, with whatever the memory held before.
    """
    held = storage.untyped().nbytes() // storage.dtype.itemsize
    if min(offset, *size, *stride, 0) < 0 or len(size) != len(stride):
        raise ValueError("a tensor of an impossible shape")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if math.prod(size) and (last >= held or math.prod(size) > held):
        raise ValueError(f"a tensor of {math.prod(size)} numbers over a storage of {held}")
    return torch.empty(0, dtype=storage.dtype).set_(storage.untyped(), offset, size, stride)


def _parameter(data: Tensor, *_: object) -> Tensor:
    return data


def _dtype(*_: object) -> _Inert:
    return _Inert()


def _number(*_: object) -> None:
    """NumPy scalars are statistics of the training run; no tensor depends on them."""


def _encode(text: str, encoding: str) -> bytes:
    """Bytes in the oldest pickle protocol."""
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding}")
    return codecs.encode(text, encoding)


class _Inert:
    """Takes any state and keeps none."""

    def __setstate__(self, state: object) -> None:
        del state
