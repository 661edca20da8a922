"""Face recognisers: a trunk with the embedding head of ArcFace (Deng et al. 2019); the published one is IR-SE50."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError, check_shape
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.irse import IRSETrunk
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS
from pixel2style2pixel_cli.networks.specs import RECOGNISER_STRIDES, RecogniserSpec

PUBLISHED = RecogniserSpec()


class FaceRecogniser(nn.Module):
    """Faces (B, 3, S, S) in [-1, 1] to embeddings (B, E) of unit length; a dot product compares two."""

    def __init__(self, spec: RecogniserSpec = PUBLISHED) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = _trunk(spec)
        channels, side = spec.widths[-1], spec.input_size // RECOGNISER_STRIDES[spec.kind]
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Flatten(),
            nn.Linear(channels * side * side, spec.embedding),
            nn.BatchNorm1d(spec.embedding),
        )

    def forward(self, face_BCHW: Tensor) -> Tensor:
        size = self.spec.input_size
        check_shape(face_BCHW, (None, 3, size, size), "face")
        return F.normalize(self.head(self.trunk(face_BCHW)[-1]))


def _trunk(spec: RecogniserSpec) -> IRSETrunk | LiteTrunk:
    if spec.kind == "irse":
        return IRSETrunk(3, spec.units, spec.widths)
    if spec.units != LITE_UNITS or spec.widths != LITE_WIDTHS:
        raise UsageError(
            f"a recogniser of kind lite has Lite0's trunk, units {LITE_UNITS} and widths {LITE_WIDTHS}; "
            f"found {spec.units} and {spec.widths}",
            f"set recogniser.units={list(LITE_UNITS)} and recogniser.widths={list(LITE_WIDTHS)}",
        )
    return LiteTrunk(LiteSpec())
