"""The inference engine on tensors: encode pictures, draw codes, in batches that fit the device.

Shape suffixes: B batch, C channels, H W height and width, N rows, D style width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from pixel2style2pixel_cli.engine.backend import Backend
from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.codes import Codes, join
from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.engine.passes import encode_in_passes
from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.networks.stylegan2 import NoiseMode
from pixel2style2pixel_cli.seeds import torch_generator

T = TypeVar("T")


class Engine:
    """One model on one device. On a CPU the result for a picture does not depend on what shares its batch, bit for bit.

    Libraries add up in another order at another batch size, which moves single pixels by one grey level. On a CPU a
    batch gains next to nothing, so there each picture goes through the network alone.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend,
        device: torch.device,
        dtype: torch.dtype,
        batch_size: BatchSize,
        on_event: OnEvent = ignore_event,
    ) -> None:
        self.model, self.backend, self.device, self.dtype, self.batch_size = model, backend, device, dtype, batch_size
        self.on_event = on_event

    @property
    def dtype_name(self) -> str:
        """The precision as options name it."""
        return str(self.dtype).removeprefix("torch.")

    def encode(
        self,
        inputs_BCHW: Tensor,
        change: Callable[[Codes, slice], Codes] | None = None,
        *,
        passes: int | None = None,
    ) -> Codes:
        """W+ codes (B, N, D) of encoder inputs (B, C, S, S) in [-1, 1].

        ``passes`` are those of a ReStyle encoder, by default as many as its card says; other encoders make one.

        ``change`` is given the codes of a part of the batch, and which part it is, and returns what they become. Where
        it was interrupted, those of the pictures after that part are missing.
        """

        def run(start: int, stop: int) -> Codes:
            with torch.inference_mode():  # a change may need gradients, the encoder does not
                codes = Codes(self._encoded(inputs_BCHW[start:stop], passes))
            return codes if change is None else change(codes, slice(start, stop))

        parts: list[Codes] = []
        for part in self.split(len(inputs_BCHW), run):
            parts.append(part)
            if part.stopped:
                break
        return join(parts)

    def _encoded(self, inputs_BCHW: Tensor, passes: int | None) -> Tensor:
        model = self.model
        if not model.encoder_spec.residual:
            return self.backend.encode(inputs_BCHW)
        count, average_ND = passes or model.card.passes, model.encoder.latent_avg
        return encode_in_passes(
            self.backend.encode, lambda codes: self.backend.draw(Codes(codes), "fixed"), average_ND, inputs_BCHW, count
        )

    def draw(self, codes: Codes, noise: NoiseMode = "fixed", seeds: Sequence[int] = ()) -> Tensor:
        """Pictures (B, 3, R, R), float32 on the CPU; ``random`` noise is drawn for each from its own seed."""

        @torch.inference_mode()
        def run(start: int, stop: int) -> Tensor:
            part = codes[start:stop]
            maps: NoiseMode | list[Tensor] = self.random_noise(seeds[start:stop]) if noise == "random" else noise
            return self.backend.draw(part, maps).float().cpu()

        return torch.cat(list(self.split(len(codes), run)))

    def split(self, count: int, run: Callable[[int, int], T]) -> Iterator[T]:
        """``run(start, stop)`` over 0..count in parts that fit the device, halved while memory runs out."""
        sizes = BatchSize(1) if self.device.type == "cpu" else self.batch_size
        return sizes.split(count, run)

    def random_noise(self, seeds: Sequence[int]) -> list[Tensor]:
        """One map (B, 1, s, s) per layer, each picture's from its own seed and drawn on the CPU."""
        generators = [torch_generator(seed) for seed in seeds]
        sizes = self.model.generator_spec.noise_sizes
        return [
            torch.cat([torch.randn(1, 1, s, s, generator=g) for g in generators]).to(self.device, self.dtype)
            for s in sizes
        ]
