"""Training an encoder into W+ of a frozen generator (pSp, section 3), near W where asked (e4e, Cycle Encoding).

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
from pixel2style2pixel_cli.losses import pictures, pixel
from pixel2style2pixel_cli.losses.w_norm import w_norm
from pixel2style2pixel_cli.networks.e4e import set_stage
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteTrunk
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.layers import EqualLinear
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.checkpoint import load_module, module_names, read_module, read_stamp
from pixel2style2pixel_cli.training.code_game import OffsetTraining
from pixel2style2pixel_cli.training.config import Augmentation, EncoderTraining
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.draws import noise_maps, own, total
from pixel2style2pixel_cli.training.export import export_encoder, export_heads
from pixel2style2pixel_cli.training.grow import grow_heads
from pixel2style2pixel_cli.training.inputs import make_inputs, resized, show_inputs
from pixel2style2pixel_cli.training.log import Row
from pixel2style2pixel_cli.training.loop import falling_rate, set_rate, update_average
from pixel2style2pixel_cli.training.offsets import CodeGame
from pixel2style2pixel_cli.training.ranger import Ranger
from pixel2style2pixel_cli.training.runtime import averaged, runtime_of

INPUT_LAYER = "trunk.input_layer.0.weight"
# What an encoder on a pretrained trunk has in front of it for other inputs than pictures.
ADAPTER = "adapter."
_OTHER_HEAD = re.compile(r"heads\.[1-9]\d*\.")
NO_NETWORKS: Mapping[str, nn.Module] = MappingProxyType({})


class EncoderTrainer:
    """An encoder, its moving average where asked, and the frozen generator that judges its codes."""

    def __init__(
        self,
        config: EncoderTraining,
        generator: Generator,
        device: torch.device,
        *,
        networks: Mapping[str, nn.Module] = NO_NETWORKS,
        teacher: Encoder | None = None,
        generator_digest: str = "",
    ) -> None:
        self.config, self.generator_digest = config, generator_digest
        self.runtime = runtime_of(device, config.run)
        self.device = device = self.runtime.device
        # What the losses look through; not trained, and in no checkpoint.
        self.networks = {name: network.to(device).eval().requires_grad_(False) for name, network in networks.items()}
        self.teacher = None if teacher is None else teacher.to(device).eval().requires_grad_(False)
        spec = generator.spec
        encoder = build_encoder(config.encoder, spec.n_styles, spec.style_dim)
        encoder.latent_avg.copy_(generator.latent_avg.expand(spec.n_styles, -1))
        self.encoder = self.runtime.prepare(encoder)
        self.generator = self.runtime.prepare(generator.requires_grad_(False).eval())
        if config.run.recompute:
            for network in (self.generator, *self.encoder.modules()):
                if isinstance(network, (Generator, LiteTrunk)):
                    network.recompute = True
        self.average: Encoder | None = None
        if config.rates.ema_images:
            self.average = copy.deepcopy(self.encoder).requires_grad_(False).eval()
        schedule = config.schedule(spec.n_styles)
        self.offsets: OffsetTraining | None = None
        if schedule is not None:
            game = config.code_discriminator or CodeGame()
            self.offsets = OffsetTraining(schedule, game, self.generator, self.runtime)
            self._open(self.offsets.stage)
        self._kept = config.encoder.shared if config.task.heads == "kept" else ()
        for key, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(not key.startswith(self._kept))
        trained = [p for p in self.encoder.parameters() if p.requires_grad]
        self.optimiser = Ranger(trained, lr=config.rates.encoder)

    def compile(self) -> None:
        """Let torch compile what every step calls; the first step takes minutes then."""
        self.encoder.compile()
        self.generator.compile()

    def modules(self) -> Mapping[str, nn.Module]:
        """Everything a checkpoint holds; the generator has its own file."""
        modules: dict[str, nn.Module] = {"encoder": self.encoder}
        if self.average is not None:
            modules["encoder_average"] = self.average
        if self.offsets is not None:
            modules["code_discriminator"] = self.offsets.discriminator
        return modules

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Ranger for the encoder, Adam for the discriminator of codes where there is one."""
        ranger = {"encoder": self.optimiser}
        return ranger if self.offsets is None else {**ranger, "code_discriminator": self.offsets.optimiser}

    def extra(self) -> Mapping[str, Tensor]:
        """The stage and the pools of codes, where there are such."""
        return {} if self.offsets is None else self.offsets.extra()

    def load_extra(self, extra: Mapping[str, Tensor]) -> None:
        """The counterpart of ``extra``."""
        if self.offsets is not None:
            self.offsets.load_extra(extra)
            self._open(self.offsets.stage)

    def _open(self, stage: int) -> None:
        """Open the offsets up to a stage, in the averaged encoder too."""
        for encoder in (self.encoder, self.average):
            if encoder is not None:
                set_stage(encoder, stage)

    def take_over(self, checkpoint: Path) -> None:
        """Start from the encoder of another run, the averaged one where there is one.

        In a generator's run the codes are absolute; there the average code moves out of the heads' biases. An encoder
        of other inputs keeps everything but the channels that it does not have.
        """
        names, stamp = module_names(checkpoint), read_stamp(checkpoint.parent)
        name = "encoder_average" if "encoder_average" in names else "encoder"
        state = read_module(checkpoint, name)
        # A generator's run has absolute codes and no average, a joint run the average that its encoder learnt with.
        joint = "generator" in names and bool(state.get("latent_avg", torch.zeros(1)).any())
        if not joint:
            state["latent_avg"] = self.encoder.latent_avg  # this generator's, whatever the other run started from
        section = {} if stamp is None else json.loads(stamp.config).get("encoder") or {}
        self.begin_with(state, section.get("kind", self.config.encoder.kind), checkpoint)
        if "generator" in names and not joint:
            heads = [m for m in self.encoder.modules() if isinstance(m, EqualLinear)]
            average = self.generator.latent_avg
            with torch.no_grad():
                for head in heads[:1] if self.encoder.offset_rows else heads:
                    head.bias.sub_(average.repeat(len(head.bias) // len(average)))
            self._copy_to_average()

    def begin_with(self, state: Mapping[str, Tensor], kind: EncoderKind, where: Path) -> None:
        """Load the encoder of another run or model; ``where`` is what messages call that.

        Where that writes rows and this one offsets from the first row, all offsets begin at nothing. Where that has
        fewer heads, its last one serves the rows that it lacks.
        """
        own, state = self.encoder.state_dict(), dict(state)
        if INPUT_LAYER in state:
            state[INPUT_LAYER] = fit_channels(state[INPUT_LAYER], own[INPUT_LAYER])
        state = {key: value for key, value in own.items() if key.startswith(ADAPTER)} | state
        state = grow_heads(state, self.encoder)
        if ENCODER_FAMILIES[kind].offsets and not self.config.encoder.has_offsets:
            raise UsageError(
                f"the encoder of {where} writes offsets from its first row, and one of kind "
                f"{self.config.encoder.kind} whole rows",
                f"set encoder.kind={kind}, or start from another run",
            )
        if self.config.encoder.has_offsets and not ENCODER_FAMILIES[kind].offsets:
            state = without_offsets(state)
        load_module(where, "encoder", self.encoder, state)
        self._copy_to_average()

    def _copy_to_average(self) -> None:
        if self.average is not None:
            self.average.load_state_dict(self.encoder.state_dict())

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """One step of the encoder; returns the losses."""
        rates, run = self.config.rates, self.config.run
        set_rate(self.optimiser, falling_rate(rates.encoder, step, run.steps, rates.warm_up, rates.fall_from))
        if self.offsets is not None:
            self._open(self.offsets.begin(step))
        self.encoder.train()
        self.optimiser.zero_grad()
        logs = []
        for part in self.runtime.parts(batch):
            target = self._target(part)
            logs.append(self._learn(self._encoder_batch(part, self.config.augmentation), target, part, step))
        self.runtime.update(self.optimiser)
        if self.average is not None:
            update_average(self.average, self.encoder, 0.5 ** (run.batch / rates.ema_images))
        return averaged(logs)

    def _learn(self, inputs: Tensor, target: Tensor, batch: Batch, step: int) -> dict[str, Tensor]:
        """Gradients of the encoder for one batch; returns the losses."""
        with self.runtime.autocast():
            codes = self.encoder(inputs).float()
        return self._judge(codes, target, batch, step)[0]

    def _judge(self, codes: Tensor, target: Tensor, batch: Batch, step: int) -> tuple[dict[str, Tensor], Tensor | None]:
        """Losses of codes, whose gradients go back to the encoder, and what was drawn of them, if anything was."""
        logs: dict[str, Tensor] = {}
        drawn: Tensor | None = None
        weights = self._weights(step)
        told: dict[str, Tensor] = {}
        if self.offsets is not None:
            if weights["adversarial"]:
                told["code_discriminator"] = self.offsets.learn(codes, step)
            logs |= self.offsets.losses(codes, weights)
        if self.teacher is not None:
            logs["code"] = F.mse_loss(codes, self._taught(target))
        if self.config.losses.w_norm:
            logs["w_norm"] = w_norm(codes - self.encoder.latent_avg)
        # counted from 1, as the log counts: what is logged at a multiple has all losses
        if self.config.losses.drawn and (step + 1) % self.config.losses.draw_every == 0:
            with self.runtime.autocast():
                drawn = self.generator(codes, noise_maps(self.generator, len(codes))).float()
            logs |= self._losses(drawn, target, batch)
        total = torch.stack([weights[name] * value for name, value in logs.items()]).sum()
        self.runtime.backward(total)
        return logs | told, drawn

    def _weights(self, step: int) -> dict[str, float]:
        """The weights of the losses at a step; Cycle Encoding changes those of codes (methods.md 8.1)."""
        losses = self.config.losses
        values = {field.name: getattr(losses, field.name) for field in dataclasses.fields(losses)}
        factors = {} if self.offsets is None else self.offsets.schedule.factors(step)
        return {n: weight * factors.get(n, 1.0) for n, weight in values.items() if not isinstance(weight, str)}

    def _target(self, batch: Batch) -> Tensor:
        """What the encoder learns to draw."""
        image = batch.frontal if self.config.task.target == "frontal" else batch.image
        if image is None:
            raise TypeError("the batch has no frontal pictures; the data were opened without them")
        if self.config.task.target == "flips":
            mirrored = own(torch.rand(total(len(image)), 1, 1, 1)) < 0.5
            image = torch.where(mirrored, image.flip(3), image)
        return self.runtime.place(image)

    def _encoder_batch(self, batch: Batch, strength: Augmentation) -> Tensor:
        made = make_inputs(self.config.task.kind, batch, self.config.encoder.input_size, strength)
        return self.runtime.place(made)

    @torch.no_grad()
    def _taught(self, target: Tensor) -> Tensor:
        """The teacher's codes (B, N, D) of the pictures to be drawn."""
        assert self.teacher is not None
        with self.runtime.autocast():
            codes: Tensor = self.teacher(resized(target, self.teacher.spec.input_size))
        return codes.float()

    def _losses(self, drawn: Tensor, target: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Every loss of drawn pictures that has a weight."""
        weights, emphasis = self.config.losses, None
        if weights.detail and batch.labels is not None:
            emphasis = pixel.features_weight(batch.labels, weights.detail).to(self.device)
        seen = pictures.Compared(
            drawn=drawn,
            target=target,
            emphasis=emphasis,
            networks=self.networks,
            autocast=self.runtime.autocast,
            mean=self.runtime.mean,
        )
        return {name: getattr(pictures, row.function)(seen) for name, row in weights.of_pictures.items()}

    def _draw(self, inputs: Tensor) -> Tensor:
        encoder = self.average if self.average is not None else self.encoder.eval()
        drawn: Tensor = self.generator(encoder(inputs))
        return drawn

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean squared error on inputs without faults, beside that of the average face."""
        found = average = 0.0
        count = 0
        mean_face = self.generator(self.encoder.latent_avg[None])
        for batch in batches:
            target = self._target(batch)
            drawn = self._draw(self._encoder_batch(batch, Augmentation()))
            found += float(F.mse_loss(drawn, target)) * len(target)
            average += float(F.mse_loss(mean_face.expand_as(target), target)) * len(target)
            count += len(target)
        return {"mse": found / count, "mse_average_face": average / count}

    @torch.no_grad()
    def samples(self, batch: Batch) -> Sequence[Row]:
        """What the encoder gets in training, what it should draw, and what it draws without the faults."""
        target = self._target(batch)
        inputs = show_inputs(
            self._encoder_batch(batch, self.config.augmentation), self.config.task.kind, target.shape[-1]
        )
        return [to_uint8(row) for row in (inputs, target, self._draw(self._encoder_batch(batch, Augmentation())))]

    @property
    def spec(self) -> EncoderSpec:
        """The encoder with the stage that it has come to."""
        if self.offsets is None or self.offsets.stage == self.generator.spec.n_styles - 1:
            return self.config.encoder
        return dataclasses.replace(self.config.encoder, stage=self.offsets.stage)

    def export(self, folder: Path) -> list[Path]:
        """``encoder.safetensors`` in half precision, with its spec; what was kept in a file of its own."""
        encoder, spec = self.average if self.average is not None else self.encoder, self.spec
        state = encoder.state_dict()
        if self.config.task.heads != "kept":
            return [export_encoder(folder, state, spec, self.generator_digest)]
        own = {key: value for key, value in state.items() if not key.startswith(self._kept)}
        return [
            export_encoder(folder, own, spec, self.generator_digest),
            export_heads(folder, state, self.config.encoder),
        ]


def fit_channels(weight_OIKK: Tensor, like_OJKK: Tensor) -> Tensor:
    """The weights of an input layer for another number of channels.

    One channel sees grey, the sum of three; of more channels the further ones stay as they were drawn.
    """
    before, now = weight_OIKK.shape[1], like_OJKK.shape[1]
    if now == 1 and before > 1:
        return weight_OIKK.sum(dim=1, keepdim=True)
    fitted = like_OJKK.detach().clone()
    fitted[:, : min(before, now)] = weight_OIKK[:, :now].to(fitted)
    return fitted


def without_offsets(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of an encoder with the last layers of all heads but the first at 0."""
    layers = [key.removesuffix("weight") for key, value in state.items() if _OTHER_HEAD.match(key) and value.ndim == 2]
    return {key: torch.zeros_like(value) if key.startswith(tuple(layers)) else value for key, value in state.items()}


def check_size(config: EncoderTraining, generator: Generator) -> None:
    """Raise UsageError for an encoder of other channels than its inputs, or of larger pictures than are drawn."""
    size, channels = generator.spec.resolution, INPUT_KINDS[config.task.kind].channels
    if config.encoder.given_channels != channels:
        raise UsageError(
            f"inputs of kind {config.task.kind} have {channels} channels, the encoder takes "
            f"{config.encoder.given_channels}",
            f"set encoder.input_channels to {channels}",
        )
    if config.encoder.input_size > size:
        raise UsageError(
            f"the encoder takes {config.encoder.input_size} px, the generator draws {size} px",
            f"set encoder.input_size to {size} or less",
        )
