"""What a training run is made of: dataclasses, read from a preset or a TOML file, changed by ``--set key=value``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pixel2style2pixel_cli.errors import UsageError, in_one_line
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS, InputKind
from pixel2style2pixel_cli.networks.specs import (
    ALL_OPEN,
    RESIDUAL_CHANNELS,
    DiscriminatorSpec,
    EncoderSpec,
    GeneratorSpec,
)
from pixel2style2pixel_cli.training.encoder_losses import EncoderLosses
from pixel2style2pixel_cli.training.limits import BELOW_ONE, MOST, check_numbers
from pixel2style2pixel_cli.training.offsets import CodeGame, Method, Progressive, Regressive, Schedule
from pixel2style2pixel_cli.training.tables import from_table, toml_value
from pixel2style2pixel_cli.zoo.cards import MOST_PASSES, PASSES

LARGEST_FILE = 1_000_000  # bytes

# Those that open offsets from the first row.
OFFSET_METHODS = ("e4e", "cycle")

RunKind = Literal["generator", "encoder", "recogniser"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Length and rhythm of a run; ``*_every`` count steps.

    ``batch`` is that of all processes together, and of all ``accumulate`` parts in which each of them computes its
    share, so that a step takes less memory. ``recompute`` does too: what the drawing of pictures leaves for the
    gradients is computed again instead of kept. ``precision`` auto is bfloat16 where the device is fast in it, else
    float32. Of the pictures held out, at most ``validate_pictures`` are drawn at a time. ``snapshot_every``: how often
    the result so far is kept beside the checkpoint, for a choice afterwards; 0 is never.
    """

    steps: int = 300_000
    batch: int = 8
    accumulate: int = 1
    recompute: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 500
    validate_every: int = 2500
    validate_pictures: int = 1000
    snapshot_every: int = 0
    held_out: int = 1000
    flip: bool = True

    def __post_init__(self) -> None:
        from_one = (1, MOST)
        check_numbers(
            "run", self, steps=from_one, batch=from_one, log_every=from_one, sample_every=from_one,
            checkpoint_every=from_one, validate_every=from_one, validate_pictures=from_one, accumulate=from_one,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorLosses:
    """Weights of the parts of generator training; a weight of 0 leaves the part out.

    ``autoencode``: an encoder reads the picture, the generator draws it again; pyramid L1 plus gradients.
    ``detail``: how much more both count on eyes, brows, nose and mouth; needs label maps in the data.
    ``cartoon``: how much of a cartoon is made, 0 to 1, of what the generator drew when the run began: its target then.
    ``pair_latent``, ``pair_image``: the mapping network meets the encoder's code, and the picture, of a known z.
    ``adversarial`` and what follows it: StyleGAN2 (methods of Karras et al. 2020). ``sample_share``: how many pictures
    of random z it draws a step, as a share of the batch; beside an autoencoder a few are enough.
    """

    autoencode: float = 0.0
    gradient: float = 1.0
    detail: float = 0.0
    cartoon: float = 0.0
    w_plus_share: float = 0.5
    pair_latent: float = 0.0
    pair_image: float = 0.0
    adversarial: float = 0.0
    sample_share: float = 1.0
    features: float = 0.0
    r1: float = 10.0
    r1_every: int = 16
    path_length: float = 2.0
    path_every: int = 4
    style_mixing: float = 0.9

    def __post_init__(self) -> None:
        share = (0, 1)
        check_numbers(
            "losses", self, r1_every=(1, MOST), path_every=(1, MOST), cartoon=share, w_plus_share=share,
            style_mixing=share, sample_share=share,
        )  # fmt: skip
        if not self.sample_share:
            raise UsageError("losses.sample_share is 0, expected more than 0 and at most 1", "set it to 1, the default")
        if self.cartoon and self.w_plus_share < 1:
            raise UsageError("losses.cartoon is for codes in W+ alone", "set losses.w_plus_share=1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Learning rates of Adam, steps of linear warm-up, and when the cosine fall to zero starts (share of steps).

    An encoder whose rate is 0 is frozen, the statistics of its batch normalisation included.
    """

    generator: float = 0.002
    mapping: float = 0.002
    encoder: float = 0.001
    discriminator: float = 0.002
    beta1: float = 0.0
    beta2: float = 0.99
    warm_up: int = 0
    fall_from: float = 1.0
    ema_images: float = 10_000.0

    def __post_init__(self) -> None:
        memory = (0, BELOW_ONE)
        check_numbers("rates", self, ema_images=(1, MOST), fall_from=(0, 1), beta1=memory, beta2=memory)


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingFit:
    """Regression of the mapping network on the encoder's codes, before the first step of a run.

    ``rate`` is Adam's, on weights a hundred times larger than they act (learning-rate multiplier 0.01). ``sliced`` is
    the weight of the sliced Wasserstein distance between all mapped and all encoded codes, along ``directions``:
    regression alone answers doubt with the mean, and the variety of the faces goes with it.
    """

    steps: int = 10_000
    batch: int = 256
    rate: float = 0.1
    sliced: float = 0.0
    directions: int = 256

    def __post_init__(self) -> None:
        check_numbers("mapping", self, steps=(1, MOST), batch=(2, MOST), directions=(1, MOST))


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptiveAugmentation:
    """Adaptive discriminator augmentation, for data that are few (Karras et al. 2020).

    ``target``: mean sign of the discriminator's scores of real pictures to hold. ``images`` shown while the
    probability of a change goes from 0 to 1. It is adjusted ``every`` so many steps.
    """

    target: float = 0.6
    images: int = 500_000
    every: int = 4

    def __post_init__(self) -> None:
        check_numbers("ada", self, images=(1, MOST), every=(1, MOST), target=(-1, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorTraining:
    """Everything that decides the result of ``train generator``."""

    generator: GeneratorSpec
    encoder: EncoderSpec | None = None
    discriminator: DiscriminatorSpec | None = None
    mapping: MappingFit | None = None
    ada: AdaptiveAugmentation | None = None
    run: RunConfig = field(default_factory=RunConfig)
    losses: GeneratorLosses = field(default_factory=GeneratorLosses)
    rates: Rates = field(default_factory=Rates)

    def __post_init__(self) -> None:
        losses, size = self.losses, self.generator.resolution
        if self.run.recompute:
            raise UsageError("run.recompute is for encoders", "set run.recompute=false, and run.accumulate instead")
        if self.run.accumulate > 1 and (losses.pair_latent or losses.pair_image or losses.features):
            raise UsageError(
                "losses.pair_latent, pair_image and features look at a whole batch", "set run.accumulate=1"
            )
        if not losses.autoencode and not losses.adversarial:
            raise UsageError("no loss teaches the generator to draw", "set losses.autoencode or losses.adversarial")
        if losses.autoencode and self.encoder is None:
            raise UsageError("losses.autoencode is on, but there is no [encoder]", "add an [encoder] section")
        if (losses.adversarial or losses.features) and self.discriminator is None:
            raise UsageError(
                "losses.adversarial is on, but there is no [discriminator]", "add a [discriminator] section"
            )
        if (losses.pair_latent or losses.pair_image or losses.features or losses.detail) and not losses.autoencode:
            raise UsageError(
                "losses.pair_latent, pair_image, features and detail need losses.autoencode", "set losses.autoencode"
            )
        if self.mapping is not None and self.encoder is None:
            raise UsageError("[mapping] is given, but there is no [encoder]", "add an [encoder] section")
        if self.ada is not None and not losses.adversarial:
            raise UsageError("[ada] is given, but losses.adversarial is 0", "set losses.adversarial, or remove [ada]")
        if self.discriminator is not None and self.discriminator.resolution != size:
            raise UsageError(
                f"the generator draws {size} px, the discriminator takes {self.discriminator.resolution} px",
                f"set discriminator.resolution={size}",
            )
        if self.encoder is not None and self.encoder.input_channels != 3:
            raise UsageError("the encoder of an autoencoder reads pictures", "set encoder.input_channels=3")


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How far the encoder's input may differ from a clean render; each is a largest strength, 0 is off."""

    colour: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        strength = (0, 1)
        check_numbers(
            "augmentation", self, colour=strength, blur=strength, noise=strength, jpeg=strength, shift=strength
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderRates:
    """Ranger's learning rate and when its cosine fall to zero starts (share of steps); ``ema_images`` 0: no average."""

    encoder: float = 1e-4
    warm_up: int = 0
    fall_from: float = 1.0
    ema_images: float = 0.0

    def __post_init__(self) -> None:
        check_numbers("rates", self, fall_from=(0, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskData:
    """What the encoder gets (``kind``), and what it learns to draw.

    ``target`` photo is the picture itself; frontal is the same face from the front, which the data must hold; flips is
    the picture, mirrored or not by chance: over both, the frontal face is nearest (pSp, section 4.2). ``heads`` kept
    are those of the encoder that the run starts from: not trained, and not exported again. ``method`` is how its codes
    are held near W: not at all by psp; by e4e, whose offsets open one by one; by cycle, which closes them again. By
    restyle they are found in so many ``passes``, each of which reads what was drawn so far.
    """

    kind: InputKind = "photo"
    target: Literal["photo", "frontal", "flips"] = "photo"
    heads: Literal["trained", "kept"] = "trained"
    method: Method = "psp"
    passes: int = PASSES

    def __post_init__(self) -> None:
        check_numbers("task", self, passes=(1, MOST_PASSES))
        if self.kind not in INPUT_KINDS:
            raise UsageError(
                f"task.kind is {self.kind!r}, expected one of {', '.join(INPUT_KINDS)}",
                "correct it, or leave it to --task",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderTraining:
    """Everything that decides the result of ``train encoder``; the generator is frozen and given apart."""

    encoder: EncoderSpec = field(default_factory=EncoderSpec)
    task: TaskData = field(default_factory=TaskData)
    run: RunConfig = field(default_factory=RunConfig)
    losses: EncoderLosses = field(default_factory=EncoderLosses)
    rates: EncoderRates = field(default_factory=EncoderRates)
    augmentation: Augmentation = field(default_factory=Augmentation)
    progressive: Progressive | None = None
    regressive: Regressive | None = None
    code_discriminator: CodeGame | None = None

    def __post_init__(self) -> None:
        self._check_method()
        if self.run.accumulate > 1 and self.losses.adversarial:
            raise UsageError("the discriminator of codes takes a step for each part of a batch", "set run.accumulate=1")
        if self.losses.detail and self.task.target != "photo":
            raise UsageError(
                f"losses.detail goes by label maps, which do not fit targets of kind {self.task.target}",
                "set losses.detail=0",
            )

    def schedule(self, n_styles: int) -> Schedule | None:
        """When the offsets of a code of so many rows open and close; None for psp and restyle."""
        if self.task.method not in OFFSET_METHODS:
            return None
        back = (self.regressive or Regressive()) if self.task.method == "cycle" else None
        return Schedule(n_styles=n_styles, progressive=self.progressive or Progressive(), regressive=back)

    def _check_method(self) -> None:
        """Raise UsageError for settings that the method does not have, and for an encoder that it cannot train."""
        method, sections = self.task.method, ("progressive", "regressive", "code_discriminator")
        unused = [f"[{name}]" for name in sections if getattr(self, name) is not None]
        if method not in OFFSET_METHODS:
            unused += [f"losses.{name}" for name in ("delta", "adversarial") if getattr(self.losses, name)]
        elif method == "e4e":
            unused = [name for name in unused if name == "[regressive]"]
        else:
            unused = []
        if unused:
            raise UsageError(
                f"the method {method} has no use for {', '.join(unused)}",
                "set task.method to cycle" if method == "e4e" else "remove it, or set task.method to e4e or cycle",
            )
        if method in OFFSET_METHODS and not self.encoder.has_offsets:
            raise UsageError(
                f"the method {method} opens offsets, and an encoder of kind {self.encoder.kind} has none",
                "set encoder.kind to e4e or lite_e4e",
            )
        if method in OFFSET_METHODS and self.encoder.stage != ALL_OPEN:
            raise UsageError(
                f"encoder.stage is {self.encoder.stage}, and the method {method} sets it at every step",
                "leave encoder.stage out",
            )
        self._check_passes()

    def _check_passes(self) -> None:
        """Raise UsageError for an encoder that reads two pictures and another method, or the other way round."""
        restyle = self.task.method == "restyle"
        if restyle != self.encoder.residual:
            raise UsageError(
                f"the method {self.task.method} and an encoder of {self.encoder.input_channels} input channels do not "
                f"go together: restyle reads {RESIDUAL_CHANNELS}, the picture and what was drawn of it so far",
                f"set encoder.input_channels={RESIDUAL_CHANNELS}" if restyle else "set task.method=restyle",
            )
        if restyle and (not self.losses.drawn or self.losses.draw_every > 1):
            raise UsageError(
                "a pass of restyle goes on from the picture of the one before, so every step has to draw",
                "set losses.draw_every=1 and a loss of pictures, such as losses.l2",
            )


def preset_names(kind: RunKind) -> list[str]:
    """Presets that come with the package, for one kind of run."""
    return sorted(item.name.removesuffix(".toml") for item in _presets(kind).iterdir() if item.name.endswith(".toml"))


def _presets(kind: RunKind) -> Traversable:
    return resources.files("pixel2style2pixel_cli.training") / "presets" / kind


def load_training(cls: type[T], kind: RunKind, name: str, overrides: dict[str, str]) -> T:
    """The configuration of a preset or TOML file, with ``section.key`` values replaced."""
    return from_table(cls, read_table(kind, name, overrides))


def read_table(kind: RunKind, name: str, overrides: dict[str, str]) -> dict[str, Any]:
    """The tables of a preset or TOML file, with ``section.key`` values replaced."""
    known = preset_names(kind)
    source = Path(name) if name.endswith(".toml") else _presets(kind) / f"{name}.toml"
    if not source.is_file():
        other = next((each for each in get_args(RunKind) if name in preset_names(each)), None)
        elsewhere = f"{name} is a preset of train {other}, not of train {kind}"
        what = f"no preset or configuration file {name}" if other is None else elsewhere
        raise UsageError(what, f"presets: {', '.join(known)}; or a .toml file")
    try:
        if isinstance(source, Path) and source.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{name} is larger than any file of settings", f"presets: {', '.join(known)}")
        table = tomllib.loads(source.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", "check the file") from error
    except (ValueError, RecursionError) as error:  # besides TOML's own errors: numbers and nesting without end
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else in_one_line(error)
        raise UsageError(
            f"{name} is not valid TOML: {reason}", "write sections and values: [run] then batch = 8"
        ) from error
    for key, value in overrides.items():
        section, _, leaf = key.partition(".")
        if not leaf or not isinstance(table.setdefault(section, {}), dict):
            raise UsageError(f"--set {key}={value}: expected section.key=value", "for example --set run.batch=16")
        table[section][leaf] = toml_value(value)
    return table
