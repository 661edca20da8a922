"""A model whose networks another library has compiled: made once, compared with PyTorch, kept on the disk.

Shape suffixes: B batch, C channels, H W S height, width and side, N rows, D style width, R side of a picture.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixel2style2pixel_cli import networks
from pixel2style2pixel_cli.engine.backend import TorchBackend
from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.compiled_cache import CompiledCache, key_of
from pixel2style2pixel_cli.engine.graphs import ROLES, Graph, Role, encoder_graph, generator_graph
from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.engine.parity import Parity, compare
from pixel2style2pixel_cli.errors import MissingError, in_one_line
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.networks.stylegan2 import NoiseMode


class Network(Protocol):
    """A compiled network: arrays for the inputs of its graph to the array of its output."""

    def __call__(self, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]: ...


class Toolkit(Protocol):
    """A library that compiles graphs for a device. Its ``facts`` are what a compiled network depends on."""

    name: str

    @property
    def facts(self) -> dict[str, object]: ...

    def build(self, graph: Graph) -> tuple[bytes, Network]:
        """The compiled network as bytes, and ready to run; any exception where the library cannot."""
        ...

    def load(self, data: bytes) -> Network:
        """A network out of such bytes; any exception where they are none."""
        ...


class CompiledBackend:
    """The networks of a model as a toolkit compiled them, one picture at a time.

    A generator of which single tensors are replaced (``Codes.tensors``) is drawn by PyTorch: it would have to be
    compiled anew. ``reference`` gives the model on the CPU in float32, which graphs are made of.
    """

    def __init__(
        self,
        toolkit: Toolkit,
        plain: TorchBackend,
        reference: Callable[[], Model],
        *,
        cache: CompiledCache,
        on_event: OnEvent,
    ) -> None:
        self.name = toolkit.name
        self._toolkit, self._plain, self._reference = toolkit, plain, reference
        self._cache, self._on_event = cache, on_event
        self._networks: dict[Role, Network] = {}
        self._told_unkept = False

    # What the protocol asks for

    def encode(self, inputs_BCHW: Tensor, start_BND: Tensor | None = None) -> Tensor:
        """As the protocol says."""
        network, average_ND = self._network("encoder"), self._plain.model.encoder.latent_avg
        starts = (average_ND if start_BND is None else start_BND).expand(len(inputs_BCHW), *average_ND.shape)
        each = range(len(inputs_BCHW))
        return self._joined([network([_array(inputs_BCHW[i : i + 1]), _array(starts[i : i + 1])]) for i in each])

    def draw(self, codes: Codes, noise: NoiseMode | Sequence[Tensor]) -> Tensor:
        """As the protocol says."""
        if codes.tensors is not None:
            return self._plain.draw(codes, noise)
        network = self._network("generator")
        given = noise if codes.noise is None else codes.noise
        drawn = []
        for i in range(len(codes)):
            maps = self._stored[given] if isinstance(given, str) else [_array(_of_one(map_, i)) for map_ in given]
            drawn.append(network([_array(codes.w_plus[i : i + 1]), *maps]))
        return self._joined(drawn)

    def _joined(self, found: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.cat([torch.from_numpy(each) for each in found]).to(self._plain.device, self._plain.dtype)

    @cached_property
    def _stored(self) -> dict[str, list[NDArray[np.float32]]]:
        """The noise maps of the modes that have them by themselves."""
        generator = self._plain.model.generator
        stored = [_array(map_) for map_ in generator.noise_maps("fixed", generator.latent_avg) if map_ is not None]
        return {"fixed": stored, "off": [np.zeros_like(map_) for map_ in stored]}

    # Making, checking, keeping

    def parity(self) -> Parity | None:
        """How the compiled networks differ from PyTorch, as it was measured on this machine once; None before that."""
        found = self._cache.record(self._pair_key)
        return None if found is None else Parity.read(found)

    def prepare(self) -> Parity:
        """Compile both networks and compare them with PyTorch, unless that was done before; says what it does."""
        known = self.parity()
        if known is not None:
            return known
        self._say(f"{self.name}: preparing {self._plain.model.card.name}, once on this machine; it may take a minute")
        for role in ROLES:
            self._networks[role] = self._build(role)
        exact = self._toolkit.facts.get("precision", "f32") == "f32"
        found = compare([self._graph(role) for role in ROLES], [self._networks[role] for role in ROLES], exact=exact)
        self._tell_unkept(self._cache.write_record(self._pair_key, dataclasses.asdict(found)))
        self._say(f"{self.name}: {found.told}")
        return found

    def _network(self, role: Role) -> Network:
        """The compiled network, read at its first use; made again where what was kept is gone or broken."""
        if role in self._networks:
            return self._networks[role]
        data = self._cache.load(self._keys[role])
        if data is not None:
            try:
                self._networks[role] = self._toolkit.load(data)
                return self._networks[role]
            except Exception as error:
                self._say(f"{self.name}: the {role} kept on the disk is of no use: {in_one_line(error)}", "warning")
        self._say(f"{self.name}: making the {role} again; it may take a minute")
        del data
        try:
            self._networks[role] = self._build(role)
        except Exception as error:
            raise MissingError(
                f"{self.name} cannot compile the {role} any more: {in_one_line(error)}", "use --backend torch"
            ) from error
        return self._networks[role]

    def _build(self, role: Role) -> Network:
        data, network = self._toolkit.build(self._graph(role))
        self._tell_unkept(self._cache.store(self._keys[role], data))
        return network

    def _graph(self, role: Role) -> Graph:
        model = self._reference()
        return encoder_graph(model.encoder) if role == "encoder" else generator_graph(model.generator)

    @cached_property
    def _keys(self) -> dict[Role, str]:
        """What each compiled network depends on: weights, sizes, our code, the toolkit, its version, the machine."""
        model = self._plain.model
        sizes = {
            "encoder": dataclasses.asdict(model.encoder_spec), "generator": dataclasses.asdict(model.generator_spec)
        }  # fmt: skip
        hashes = model.weights_sha256
        own = {"generator": ("generator", "changes"), "encoder": ("encoder", "heads")}
        # a generator that several encoders draw with is kept once
        told = {"generator": {"generator": sizes["generator"]}, "encoder": sizes}
        return {
            role: key_of({
                "network": role, "weights": {part: hashes[part] for part in own[role] if part in hashes},
                "sizes": told[role], "code": _code_digest(), "toolkit": self.name, **self._toolkit.facts,
            })
            for role in ROLES
        }  # fmt: skip

    @cached_property
    def _pair_key(self) -> str:
        return key_of({"networks": self._keys, "torch": torch.__version__})

    def _tell_unkept(self, reason: str | None) -> None:
        if reason is not None and not self._told_unkept:
            self._told_unkept = True
            self._say(f"{self.name}: what was compiled is not kept for the next run: {reason}", "warning")

    def _say(self, message: str, level: str = "info") -> None:
        self._on_event(Notice(message=message, level="warning" if level == "warning" else "info"))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().float().cpu().contiguous().numpy()
    return found


def _of_one(map_B1HW: Tensor, index: int) -> Tensor:
    """The noise map of one picture, where not all have the same."""
    return map_B1HW[index : index + 1] if len(map_B1HW) > 1 else map_B1HW


def _code_digest() -> str:
    """sha256 of the files that say what the networks compute: another program makes other graphs."""
    folder = Path(networks.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.py"), Path(__file__).with_name("graphs.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
