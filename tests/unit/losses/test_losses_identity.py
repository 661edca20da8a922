"""The identity loss around a stand-in recogniser; the published one is compared in the parity tests."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.losses.identity import IdentityLoss, crop_face
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.specs import RecogniserSpec


class Corner(FaceRecogniser):
    """Embeds a face as its mean colours in four corners."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.spec = RecogniserSpec()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, face_BCHW: Tensor) -> Tensor:
        assert face_BCHW.shape[1:] == (3, 112, 112)
        return F.normalize(self.scale * F.adaptive_avg_pool2d(face_BCHW, 2).flatten(1))


@pytest.mark.parametrize(
    ("size", "box"), [(256, (35, 223, 32, 220)), (128, (18, 112, 16, 110)), (512, (70, 446, 64, 440))]
)
def test_the_box_scales_with_the_picture(size: int, box: tuple[int, int, int, int]) -> None:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    found = crop_face(torch.stack([rows, columns])[None])[0]
    top, bottom, left, right = box
    assert (int(found[0].min()), int(found[0].max()) + 1) == (top, bottom)
    assert (int(found[1].min()), int(found[1].max()) + 1) == (left, right)


def test_one_minus_the_cosine() -> None:
    loss = IdentityLoss(Corner())
    image = torch.randn(3, 3, 64, 64)
    assert float(loss(image, image)) == pytest.approx(0, abs=1e-6)
    assert float(loss(-image, image)) == pytest.approx(2, abs=1e-6)


def test_gradients_reach_the_picture_but_neither_target_nor_recogniser() -> None:
    loss = IdentityLoss(Corner())
    image, target = torch.randn(1, 3, 64, 64).requires_grad_(), torch.randn(1, 3, 64, 64).requires_grad_()
    loss(image, target).backward()
    assert image.grad is not None and float(image.grad.abs().sum()) > 0
    assert target.grad is None and all(p.grad is None for p in loss.parameters())
    outside = image.grad.clone()
    outside[:, :, 9:56, 8:55] = 0
    assert float(outside.abs().sum()) == 0
