"""The inference engine on tensors: encode pictures, draw codes, in batches that fit the device.

Shape suffixes: B batch, C channels, H W height and width, M styles mixed in, N rows, D style width, P = B x M pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.engine.mixing import Mixing
from pixel2style2pixel_cli.networks.stylegan2 import NoiseMode
from pixel2style2pixel_cli.seeds import torch_generator


@dataclass(frozen=True, slots=True)
class Translation:
    """Codes (B, M, N, D) and images (B, M, 3, R, R) in [-1, 1], float32 on the CPU; M is 1 without mixing."""

    codes: Tensor
    images: Tensor


class Engine:
    """One model on one device. On a CPU the result for a picture does not depend on what shares its batch, bit for bit.

    Libraries add up in another order at another batch size, which moves single pixels by one grey level. On a CPU a
    batch gains next to nothing, so there each picture goes through the network alone.
    """

    def __init__(self, model: Model, device: torch.device, dtype: torch.dtype, batch_size: BatchSize) -> None:
        self.model, self.device, self.dtype, self.batch_size = model, device, dtype, batch_size

    @torch.inference_mode()
    def encode(self, inputs_BCHW: Tensor) -> Tensor:
        """W+ codes (B, N, D) of encoder inputs (B, C, S, S) in [-1, 1]."""
        x = inputs_BCHW.to(self.device, self.dtype, memory_format=torch.channels_last)
        return self.model.network.encode(x)

    @torch.inference_mode()
    def generate(self, codes_BND: Tensor, noise: NoiseMode = "fixed", seeds: Sequence[int] = ()) -> Tensor:
        """Images (B, 3, R, R) of codes; ``random`` noise is drawn for each from its own seed."""
        codes = codes_BND.to(self.device, self.dtype)
        maps: NoiseMode | list[Tensor] = self.random_noise(seeds) if noise == "random" else noise
        image: Tensor = self.model.network.generator(codes, maps)
        return image

    def random_noise(self, seeds: Sequence[int]) -> list[Tensor]:
        """One map (B, 1, s, s) per layer, each picture's from its own seed and drawn on the CPU."""
        generators = [torch_generator(seed) for seed in seeds]
        sizes = self.model.generator_spec.noise_sizes
        return [
            torch.cat([torch.randn(1, 1, s, s, generator=g) for g in generators]).to(self.device, self.dtype)
            for s in sizes
        ]

    def translate(
        self,
        inputs_BCHW: Tensor,
        *,
        noise: NoiseMode = "fixed",
        seeds: Sequence[int] = (),
        refine: Callable[[Tensor, int], Tensor] | None = None,
        mixing: Mixing | None = None,
    ) -> Translation:
        """Encode, mix styles in and draw, splitting the batch while the device runs out of memory.

        ``refine`` changes the codes (b, N, D) of the pictures that start at an index before anything is mixed in. All
        styles of one picture are drawn with the same noise.
        """

        def encode(start: int, stop: int) -> Tensor:
            codes = self.encode(inputs_BCHW[start:stop])
            return codes if refine is None else refine(codes, start)

        def draw(start: int, stop: int) -> Tensor:
            chosen = [seeds[i // count] for i in range(start, stop)] if seeds else ()
            return self.generate(codes_PND[start:stop], noise, chosen).float().cpu()

        sizes = BatchSize(1) if self.device.type == "cpu" else self.batch_size
        codes_BND = torch.cat(list(sizes.split(len(inputs_BCHW), encode)))
        codes_BMND = codes_BND[:, None] if mixing is None else mixing.apply(codes_BND)
        count = codes_BMND.shape[1]
        codes_PND = codes_BMND.flatten(0, 1)
        images = torch.cat(list(sizes.split(len(codes_PND), draw)))
        return Translation(codes_BMND.float().cpu(), images.view(-1, count, *images.shape[1:]))
