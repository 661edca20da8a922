"""Identity loss: one minus the cosine of two face embeddings (pSp, eq. 5; methods.md 4.4).

Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.specs import BOX_SIZE, FACE_BOX, RecogniserSpec


def crop_face(image_BCHW: Tensor, box: tuple[int, int, int, int] = FACE_BOX) -> Tensor:
    """A fixed box of an aligned picture, in pixels of a picture of 256 px, at any size of picture."""
    scale = image_BCHW.shape[-1] / BOX_SIZE
    top, bottom, left, right = (round(edge * scale) for edge in box)
    return image_BCHW[:, :, top:bottom, left:right]


def face_input(image_BCHW: Tensor, spec: RecogniserSpec) -> Tensor:
    """What a recogniser sees of aligned pictures: its box at its size, by averages, as the published loss makes it."""
    return F.adaptive_avg_pool2d(crop_face(image_BCHW, spec.box), spec.input_size)


class IdentityLoss(nn.Module):
    """Compares aligned pictures (B, 3, S, S) in [-1, 1]; no gradient flows through the target."""

    def __init__(self, recogniser: FaceRecogniser) -> None:
        super().__init__()
        self.recogniser = recogniser.eval().requires_grad_(False)

    def embed(self, image_BCHW: Tensor) -> Tensor:
        """Embeddings (B, E) of unit length."""
        embedding: Tensor = self.recogniser(face_input(image_BCHW, self.recogniser.spec))
        return embedding

    def forward(self, image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.embed(target_BCHW)
        return 1 - (self.embed(image_BCHW) * wanted).sum(dim=1).mean()
