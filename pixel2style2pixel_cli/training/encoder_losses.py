"""The weights of the losses of encoder training: each field is the one place where its loss is named."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.limits import MOST, check_numbers


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """A loss that compares drawn pictures: its function in ``losses/pictures.py``, and the network it looks through."""

    function: str
    network: str | None


LOSS = "loss"


def weight_of(function: str, default: float = 0.0, *, network: str | None = None) -> float:
    """The field that is the weight of a loss of drawn pictures, and the only place where the loss is named."""
    made: float = field(default=default, metadata={LOSS: PictureLoss(function, network)})
    return made


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderLosses:
    """Weights of the parts of encoder training (pSp, section 3.2; methods.md 4.4); 0 leaves a part out.

    ``lpips``, ``id`` and ``moco``, which is for pictures of other things in the place of ``id``, need published
    networks; ``pyramid`` and ``gradient`` need none. ``l2_crop`` and ``lpips_crop`` look at the box around the face
    alone. ``features`` compares in EfficientNet-Lite0, ``face`` there the inner face alone. ``detail`` is how much more
    ``l2``, ``pyramid`` and ``gradient`` count on eyes, brows, nose and mouth; it needs label maps in the data.
    ``code`` holds the codes to those that a teacher, an encoder for the same generator, writes for the target: many
    times cheaper than drawing, which is then done ``draw_every`` so many steps. ``delta`` and ``adversarial`` are those
    of the methods e4e and cycle: the length of the offsets, and what the discriminator of codes says. ``recogniser`` is
    the network that ``id`` looks through, a run folder of ``train recogniser``, a file or a model; empty is the
    published ArcFace.
    """

    l2: float = weight_of("l2", 1.0)
    lpips: float = weight_of("lpips", 0.8, network="perceptual")
    id: float = weight_of("identity", 0.1, network="identity")
    moco: float = weight_of("moco", network="moco")
    l2_crop: float = weight_of("l2_crop")
    lpips_crop: float = weight_of("lpips_crop", network="perceptual")
    w_norm: float = 0.0
    pyramid: float = weight_of("pyramid")
    gradient: float = weight_of("gradient")
    features: float = weight_of("features", network="trunk")
    face: float = weight_of("face", network="trunk")
    detail: float = 0.0
    code: float = 0.0
    delta: float = 0.0
    adversarial: float = 0.0
    draw_every: int = 1
    recogniser: str = ""

    def __post_init__(self) -> None:
        check_numbers("losses", self, draw_every=(1, MOST))
        if self.id and self.moco:
            raise UsageError(
                "losses.id is for faces and losses.moco for other things, and both have a weight",
                "set losses.id=0 or losses.moco=0",
            )
        if not self.drawn and not self.code:
            raise UsageError("no loss teaches the encoder", "set losses.l2, another loss of pictures, or losses.code")
        if self.recogniser and not self.id:
            raise UsageError("a recogniser is named, but losses.id is 0", "add --set losses.id=0.1")
        if self.draw_every > 1 and not self.code:
            raise UsageError(
                "losses.draw_every leaves steps without a loss where losses.code is 0", "set losses.draw_every=1"
            )

    @property
    def drawn(self) -> bool:
        """Whether some loss looks at the drawn picture."""
        return bool(self.of_pictures)

    @property
    def of_pictures(self) -> dict[str, PictureLoss]:
        """The losses of drawn pictures that have a weight, by the name of the weight."""
        rows = {field.name: field.metadata.get(LOSS) for field in dataclasses.fields(self)}
        return {name: row for name, row in rows.items() if row is not None and getattr(self, name)}
