"""Identity loss: one minus the cosine of two face embeddings (pSp, eq. 5; methods.md 4.4).

Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.faceid import INPUT_SIZE, FaceRecogniser

# The face inside an FFHQ crop of 256 px: first row, end, first column, end.
FACE_BOX = (35, 223, 32, 220)
BOX_SIZE = 256


def crop_face(image_BCHW: Tensor) -> Tensor:
    """The fixed box around the face of an FFHQ crop, at any size of picture."""
    scale = image_BCHW.shape[-1] / BOX_SIZE
    top, bottom, left, right = (round(edge * scale) for edge in FACE_BOX)
    return image_BCHW[:, :, top:bottom, left:right]


class IdentityLoss(nn.Module):
    """Compares aligned pictures (B, 3, S, S) in [-1, 1]; no gradient flows through the target."""

    def __init__(self, recogniser: FaceRecogniser) -> None:
        super().__init__()
        self.recogniser = recogniser.eval().requires_grad_(False)

    def embed(self, image_BCHW: Tensor) -> Tensor:
        """Embeddings (B, 512) of unit length."""
        face = F.adaptive_avg_pool2d(crop_face(image_BCHW), INPUT_SIZE)
        embedding: Tensor = self.recogniser(face)
        return embedding

    def forward(self, image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.embed(target_BCHW)
        return 1 - (self.embed(image_BCHW) * wanted).sum(dim=1).mean()
