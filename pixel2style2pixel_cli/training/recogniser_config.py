"""What a run of ``train recogniser`` is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.specs import RecogniserSpec
from pixel2style2pixel_cli.training.config import Augmentation, RunConfig
from pixel2style2pixel_cli.training.limits import MOST, check_numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Margin:
    """The loss of ArcFace: ``scale`` of the cosines, and the ``margin`` in radians (Deng et al. 2019: 64 and 0.5)."""

    scale: float = 64.0
    margin: float = 0.5

    def __post_init__(self) -> None:
        check_numbers("margin", self, scale=(1, MOST), margin=(0, 1.5))


@dataclass(frozen=True, kw_only=True, slots=True)
class RecogniserRates:
    """Learning rates of AdamW for the network and for the persons' centres, and the decay of their weights.

    The network's is multiplied by ``trunk`` in the trunk: one that begins pretrained wants smaller steps than the new
    head. ``warm_up`` in steps; ``fall_from`` is when the cosine fall to zero starts (share of steps); ``ema_images`` 0:
    no average.
    """

    recogniser: float = 1e-3
    trunk: float = 1.0
    centres: float = 2e-3
    weight_decay: float = 5e-4
    warm_up: int = 100
    fall_from: float = 0.3
    ema_images: float = 10_000.0

    def __post_init__(self) -> None:
        check_numbers("rates", self, fall_from=(0, 1), weight_decay=(0, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """So many persons are ``held_out``, with all their pictures, to be told apart when the run is done."""

    held_out: int = 100

    def __post_init__(self) -> None:
        check_numbers("people", self, held_out=(2, MOST))


@dataclass(frozen=True, kw_only=True, slots=True)
class RecogniserTraining:
    """Everything that decides the result of ``train recogniser``.

    ``run.held_out`` follows from the persons that are held out.
    """

    recogniser: RecogniserSpec = field(default_factory=RecogniserSpec)
    margin: Margin = field(default_factory=Margin)
    people: People = field(default_factory=People)
    run: RunConfig = field(default_factory=RunConfig)
    rates: RecogniserRates = field(default_factory=RecogniserRates)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.run.recompute:
            raise UsageError("run.recompute is for encoders", "set run.recompute=false, and run.accumulate instead")
