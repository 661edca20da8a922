"""Training a generator: StyleGAN2's adversarial game, and a cheaper way in through an autoencoder.

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width, Z width of z.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import OnEvent
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.losses import adversarial, pixel
from pixel2style2pixel_cli.networks.discriminator import STDDEV_GROUP, Discriminator
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator, mix_styles
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.training.ada import AdaptiveAugment
from pixel2style2pixel_cli.training.cartoon import cartoon
from pixel2style2pixel_cli.training.config import GeneratorTraining, MappingFit
from pixel2style2pixel_cli.training.data import Batch, PictureSource
from pixel2style2pixel_cli.training.draws import noise_maps, own, total
from pixel2style2pixel_cli.training.export import export_generator
from pixel2style2pixel_cli.training.log import Row
from pixel2style2pixel_cli.training.loop import falling_rate, set_rate, update_average
from pixel2style2pixel_cli.training.mapping import encode_pairs, fit_mapping
from pixel2style2pixel_cli.training.runtime import Runtime, averaged, runtime_of

M = TypeVar("M", bound=nn.Module)

# The mean of this many codes is the centre of truncation; the number and seed make an export repeatable.
AVERAGE_DRAWS, AVERAGE_SEED = 10_000, 0


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the discriminator is shown of one part of a batch: pictures, and what was drawn."""

    real: Tensor
    fakes: list[Tensor]


class GeneratorTrainer:
    """Generator, its moving average, and as the losses ask an encoder and a discriminator."""

    def __init__(self, config: GeneratorTraining, device: torch.device) -> None:
        self.config, self.runtime = config, runtime_of(device, config.run)
        self.device = device = self.runtime.device
        _check_shares(config, self.runtime)
        spec = config.generator
        self.generator = self._place(Generator(spec))
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.original = copy.deepcopy(self.average) if config.losses.cartoon else None
        self.encoder: nn.Module | None = None
        self.encoder_average: nn.Module | None = None
        self.discriminator: Discriminator | None = None
        if config.encoder is not None:
            self.encoder = self._place(build_encoder(config.encoder, spec.n_styles, spec.style_dim))
            self.encoder_average = copy.deepcopy(self.encoder).requires_grad_(False).eval()
            if not config.rates.encoder:
                self.encoder.requires_grad_(False).eval()
        if config.discriminator is not None:
            self.discriminator = self._place(Discriminator(config.discriminator))
        self.path_mean = torch.zeros((), device=device)
        self.ada = None if config.ada is None else AdaptiveAugment(config.ada, device)
        self._optimisers = self._build_optimisers()

    def _place(self, module: M) -> M:
        return self.runtime.prepare(module)

    def _build_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rates, betas = self.config.rates, (self.config.rates.beta1, self.config.rates.beta2)
        drawn = [p for name, p in self.generator.named_parameters() if not name.startswith("mapping.")]
        groups = {
            "generator": (drawn, rates.generator),
            "mapping": (list(self.generator.mapping.parameters()), rates.mapping),
        }
        if self.encoder is not None and rates.encoder:
            groups["encoder"] = (list(self.encoder.parameters()), rates.encoder)
        if self.discriminator is not None:
            groups["discriminator"] = (list(self.discriminator.parameters()), rates.discriminator)
        return {name: torch.optim.Adam(p, lr=rate, betas=betas, eps=1e-8) for name, (p, rate) in groups.items()}

    def compile(self) -> None:
        """Nothing: a compiled network has no gradients of gradients."""

    def modules(self) -> Mapping[str, nn.Module]:
        """Everything a checkpoint holds."""
        modules = {
            "generator": self.generator, "generator_average": self.average, "encoder": self.encoder,
            "encoder_average": self.encoder_average, "discriminator": self.discriminator, "original": self.original,
        }  # fmt: skip
        return {name: module for name, module in modules.items() if module is not None}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One Adam per network; the mapping network has its own."""
        return self._optimisers

    def extra(self) -> Mapping[str, Tensor]:
        """Running mean of the path length; what the adaptive augmentation has come to."""
        return {"path_mean": self.path_mean, **({} if self.ada is None else self.ada.state())}

    def load_extra(self, extra: Mapping[str, Tensor]) -> None:
        """The counterpart of ``extra``."""
        self.path_mean = extra["path_mean"].to(self.device)
        if self.ada is not None:
            self.ada.load_state(extra)

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """One step of every network; returns the losses."""
        self._set_rates(step)
        logs: dict[str, float] = {}
        shown = self._step_generator(batch, step, logs)
        if self.discriminator is not None and self.config.losses.adversarial:
            self._step_discriminator(batch, shown, step, logs)
        decay = 0.5 ** (self.config.run.batch / self.config.rates.ema_images)
        update_average(self.average, self.generator, decay)
        if self.encoder is not None and self.encoder_average is not None and self.config.rates.encoder:
            update_average(self.encoder_average, self.encoder, decay)
        return logs

    def fit_mapping(self, source: PictureSource, fit: MappingFit, on_event: OnEvent) -> dict[str, float]:
        """Regress the mapping network on the averaged encoder's codes of all pictures that are trained on."""
        encoder = self.encoder_average
        if encoder is None:
            raise TypeError("fitting the mapping network needs an encoder; the configuration was checked")

        @torch.no_grad()
        def row_of(batch: Batch) -> Tensor:
            with self.runtime.autocast():
                return self.encode(encoder, batch.image.to(self.device)).mean(dim=1)

        z, w = encode_pairs(source, row_of, len(source) - self.config.run.held_out, on_event)
        found = fit_mapping(self.generator.mapping, z.to(self.device), w.to(self.device), fit, on_event)
        self.average.mapping.load_state_dict(self.generator.mapping.state_dict())
        return found

    def _set_rates(self, step: int) -> None:
        rates, run = self.config.rates, self.config.run
        for name, optimiser in self._optimisers.items():
            rate = getattr(rates, name)
            set_rate(optimiser, falling_rate(rate, step, run.steps, rates.warm_up, rates.fall_from))

    def target(self, batch: Batch, image: Tensor) -> Tensor:
        """What is to be drawn of pictures that the encoder reads: themselves, or cartoons.

        A cartoon is made of what the generator drew of the same code when the run began, not of the picture: only the
        look has to be learnt then, and lines come out as lines, where those of a face it cannot reach would blur.
        """
        if self.original is None or self.encoder is None:
            return image
        with torch.no_grad(), self.runtime.autocast():
            drawn = self.original(self.encode(self.encoder, image), "off").float()
        return cartoon(drawn, self.config.losses.cartoon, batch.labels)

    def keep_original(self) -> None:
        """Take the generator as it is now for the one whose drawings become cartoons."""
        if self.original is not None:
            self.original.load_state_dict(self.generator.state_dict())

    def _step_generator(self, batch: Batch, step: int, logs: dict[str, float]) -> list[_Shown]:
        """Generator, mapping network and encoder; what the discriminator is to be shown of each part of the batch."""
        losses = self.config.losses
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)
        movers = [optimiser for name, optimiser in self._optimisers.items() if name != "discriminator"]
        for optimiser in movers:
            optimiser.zero_grad()
        shown, found = [], []
        for part in self.runtime.parts(batch):
            image = self.runtime.place(part.image)
            shown.append(_Shown(self.target(part, image), []))
            found.append(self._learn_to_draw(part, image, shown[-1]))
        logs |= averaged(found)
        if losses.path_length and losses.adversarial and step % losses.path_every == 0:
            with self.runtime.whole():
                penalty = self._path_penalty(len(batch.image), logs)
            self.runtime.backward(losses.path_length * losses.path_every * penalty)
        self.runtime.update(*movers)
        return shown

    def _learn_to_draw(self, batch: Batch, image: Tensor, shown: _Shown) -> dict[str, Tensor]:
        """Gradients for some pictures; returns the losses."""
        losses = self.config.losses
        logs: dict[str, Tensor] = {}
        with self.runtime.autocast():
            if losses.autoencode:
                shown.fakes.append(self._autoencode(batch, image, shown.real, logs))
            if losses.adversarial:
                shown.fakes.append(self._sample(max(1, round(losses.sample_share * len(image)))))
            if self.discriminator is not None and losses.adversarial:
                scores = [self.discriminator(self._seen(fake)) for fake in shown.fakes]
                logs["adversarial"] = torch.stack([adversarial.generator_loss(score) for score in scores]).sum()
            if self.discriminator is not None and losses.features and losses.autoencode:
                logs["features"] = feature_distance(self.discriminator, shown.fakes[0], shown.real)
        self.runtime.backward(torch.stack([getattr(losses, name) * value for name, value in logs.items()]).sum())
        shown.fakes[:] = [fake.detach().float() for fake in shown.fakes]
        return logs

    def _autoencode(self, batch: Batch, image: Tensor, target: Tensor, logs: dict[str, Tensor]) -> Tensor:
        assert self.encoder is not None  # the configuration was checked
        losses = self.config.losses
        rows = self.encode(self.encoder, image)
        codes = fall_back(rows, losses.w_plus_share)
        drawn: Tensor = self.generator(codes, noise_maps(self.generator, len(codes))).float()
        weight = self._weight(batch)
        logs["autoencode"] = pixel.pyramid_l1(drawn, target, weight_B1HW=weight)
        logs["autoencode"] = logs["autoencode"] + losses.gradient * pixel.gradient_l1(drawn, target, weight)
        if (losses.pair_latent or losses.pair_image) and batch.z is not None and bool(batch.paired.any()):
            paired = batch.paired.to(self.device)
            mapped = self.generator.mapping(batch.z.to(self.device)[paired])
            logs["pair_latent"] = F.mse_loss(mapped.float(), rows.detach().mean(dim=1)[paired])
            if losses.pair_image:
                redrawn = self.generator(self.generator.repeat(mapped), "off").float()
                logs["pair_image"] = pixel.pyramid_l1(redrawn, target[paired])
        return drawn

    def _weight(self, batch: Batch) -> Tensor | None:
        extra = self.config.losses.detail
        return (
            pixel.features_weight(batch.labels, extra).to(self.device) if extra and batch.labels is not None else None
        )

    def encode(self, encoder: nn.Module, image: Tensor) -> Tensor:
        """W+ codes (B, N, D) of pictures."""
        codes: Tensor = encoder(self._encoder_input(image)).float()
        return codes.expand(-1, self.config.generator.n_styles, -1)

    def _encoder_input(self, image: Tensor) -> Tensor:
        assert self.config.encoder is not None
        size = self.config.encoder.input_size
        return image if image.shape[-1] == size else F.interpolate(image, size=(size, size), mode="area")

    def _sample(self, count: int) -> Tensor:
        spec = self.config.generator
        z = own(torch.randn(2, total(count), spec.z_dim, device=self.device), dim=1)
        codes = self.generator.map(z[0])
        if float(torch.rand(())) < self.config.losses.style_mixing:
            crossover = int(torch.randint(1, spec.n_styles, ()))
            codes = mix_styles(codes, self.generator.map(z[1]), crossover)
        image: Tensor = self.generator(codes, noise_maps(self.generator, count))
        return image

    def _seen(self, image: Tensor) -> Tensor:
        """What the discriminator is shown of a picture."""
        return image if self.ada is None else self.ada(image)

    def _path_penalty(self, count: int, logs: dict[str, float]) -> Tensor:
        drawn = max(1, count // 2)
        z = own(torch.randn(total(drawn), self.config.generator.z_dim, device=self.device))
        codes = self.generator.map(z).contiguous()
        image = self.generator(codes, noise_maps(self.generator, drawn))
        noise = own(torch.randn(total(drawn), *image.shape[1:], device=self.device, dtype=image.dtype))
        lengths = adversarial.path_lengths(image, codes, noise)
        self.path_mean = self.path_mean + 0.01 * (self.runtime.mean(lengths.mean()) - self.path_mean)
        penalty: Tensor = (lengths - self.path_mean).square().mean()
        logs["path"] = float(penalty.detach())
        return penalty

    def _step_discriminator(self, batch: Batch, shown: Sequence[_Shown], step: int, logs: dict[str, float]) -> None:
        assert self.discriminator is not None
        optimiser = self._optimisers["discriminator"]
        self.discriminator.requires_grad_(True)
        optimiser.zero_grad()
        told: list[dict[str, Tensor]] = []
        found: list[Tensor] = []
        for _, pictures in zip(self.runtime.parts(batch), shown, strict=True):
            told.append(self._learn_to_judge(self.discriminator, pictures, step, found))
        if self.ada is not None:
            self.ada.follow(self.runtime.gather(torch.cat(found)))
            logs["ada_p"] = float(self.ada.p)
        self.runtime.update(optimiser)
        logs |= averaged(told)

    def _learn_to_judge(
        self, discriminator: Discriminator, shown: _Shown, step: int, scores: list[Tensor]
    ) -> dict[str, Tensor]:
        """Gradients of the discriminator for some pictures; returns the losses, and appends the scores of real ones."""
        losses, logs = self.config.losses, dict[str, Tensor]()
        seen = self._seen(shown.real)
        with self.runtime.autocast():
            real_scores = discriminator(seen)
            fake_scores = [discriminator(self._seen(fake)) for fake in shown.fakes]
            loss = torch.stack([adversarial.discriminator_loss(real_scores, each) for each in fake_scores]).mean()
        scores.append(real_scores.detach())
        if losses.r1 and step % losses.r1_every == 0:
            leaf = seen.detach().requires_grad_(True)
            penalty = adversarial.r1_penalty(discriminator(leaf), leaf)
            loss = loss + losses.r1 / 2 * losses.r1_every * penalty
            logs["r1"] = penalty.detach()
        self.runtime.backward(loss)
        return {**logs, "discriminator": loss.detach()}

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean squared error of the averaged autoencoder in W and in W+, and of the samples of known z."""
        totals: dict[str, float] = {}
        count = 0
        for batch in batches:
            image = self.runtime.place(batch.image)
            target = self.target(batch, image)
            count += len(image)
            with self.runtime.autocast():
                for name, drawn in self._drawn(batch, image).items():
                    totals[name] = totals.get(name, 0.0) + float(F.mse_loss(drawn.float(), target)) * len(image)
        return {name: total / count for name, total in totals.items()}

    def _drawn(self, batch: Batch, image: Tensor) -> dict[str, Tensor]:
        drawn = {}
        if self.encoder_average is not None:
            codes = self.encode(self.encoder_average, image)
            drawn["mse_w"] = self.average(fall_back(codes, 0.0))
            drawn["mse_w_plus"] = self.average(codes)
        if batch.z is not None and batch.z.shape[1] == self.config.generator.z_dim:
            drawn["mse_z"] = self.average(self.average.map(batch.z.to(self.device)))
        return drawn

    @torch.no_grad()
    def samples(self, batch: Batch) -> Sequence[Row]:
        """Pictures, drawings of them if asked for, reconstructions in W, W+ and from z, two rows of random samples."""
        image = batch.image.to(self.device)
        wanted = [self.target(batch, image)] if self.config.losses.cartoon else []
        with self.runtime.autocast():
            rows = [image, *wanted, *self._drawn(batch, image).values()]
            for _ in range(2):
                rows.append(
                    self.average(self.average.map(torch.randn(len(image), self.config.generator.z_dim).to(image)))
                )
        return [to_uint8(row.float()) for row in rows]

    def export(self, folder: Path) -> list[Path]:
        """``generator.safetensors`` in half precision: the averaged weights, with the mean of the mapping network."""
        draws = torch_generator(AVERAGE_SEED)
        self.average.latent_avg.copy_(self.average.estimate_latent_avg(AVERAGE_DRAWS, draws))
        return [export_generator(folder, self.average.state_dict(), self.config.generator)]


def fall_back(codes: Tensor, w_plus_share: float) -> Tensor:
    """W+ codes (B, N, D), of which only a drawn share stays; the others become one row, the mean of their rows.

    Training both ways at once gives one generator that is at home in W, where the mapping network ends, and in W+,
    where the inversion encoder writes.
    """
    mean = codes.mean(dim=1, keepdim=True)
    keep = (own(torch.rand(total(len(codes)), 1, 1)) < w_plus_share).to(codes)
    return mean + keep * (codes - mean)


def feature_distance(discriminator: Discriminator, image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the discriminator's features, each layer divided by its own mean magnitude."""
    total = torch.zeros((), device=image.device)
    with torch.no_grad():
        wanted = discriminator.features(target)
    for found, goal in zip(discriminator.features(image), wanted, strict=True):
        total = total + (found - goal).abs().mean() / goal.abs().mean()
    return total / len(wanted)


def _check_shares(config: GeneratorTraining, runtime: Runtime) -> None:
    """Raise UsageError for a batch whose shares the discriminator, or a loss, would see otherwise than the whole."""
    shares = runtime.processes * runtime.accumulate
    if shares == 1:
        return
    each = config.run.batch // shares
    drawn = max(1, round(config.losses.sample_share * each))
    if config.losses.adversarial and (each % STDDEV_GROUP or drawn % STDDEV_GROUP):
        raise UsageError(
            f"the discriminator compares pictures in groups of {STDDEV_GROUP}, and a batch of {config.run.batch} in "
            f"{shares} shares does not divide into such",
            f"set run.batch to a multiple of {STDDEV_GROUP * shares}, and losses.sample_share to 1",
        )
    if config.losses.pair_latent or config.losses.pair_image or config.losses.features:
        raise UsageError("losses.pair_latent, pair_image and features look at a whole batch", "train in one process")
