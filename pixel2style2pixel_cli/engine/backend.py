"""Who runs the networks of a model: the protocol, and plain PyTorch.

Shape suffixes: B batch, C channels, H W S height, width and side, N rows, D style width, R side of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.networks.inference import InferenceGenerator, with_tensors
from pixel2style2pixel_cli.networks.stylegan2 import NoiseMode


class Backend(Protocol):
    """Runs the two networks of one model; what comes out may lie on a device and in a precision of its own."""

    @property
    def name(self) -> str:
        """What options and recipes call it."""
        ...

    def encode(self, inputs_BCHW: Tensor, start_BND: Tensor | None = None) -> Tensor:
        """W+ codes (B, N, D) of encoder inputs (B, C, S, S): offsets from ``start``, or from the encoder's average."""
        ...

    def draw(self, codes: Codes, noise: NoiseMode | Sequence[Tensor]) -> Tensor:
        """Pictures (B, 3, R, R), roughly in [-1, 1]; noise maps of the codes themselves come first."""
        ...


class TorchBackend:
    """The modules themselves, on their device; the only backend that has gradients.

    On a CPU in float32 pictures are drawn in fewer passes over memory (``networks/inference.py``).
    """

    name = "torch"

    def __init__(self, model: Model, device: torch.device, dtype: torch.dtype) -> None:
        self.model, self.device, self.dtype = model, device, dtype
        self._known: InferenceGenerator | None = None

    def encode(self, inputs_BCHW: Tensor, start_BND: Tensor | None = None) -> Tensor:
        """As the protocol says."""
        x = inputs_BCHW.to(self.device, self.dtype, memory_format=torch.channels_last)
        codes: Tensor = self.model.encoder(x, start_BND)
        return codes

    def draw(self, codes: Codes, noise: NoiseMode | Sequence[Tensor]) -> Tensor:
        """As the protocol says."""
        generator = self.model.generator
        w_plus_BND = codes.w_plus.to(self.device, self.dtype)
        maps = noise
        if codes.noise is not None:
            maps = [map_.to(self.device, self.dtype) for map_ in codes.noise]
        changed = {name: tensor.to(self.device, self.dtype) for name, tensor in (codes.tensors or {}).items()}
        if self.device.type == "cpu" and self.dtype == torch.float32:
            drawing = InferenceGenerator(with_tensors(generator, changed)) if changed else self._drawing()
            return drawing(w_plus_BND, maps)
        if not changed:
            image: Tensor = generator(w_plus_BND, maps)
            return image
        drawn: Tensor = functional_call(generator, changed, (w_plus_BND, maps))
        return drawn

    def _drawing(self) -> InferenceGenerator:
        if self._known is None or not self._known.is_current:
            self._known = InferenceGenerator(self.model.generator)
        return self._known
