"""What a joint run is made of: generator and encoder together, on features of a pretrained trunk, before a judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.projected import ProjectedSpec
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.training.config import (
    GeneratorTraining,
    MappingFit,
    RunConfig,
    read_table,
)
from pixel2style2pixel_cli.training.limits import MOST, check_numbers
from pixel2style2pixel_cli.training.tables import from_table

# The smallest picture that trunk and judge can look at: its fifth map has two places to a side.
LEAST_SIDE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A number that goes from ``start`` to ``end`` in a straight line over ``images``, ``after`` some others."""

    start: float
    end: float
    images: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        check_numbers("schedule", self)

    def at(self, images: int) -> float:
        """The number after so many images of the run."""
        if images < self.after:
            return self.start
        share = min(1.0, (images - self.after) / self.images) if self.images else 1.0
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True, kw_only=True, slots=True)
class JointLosses:
    """Weights of the parts of a joint run; a weight of 0 leaves the part out.

    ``features``, ``pyramid``: reconstructions against pictures, in the maps of the trunk and in pixels; ``face``: the
    maps of the inner face alone. ``delta``: mean square of what sets the rows of a code apart. ``w_plus_share`` of the
    reconstructions have all their rows, the others one row in their place.
    Beside them ``sample_share`` of the batch is drawn from z: from the picture's own where it is known, and then held
    to the picture with the weight ``pair``; else from a random one, for the judge alone.
    ``reconstructions`` and ``samples``: adversarial weight of either, a share of the other losses' gradient at the last
    layer. The judge learns alone for ``head_start`` images. Rows of the encoder's codes below ``rows_from`` are taken
    as they come, and what makes them is not trained. ``anchor`` holds what is drawn, reduced to ``anchor_side`` pixels,
    to what the generator drew of the same codes when the run began: for layers that are to learn texture and nothing
    else, which would pay for it with contrast.
    """

    features: float = 1.0
    face: float = 1.0
    pyramid: float = 2.0
    delta: float = 0.002
    w_plus_share: float = 0.7
    sample_share: float = 0.6
    pair: float = 0.5
    reconstructions: Schedule = field(default_factory=lambda: Schedule(start=0.0, end=0.0))
    samples: Schedule = field(default_factory=lambda: Schedule(start=0.0, end=0.0))
    head_start: int = 0
    rows_from: int = 0
    anchor: float = 0.0
    anchor_side: int = 32

    def __post_init__(self) -> None:
        check_numbers("joint", self, w_plus_share=(0, 1), sample_share=(0, 1), anchor_side=(1, MOST))
        if not self.features and not self.pyramid:
            raise UsageError("no loss teaches the generator to draw", "set joint.features or joint.pyramid")

    @property
    def adversarial(self) -> bool:
        """Whether a judge is asked at any time."""
        return any(weight for part in (self.reconstructions, self.samples) for weight in (part.start, part.end))


@dataclass(frozen=True, kw_only=True, slots=True)
class JointRates:
    """Learning rates of Adam; the encoder's trunk, which comes pretrained, has its own.

    Warm-up in steps, then constant, then a cosine fall to zero from ``fall_from`` (share of steps) on, the judge's to
    ``judge_least`` of it. ``ema_images``: half-life of the averaged weights in images; ``ema_images_slow`` that of a
    second average, exported beside the first, 0 for none. Layers of up to ``slowed_to`` px learn at ``slowed`` times
    the generator's rate: what carried over into a larger generator; at a rate of 0 a part is frozen, and costs nothing.
    """

    generator: float = 1e-3
    mapping: float = 4e-4
    encoder: float = 4e-4
    trunk: float = 2e-4
    judge: float = 2e-3
    judge_least: float = 0.3
    warm_up: int = 50
    fall_from: float = 0.6
    ema_images: float = 3000.0
    ema_images_slow: float = 0.0
    slowed_to: int = 0
    slowed: float = 1.0

    def __post_init__(self) -> None:
        check_numbers("rates", self, ema_images=(1, MOST), fall_from=(0, 1), judge_least=(0, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """How a picture is changed before trunk and judge see it, a reconstruction and its target alike.

    ``shift`` and ``cutout`` are largest shares of the side, ``colour`` a strength up to 1; ``blur`` is a deviation in
    pixels, which starts high so that the judge looks at shapes first. ``crop`` is the side in pixels of the part
    that is shown, at a random place, 0 for the whole: texture can be judged from parts, which cost less.
    """

    shift: float = 0.1
    cutout: float = 0.0
    colour: float = 0.0
    crop: int = 0
    blur: Schedule = field(default_factory=lambda: Schedule(start=0.0, end=0.0))

    def __post_init__(self) -> None:
        check_numbers("shown", self, shift=(0, 1), cutout=(0, 1), colour=(0, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class SpectrumRule:
    """The adversarial weights follow the power of drawn against real pictures, at 32 and 48 cycles of 128 px.

    Every ``decide_every`` steps a weight is multiplied by ``up`` where the ratio is under the first of two bounds, by
    ``down`` where it is over the second. The averaged networks are looked at every ``look_every`` steps.
    """

    samples: tuple[float, ...] = (0.9, 1.1)
    reconstructions: tuple[float, ...] = (0.8, 1.0)
    up: float = 1.15
    down: float = 0.8
    least: float = 0.1
    most: float = 2.5
    look_every: int = 10
    decide_every: int = 150

    def __post_init__(self) -> None:
        check_numbers("spectrum", self, look_every=(1, MOST), decide_every=(1, MOST), up=(1, MOST), down=(0, 1))
        for name in ("samples", "reconstructions"):
            bounds = getattr(self, name)
            if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1]:
                raise UsageError(f"spectrum.{name} is {list(bounds)}, expected a lower and an upper bound")
        if not 0 < self.down <= 1 or not 0 < self.least <= self.most:
            raise UsageError("spectrum.down is a share, and spectrum.least at most spectrum.most")


@dataclass(frozen=True, kw_only=True, slots=True)
class SpreadRule:
    """What happens when samples become alike: networks go back to the averages of the last validation without it.

    Alike is a spread (mean deviation of a pixel) of held-out z smaller by the share ``fall`` than the largest so far;
    the adversarial weights are then multiplied by ``weaker``.
    """

    fall: float = 0.1
    weaker: float = 0.5

    def __post_init__(self) -> None:
        check_numbers("spread", self, fall=(0, 1), weaker=(0, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class JointTraining:
    """Everything that decides the result of a joint run of ``train generator``."""

    generator: GeneratorSpec
    encoder: EncoderSpec
    joint: JointLosses
    projected: ProjectedSpec | None = None
    mapping: MappingFit | None = None
    spectrum: SpectrumRule | None = None
    spread: SpreadRule | None = None
    shown: Shown = field(default_factory=Shown)
    run: RunConfig = field(default_factory=RunConfig)
    rates: JointRates = field(default_factory=JointRates)

    @property
    def seen_side(self) -> int:
        """The side in pixels of what trunk and judge see."""
        return self.shown.crop or self.generator.resolution

    def __post_init__(self) -> None:
        if self.joint.adversarial != (self.projected is not None):
            raise UsageError(
                "a judge and its weights go together: [projected], and joint.reconstructions or joint.samples",
                "give both or neither",
            )
        if self.run.recompute or self.run.accumulate > 1:
            raise UsageError(
                "a joint run computes a batch at once",
                "remove run.recompute and run.accumulate, or set run.batch lower",
            )
        if self.spectrum is not None and self.projected is None:
            raise UsageError("[spectrum] leads the weights of a judge, and there is none", "add [projected]")
        if self.spread is not None and not (self.run.held_out and self.run.validate_pictures):
            raise UsageError(
                "[spread] looks at held-out pictures, and none are held out",
                "set run.held_out and run.validate_pictures, or leave [spread] out",
            )
        if self.encoder.input_channels != 3:
            raise UsageError("the encoder of a joint run reads pictures", "set encoder.input_channels=3")
        if self.shown.crop and not LEAST_SIDE <= self.shown.crop <= self.generator.resolution:
            raise UsageError(
                f"shown.crop is {self.shown.crop} px of pictures of {self.generator.resolution} px, expected 0 for the "
                f"whole or {LEAST_SIDE} and more",
                "set shown.crop=0",
            )
        if self.generator.resolution % self.joint.anchor_side:
            raise UsageError(
                f"joint.anchor_side is {self.joint.anchor_side}, which does not divide {self.generator.resolution} px",
                "set joint.anchor_side=32",
            )
        if self.joint.rows_from >= self.generator.n_styles:
            raise UsageError(
                f"joint.rows_from is {self.joint.rows_from}, and the codes have {self.generator.n_styles} rows",
                "set joint.rows_from=0",
            )
        if self.generator.resolution < LEAST_SIDE:
            raise UsageError(
                f"a joint run needs pictures of {LEAST_SIDE} px or more, not {self.generator.resolution}",
                "set generator.resolution",
            )


def _follow_size(table: dict[str, Any], overrides: dict[str, str]) -> None:
    """Where the size of a preset's generator is set, its judge gets that size, and its encoder reads no larger ones.

    A size that is set itself stays.
    """
    drawn = table.get("generator")
    size = drawn.get("resolution") if isinstance(drawn, dict) else None
    if "generator.resolution" not in overrides or not isinstance(size, int):
        return
    judge, reader = table.get("discriminator"), table.get("encoder")
    if isinstance(judge, dict) and "discriminator.resolution" not in overrides:
        judge["resolution"] = size
    read = reader.get("input_size") if isinstance(reader, dict) else None
    if isinstance(reader, dict) and isinstance(read, int) and "encoder.input_size" not in overrides:
        reader["input_size"] = min(read, size)


def load_generator_training(name: str, overrides: dict[str, str]) -> GeneratorTraining | JointTraining:
    """The configuration of a preset or TOML file of ``train generator``; one with a [joint] section is a joint run."""
    table: dict[str, Any] = read_table("generator", name, overrides)
    _follow_size(table, overrides)
    cls: type[GeneratorTraining | JointTraining] = JointTraining if "joint" in table else GeneratorTraining
    return from_table(cls, table)
