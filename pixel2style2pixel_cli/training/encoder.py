"""Training an encoder into W+ of a frozen generator (pSp, section 3).

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.losses import pixel
from pixel2style2pixel_cli.losses.identity import IdentityLoss
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss
from pixel2style2pixel_cli.losses.w_norm import w_norm
from pixel2style2pixel_cli.networks.layers import EqualLinear
from pixel2style2pixel_cli.networks.psp import PSP
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.checkpoint import load_module, module_names
from pixel2style2pixel_cli.training.config import EncoderTraining
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.export import export_encoder
from pixel2style2pixel_cli.training.log import Row
from pixel2style2pixel_cli.training.loop import autocast, falling_rate, set_rate, update_average
from pixel2style2pixel_cli.training.ranger import Ranger


class EncoderTrainer:
    """An encoder, its moving average where asked, and the frozen generator that judges its codes."""

    def __init__(
        self,
        config: EncoderTraining,
        generator: Generator,
        device: torch.device,
        *,
        perceptual: PerceptualLoss | None = None,
        identity: IdentityLoss | None = None,
    ) -> None:
        self.config, self.device = config, device
        spec = generator.spec
        encoder = build_encoder(config.encoder, spec.n_styles, spec.style_dim)
        network = PSP(encoder, generator.requires_grad_(False).eval())
        network.latent_avg.copy_(generator.latent_avg.expand(spec.n_styles, -1))
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.average: nn.Module | None = None
        if config.rates.ema_images:
            self.average = copy.deepcopy(self.network.encoder).requires_grad_(False).eval()
        self.perceptual = None if perceptual is None else perceptual.to(device)
        self.identity = None if identity is None else identity.to(device)
        self.optimiser = Ranger(self.network.encoder.parameters(), lr=config.rates.encoder)

    def modules(self) -> Mapping[str, nn.Module]:
        """Everything a checkpoint holds; the generator has its own file."""
        modules = {"encoder": self.network.encoder}
        return modules if self.average is None else {**modules, "encoder_average": self.average}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Ranger for the encoder."""
        return {"encoder": self.optimiser}

    def extra(self) -> Mapping[str, Tensor]:
        """Nothing beside the networks."""
        return {}

    def load_extra(self, extra: Mapping[str, Tensor]) -> None:
        """The counterpart of ``extra``."""

    def take_over(self, checkpoint: Path) -> None:
        """Start from the encoder of another run, the averaged one where there is one.

        In a generator's run the codes are absolute; there the average code moves out of the heads' biases.
        """
        encoder, names = self.network.encoder, module_names(checkpoint)
        load_module(checkpoint, "encoder_average" if "encoder_average" in names else "encoder", encoder)
        if "generator" in names:
            heads = [m for m in encoder.modules() if isinstance(m, EqualLinear)]
            average = self.network.generator.latent_avg
            with torch.no_grad():
                # In e4e the other rows are offsets from the first.
                for head in heads[:1] if self.config.encoder.kind == "e4e" else heads:
                    head.bias.sub_(average.repeat(len(head.bias) // len(average)))
        if self.average is not None:
            self.average.load_state_dict(encoder.state_dict())

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """One step of the encoder; returns the losses."""
        rates, run = self.config.rates, self.config.run
        set_rate(self.optimiser, falling_rate(rates.encoder, step, run.steps, rates.warm_up, rates.fall_from))
        self.network.encoder.train()
        target = batch.image.to(self.device).contiguous(memory_format=torch.channels_last)
        fed = self._encoder_input(augment(target, self.config.augmentation))
        with self._autocast():
            offset = self.network.encoder(fed).float()
            drawn = self.network.generator(offset + self.network.latent_avg, "random").float()
        logs = self._losses(drawn, target, offset)
        total = torch.stack([getattr(self.config.losses, name) * value for name, value in logs.items()]).sum()
        self.optimiser.zero_grad()
        torch.autograd.backward(total)
        self.optimiser.step()
        if self.average is not None:
            update_average(self.average, self.network.encoder, 0.5 ** (len(target) / rates.ema_images))
        return {name: float(value.detach()) for name, value in logs.items()}

    def _losses(self, drawn: Tensor, target: Tensor, offset: Tensor) -> dict[str, Tensor]:
        weights = self.config.losses
        logs: dict[str, Tensor] = {"l2": pixel.mse(drawn, target)}
        if weights.pyramid:
            logs["pyramid"] = pixel.pyramid_l1(drawn, target)
        if weights.gradient:
            logs["gradient"] = pixel.gradient_l1(drawn, target)
        if weights.w_norm:
            logs["w_norm"] = w_norm(offset)
        if self.perceptual is not None:
            logs["lpips"] = self.perceptual(self._pooled(drawn), self._pooled(target))
        if self.identity is not None:
            logs["id"] = self.identity(self._pooled(drawn), self._pooled(target))
        return logs

    def _pooled(self, image: Tensor) -> Tensor:
        # The published losses look at 256 px at most (methods 4.3).
        return F.adaptive_avg_pool2d(image, 256) if image.shape[-1] > 256 else image

    def _encoder_input(self, image: Tensor) -> Tensor:
        size = self.config.encoder.input_size
        if image.shape[-1] == size:
            return image
        return F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False, antialias=True)

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self.config.run.precision)

    def _draw(self, image: Tensor) -> Tensor:
        encoder = self.average if self.average is not None else self.network.encoder.eval()
        codes = encoder(self._encoder_input(image)) + self.network.latent_avg
        drawn: Tensor = self.network.generator(codes)
        return drawn

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean squared error on clean pictures, beside that of the average face."""
        found = average = 0.0
        count = 0
        mean_face = self.network.generator(self.network.latent_avg[None])
        for batch in batches:
            image = batch.image.to(self.device)
            found += float(F.mse_loss(self._draw(image), image)) * len(image)
            average += float(F.mse_loss(mean_face.expand_as(image), image)) * len(image)
            count += len(image)
        return {"mse": found / count, "mse_average_face": average / count}

    @torch.no_grad()
    def samples(self, batch: Batch) -> Sequence[Row]:
        """Pictures, what the encoder is fed in training, and reconstructions."""
        image = batch.image.to(self.device)
        fed = self._encoder_input(augment(image, self.config.augmentation))
        fed = F.interpolate(fed, size=image.shape[-2:], mode="nearest")
        return [to_uint8(row) for row in (image, fed, self._draw(image))]

    def export(self, folder: Path) -> list[Path]:
        """``encoder.safetensors`` in half precision, with its spec."""
        encoder = self.average if self.average is not None else self.network.encoder
        state = {**encoder.state_dict(), "latent_avg": self.network.latent_avg}
        return [export_encoder(folder, state, self.config.encoder)]


def check_size(config: EncoderTraining, generator: Generator) -> None:
    """Raise UsageError for an encoder of larger pictures than the generator's, at whose size the data are read."""
    size = generator.spec.resolution
    if config.encoder.input_size > size:
        raise UsageError(
            f"the encoder takes {config.encoder.input_size} px, the generator draws {size} px",
            f"set encoder.input_size to {size} or less",
        )
