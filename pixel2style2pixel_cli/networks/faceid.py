"""The ArcFace recogniser: the IR-SE trunk with an embedding head, input 112 px (Deng et al. 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.networks.irse import IRSETrunk
from pixel2style2pixel_cli.networks.specs import DEPTHS, WIDTHS

INPUT_SIZE = 112
EMBEDDING = 512


class FaceRecogniser(nn.Module):
    """Faces (B, 3, 112, 112) in [-1, 1] to embeddings (B, 512) of unit length; a dot product compares two."""

    def __init__(self, depth: int = 50) -> None:
        super().__init__()
        self.trunk = IRSETrunk(3, DEPTHS[depth], WIDTHS)
        self.head = nn.Sequential(
            nn.BatchNorm2d(WIDTHS[-1]),
            nn.Flatten(),
            nn.Linear(WIDTHS[-1] * 7 * 7, EMBEDDING),
            nn.BatchNorm1d(EMBEDDING),
        )

    def forward(self, face_BCHW: Tensor) -> Tensor:
        check_shape(face_BCHW, (None, 3, INPUT_SIZE, INPUT_SIZE), "face")
        return F.normalize(self.head(self.trunk(face_BCHW)[-1]))
