"""Training generator, mapping network and encoder together, on the features of a pretrained trunk, before a judge.

Half of what is drawn are reconstructions of pictures, the other half faces of known z, held to their pictures too:
variety is taught, not hoped for. Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
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
from pixel2style2pixel_cli.losses.features import feature_distance, inner_face
from pixel2style2pixel_cli.losses.spectrum import CYCLES, spectrum_ratio
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteTrunk
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.projected import ProjectedHeads
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.training.config import MappingFit
from pixel2style2pixel_cli.training.controls import GradientRatio, JudgeControl, SpectrumControl, SpreadControl
from pixel2style2pixel_cli.training.data import Batch, PictureSource
from pixel2style2pixel_cli.training.export import export_encoder, export_generator
from pixel2style2pixel_cli.training.generator import AVERAGE_DRAWS, AVERAGE_SEED, fall_back
from pixel2style2pixel_cli.training.joint_config import JointTraining
from pixel2style2pixel_cli.training.joint_networks import averages_of, joint_optimisers, last_layer, set_joint_rates
from pixel2style2pixel_cli.training.log import Row
from pixel2style2pixel_cli.training.loop import update_average
from pixel2style2pixel_cli.training.mapping import encode_pairs, fit_mapping
from pixel2style2pixel_cli.training.runtime import runtime_of
from pixel2style2pixel_cli.training.shown import LEAST_BLUR, draw_changes
from pixel2style2pixel_cli.weights.header import read_weight_header

M = TypeVar("M", bound=nn.Module)

# Longest step of the encoder: the norm its gradient is cut to.
ENCODER_CLIP = 5.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one step draws: reconstructions of the batch, then samples.

    ``source`` (M,) numbers the picture of each of them in the batch, ``weight`` (M,) says how much it is held to it.
    ``delta`` is what sets the rows of the codes apart, ``strayed`` how far the pictures are from those that the
    generator drew of the same codes at first, 0 where nobody asks.
    """

    image: Tensor
    source: Tensor
    weight: Tensor
    delta: Tensor
    strayed: Tensor


class JointTrainer:
    """Generator and encoder with their averages, the frozen trunk, and the judge's heads where there is a judge."""

    def __init__(self, config: JointTraining, trunk: LiteTrunk, device: torch.device) -> None:
        self.config, self.runtime = config, runtime_of(device, config.run)
        self.device = device = self.runtime.device
        if self.runtime.processes > 1:
            raise UsageError(
                "a joint run decides by the losses of a whole batch, and trains in one process",
                "start it without torchrun or accelerate launch",
            )
        spec = config.generator
        self.trunk = self._place(trunk.requires_grad_(False).eval())
        self.generator = self._place(Generator(spec))
        encoder = build_encoder(config.encoder, spec.n_styles, spec.style_dim)
        self.encoder = self._place(encoder)
        self.averages = averages_of(self.generator, self.encoder, config.rates)
        self.judge: ProjectedHeads | None = None
        if config.projected is not None:
            sizes = [config.seen_side // 2**i for i in range(1, 6)]
            self.judge = self._place(ProjectedHeads(config.projected, trunk.spec.widths, sizes))
        self.ratio, self.patience = GradientRatio(), JudgeControl()
        self.spectrum = None if config.spectrum is None else SpectrumControl(config.spectrum)
        self.spread = None if config.spread is None else SpreadControl(config.spread)
        # Where networks go back to when samples become alike.
        self.kept = {} if self.spread is None else {f"{n}_kept": copy.deepcopy(m) for n, m in self.averages.items()}
        # What the generator was when the run began.
        self.original = copy.deepcopy(self.generator).requires_grad_(False) if config.joint.anchor else None
        self._optimisers = joint_optimisers(self.generator, self.encoder, self.judge, config.rates)

    def _place(self, module: M) -> M:
        return self.runtime.prepare(module)

    def compile(self) -> None:
        """Nothing: a compiled network has no gradients of gradients."""

    def modules(self) -> Mapping[str, nn.Module]:
        """Everything a checkpoint holds; the trunk has its own file."""
        modules = {"generator": self.generator, "encoder": self.encoder, **self.averages, **self.kept}
        more = {"judge": self.judge, "original": self.original}
        return modules | {name: module for name, module in more.items() if module is not None}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One Adam each for what moves of synthesis, mapping, encoder and judge."""
        return self._optimisers

    def extra(self) -> Mapping[str, Tensor]:
        """What the adversarial weights and the judge's rate have come to."""
        spectrum = {} if self.spectrum is None else self.spectrum.state()
        spread = {} if self.spread is None else self.spread.state()
        return {"ratio": self.ratio.value, **self.patience.state(), **spectrum, **spread}

    def load_extra(self, extra: Mapping[str, Tensor]) -> None:
        """The counterpart of ``extra``."""
        self.ratio.value = extra["ratio"].clone()
        self.patience.load_state(extra)
        if self.spectrum is not None:
            self.spectrum.load_state(extra)
        if self.spread is not None:
            self.spread.load_state(extra)

    def copy_to_averages(self) -> None:
        """Begin every average where its network is; an encoder without an average code takes that of the mapping."""
        if not bool(self.encoder.latent_avg.any()):
            average = self.generator.estimate_latent_avg(AVERAGE_DRAWS, torch_generator(AVERAGE_SEED))
            self.encoder.latent_avg.copy_(average.expand_as(self.encoder.latent_avg))
        for name, average in self.averages.items():
            average.load_state_dict((self.generator if name.startswith("generator") else self.encoder).state_dict())
        if self.original is not None:
            self.original.load_state_dict(self.generator.state_dict())
        for name, kept in self.kept.items():
            kept.load_state_dict(self.averages[name.removesuffix("_kept")].state_dict())

    def fit_mapping(self, source: PictureSource, fit: MappingFit, on_event: OnEvent) -> dict[str, float]:
        """Bring the mapping network to the encoder's codes of all pictures that are trained on."""

        @torch.no_grad()
        def row_of(batch: Batch) -> Tensor:
            image = self.runtime.place(batch.image)
            return self.encode(self.encoder, image).mean(dim=1)

        z_dim = self.config.generator.z_dim
        z, w = encode_pairs(source, row_of, len(source) - self.config.run.held_out, on_event, z_dim=z_dim)
        paired = source.z_dim == z_dim
        if not paired and not fit.sliced:
            raise UsageError(
                "[mapping] learns from pictures of known vectors, or from the sliced distance", "set mapping.sliced=3.0"
            )
        mapping = self.generator.mapping
        return fit_mapping(mapping, z.to(self.device), w.to(self.device), fit, on_event, paired=paired)

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """One step of every network; returns the losses. While the judge has its head start, only it moves."""
        config = self.config
        set_joint_rates(self._optimisers, config.rates, step, config.run.steps, float(self.patience.factor))
        image = self.runtime.place(batch.image)
        images = step * len(image)
        changes = draw_changes(config.shown, len(image), image.shape[-1], images)
        head_start = self.judge is not None and images < config.joint.head_start
        with torch.no_grad(), self.runtime.autocast():
            real = self._maps(changes.put_on(image))
            face = self._face_maps(image) if config.joint.face and not head_start else None
        if self.judge is not None and not self.judge.calibrated:
            self.judge.calibrate(real)
        logs: dict[str, Tensor] = {}
        with torch.set_grad_enabled(not head_start):
            drawn = self._draw(batch, image)
            with self.runtime.autocast():
                seen = self._maps(changes.of(drawn.source).put_on(drawn.image))
        if not head_start:
            self._step_networks(image, drawn, seen, real, face, step, logs)
        if self.judge is not None:
            self._step_judge(real, [maps.detach() for maps in seen], logs)
        self._follow(batch, image, step, logs)
        return {name: float(value.detach()) for name, value in logs.items()}

    def _maps(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.trunk(image.contiguous(memory_format=torch.channels_last))
        return [x.float() for x in maps]

    def _face_maps(self, image: Tensor) -> list[Tensor]:
        return self._maps(inner_face(image, self.config.seen_side))

    def encode(self, encoder: Encoder, image: Tensor) -> Tensor:
        """W+ codes (B, N, D) of pictures."""
        size = self.config.encoder.input_size
        inputs = image if image.shape[-1] == size else F.interpolate(image, size=(size, size), mode="area")
        with self.runtime.autocast():
            codes: Tensor = encoder(inputs)
        return codes.float()

    def _draw(self, batch: Batch, image: Tensor) -> Drawn:
        joint, count = self.config.joint, len(image)
        codes = self.encode(self.encoder, image)
        codes = torch.cat([codes[:, : joint.rows_from].detach(), codes[:, joint.rows_from :]], dim=1)
        mean = codes.mean(dim=1, keepdim=True)
        chosen = torch.randperm(count)[: round(joint.sample_share * count)]
        z, known = self._vectors(batch, chosen)
        mapped = self.generator.repeat(self.generator.mapping(z))
        rows = torch.cat([fall_back(codes, joint.w_plus_share), mapped])
        with self.runtime.autocast():
            drawn = self.generator(rows, "random").float()
        source = torch.cat([torch.arange(count), chosen])
        weight = torch.cat([torch.ones(count), joint.pair * known.float()]).to(self.device)
        return Drawn(drawn, source, weight, (codes - mean).square().mean(), self._strayed(drawn, rows))

    def _strayed(self, drawn: Tensor, rows: Tensor) -> Tensor:
        """Mean absolute difference of the pictures and those of the first generator, both made small."""
        if self.original is None:
            return drawn.new_zeros(())
        with torch.no_grad(), self.runtime.autocast():
            before = self.original(rows.detach(), "random").float()
        side = self.config.joint.anchor_side
        return F.l1_loss(F.adaptive_avg_pool2d(drawn, side), F.adaptive_avg_pool2d(before, side))

    def _vectors(self, batch: Batch, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """z of the chosen pictures, random where a picture's own is not known, and which are known."""
        z = torch.randn(len(chosen), self.config.generator.z_dim)
        known = torch.zeros(len(chosen), dtype=torch.bool)
        if batch.z is not None and batch.z.shape[1] == z.shape[1]:
            known = batch.paired[chosen]
            z = torch.where(known[:, None], batch.z[chosen], z)
        return z.to(self.device), known

    def _step_networks(
        self, image: Tensor, drawn: Drawn, seen: list[Tensor], real: list[Tensor], face: list[Tensor] | None,
        step: int, logs: dict[str, Tensor],
    ) -> None:  # fmt: skip
        """Generator, mapping network and encoder; the judge only answers."""
        if self.judge is not None:
            self.judge.requires_grad_(False)
        base = self._regression(image, drawn, seen, real, face, logs)
        total = base
        weights = self._adversarial_weights(step * len(image))
        if self.judge is not None and any(weights):
            count = len(image)
            parts = [self.judge([maps[:count] for maps in seen]), self.judge([maps[count:] for maps in seen])]
            said = [adversarial.hinge_generator_loss(part).mean() for part in parts]
            shares = [count / len(drawn.image), 1 - count / len(drawn.image)]
            judged = sum((w * s * loss for w, s, loss in zip(weights, shares, said, strict=True)), base.new_zeros(()))
            if self.ratio.due(step):
                even = sum((s * loss for s, loss in zip(shares, said, strict=True)), base.new_zeros(()))
                self.ratio.update(base, even, last_layer(self.generator))
            total = base + self.ratio.value.to(base) * judged
            logs["adversarial"] = judged
        movers = [optimiser for name, optimiser in self._optimisers.items() if name != "judge"]
        for optimiser in movers:
            optimiser.zero_grad()
        self.runtime.backward(total)
        nn.utils.clip_grad_norm_(self.encoder.parameters(), ENCODER_CLIP)
        for optimiser in movers:
            optimiser.step()
        self._update_averages(len(image))

    def _regression(
        self, image: Tensor, drawn: Drawn, seen: list[Tensor], real: list[Tensor], face: list[Tensor] | None,
        logs: dict[str, Tensor],
    ) -> Tensor:  # fmt: skip
        """Everything that compares what was drawn with a picture: features, pixels, the inner face."""
        joint, count, weight = self.config.joint, len(image), drawn.weight
        source = drawn.source.to(self.device)
        features = feature_distance(seen, [maps[source] for maps in real])
        pyramid = pixel.pyramid_l1_each(drawn.image, image[source])
        logs["features"], logs["pyramid"] = features[:count].mean(), pyramid[:count].mean()
        if len(features) > count:
            logs["pair_features"] = features[count:].mean()
        total = (weight * (joint.features * features + joint.pyramid * pyramid)).mean() + joint.delta * drawn.delta
        if joint.anchor:
            logs["anchor"] = drawn.strayed
            total = total + joint.anchor * drawn.strayed
        if face is not None:
            with self.runtime.autocast():
                inner = self._face_maps(drawn.image[:count])
            logs["face"] = feature_distance(inner, face).mean()
            total = total + joint.face * logs["face"] * count / len(drawn.image)
        return total

    def _adversarial_weights(self, images: int) -> tuple[float, float]:
        """Weights of reconstructions and samples now."""
        joint = self.config.joint
        factors = (1.0, 1.0) if self.spectrum is None else tuple(float(f) for f in self.spectrum.factors)
        less = 1.0 if self.spread is None else float(self.spread.factor)
        return less * joint.reconstructions.at(images) * factors[0], less * joint.samples.at(images) * factors[1]

    def _step_judge(self, real: list[Tensor], drawn: list[Tensor], logs: dict[str, Tensor]) -> None:
        assert self.judge is not None
        self.judge.requires_grad_(True)
        count = len(real[0])
        kinds = [part for part in ([m[:count] for m in drawn], [m[count:] for m in drawn]) if len(part[0])]
        fake = torch.stack([adversarial.hinge_fake_loss(self.judge(kind)) for kind in kinds]).mean()
        loss = adversarial.hinge_real_loss(self.judge(real)) + fake
        optimiser = self._optimisers["judge"]
        optimiser.zero_grad()
        self.runtime.backward(loss)
        optimiser.step()
        logs["judge"] = loss
        self.patience.saw(float(loss.detach()))

    def _update_averages(self, images: int) -> None:
        lives = {"average": self.config.rates.ema_images, "slow": self.config.rates.ema_images_slow}
        for name, average in self.averages.items():
            of, _, life = name.partition("_")
            update_average(
                average, self.generator if of == "generator" else self.encoder, 0.5 ** (images / lives[life])
            )

    @torch.no_grad()
    def _follow(self, batch: Batch, image: Tensor, step: int, logs: dict[str, Tensor]) -> None:
        """Look at the averaged networks' spectrum, and now and then move the adversarial weights.

        Not while pictures are blurred for the judge: it cannot teach the detail that it does not see, and a weight that
        rises for the lack of it drives the networks apart.
        """
        rule, images = self.config.spectrum, step * len(image)
        blurred = self.config.shown.blur.at(images) > LEAST_BLUR
        if self.spectrum is None or rule is None or blurred or images < self.config.joint.head_start:
            return
        if step % rule.look_every == 0:
            self.spectrum.look(image, self._reconstructed(image), self._sampled(batch))
        if (step + 1) % rule.decide_every == 0:
            ratios = self.spectrum.decide()
            if ratios is not None:
                logs["power_reconstructions"], logs["power_samples"] = map(torch.tensor, ratios)

    def _reconstructed(self, image: Tensor) -> Tensor:
        codes = self.encode(self.averages["encoder_average"], image)
        with self.runtime.autocast():
            drawn: Tensor = self.averages["generator_average"](codes)
        return drawn.float()

    def _sampled(self, batch: Batch) -> Tensor:
        z, _ = self._vectors(batch, torch.arange(len(batch.image)))
        average = self.averages["generator_average"]
        with self.runtime.autocast():
            drawn: Tensor = average(average.map(z))
        return drawn.float()

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Of held-out pictures: squared error of reconstructions and samples, their spectrum, spread of samples."""
        parts: list[Tensor] = []
        for batch in batches:
            image = self.runtime.place(batch.image)
            parts.append(torch.stack([image, self._reconstructed(image), self._sampled(batch)]).cpu())
        real, drawn, sampled = torch.cat(parts, dim=1)
        found = {"mse": float(F.mse_loss(drawn, real)), "mse_z": float(F.mse_loss(sampled, real))}
        fine = [cycles for cycles in CYCLES if cycles <= real.shape[-1] // 2]
        for name, pictures in (("reconstructions", drawn), ("samples", sampled)):
            ratios = spectrum_ratio(pictures, real, fine)
            found |= {f"power_{name}_{cycles}": float(r) for cycles, r in zip(fine, ratios, strict=True)}
        several = int(len(real) > 1)  # the spread of a single picture is 0, not "not a number"
        for name, seen in (("spread", sampled), ("spread_of_pictures", real)):
            found[name] = float(seen.std(dim=0, correction=several).mean())
        if self.spread is not None:
            found["went_back"] = float(self._keep_or_go_back(self.spread.fell(found["spread"])))
        return found

    def _keep_or_go_back(self, back: bool) -> bool:
        """Keep the averages as they are, or bring them and the networks back to what was kept last."""
        for name, average in self.averages.items():
            kept = self.kept[f"{name}_kept"]
            (average if back else kept).load_state_dict((kept if back else average).state_dict())
        if back:
            self.generator.load_state_dict(self.averages["generator_average"].state_dict())
            self.encoder.load_state_dict(self.averages["encoder_average"].state_dict())
        return back

    @torch.no_grad()
    def samples(self, batch: Batch) -> Sequence[Row]:
        """Pictures, their reconstructions, faces of the same z, two rows of random ones."""
        image = self.runtime.place(batch.image)
        rows = [image, self._reconstructed(image), self._sampled(batch)]
        average = self.averages["generator_average"]
        for _ in range(2):
            z = torch.randn(len(image), self.config.generator.z_dim)
            rows.append(average(average.map(z.to(self.device))))
        return [to_uint8(row.float()) for row in rows]

    def export(self, folder: Path) -> list[Path]:
        """``generator.safetensors`` and ``encoder.safetensors`` in half precision, of the slow average in ``slow/``."""
        files: list[Path] = []
        for life, where in (("average", folder), ("slow", folder / "slow")):
            generator = self.averages.get(f"generator_{life}")
            if generator is None:
                continue
            generator.latent_avg.copy_(generator.estimate_latent_avg(AVERAGE_DRAWS, torch_generator(AVERAGE_SEED)))
            files.append(export_generator(where, generator.state_dict(), self.config.generator))
            state, digest = self.averages[f"encoder_{life}"].state_dict(), read_weight_header(files[-1]).digest
            files.append(export_encoder(where, state, self.config.encoder, digest))
        return files
